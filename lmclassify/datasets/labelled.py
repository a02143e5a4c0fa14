"""Read texts with labels from the columns of tables."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from lmclassify.datasets.label_forms import (
    LabelMatcher,
    describe_forms,
    describe_joined,
    difference,
    label_key,
    merged_labels,
    with_counts,
)
from lmclassify.datasets.reading import Reading
from lmclassify.datasets.sources import InputFormat, RowReader, open_rows
from lmclassify.errors import DataError, counted, did_you_mean, listing, plural, shorten
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.columns import label_column as find_label_column
from lmclassify.tables.columns import named_column, other_text_columns, text_columns
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.rows import join_columns

Say = Callable[[str], object]
"""Shows one line to the user: which columns are used, how many rows are skipped."""

MISSING = "the {} is missing; such rows are skipped unless --on-bad-row fail is given"
"""Error for a row that lacks the text or the label."""


@dataclass(frozen=True)
class UsedColumns:
    """The columns that were read of a table."""

    text: tuple[str, ...]
    label: str
    without_header: tuple[str, ...] | None
    """All columns of a table without header; else None."""


@dataclass
class LabelledTexts:
    """Texts and their labels, of equal length."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    """Each text's group, None where its cell is blank; empty unless a column of groups is read."""
    columns: UsedColumns | None = None
    """The columns of the first table; None if the texts come from no table."""
    from_mail: bool = False
    """Whether any text is that of a mail message."""
    unlabelled: list[str] = field(default_factory=list)
    """Texts of rows without label, if they are kept."""


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
    format, encoding, dialect, sheet : optional
        See `lmclassify.datasets.sources.open_rows`.
    keep_unlabelled : bool
        Also keep texts without label, instead of skipping them.
    merge_labels : bool
        Join labels that differ in form only (`lmclassify.datasets.label_forms`): with the label asked for,
        else with the most frequent one, by `read_tables`.
    reading : Reading, optional
        How the texts of an existing model were read: its columns are preferred.
    """

    labels: Sequence[str] = ()
    text_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    fail_on_bad_row: bool = False
    format: InputFormat | None = None
    encoding: str | None = None
    dialect: Dialect | None = None
    sheet: str | None = None
    keep_unlabelled: bool = False
    merge_labels: bool = False
    reading: Reading = field(default_factory=Reading)

    def chunks(self, path: str, seen: Counter[str], say: Say) -> Iterator[LabelledTexts]:
        """Yield a table's texts and labels in chunks; rows that lack either are skipped and counted.

        Raises DataError if the table cannot be read, or one column is used for two things.

        Parameters
        ----------
        seen : Counter
            Receives the number of rows of every label of the table, kept or not.
        """
        skipped = blanks = unlabelled = 0
        _check_is_table(path)
        joined: Counter[tuple[str, str]] = Counter()
        asked = LabelMatcher(self.labels if self.merge_labels else ())
        with self._open(path) as table:
            text_at = text_columns(table, self.reading.choose_text_columns(table, self.text_column))
            label_at = find_label_column(table, self.reading.choose_label_column(table, self.label_column))
            group_at = self._group_at(table, text_at, label_at)
            say(table.describe(text_at, label_at))
            if self.text_column is None and self.reading.text_columns is None:
                self._suggest_columns(
                    table, text_at, [label_at, *([] if group_at is None else [group_at])], say
                )
            without_header = tuple(table.columns) if table.header == "none" else None
            names = tuple(table.columns[at] for at in text_at)
            used = UsedColumns(names, table.columns[label_at], without_header)
            for chunk in table.chunks():
                kept = LabelledTexts(columns=used)
                labels = chunk.labels(label_at, table.name)
                for row, (cells, given) in enumerate(zip(chunk.cells, labels, strict=True), chunk.first):
                    text, label = join_columns(cells, text_at), asked.match(given) or given
                    if label != given:
                        joined[given, label] += 1
                    blanks += cells[label_at] != cells[label_at].strip() != ""
                    if label:
                        seen[label] += 1
                        if self.labels and label not in self.labels:
                            continue
                    if label and text.strip():
                        kept.texts.append(text)
                        kept.labels.append(label)
                        if group_at is not None:
                            kept.groups.append(cells[group_at].strip() or None)
                    elif self.fail_on_bad_row:
                        missing = "text" if label else "label"
                        raise DataError(f"{table.name}, row {row:,}: {MISSING.format(missing)}")
                    elif self.keep_unlabelled and text.strip():
                        kept.unlabelled.append(text)
                    else:
                        skipped += 1
                unlabelled += len(kept.unlabelled)
                yield kept
        say_notes(table, say)
        if blanks:
            say(f"note: {table.name}: blanks around {counted(blanks, 'label')} removed")
        for line in describe_joined(joined):
            say(f"note: {table.name}: {line}")
        if unlabelled:
            say(f"{table.name}: {counted(unlabelled, 'text')} without label")
        if skipped:
            missing = "text" if unlabelled else "text or label"
            say(f"note: {table.name}: {counted(skipped, 'row')} without {missing} skipped")

    def _open(self, path: str) -> RowReader:
        return open_rows(
            path,
            format=self.format,
            encoding=self.encoding,
            dialect=self.reading.choose_dialect(self.dialect or Dialect()),
            sheet=self.sheet,
            named_columns=self.reading.named_columns(self.text_column, self.label_column, self.group_column),
        )

    def _suggest_columns(self, table: RowReader, text_at: Sequence[int], others: list[int], say: Say) -> None:
        """Tell the user which further columns hold texts."""
        more = other_text_columns(table, [*text_at, *others])
        if more and self.text_column is None and self.reading.text_columns is None:
            option = shlex.quote(",".join(table.columns[at] for at in sorted([*text_at, *more])))
            names = ", ".join(shorten(table.columns[at]) for at in more)
            say(
                f"note: {table.name}: {plural(len(more), 'column')} {names} "
                f"{plural(len(more), 'holds', 'hold')} texts, too; --text-column {option} reads all together"
            )

    def _group_at(self, table: RowReader, text_at: Sequence[int], label_at: int) -> int | None:
        if self.group_column is None:
            return None
        found = named_column(table, self.group_column)
        if found in (*text_at, label_at):
            kind = "text" if found in text_at else "label"
            raise DataError(
                f"{table.name}: {shorten(table.columns[found])} is used for both {kind} and group; choose "
                "another column with --group-column"
            )
        return found

    def check(self, paths: Sequence[str], seen: Counter[str], with_text: Collection[str], say: Say) -> None:
        """Raise DataError unless every requested label has a text; report what becomes of other labels.

        Parameters
        ----------
        paths : sequence of str
            The tables that were read.
        seen : Counter
            The number of rows of each label in them.
        with_text : collection of str
            The labels that have a text.
        """
        unknown = [label for label in self.labels if label not in seen]
        if unknown:
            raise self._unknown(paths, unknown, seen)
        without = [label for label in self.labels or seen if label not in with_text]
        if self.labels and without:
            raise DataError(f"label {listing(map(shorten, without))} has no text: all its rows lack one")
        if not with_text:
            raise DataError(f"{listing(paths)}: no row has both a text and a label")
        if without:
            say(f"note: label {listing(map(shorten, without))} has no text and is left out")
        left_out = {label: count for label, count in seen.items() if self.labels and label not in self.labels}
        if left_out:
            rows = sum(left_out.values())
            say(
                f"note: {counted(rows, 'row')} of labels that are not asked for left out: "
                f"{with_counts(left_out)}"
            )
        if not self.merge_labels:
            for line in describe_forms(seen):
                say(f"note: {line}")

    def _unknown(self, paths: Sequence[str], unknown: Sequence[str], seen: Collection[str]) -> DataError:
        hints = []
        for label in unknown:
            forms = [other for other in seen if label_key(other) == label_key(label)]
            if forms:
                hints.append(
                    f"{listing(map(shorten, forms))} differs from {shorten(label)} only in "
                    f"{difference([label, *forms])}: write it so, or add --merge-labels"
                )
            else:
                hints += [f"{shorten(label)}{similar}"] if (similar := did_you_mean(label, seen)) else []
        if any("," in label for label in seen):
            hints.append("--label names a label that contains a comma")
        return DataError(
            f"no row of {listing(paths)} has label {listing(map(shorten, unknown))}; "
            f"the labels are: {listing(map(shorten, sorted(seen))) or 'none'}"
            + (f" ({'; '.join(hints)})" if hints else "")
        )


def say_notes(table: RowReader, say: Say) -> None:
    """Say what the user should know of the rows of a table, after they were read."""
    for note in table.notes:
        say(f"note: {note}")


def _check_is_table(path: str) -> None:
    """Raise DataError for mail and folders, whose texts have no labels."""
    if looks_like_mail(path):
        raise DataError(f"{path} is mail, which has no labels: use --labels NAME={path} for each label")
    if os.path.isdir(path):
        inside = sorted(entry.name for entry in os.scandir(path) if entry.is_dir() and entry.name[0] != ".")
        name = inside[0] if inside else "NAME"
        what = f"each folder in it ({listing(inside)})" if inside else "each label"
        at = os.path.join(path, name) if inside else path
        raise DataError(f"{path} is a folder, which has no labels: use --labels {name}={at} for {what}")


def read_tables(
    paths: Sequence[str], reader: LabelledTableReader | None = None, *, say: Say = print
) -> LabelledTexts:
    """Read texts and labels from columns of tables.

    Rows without text or label are skipped and counted, unless the reader keeps those without label. Raises
    DataError if a table cannot be read, or a requested label has no text.

    Parameters
    ----------
    paths : sequence of str
        Tables, each with its own header.
    """
    reader = reader or LabelledTableReader()
    result = LabelledTexts()
    seen: Counter[str] = Counter()
    for path in paths:
        for chunk in reader.chunks(path, seen, say):
            result.texts += chunk.texts
            result.labels += chunk.labels
            result.groups += chunk.groups
            result.unlabelled += chunk.unlabelled
            result.columns = result.columns or chunk.columns
    reader.check(paths, seen, set(result.labels), say)
    if reader.merge_labels:
        counts = Counter(result.labels)
        names = merged_labels(counts, reader.labels)
        for line in describe_joined({(label, name): counts[label] for label, name in names.items()}):
            say(f"note: {line}")
        result.labels = [names.get(label, label) for label in result.labels]
    return result
