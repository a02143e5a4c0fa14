"""Find the text and label columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lmclassify.errors import DataError, listing, shorten
from lmclassify.tables.compression import split_compression

TEXT_COLUMNS = ("text", "subject", "message", "body", "title", "content")
"""Names of a text column, most usual first."""
LABEL_COLUMNS = ("label", "class", "category", "target", "spam/ham")
"""Names of a label column, most usual first."""


def suffix_of(path: str) -> str:
    """Return a path's suffix in lower case, without the suffix of its compression."""
    return Path(split_compression(path)[0]).suffix.lower()


def describe_columns(
    name: str, columns: Sequence[str], text_at: int, label_at: int | None, notes: Sequence[str] = ()
) -> str:
    """Return one line that names the columns in use, followed by notes on how the file is read.

    Raises DataError if text and label are the same column.
    """
    if text_at == label_at:
        raise DataError(
            f"{name}: {shorten(columns[text_at])} is used for both text and label; choose another column "
            "with --text-column or --label-column"
        )
    found = f"text column {shorten(columns[text_at])}"
    if label_at is not None:
        found += f", label column {shorten(columns[label_at])}"
    return "; ".join([f"{name}: {found}", *notes])


def find_column(columns: Sequence[str], wanted: str | None, usual: Sequence[str], name: str) -> int | None:
    """Return the index of a column.

    Raises DataError if the wanted column is missing, or its name is duplicated.

    Parameters
    ----------
    columns : sequence of str
        The header.
    wanted : str or None
        The exact name, if the user gave one.
    usual : sequence of str
        Names to look for otherwise, most usual first. Case is ignored.
    name : str
        Name of the file, for messages.

    Returns
    -------
    int or None
        None if no name was given and none of the usual ones is found.
    """
    folded = list(columns) if wanted is not None else [column.strip().casefold() for column in columns]
    for candidate in usual if wanted is None else [wanted]:
        found = [index for index, column in enumerate(folded) if column == candidate]
        if len(found) > 1:
            raise DataError(f"{name} has {len(found)} columns named {shorten(candidate)}; rename one of them")
        if found:
            return found[0]
    if wanted is not None:
        raise DataError(f"{name} has no column {shorten(wanted)}; its columns: {listing(columns)}")
    return None


def require_column(
    columns: Sequence[str], wanted: str | None, usual: Sequence[str], what: str, name: str
) -> int:
    """Return the index of a column as `find_column` does; `what` is ``text`` or ``label``, for messages.

    Raises DataError if no column is found.
    """
    index = find_column(columns, wanted, usual, name)
    if index is not None:
        return index
    if len(columns) == 1 and "\t" in columns[0]:
        raise DataError(f"{name} looks tab-separated; read it as such with --input-format tsv")
    if list(columns) == ["text"] and suffix_of(name) == ".txt":
        raise DataError(
            f"{name} has no {what} column: a .txt file is read as one text per line; if it is a table, use "
            "--input-format csv"
        )
    raise DataError(
        f"{name} has no {what} column: none of its columns ({listing(columns)}) is named "
        f"{', '.join(usual)}; name it with --{what}-column"
    )
