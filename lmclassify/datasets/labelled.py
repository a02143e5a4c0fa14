"""Texts with their labels, from tables or from one file a label."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lmclassify.datasets.sources import InputFormat, Source, kind_of_input, open_source
from lmclassify.errors import DataError, listing, shorten
from lmclassify.mail.fields import DEFAULT_FIELDS
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.delimited import LABEL_COLUMNS, TEXT_COLUMNS, read_lines, require_column

Say = Callable[[str], object]
"""Told, as one line, what a user should know (a column chosen, rows skipped)."""

_MISSING = "the {} is missing; such rows are skipped unless --on-bad-row fail asks otherwise"


@dataclass
class LabelledTexts:
    """Texts and their labels, of equal length."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TableReading:
    """How texts and labels are read from the columns of a table.

    Attributes
    ----------
    names : sequence of str
        Labels to keep; none: all.
    text_column, label_column : str, optional
        By default found by usual names.
    fail_on_bad_row : bool
        Raise for the first row without text or label.
    format, encoding : str, optional
        See `lmclassify.datasets.sources.open_source`.
    """

    names: Sequence[str] = ()
    text_column: str | None = None
    label_column: str | None = None
    fail_on_bad_row: bool = False
    format: InputFormat | None = None
    encoding: str | None = None

    def chunks(self, path: str, seen: dict[str, None], say: Say) -> Iterator[LabelledTexts]:
        """Yield a table's texts and labels, few at a time; rows without either are skipped and counted.

        Parameters
        ----------
        path : str
        seen : dict
            Is given every label of the table as a key, kept or not.
        say : callable

        Raises
        ------
        DataError
            If the table cannot be read.
        """
        skipped = 0
        if looks_like_mail(path):
            raise DataError(
                f"{path} is mail, which tells no labels: give --labels NAME={path} for each label"
            )
        with open_source(path, format=self.format, encoding=self.encoding) as table:
            text_at = require_column(table.columns, self.text_column, TEXT_COLUMNS, "text", table.name)
            label_at = require_column(table.columns, self.label_column, LABEL_COLUMNS, "label", table.name)
            say(table.describe(text_at, label_at))
            for chunk in table.chunks():
                kept = LabelledTexts()
                for row, cells in enumerate(chunk.cells, chunk.first):
                    text, label = cells[text_at], cells[label_at]
                    has_label = bool(label.strip())
                    if has_label:
                        seen[label] = None
                        if self.names and label not in self.names:
                            continue
                    if has_label and text.strip():
                        kept.texts.append(text)
                        kept.labels.append(label)
                    elif self.fail_on_bad_row:
                        missing = "text" if has_label else "label"
                        raise DataError(f"{table.name}, row {row:,}: {_MISSING.format(missing)}")
                    else:
                        skipped += 1
                yield kept
        if skipped:
            say(f"note: {table.name}: {skipped:,} rows without text or label skipped")

    def check(self, paths: Sequence[str], seen: Iterable[str], with_text: Collection[str], say: Say) -> None:
        """Raise DataError unless every label asked for has a text; say which others have none.

        Parameters
        ----------
        paths : sequence of str
            What was read.
        seen : iterable of str
            The labels there.
        with_text : collection of str
            Those that have a text.
        say : callable
        """
        seen = list(seen)
        unknown = [name for name in self.names if name not in seen]
        if unknown:
            raise DataError(
                f"no row of {listing(paths)} has label {listing(map(shorten, unknown))}; "
                f"labels there are: {listing(map(shorten, sorted(seen))) or 'none'}"
                + (" (--label names one that holds a comma)" if any("," in label for label in seen) else "")
            )
        without = [label for label in self.names or seen if label not in with_text]
        if self.names and without:
            raise DataError(
                f"label {listing(map(shorten, without))} has no text: its rows' texts are missing"
            )
        if not with_text:
            raise DataError(f"{listing(paths)}: no row has both a text and a label")
        if without:
            say(f"note: label {listing(map(shorten, without))} has no text and is left out")


