"""A CSV or TSV file that people label: answers go into its rows, and every other byte stays."""

from __future__ import annotations

import codecs
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmclassify.annotation.file_format import open_table
from lmclassify.errors import DataError, LMClassifyError, OptionError, counted, listing, shorten
from lmclassify.persistence.atomic_file import FileWriter
from lmclassify.tables.cell_editor import CellEditor, CellError
from lmclassify.tables.columns import Header, find_label_column, find_text_column, text_columns
from lmclassify.tables.delimited import DelimitedReader
from lmclassify.tables.dialect import Quoting
from lmclassify.tables.recognition import Cells
from lmclassify.tables.rows import join_columns

LABELLED_AT, SOURCE, NOTE = "labelled_at", "source", "note"
"""Columns that are added besides that of labels; the last one with the first note."""
NEW_LABEL_COLUMN = "label"
"""Name of the column that is added if there is none of labels."""

RANDOM, CHOSEN, CHECKED, SKIPPED, NONE = "random", "chosen", "checked", "skipped", "none of these"
SOURCES = (RANDOM, CHOSEN, CHECKED, SKIPPED, NONE)
"""Values of the column `source`: a label of a text drawn at random, of one that was chosen, or of a row that
was checked; and rows that were skipped or have none of the labels, whose label is empty."""

