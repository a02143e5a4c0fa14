"""Read several files as one, and expand wildcards, folders and URLs to files."""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import glob
import operator
import os
from collections.abc import Callable, Iterator, Sequence

from lmclassify.datasets.sources import SUFFIXES, RowReader
from lmclassify.errors import DataError, OptionError, listing, shorten
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.columns import Header
from lmclassify.tables.compression import COMPRESSIONS
from lmclassify.tables.json_lines import JsonLinesReader
from lmclassify.tables.rows import CHUNK_ROWS, ClosingReader, Rows
from lmclassify.tables.urls import is_data_file, is_url, list_files, without_file_scheme

LABEL = "label"
"""Name of the column with the labels of one file per label."""

OpenFile = Callable[[str], RowReader]
"""Opens one file of rows."""

_IN_FOLDERS = tuple(suffix for suffix in SUFFIXES if suffix != ".json")
"""Suffixes of the data files of a folder. A JSON file beside them usually describes the data."""


def expand(paths: Sequence[str]) -> list[str]:
    """Replace paths with wildcards by the files that match, sorted.

    A path that exists is taken literally, even if it contains wildcards. Raises DataError if no file matches.
    Raises OptionError if standard input is named twice.
    """
    result: list[str] = []
    for path in paths:
        if path == "-" or not glob.has_magic(path) or os.path.lexists(path):
            result.append(path)
            continue
        found = sorted(
            match
            for match in glob.glob(path, recursive=True)
            if not os.path.isdir(match) or looks_like_mail(match)
        )
        if not found:
            raise DataError(f"no file matches {path}")
        result += found
    if result.count("-") > 1:
        raise OptionError("standard input (-) can be read only once")
    return result


def expand_all(paths: Sequence[str], *, any_suffix: bool = False) -> list[str]:
    """Replace paths with wildcards, folders and URLs by the files that they stand for.

    A folder stands for all data files in it and its subfolders, known by their suffixes. Names that begin
    with a dot or underscore are left out. Raises DataError if no file matches.

    Parameters
    ----------
    any_suffix : bool, default=False
        Take all files of a folder, whatever their suffix.
    """
    compressed = [suffix + compression for suffix in _IN_FOLDERS for compression in COMPRESSIONS]
    suffixes = None if any_suffix else (*_IN_FOLDERS, *compressed)
    result: list[str] = []
    for path in map(without_file_scheme, paths):
        if is_url(path):
            result += list_files(path, suffixes)
        elif os.path.isdir(path) and not looks_like_mail(path):
            inside = sorted(os.path.join(at, name) for at, _, names in os.walk(path) for name in names)
            found = [file for file in inside if is_data_file(file, path, suffixes)]
            if not found:
                raise DataError(f"{path} holds no file that ends in {', '.join(_IN_FOLDERS)}")
            result += found
        else:
            result += expand([path])
    return result


def check_columns(reader: RowReader, columns: list[str], name: str) -> None:
    """Raise DataError unless a reader has the given columns, which are those of the file `name`."""
    if isinstance(reader, JsonLinesReader) and set(reader.columns) == set(columns):
        reader.columns = columns  # keys of objects have no order
    if reader.columns == columns:
        return
    missing = [column for column in columns if column not in reader.columns]
    extra = [column for column in reader.columns if column not in columns]
    differences = [
        *([f"it lacks {listing(map(shorten, missing))}"] if missing else []),
        *([f"it also has {listing(map(shorten, extra))}"] if extra else []),
    ]
    if not differences:
        differences = [f"{listing(reader.columns)} instead of {listing(columns)}"]
    raise DataError(
        f"{reader.name} has other columns than {name}: {' and '.join(differences)}; files read "
        "together need the same columns in the same order"
    )


def open_many(paths: Sequence[str], open_file: OpenFile) -> RowReader:
    """Open files as one reader that yields their rows in order.

    Raises DataError if a file cannot be read, or their columns differ.
    """
    files = expand(paths)
    return open_file(files[0]) if len(files) == 1 else _Concatenated(files, open_file)


class _SeveralFiles(ClosingReader):
    """Base of readers of several files: which file is read, and what was read before it."""

    def __init__(self) -> None:
        self._current: RowReader | None = None
        self._rows_before = self._bytes_before = 0

    @property
    def bytes_read(self) -> int:
        """The position in all files together, in bytes."""
        return self._bytes_before + (0 if self._current is None else self._current.bytes_read)

    @property
    def rows_read(self) -> int:
        """How many rows have been read."""
        return self._rows_before + (0 if self._current is None else self._current.rows_read)

    def _end_current(self) -> None:
        """Count what was read of the current file."""
        self._rows_before, self._bytes_before = self.rows_read, self.bytes_read
        self._current = None