def read_tables(paths: Sequence[str], how: TableReading | None = None, *, say: Say = print) -> LabelledTexts:
    """Read texts and labels from columns of tables.

    Rows without text or label are skipped and counted.

    Parameters
    ----------
    paths : sequence of str
        Each with its own header.
    how : TableReading, optional
    say : callable, optional

    Raises
    ------
    DataError
        If a table cannot be read, or one of the labels asked for has no text.
    """
    how = how or TableReading()
    result = LabelledTexts()
    seen: dict[str, None] = {}
    for path in paths:
        for chunk in how.chunks(path, seen, say):
            result.texts += chunk.texts
            result.labels += chunk.labels
    how.check(paths, seen, set(result.labels), say)
    return result


def read_files(
    files: Mapping[str, str],
    *,
    fields: Sequence[str] = DEFAULT_FIELDS,
    fail_on_bad_row: bool = False,
    format: InputFormat | None = None,
    encoding: str | None = None,
    say: Say = print,
) -> LabelledTexts:
    """Read one mailbox per label, or one file of texts; blank texts are skipped and counted.

    A file that is no mail, JSON Lines or Parquet, and of which nothing else is said, holds one text a line.

    Parameters
    ----------
    files : mapping of str to str
        Label to path.
    fields : sequence of str
        What to read of mail.
    fail_on_bad_row : bool, default=False
        Raise for the first blank text.
    format, encoding : str, optional
        See `lmclassify.datasets.sources.open_source`.
    say : callable, optional

    Raises
    ------
    DataError
        If a file cannot be read or holds no text.
    """
    result = LabelledTexts()
    for label, path in files.items():
        kind = format or kind_of_input(path)
        if kind in ("mail", "jsonl", "parquet") or format not in (None, "text"):
            source = open_source(path, format=kind, encoding=encoding, fields=fields)
            kept = _read_column(source, None, fail_on_bad_row, say)
        else:
            say(f"{path}: one text a line")
            kept = _read_texts(path, fail_on_bad_row, encoding, say)
        if not kept:
            raise DataError(f"label {shorten(label)} has no text: {path} is empty")
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
    say: Say = print,
) -> list[str]:
    """Read texts alone: a column of a table (CSV, JSON Lines, ...), mail, or else one text a line.

    Blank texts are skipped and counted.

    Parameters
    ----------
    paths : sequence of str
    text_column : str, optional
        Of the tables that have it; else found by usual names.
    fields : sequence of str
        What to read of mail.
    fail_on_bad_row : bool, default=False
        Raise for the first blank text.
    format, encoding : str, optional
        See `lmclassify.datasets.sources.open_source`; but a file whose name does not tell holds one text a
        line.
    say : callable, optional

    Raises
    ------
    DataError
        If a file cannot be read or holds no text.
    """
    result = []
    for path in paths:
        kind = format or kind_of_input(path)
        if kind not in (None, "text"):
            source = open_source(path, format=kind, encoding=encoding, fields=fields)
            kept = _read_column(source, text_column, fail_on_bad_row, say)
        else:
            say(f"{path}: one text a line")
            kept = _read_texts(path, fail_on_bad_row, encoding, say)
        if not kept:
            raise DataError(f"{path} holds no text")
        result += kept
    return result


def _read_texts(path: str, fail_on_bad_row: bool, encoding: str | None, say: Say) -> list[str]:
    lines = read_lines(path, encoding)
    kept = [line for line in lines if line.strip()]
    if len(kept) < len(lines):
        first = next(number for number, line in enumerate(lines, 1) if not line.strip())
        if fail_on_bad_row:
            raise DataError(
                f"{path}, line {first:,} is blank; such lines are skipped unless --on-bad-row fail asks "
                "otherwise"
            )
        say(f"note: {path}: {len(lines) - len(kept):,} blank lines skipped")
    return kept


def _read_column(source: Source, text_column: str | None, fail_on_bad_row: bool, say: Say) -> list[str]:
    kept: list[str] = []
    with source as table:
        wanted = text_column if text_column in table.columns else None
        text_at = require_column(table.columns, wanted, TEXT_COLUMNS, "text", table.name)
        say(table.describe(text_at, None))
        for chunk in table.chunks():
            for row, text in enumerate(chunk.column(text_at), chunk.first):
                if text.strip():
                    kept.append(text)
                elif fail_on_bad_row:
                    raise DataError(f"{table.name}, row {row:,}: {_MISSING.format('text')}")
        skipped = table.rows_read - len(kept)
    if skipped:
        say(f"note: {table.name}: {skipped:,} rows without text skipped")
    return kept