_BYTE_ORDER_MARKS = {
    "utf-8": ((codecs.BOM_UTF8, "utf-8"),),
    "utf-16": ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")),
    "utf-32": ((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")),
}


class FileChangedError(LMClassifyError):
    """Another program has changed the file since it was read."""


@dataclass(frozen=True)
class Answer:
    """What people say of a row: the cells that they fill. Empty cells: nothing yet."""

    label: str = ""
    labelled_at: str = ""
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class FileOptions:
    """How files are read.

    Attributes
    ----------
    text_column, label_column : str, optional
        By default found by their usual names. A column of labels that is missing is added.
    encoding, quoting : optional
        See `lmclassify.tables.encodings` and `lmclassify.tables.dialect`.
    needs_labels : bool
        A file must have a column of labels, with any name that `fit` finds.
    """

    text_column: str | None = None
    label_column: str | None = None
    encoding: str | None = None
    quoting: Quoting | None = None
    needs_labels: bool = False

    def fit_command(self, files: Sequence[str]) -> str:
        """Return the shell command that fits a model to the labels in the files."""
        given = {
            "--text-column": self.text_column,
            "--label-column": self.label_column,
            "--encoding": self.encoding,
            "--quoting": self.quoting,
        }
        options = [part for name, value in given.items() if value is not None for part in (name, value)]
        return shlex.join(["lmclassify", "fit", *files, *options])


@dataclass(frozen=True)
class _Columns:
    """The names of all columns, and the numbers of those that hold answers, from 0."""

    names: tuple[str, ...]
    label_at: int | None = None
    labelled_at: int | None = None
    source_at: int | None = None
    note_at: int | None = None

    def cells(self, answer: Answer) -> dict[int, str]:
        """Return the values of a row's cells, by their column."""
        cells = (
            (self.label_at, answer.label),
            (self.labelled_at, answer.labelled_at),
            (self.source_at, answer.source),
            (self.note_at, answer.note),
        )
        return {at: value for at, value in cells if at is not None}

    def answer(self, row: Sequence[str]) -> Answer:
        """Return the answer in a row's cells."""
        places = (self.label_at, self.labelled_at, self.source_at, self.note_at)
        return Answer(*("" if at is None else row[at].strip() for at in places))

    def completed(self, label: str, note: bool) -> _Columns:
        """Return the columns with those that an answer needs."""
        names = list(self.names)

        def place(at: int | None, name: str) -> int:
            if at is None:
                names.append(name)
            return len(names) - 1 if at is None else at

        label_at = place(self.label_at, label)
        labelled_at, source_at = place(self.labelled_at, LABELLED_AT), place(self.source_at, SOURCE)
        note_at = place(self.note_at, NOTE) if note else self.note_at
        return _Columns(tuple(names), label_at, labelled_at, source_at, note_at)


@dataclass
class _Table:
    """A table without its answers, whose columns are not taken for texts or labels."""

    name: str
    columns: list[str]
    sample: Cells
    header: Header


class LabelledFile:
    """The rows of a file and the answers in them.

    Raises DataError if the file cannot be read, or is no table with a header and a column of texts; the same
    if a column has the name of one for answers, but holds something else.

    Attributes
    ----------
    name : str
        The path, as given.
    texts : list of str
    answers : list of Answer
        One for each row, as are the texts.
    padded : list of int
        Rows, from 0, whose label stands between blanks.
    text_column, label_column : str
        Their names; that of labels may not be in the file yet.
    description : str
        One line for the user: which columns are used.
    notes : list of str
        What the user should know of how the rows were read.
    """

    def __init__(self, path: str, options: FileOptions | None = None) -> None:
        self.name = path
        self._path = os.path.realpath(path)
        self.options = options or FileOptions()
        self.texts: list[str] = []
        self.answers: list[Answer] = []
        self.padded: list[int] = []
        self._columns: _Columns
        state = _state(self._path)
        with open_table(path, self.options.encoding, self.options.quoting) as table:
            self._read_rows(table)
            content = Path(self._path).read_bytes()
            self._mark, self._encoding = _encoding(content, table.encoding)
            self._lines = self._split(content[len(self._mark) :])
            self._records = [(first - 1, last) for first, last in table.line_numbers]
            self._separator = table.separator
            self._editor = CellEditor(table.separator, table.quoting)
            self.notes = table.notes
        self._state = state
        if state is None or state != _state(self._path):
            raise DataError(f"{path} was changed while it was read; start again")
        self._check_quotes()

    def read_again(self) -> LabelledFile:
        """Return the file as it is now."""
        return LabelledFile(self.name, self.options)

    def write(self, changes: Mapping[int, Answer]) -> None:
        """Write the answers of some rows, by their number from 0. The new file replaces the old one.

        Raises FileChangedError if another program has changed the file, OutputError if it cannot be written,
        DataError if a label or note cannot stand in it. The file is then as it was.
        """
        has_note = any(answer.note for answer in changes.values())
        columns = self._columns.completed(self.label_column, has_note)
        lines = list(self._lines)
        self._add_columns(lines, columns.names[len(self._columns.names) :])
        for row, answer in changes.items():
            self._change(lines, row, columns.cells(answer))
        with FileWriter(self.name) as file:
            file.write_bytes(b"".join([self._mark, *lines]))
            file.flush()
            self._require_unchanged()
        self._state = _state(self._path)
        self._lines, self._columns = lines, columns
        for row, answer in changes.items():
            self.answers[row] = answer

    def _read_rows(self, table: DelimitedReader) -> None:
        own = {name: _only(table, name) for name in (LABELLED_AT, SOURCE, NOTE)}
        hidden = {at for at in own.values() if at is not None}
        sample = [["" if at in hidden else cell for at, cell in enumerate(row)] for row in table.sample]
        shown = _Table(table.name, table.columns, sample, table.header)
        text_at = self._text_at(shown)
        label_at = self._label_at(shown, was_labelled=own[LABELLED_AT] is not None)
        description = table.describe(text_at, label_at)
        self.label_column = self.options.label_column or NEW_LABEL_COLUMN
        if label_at is None:
            self.description = f"{description}; labels go into the new column {shorten(self.label_column)}"
        else:
            self.label_column = table.columns[label_at]
            self.description = description
        self._columns = columns = _Columns(
            tuple(table.columns), label_at, own[LABELLED_AT], own[SOURCE], own[NOTE]
        )
        for chunk in table.chunks():
            for number, row in enumerate(chunk.cells, chunk.first):
                answer = columns.answer(row)
                if answer.source not in ("", *SOURCES):
                    self._fail_own_column(SOURCE, answer.source, number)
                if answer.labelled_at and not answer.labelled_at[0].isdecimal():
                    self._fail_own_column(LABELLED_AT, answer.labelled_at, number)
                if label_at is not None and row[label_at] != answer.label:
                    self.padded.append(number - 1)
                self.texts.append(join_columns(row, text_at))
                self.answers.append(answer)

    def _text_at(self, table: _Table) -> Sequence[int]:
        if self.options.text_column is not None:
            return text_columns(table, self.options.text_column)
        found = find_text_column(table)
        if found is None:
            raise DataError(
                f"{self.name} has no text column: none of its columns ({listing(table.columns)}) is named "
                "text or the like; name it with --text-column, or add a first line with names of columns"
            )
        return [found]

    def _label_at(self, table: _Table, *, was_labelled: bool) -> int | None:
        """Return the column of labels; None if there is none yet."""
        wanted = self.options.label_column
        if wanted is not None and wanted not in table.columns and not self.options.needs_labels:
            if wanted.strip() in ("", LABELLED_AT, SOURCE, NOTE):
                raise OptionError(f"--label-column {shorten(wanted)}: choose another name")
            return None
        found = find_label_column(table, wanted, usual_only=not self.options.needs_labels)
        if found is None and (was_labelled or self.options.needs_labels):
            why = "has labels from before" if was_labelled else "has no label column"
            raise DataError(
                f"{self.name} {why}: name the column with --label-column; its columns: "
                f"{listing(table.columns)}"
            )
        return found

    def _fail_own_column(self, name: str, value: str, row: int) -> None:
        raise DataError(
            f"{self.name}, row {row:,}: column {name} holds {shorten(value)}, but answers go into a column "
            "of that name; rename yours"
        )

    def _split(self, content: bytes) -> list[bytes]:
        """Return the lines of the file, with their ends."""
        lines = content.split(b"\n")
        if self._encoding == "utf-8":
            return [line + b"\n" for line in lines[:-1]] + lines[-1:]
        text = content.decode(self._encoding).split("\n")
        lines = [f"{line}\n".encode(self._encoding) for line in text[:-1]] + [text[-1].encode(self._encoding)]
        if b"".join(lines) != content:
            raise DataError(
                f"{self.name}: {self._encoding} has several forms of the same text, so that the file cannot "
                "be written back as it is; save it as UTF-8"
            )
        return lines

    def _check_quotes(self) -> None:
        """Raise DataError if the rows would be read differently after the columns were added."""
        for row, (first, last) in enumerate(self._records):
            line = self._lines[first]
            unclosed = last - first == 1 and b'"' in line
            if unclosed and self._editor.has_unclosed_quote(line.decode(self._encoding)):
                where = f"row {row:,} (line {last:,})" if row else "header"
                raise DataError(
                    f"{self.name}, {where}: a cell begins with a quote that is never closed; use --quoting "
                    "none if quotes are characters like others"
                )

    def _add_columns(self, lines: list[bytes], names: Sequence[str]) -> None:
        """Add columns to all records: named in the first one, empty in the others."""
        if not names:
            return
        width = len(self._columns.names)
        added = (self._separator * len(names)).encode(self._encoding)
        both, one = "\r\n".encode(self._encoding), "\n".encode(self._encoding)
        for _, last in self._records[1:]:
            line = lines[last - 1]
            end = both if line.endswith(both) else one if line.endswith(one) else b""
            lines[last - 1] = line[: len(line) - len(end)] + added + end
        self._change(lines, -1, dict(enumerate(names, width)))

    def _change(self, lines: list[bytes], row: int, values: Mapping[int, str]) -> None:
        """Change cells of a row, or of the header (-1)."""
        first, last = self._records[row + 1]
        where = f"{self.name}, {f'row {row + 1:,}' if row >= 0 else 'header'}"
        record = b"".join(lines[first:last]).decode(self._encoding)
        try:
            changed = self._editor.replace(record, values).encode(self._encoding)
        except UnicodeEncodeError as error:
            lacking = shorten(error.object[error.start : error.end])
            raise DataError(f"{where}: {self._encoding} has no {lacking}; save the file as UTF-8") from None
        except CellError as error:
            raise DataError(f"{where}: {error}") from None
        lines[first:last] = [*[b""] * (last - first - 1), changed]  # columns are added to the last line

    def _require_unchanged(self) -> None:
        """Raise FileChangedError if the file is not as it was read or written last."""
        if _state(self._path) == self._state:
            return
        try:
            content = Path(self._path).read_bytes()
        except OSError as error:
            raise FileChangedError(
                f"{self.name} cannot be read any more: {error.strerror}; put it back, then read it again"
            ) from None
        if content != b"".join([self._mark, *self._lines]):
            raise FileChangedError(
                f"{self.name} was changed by another program; nothing was overwritten: read it again"
            )


def _only(table: DelimitedReader, name: str) -> int | None:
    """Return the number of the column with a name. Raises DataError if there are several."""
    found = [at for at, column in enumerate(table.columns) if column.strip() == name]
    if len(found) > 1:
        raise DataError(f"{table.name} has {counted(len(found), 'column')} named {name}; rename all but one")
    return found[0] if found else None


def _encoding(content: bytes, encoding: str) -> tuple[bytes, str]:
    """Return the byte order mark of a file, and the encoding of what follows it."""
    family = next((name for name in _BYTE_ORDER_MARKS if encoding.startswith(name)), "")
    for mark, exact in _BYTE_ORDER_MARKS.get(family, ()):
        if content.startswith(mark) and encoding in (family, f"{family}-sig", exact):
            return mark, exact
    return b"", encoding if not family or encoding[-2:] in ("le", "be") else _BYTE_ORDER_MARKS[family][0][1]


def _state(path: str) -> tuple[int, int, int] | None:
    """Return what changes with the content of a file; None if it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
