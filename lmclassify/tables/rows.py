"""A chunk of consecutive table rows: string cells, plus columns of results."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from lmclassify.errors import DataError, listing, shorten
from lmclassify.tables.columns import Header
from lmclassify.text.fields import join_fields

CHUNK_ROWS = 8192
"""Rows per chunk: enough to score in large batches, and few enough to hold in memory."""
CHUNK_BYTES = 1 << 23
"""Approximate bytes per chunk, so that long rows need no more memory than short ones."""

Column = Sequence[str] | npt.NDArray[np.float64] | npt.NDArray[np.int64]
"""One value per row: strings, or numbers with NaN for missing values."""


def join_columns(cells: Sequence[str], columns: Sequence[int]) -> str:
    """Return the text of a row, made from the cells of some columns; see `lmclassify.text.fields`."""
    if len(columns) == 1:
        return cells[columns[0]]
    return join_fields([cells[index] for index in columns])


class OriginalRows(Protocol):
    """Rows in the typed form of their file format, which string cells cannot represent."""

    def without(self, names: Collection[str]) -> OriginalRows:
        """Return the rows without the named columns."""
        ...

    def json_objects(self) -> list[str]:
        """Return each row as a JSON object on one line."""
        ...


class ClosingReader:
    """Base of readers: a context manager that closes its files at the end.

    Attributes
    ----------
    name : str
        For messages.
    files : int
        Number of files that the rows come from.
    """

    name: str
    files: int = 1

    def locate(self, row: int) -> tuple[str, int]:
        """Return the name of the file that a row comes from, and the row's number in it, from 1.

        `row` is its number in the chunks, and has been read.
        """
        return self.name, row

    @property
    def sample(self) -> Sequence[Sequence[str]]:
        """The first rows, to recognize columns by their content; may be empty."""
        return ()

    @property
    def header(self) -> Header:
        """Where the names of the columns come from."""
        return "given"

    @property
    def notes(self) -> list[str]:
        """What the user should know of the rows read so far, one line each."""
        return []

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
    several_labels: Sequence[int] = ()
    """Indices of the rows whose cell of labels holds several, with blanks between (fastText's format)."""

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def names(self) -> list[str]:
        """Names of all columns, original and added."""
        return [*self.columns, *self.added]

    def column(self, index: int) -> list[str]:
        """Return the cells of the column at an index of the header."""
        return [row[index] for row in self.cells]

    def texts(self, columns: Sequence[int]) -> list[str]:
        """Return the text of each row, made from the columns at these indices; see `join_columns`."""
        return [join_columns(row, columns) for row in self.cells]

    def labels(self, index: int, name: str | None = None) -> list[str]:
        """Return the cells of a column of labels, stripped of blanks; empty where a label is missing.

        In JSON Lines and Parquet a list of one label is that label, and an empty list is none. Raises
        DataError at several labels or an object, if the `name` of the file is given; without it, these are no
        label, and `without_one_label` counts them.
        """
        labels = [row[index].strip() for row in self.cells]
        for at in self.several_labels:
            if name is not None:
                given = labels[at].split()
                raise DataError(
                    f"{name}, row {self.first + at:,}: {len(given)} labels ({listing(given)}); a text has "
                    "one label: keep one of them"
                )
            labels[at] = ""
        if self.original is not None:
            for at, label in enumerate(labels):
                if label[:1] in ("[", "{"):
                    labels[at] = self._label(label, f"row {self.first + at:,}", self.columns[index], name)
        return labels

    def without_one_label(self, index: int) -> int:
        """Return how many cells of a column of labels hold several labels or an object."""
        lists = [] if self.original is None else [row[index].strip() for row in self.cells]
        unclear = [cell for cell in lists if cell[:1] in ("[", "{") and cell != "[]"]
        return len(self.several_labels) + sum(not self._label(cell, "", "", None) for cell in unclear)

    def _label(self, cell: str, row: str, column: str, name: str | None) -> str:
        try:
            value: Any = json.loads(cell)
        except ValueError:  # a string that looks like a list
            return cell
        while isinstance(value, list) and len(value) < 2:
            value = value[0] if value else None
        if name is not None and isinstance(value, list):
            raise DataError(
                f"{name}, {row}: {shorten(column)} is a list ({shorten(cell)}); several labels for one text "
                "are not supported: keep one"
            )
        if name is not None and isinstance(value, dict):
            raise DataError(
                f"{name}, {row}: {shorten(column)} is an object ({shorten(cell)}); a label must be a string, "
                "a number, or true or false"
            )
        if value is None or isinstance(value, list | dict) or value != value:
            return ""
        return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def with_columns(self, added: dict[str, Column]) -> Rows:
        """Return the rows with columns appended; they replace existing columns of the same name."""
        kept = [index for index, name in enumerate(self.columns) if name not in added]
        if len(kept) == len(self.columns):
            return Rows(self.columns, self.cells, self.first, added, self.original, self.stray)
        cells = [[row[index] for index in kept] for row in self.cells]
        original = None if self.original is None else self.original.without(added)
        columns = [self.columns[index] for index in kept]
        return Rows(columns, cells, self.first, added, original, self.stray)
