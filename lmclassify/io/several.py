"""Several files read as one, and file names with wildcards."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
from collections.abc import Callable, Iterator, Sequence

from lmclassify.errors import DataError, OptionError, listing, shorten
from lmclassify.io.json_lines import JsonLinesReader
from lmclassify.io.mailboxes import looks_like_mail
from lmclassify.io.rows import Rows
from lmclassify.io.sources import Source
from lmclassify.io.tables import CHUNK_ROWS

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
                    self._check(source)
        except BaseException:
            self.close()
            raise
        self.size = None if None in sizes else sum(size or 0 for size in sizes)

    @contextlib.contextmanager
    def _opened(self, place: int) -> Iterator[Source]:
        """Open a file, and close it again if that is possible later."""
        path = self._paths[place]
        source = self._kept.get(place) or self._open(path)
        if not os.path.isfile(path):
            self._kept[place] = source
        try:
            yield source
        finally:
            if place not in self._kept:
                source.close()

    def _check(self, source: Source) -> None:
        if isinstance(source, JsonLinesReader) and set(source.columns) == set(self.columns):
            source.columns = self.columns  # objects have no order of keys
        if source.columns == self.columns:
            return
        missing = [name for name in self.columns if name not in source.columns]
        more = [name for name in source.columns if name not in self.columns]
        differences = [
            *([f"it lacks {listing(map(shorten, missing))}"] if missing else []),
            *([f"it has {listing(map(shorten, more))} besides"] if more else []),
        ]
        if not differences:
            differences = [f"{listing(source.columns)} instead of {listing(self.columns)}"]
        raise DataError(
            f"{source.name} has other columns than {self.name}: {' and '.join(differences)}; files read "
            "together need the same columns in the same order"
        )

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
                self._check(source)
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
                self._check(source)
                if self._places is not None:
                    source.describe(*self._places)
                for chunk in source.chunks(rows):
                    yield dataclasses.replace(chunk, first=self._rows_before + chunk.first)
                self._rows_before += source.rows_read
                self._bytes_before += source.bytes_read
                self._current = None
