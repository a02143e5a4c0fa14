"""Read texts with labels from tables or from one file per label, and texts without labels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lmclassify.datasets.sources import InputFormat, RowReader, open_rows
from lmclassify.errors import DataError, listing, shorten
from lmclassify.mail.fields import DEFAULT_FIELDS
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.columns import LABEL_COLUMNS, TEXT_COLUMNS, require_column
from lmclassify.tables.fasttext import FastTextReader
from lmclassify.tables.plain_text import PlainTextReader

Say = Callable[[str], object]
"""Shows one line to the user: which columns are used, how many rows are skipped."""

LEARNED_AS = "learned_as"
"""Column of corrected rows with the label that a text was wrongly trained as."""

_MISSING = "the {} is missing; such rows are skipped unless --on-bad-row fail is given"
_MIN_DISTINCT = 3  # so many distinct texts do not begin with the same word by chance


@dataclass
class LabelledTexts:
    """Texts and their labels, of equal length."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    """Each text's group, None where its cell is blank; empty unless a column of groups is read."""


@dataclass
class CorrectedTexts(LabelledTexts):
    """Texts, their labels, and the labels that they were wrongly trained as, or None."""

    learned_as: list[str | None] = field(default_factory=list)


@dataclass(frozen=True)
class LabelledTableReader:
    """Reads texts and labels from the columns of tables.

    Attributes
    ----------
    labels : sequence of str
        Labels to keep; empty keeps all.
    text_column, label_column : str, optional
        By default found by their usual names.
    group_column : str, optional
        Column with the groups of texts.
    fail_on_bad_row : bool
        Raise for the first row without text or label.
    format, encoding, sheet : str, optional
        See `lmclassify.datasets.sources.open_rows`.
    """

    labels: Sequence[str] = ()
    text_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    fail_on_bad_row: bool = False
    format: InputFormat | None = None
    encoding: str | None = None
    sheet: str | None = None

    def chunks(self, path: str, seen: dict[str, None], say: Say) -> Iterator[LabelledTexts]:
        """Yield a table's texts and labels in chunks; rows that lack either are skipped and counted.

        Raises DataError if the table cannot be read, or one column is used for two things.

        Parameters
        ----------
        seen : dict
            Receives every label of the table as a key, kept or not.
        """
        skipped = 0
        if looks_like_mail(path):
            raise DataError(f"{path} is mail, which has no labels: use --labels NAME={path} for each label")
        named = (self.text_column, self.label_column, self.group_column)
        with open_rows(
            path, format=self.format, encoding=self.encoding, sheet=self.sheet, named_columns=named
        ) as table:
            text_at = require_column(table.columns, self.text_column, TEXT_COLUMNS, "text", table.name)
            label_at = require_column(table.columns, self.label_column, LABEL_COLUMNS, "label", table.name)
            group_at = self._group_at(table.columns, text_at, label_at, table.name)
            say(table.describe(text_at, label_at))
            for chunk in table.chunks():
                kept = LabelledTexts()
                for row, cells in enumerate(chunk.cells, chunk.first):
                    text, label = cells[text_at], cells[label_at]
                    has_label = bool(label.strip())
                    if has_label:
                        seen[label] = None
                        if self.labels and label not in self.labels:
                            continue
                    if has_label and text.strip():
                        kept.texts.append(text)
                        kept.labels.append(label)
                        if group_at is not None:
                            kept.groups.append(cells[group_at].strip() or None)
                    elif self.fail_on_bad_row:
                        missing = "text" if has_label else "label"
                        raise DataError(f"{table.name}, row {row:,}: {_MISSING.format(missing)}")
                    else:
                        skipped += 1
                yield kept
        if skipped:
            say(f"note: {table.name}: {skipped:,} rows without text or label skipped")

    def _group_at(self, columns: Sequence[str], text_at: int, label_at: int, name: str) -> int | None:
        if self.group_column is None:
            return None
        found = require_column(columns, self.group_column, (), "group", name)
        if found in (text_at, label_at):
            kind = "text" if found == text_at else "label"
            raise DataError(
                f"{name}: {shorten(columns[found])} is used for both {kind} and group; choose another column "
                "with --group-column"
            )
        return found

    def check(self, paths: Sequence[str], seen: Iterable[str], with_text: Collection[str], say: Say) -> None:
        """Raise DataError unless every requested label has a text; report other labels that have none.

        Parameters
        ----------
        paths : sequence of str
            The tables that were read.
        seen : iterable of str
            The labels in them.
        with_text : collection of str
            The labels that have a text.
        """
        seen = list(seen)
        unknown = [label for label in self.labels if label not in seen]
        if unknown:
            raise DataError(
                f"no row of {listing(paths)} has label {listing(map(shorten, unknown))}; "
                f"the labels are: {listing(map(shorten, sorted(seen))) or 'none'}"
                + (
                    " (--label names a label that contains a comma)"
                    if any("," in one for one in seen)
                    else ""
                )
            )
        without = [label for label in self.labels or seen if label not in with_text]
        if self.labels and without:
            raise DataError(f"label {listing(map(shorten, without))} has no text: all its rows lack one")
        if not with_text:
            raise DataError(f"{listing(paths)}: no row has both a text and a label")
        if without:
            say(f"note: label {listing(map(shorten, without))} has no text and is left out")