class _Concatenated(_SeveralFiles):
    """Files with the same columns; every header is checked before the first row is yielded."""

    def __init__(self, paths: Sequence[str], open_file: OpenFile) -> None:
        super().__init__()
        self._paths = list(paths)
        self._open_file = open_file
        self._described: tuple[Sequence[int], int | None] | None = None
        self._kept: dict[int, RowReader] = {}  # standard input and pipes, which cannot be opened again
        self._notes: list[str] = []
        self.files = len(paths)
        self._begun: list[tuple[int, str]] = []
        sizes: list[int | None] = []
        try:
            for index in range(len(paths)):
                with self._opened(index) as reader:
                    sizes.append(reader.size)
                    if index == 0:
                        self.name, self.columns = reader.name, reader.columns
                    check_columns(reader, self.columns, self.name)
        except BaseException:
            self.close()
            raise
        self.size = None if None in sizes else sum(size or 0 for size in sizes)

    @contextlib.contextmanager
    def _opened(self, index: int) -> Iterator[RowReader]:
        """Open a file; close it afterwards if it can be opened again."""
        path = self._paths[index]
        reader = self._kept.get(index) or self._open_file(path)
        if not os.path.isfile(path) and not is_url(path):
            self._kept[index] = reader
        try:
            yield reader
        finally:
            if index not in self._kept:
                reader.close()

    def close(self) -> None:
        """Close the open files."""
        for reader in (self._current, *self._kept.values()):
            if reader is not None:
                reader.close()

    @property
    def sample(self) -> Sequence[Sequence[str]]:
        """The first rows of the first file."""
        with self._opened(0) as reader:
            return reader.sample

    @property
    def header(self) -> Header:
        """Where the names of the columns of the first file come from."""
        with self._opened(0) as reader:
            return reader.header

    @property
    def notes(self) -> list[str]:
        """What the user should know of the files that have been read."""
        return self._notes

    def locate(self, row: int) -> tuple[str, int]:
        """Return the name of the file that a row comes from, and the row's number in it."""
        before, name = self._begun[bisect.bisect_left(self._begun, row, key=operator.itemgetter(0)) - 1]
        return name, row - before

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that names the columns in use, and the files read otherwise than the first."""
        self._described = (text_at, label_at)
        description, others = "", []
        for index in range(len(self._paths)):
            with self._opened(index) as reader:
                check_columns(reader, self.columns, self.name)
                line = reader.describe(text_at, label_at)
                if index == 0:
                    description, usual = line, line.removeprefix(reader.name)
                elif line.removeprefix(reader.name) != usual:
                    others.append(line)
        return "; ".join([f"{description}; {len(self._paths):,} files", *others])

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, numbered across the files, at most `rows` at a time."""
        last = 0
        for index in range(len(self._paths)):
            with self._opened(index) as reader:
                self._current = reader
                check_columns(reader, self.columns, self.name)
                if self._described is not None:
                    reader.describe(*self._described)
                before = last
                self._begun.append((before, reader.name))
                for chunk in reader.chunks(rows):
                    last = before + chunk.first + len(chunk) - 1  # the rows of a sheet do not begin with 1
                    yield dataclasses.replace(chunk, first=before + chunk.first)
                self._notes += reader.notes
                self._end_current()


def labelled_files(data: Sequence[str]) -> list[tuple[str, str]]:
    """Return the labels and paths of arguments NAME=PATH; empty if they are paths or URLs.

    Raises OptionError if only some are of this form, or one lacks its name or path.
    """
    named = [value for value in data if "=" in value and not _is_path(value)]
    if not named:
        return []
    if len(named) < len(data):
        plain = next(value for value in data if value not in named)
        raise OptionError(f"{plain} has no label, but {named[0]} has one: name all as NAME=FILE, or none")
    pairs = [tuple(part.strip() for part in value.split("=", 1)) for value in named]
    for value, (name, path) in zip(named, pairs, strict=True):
        if not name or not path:
            raise OptionError(f"{value}: expected NAME=FILE")
    return [(name, path) for name, path in pairs]


def _is_path(value: str) -> bool:
    return os.path.lexists(value) or is_url(value) or bool(glob.has_magic(value) and glob.glob(value))


def open_labelled(files: Sequence[tuple[str, str]], open_file: OpenFile) -> RowReader:
    """Open files, mailboxes or folders with the texts of one label each, as one reader.

    Its column ``label`` has the labels; the other columns are those that all of them have.

    Raises DataError if one cannot be read.

    Parameters
    ----------
    files : sequence of (str, str)
        Label and path.
    """
    return _LabelledFiles(files, open_file)


class _LabelledFiles(_SeveralFiles):
    """The columns that all files have, and the label of each file."""

    def __init__(self, files: Sequence[tuple[str, str]], open_file: OpenFile) -> None:
        super().__init__()
        self._readers: list[tuple[str, RowReader]] = []
        try:
            for label, path in files:
                self._readers.append((label, open_many([path], open_file)))
        except BaseException:
            self.close()
            raise
        readers = [reader for _, reader in self._readers]
        shared = [
            name
            for name in readers[0].columns
            if name != LABEL and all(reader.columns.count(name) == 1 for reader in readers)
        ]
        self.name = listing(reader.name for reader in readers)
        self.files = sum(reader.files for reader in readers)
        self._begun: list[tuple[int, RowReader]] = []
        self.columns = [*shared, LABEL]
        sizes = [reader.size for reader in readers]
        self.size = None if None in sizes else sum(size or 0 for size in sizes)

    def close(self) -> None:
        """Close the files."""
        for _, reader in self._readers:
            reader.close()

    @property
    def notes(self) -> list[str]:
        """What the user should know of the files that have been read."""
        return [note for _, reader in self._readers for note in reader.notes]

    def locate(self, row: int) -> tuple[str, int]:
        """Return the name of the file that a row comes from, and the row's number in it."""
        before, reader = self._begun[bisect.bisect_left(self._begun, row, key=operator.itemgetter(0)) - 1]
        return reader.locate(row - before)

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that says how each file is read."""
        names = [self.columns[at] for at in text_at]
        return "; ".join(
            f"{label}: {reader.describe([reader.columns.index(name) for name in names], None)}"
            for label, reader in self._readers
        )

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, numbered across the files, at most `rows` at a time."""
        last = 0
        for label, reader in self._readers:
            self._current = reader
            before = last
            self._begun.append((before, reader))
            at = [reader.columns.index(name) for name in self.columns[:-1]]
            for chunk in reader.chunks(rows):
                cells = [[*(row[index] for index in at), label] for row in chunk.cells]
                last = before + chunk.first + len(chunk) - 1
                yield Rows(self.columns, cells, before + chunk.first)
            self._end_current()
