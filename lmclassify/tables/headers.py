"""Name the columns of a table: as the user says, by its first row, or by its content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lmclassify.errors import DataError, counted
from lmclassify.tables.columns import Header, has_known_name, has_usual_name
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.recognition import Cells, first_row_is_data, name_columns, text_and_label


@dataclass(frozen=True)
class NamedColumns:
    """The names of the columns of a table, and where they come from."""

    columns: list[str]
    header: Header
    sample: Cells
    """The first rows, without the header."""
    note: str = ""
    """For the user: which columns were recognized in a table without header; else empty."""


def find_names(name: str, seen: Cells, dialect: Dialect) -> NamedColumns:
    """Return the names of the columns of a table.

    Raises DataError if they are not as many as the columns, or the first row holds the same names.

    Parameters
    ----------
    name : str
        Name of the file, for messages.
    seen : sequence of rows
        The first rows, including the header if there is one.
    """
    first: Sequence[str] = seen[0]
    if dialect.has_header is None and dialect.expected is not None and not any(map(has_usual_name, first)):
        expected = dialect.expected if len(dialect.expected) == len(first) else None
        dialect = replace(dialect, header=False, columns=expected)
    if dialect.has_header or (dialect.has_header is None and not _is_data(first, seen[1:])):
        return NamedColumns(list(first), "row", seen[1:])
    names = dialect.columns
    if names is None:
        columns = name_columns(seen)
        found = [at for at in ("label", "text") if at in columns]
        where = [f"column {columns.index(each) + 1} is {each}" for each in sorted(found, key=columns.index)]
        note = "no header, " + (", ".join(where) or "columns have numbers")
        return NamedColumns(columns, "none", seen, note)
    if len(names) != len(first):
        raise DataError(
            f"{name}: its first row has {counted(len(first), 'column')}, but --columns names {len(names)}"
        )
    if [cell.strip().casefold() for cell in first] == [each.casefold() for each in names]:
        raise DataError(f"{name}: its first row is the header that --columns names; drop --columns")
    return NamedColumns(list(names), "none", seen)


def _is_data(first: Sequence[str], rows: Cells) -> bool:
    """Return whether the first row of a file of two columns has a text and a label, and no names."""
    both = text_and_label([first, *rows])
    if both is None or has_known_name(first[both.text_at]):
        return False
    return first_row_is_data(first, rows, both.label_at)
