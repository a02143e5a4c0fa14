"""Several files read as one, and file names with wildcards."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
from collections.abc import Callable, Iterator, Sequence

from lmclassify.datasets.sources import ENDINGS, Source
from lmclassify.errors import DataError, OptionError, listing, shorten
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.compression import COMPRESSIONS
from lmclassify.tables.delimited import CHUNK_ROWS
from lmclassify.tables.json_lines import JsonLinesReader
from lmclassify.tables.rows import Rows
from lmclassify.tables.urls import find, is_data, is_url, without_file_scheme

Open = Callable[[str], Source]
"""Opens one file of rows."""


def expand(paths: Sequence[str]) -> list[str]:
    """Return paths with those that hold wildcards replaced by the files that match, sorted.

    A path that is there is taken as it stands, wildcards or not.

    Raises
    ------
    DataError
        If no file matches.
    OptionError
        If standard input is named twice.
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
        raise OptionError("standard input (-) can be read once only")
    return result


def expand_all(paths: Sequence[str], *, any_ending: bool = False) -> list[str]:
    """Return paths as `expand` does, with folders and URLs, too, replaced by the files that they stand for.

    Of a folder, those are the files anywhere in it that end as data do, without names that begin with a dot
    or an underscore.

    Parameters
    ----------
    paths : sequence of str
    any_ending : bool, default=False
        Take all files of a folder.

    Raises
    ------
    DataError
        If no file matches.
    """
    endings = None if any_ending else (*ENDINGS, *(one + more for one in ENDINGS for more in COMPRESSIONS))
    result: list[str] = []
    for path in map(without_file_scheme, paths):
        if is_url(path):
            result += find(path, endings)
        elif os.path.isdir(path) and not looks_like_mail(path):
            inside = sorted(os.path.join(at, name) for at, _, names in os.walk(path) for name in names)
            found = [one for one in inside if is_data(one, path, endings)]
            if not found:
                raise DataError(f"{path} holds no file that ends in {', '.join(ENDINGS)}")
            result += found
        else:
            result += expand([path])
    return result


def check_columns(source: Source, columns: list[str], name: str) -> None:
    """Raise DataError unless a source has the same columns as one of that name."""
    if isinstance(source, JsonLinesReader) and set(source.columns) == set(columns):
        source.columns = columns  # objects have no order of keys
    if source.columns == columns:
        return
    missing = [column for column in columns if column not in source.columns]
    more = [column for column in source.columns if column not in columns]
    differences = [
        *([f"it lacks {listing(map(shorten, missing))}"] if missing else []),
        *([f"it has {listing(map(shorten, more))} besides"] if more else []),
    ]
    if not differences:
        differences = [f"{listing(source.columns)} instead of {listing(columns)}"]
    raise DataError(
        f"{source.name} has other columns than {name}: {' and '.join(differences)}; files read "
        "together need the same columns in the same order"
    )


def open_sources(paths: Sequence[str], open_one: Open) -> Source:
    """Open files as one source, their rows in order.

    Raises
    ------
    DataError
        If one cannot be read, or their columns differ.
    """
    files = expand(paths)
    return open_one(files[0]) if len(files) == 1 else _Several(files, open_one)


class _Several:
    """Files of the same columns; every header is looked at before the first row is given out."""

    def __init__(self, paths: Sequence[str], open_one: Open) -> None:
        self._paths = list(paths)
        self._open = open_one
        self._places: tuple[int, int | None] | None = None
        self._current: Source | None = None
        self._kept: dict[int, Source] = {}  # standard input and pipes, which cannot be opened again
        self._rows_before = self._bytes_before = 0
        sizes: list[int | None] = []
        try:
            for place in range(len(paths)):
                with self._opened(place) as source:
                    sizes.append(source.size)
                    if place == 0:
                        self.name, self.columns = source.name, source.columns
                    check_columns(source, self.columns, self.name)
        except BaseException:
            self.close()
            raise
        self.size = None if None in sizes else sum(size or 0 for size in sizes)

    @contextlib.contextmanager
    def _opened(self, place: int) -> Iterator[Source]:
        """Open a file, and close it again if that is possible later."""
        path = self._paths[place]
        source = self._kept.get(place) or self._open(path)
        if not os.path.isfile(path) and not is_url(path):
            self._kept[place] = source
        try:
            yield source
        finally:
            if place not in self._kept:
                source.close()

    def close(self) -> None:
        """Close the files that are open."""
        for source in (self._current, *self._kept.values()):
            if source is not None:
                source.close()

    def __enter__(self) -> _Several:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def bytes_read(self) -> int:
        """How far reading has come."""
        return self._bytes_before + (0 if self._current is None else self._current.bytes_read)

    @property
    def rows_read(self) -> int:
        """How many rows have been read."""
        return self._rows_before + (0 if self._current is None else self._current.rows_read)

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that names the columns in use, and files that are read otherwise than the first."""
        self._places = (text_at, label_at)
        said, others = "", []
        for place in range(len(self._paths)):
            with self._opened(place) as source:
                check_columns(source, self.columns, self.name)
                line = source.describe(text_at, label_at)
                if place == 0:
                    said, usual = line, line.removeprefix(source.name)
                elif line.removeprefix(source.name) != usual:
                    others.append(line)
        return "; ".join([f"{said}; {len(self._paths):,} files", *others])

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, numbered through, at most `rows` at a time."""
        for place in range(len(self._paths)):
            with self._opened(place) as source:
                self._current = source
                check_columns(source, self.columns, self.name)
                if self._places is not None:
                    source.describe(*self._places)
                for chunk in source.chunks(rows):
                    yield dataclasses.replace(chunk, first=self._rows_before + chunk.first)
                self._rows_before += source.rows_read
                self._bytes_before += source.bytes_read
                self._current = None
