"""Rows of a table: cells as strings, and columns that were added to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Column = Sequence[str] | npt.NDArray[np.float64] | npt.NDArray[np.int64]
"""One value a row: texts, or numbers that are NaN where there is none."""


class Original(Protocol):
    """Rows as a format with types has them: what cells do not tell."""

    def without(self, names: Collection[str]) -> Original:
        """Return the rows without columns of these names."""
        ...

    def json_objects(self) -> list[str]:
        """Return each row as a JSON object on one line."""
        ...


@dataclass(frozen=True)
class Rows:
    """Some consecutive rows of a table."""

    columns: list[str]
    """The header; names may stand there twice."""
    cells: list[list[str]]
    """Row by row, one cell for each column."""
    first: int = 1
    """The first row's number; rows count from 1, without the header."""
    added: dict[str, Column] = field(default_factory=dict)
    """Columns after those, by name."""
    original: Original | None = None
    """The rows as they came, without the added columns, where that was not as cells."""
    stray: str = ""
    """What is in `original` but in no column, where there is such a thing: one line for the user."""

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return [*self.columns, *self.added]

    def column(self, place: int) -> list[str]:
        """Return the cells of the column at a place of the header."""
        return [row[place] for row in self.cells]

    def with_columns(self, added: dict[str, Column]) -> Rows:
        """Return the rows with columns at their end, in place of columns of their names."""
        kept = [place for place, name in enumerate(self.columns) if name not in added]
        if len(kept) == len(self.columns):
            return Rows(self.columns, self.cells, self.first, added, self.original, self.stray)
        cells = [[row[place] for place in kept] for row in self.cells]
        original = None if self.original is None else self.original.without(added)
        columns = [self.columns[place] for place in kept]
        return Rows(columns, cells, self.first, added, original, self.stray)