def read_tables(
    paths: Sequence[str], reader: LabelledTableReader | None = None, *, say: Say = print
) -> LabelledTexts:
    """Read texts and labels from columns of tables.

    Rows without text or label are skipped and counted. Raises DataError if a table cannot be read, or a
    requested label has no text.

    Parameters
    ----------
    paths : sequence of str
        Tables, each with its own header.
    """
    reader = reader or LabelledTableReader()
    result = LabelledTexts()
    seen: dict[str, None] = {}
    for path in paths:
        for chunk in reader.chunks(path, seen, say):
            result.texts += chunk.texts
            result.labels += chunk.labels
            result.groups += chunk.groups
    reader.check(paths, seen, set(result.labels), say)
    return result


def read_files(
    files: Mapping[str, str],
    *,
    fields: Sequence[str] = DEFAULT_FIELDS,
    fail_on_bad_row: bool = False,
    format: InputFormat | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    say: Say = print,
) -> LabelledTexts:
    """Read one mailbox or file of texts per label; blank texts are skipped and counted.

    By default, CSV and TSV, too, are read as one text per line. Of a fastText file, the label in each line is
    left out. Raises DataError if a file cannot be read, holds no text, or holds several labels.

    Parameters
    ----------
    files : mapping of str to str
        Label to path.
    fields : sequence of str
        The text of a mail message.
    fail_on_bad_row : bool, default=False
        Raise for the first blank text.
    format, encoding, sheet : str, optional
        See `lmclassify.datasets.sources.open_rows`.
    """
    result = LabelledTexts()
    for label, path in files.items():
        reader = open_rows(
            path, format=format, encoding=encoding, fields=fields, sheet=sheet, default="text", lines=True
        )
        kept = _read_texts(reader, None, fail_on_bad_row, say, only_label=label)
        if not kept:
            raise DataError(f"label {shorten(label)} has no text: {path} holds none")
        result.texts += kept
        result.labels += [label] * len(kept)
    return result


def read_unlabelled(
    paths: Sequence[str],
    *,
    text_column: str | None = None,
    fields: Sequence[str] = DEFAULT_FIELDS,
    fail_on_bad_row: bool = False,
    format: InputFormat | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    say: Say = print,
) -> list[str]:
    """Read texts from a column of tables, from mail or from files with one text per line.

    Blank texts are skipped and counted. Raises DataError if a file cannot be read or holds no text.

    Parameters
    ----------
    text_column : str, optional
        Used for the tables that have it; else the column is found by its usual names.
    fields : sequence of str
        The text of a mail message.
    fail_on_bad_row : bool, default=False
        Raise for the first blank text.
    format, encoding, sheet : str, optional
        See `lmclassify.datasets.sources.open_rows`; but a file whose format neither its content nor its
        suffix tells holds one text per line.
    """
    result = []
    for path in paths:
        reader = open_rows(
            path,
            format=format,
            encoding=encoding,
            fields=fields,
            sheet=sheet,
            named_columns=(text_column,),
            default="text",
        )
        kept = _read_texts(reader, text_column, fail_on_bad_row, say)
        if not kept:
            raise DataError(f"{path} holds no text")
        result += kept
    return result


