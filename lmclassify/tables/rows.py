"""A chunk of consecutive table rows: string cells, plus columns of results."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

CHUNK_ROWS = 8192
"""Rows per chunk: enough to score in large batches, and few enough to hold in memory."""
CHUNK_BYTES = 1 << 23
"""Approximate bytes per chunk, so that long rows need no more memory than short ones."""

Column = Sequence[str] | npt.NDArray[np.float64] | npt.NDArray[np.int64]
"""One value per row: strings, or numbers with NaN for missing values."""


class OriginalRows(Protocol):
    """Rows in the typed form of their file format, which string cells cannot represent."""

    def without(self, names: Collection[str]) -> OriginalRows:
        """Return the rows without the named columns."""
        ...

    def json_objects(self) -> list[str]:
        """Return each row as a JSON object on one line."""
        ...


class ClosingReader:
    """Base of readers: a context manager that closes its files at the end."""

    def close(self) -> None:
        """Close the files."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a table."""

    columns: list[str]
    """The header; names may be duplicated."""
    cells: list[list[str]]
    """One list per row, with one cell per column."""
    first: int = 1
    """Number of the first row; rows count from 1, without the header."""
    added: dict[str, Column] = field(default_factory=dict)
    """Columns to write after the original ones, by name."""
    original: OriginalRows | None = None
    """The rows as read, without the added columns, for formats with types."""
    stray: str = ""
    """A one-line message for the user if `original` holds values that are in no column, else empty."""

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def names(self) -> list[str]:
        """Names of all columns, original and added."""
        return [*self.columns, *self.added]

    def column(self, index: int) -> list[str]:
        """Return the cells of the column at an index of the header."""
        return [row[index] for row in self.cells]

    def with_columns(self, added: dict[str, Column]) -> Rows:
        """Return the rows with columns appended; they replace existing columns of the same name."""
        kept = [index for index, name in enumerate(self.columns) if name not in added]
        if len(kept) == len(self.columns):
            return Rows(self.columns, self.cells, self.first, added, self.original, self.stray)
        cells = [[row[index] for index in kept] for row in self.cells]
        original = None if self.original is None else self.original.without(added)
        columns = [self.columns[index] for index in kept]
        return Rows(columns, cells, self.first, added, original, self.stray)