def _read_texts(
    opened: RowReader,
    text_column: str | None,
    fail_on_bad_row: bool,
    say: Say,
    *,
    only_label: str | None = None,
) -> list[str]:
    """Return the texts of one file that are not blank.

    Labels in a fastText file are left out; raises DataError if there are several and `only_label` is given.
    """
    kept: list[str] = []
    unit = "line" if isinstance(opened, PlainTextReader) else "row"
    labels: dict[str, None] = {}
    with opened as reader:
        wanted = text_column if text_column in reader.columns else None
        text_at = require_column(reader.columns, wanted, TEXT_COLUMNS, "text", reader.name)
        say(reader.describe(text_at, None))
        for chunk in reader.chunks():
            if isinstance(reader, FastTextReader):
                labels |= dict.fromkeys(filter(None, chunk.column(reader.columns.index("label"))))
            for row, text in enumerate(chunk.column(text_at), chunk.first):
                if text.strip():
                    kept.append(text)
                elif fail_on_bad_row:
                    raise DataError(f"{reader.name}, {unit} {row:,}: {_MISSING.format('text')}")
        skipped = reader.rows_read - len(kept)
    words = listing([f"__label__{label.split()[0]}" for label in labels], 3)
    if len(labels) > 1 and only_label is not None:
        raise DataError(
            f"{reader.name}: its texts begin with several labels ({words}), but all are given to label "
            f"{shorten(only_label)}; name the file as DATA, without --labels"
        )
    if len(labels) == 1:
        say(f"note: {reader.name}: every text begins with {words}, which is read as a label, not as text")
    elif labels:
        say(f"note: {reader.name}: the labels of the texts ({words}) are not read as text")
    if skipped:
        say(f"note: {reader.name}: {skipped:,} {unit}s without text skipped")
    return kept


def note_first_words(texts: LabelledTexts, say: Say) -> None:
    """Report labels whose texts all begin with the same word, which may be no part of the texts."""
    words: dict[str, str | None] = {}
    distinct: dict[str, set[str]] = {}
    for text, label in zip(texts.texts, texts.labels, strict=True):
        word = text.split(maxsplit=1)[0]
        if words.setdefault(label, word) != word:
            words[label] = None
        if len(some := distinct.setdefault(label, set())) < _MIN_DISTINCT:
            some.add(text)
    found = [
        f"those of {shorten(label)} with {shorten(word)}"
        for label, word in words.items()
        if word is not None and len(distinct[label]) >= _MIN_DISTINCT
    ]
    if found:
        say(
            f"note: all texts of a label begin with the same word ({listing(found)}); remove it if it is no "
            "part of the text, because the model learns it"
        )


def read_corrections(
    path: str,
    known_labels: Collection[str],
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    format: InputFormat | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    say: Say = print,
) -> CorrectedTexts:
    """Read corrected rows: a text, its label and, in the column learned_as, its wrong label if any.

    Rows without text or label are skipped and counted. Raises DataError if the model lacks a label, a text's
    label is also its wrong label, or no row has text and label.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    known_labels : collection of str
        The labels of the model.
    text_column, label_column, format, encoding, sheet
        See `LabelledTableReader`.
    """
    found = CorrectedTexts()
    named = (text_column, label_column)
    with open_rows(path, format=format, encoding=encoding, sheet=sheet, named_columns=named) as table:
        text_at = require_column(table.columns, text_column, TEXT_COLUMNS, "text", table.name)
        label_at = require_column(table.columns, label_column, LABEL_COLUMNS, "label", table.name)
        say(table.describe(text_at, label_at))
        wrong_at = table.columns.index(LEARNED_AS) if LEARNED_AS in table.columns else None
        for chunk in table.chunks():
            for row, cells in enumerate(chunk.cells, chunk.first):
                text, label = cells[text_at], cells[label_at]
                wrong = None if wrong_at is None or not cells[wrong_at].strip() else cells[wrong_at]
                if not text.strip() or not label.strip():
                    continue
                where = f"{table.name}, row {row}"
                for given in (label, wrong):
                    if given is not None and given not in known_labels:
                        raise DataError(
                            f"{where}: the model has no label {shorten(given)}; add-label adds one"
                        )
                if label == wrong:
                    raise DataError(f"{where}: {shorten(label)} is both label and learned_as of one text")
                found.texts.append(text)
                found.labels.append(label)
                found.learned_as.append(wrong)
    if not found.texts:
        raise DataError(f"{table.name}: no row has both a text and a label")
    if len(found.texts) < table.rows_read:
        say(f"note: {table.rows_read - len(found.texts):,} rows without text or label left out")
    return found
