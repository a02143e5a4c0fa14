"""Reads texts and labels from the columns of a data frame, without importing its library, such as pandas."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from lmclassify.errors import DataError, LMClassifyWarning, OptionError, listing, shorten
from lmclassify.tables.columns import TEXT_COLUMNS, Header, find_text_column
from lmclassify.tables.recognition import SAMPLE_ROWS
from lmclassify.text.fields import join_fields

ColumnName = str | int
"""A column that a model can remember."""

TextColumn = ColumnName | list[ColumnName]
"""Name of the text column, or a list of names: then each cell is a line of the text."""


class DataFrame(Protocol):
    """What a data frame has to offer."""

    @property
    def columns(self) -> Any:
        """Names of the columns."""
        ...

    @property
    def shape(self) -> Any:
        """Number of rows and number of columns."""
        ...

    def __getitem__(self, name: Any, /) -> Any: ...


Texts = Iterable[str] | DataFrame
"""Texts, or a data frame with a column of texts."""


class TrainingColumns(NamedTuple):
    """Texts and labels to train on, and the column that the texts come from."""

    texts: Iterable[str]
    labels: Any
    unlabelled: Iterable[str] | None
    text_column: TextColumn | None
    """None if the texts are not from a data frame."""


def is_data_frame(data: object) -> TypeGuard[DataFrame]:
    """Return whether something is a data frame."""
    return hasattr(data, "columns") and len(getattr(data, "shape", ())) == 2


def read_training_data(
    texts: Any,
    labels: npt.ArrayLike | None,
    unlabelled: Any,
    text: ColumnName | Sequence[ColumnName] | None,
    label: ColumnName | None,
) -> TrainingColumns:
    """Return texts and labels of a fit, read from the columns `text` and `label` of data frames.

    Raises OptionError if a column is named without data frame, or labels are given twice. Raises DataError
    if a column is not there, or labels are missing.
    """
    wanted = [*text] if isinstance(text, list | tuple) and len(text) != 1 else column_list(text)[0]
    for what, names in (("text", column_list(wanted)), ("label", [label])):
        for name in names:
            if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
                several = " or a list of such names" if what == "text" else ""
                raise OptionError(
                    f"{what} must be the name of a column (str or int){several}, not {shorten(name)}"
                )
            if names.count(name) > 1:
                raise OptionError(f"{what} names column {shorten(name)} twice")
    if wanted == []:
        raise OptionError("text names no column")
    if not is_data_frame(texts):
        if text is not None or label is not None:
            raise OptionError(f"text and label name columns of a data frame, but X is {_kind(texts)}")
        if is_data_frame(unlabelled):
            unlabelled = read_texts_of_model(unlabelled, None)
        return TrainingColumns(texts, labels, unlabelled, None)
    if label is None and labels is None:
        raise DataError(
            "LMClassifier requires y to be passed, but the target y is None; or name the column of labels "
            f"(label=...); the columns: {listing(texts.columns)}"
        )
    if label is not None and labels is not None:
        raise OptionError("labels are given twice: leave out y or label")
    if label is not None:
        labels = read_labels(texts, label)
    if label is not None and label in column_list(wanted):
        raise DataError(f"column {shorten(label)} is named for both text and label")
    column: TextColumn = recognise_text_column(texts, label) if wanted is None else wanted
    if is_data_frame(unlabelled):
        unlabelled = read_texts_of_model(unlabelled, column)
    return TrainingColumns(read_texts(texts, column), labels, unlabelled, column)


def read_column(frame: DataFrame, name: ColumnName) -> list[Any]:
    """Return the values of a column.

    Raises DataError if the data frame has no such column, or several.
    """
    names = list(frame.columns)
    if name not in names:
        raise DataError(f"the data frame has no column {shorten(name)}; its columns: {listing(names)}")
    _check_unique(names, name)
    return list(frame[name])


def column_list(column: Any) -> list[Any]:
    """Return the names of one text column or of several."""
    return [*column] if isinstance(column, list | tuple) else [column]


def read_texts(frame: DataFrame, name: TextColumn) -> list[Any]:
    """Return the texts of a column, or of several; missing cells are empty, and a warning counts them.

    Raises DataError as `read_column` does, and if a cell of several columns is no str.
    """
    if not isinstance(name, list):
        return _read_cells(frame, name)
    cells = [_read_cells(frame, each) for each in name]
    for column, values in zip(name, cells, strict=True):
        for row, value in enumerate(values):
            if not isinstance(value, str):
                raise DataError(f"column {shorten(column)}: text {row} is no str: {shorten(value)}")
    return [join_fields(row) for row in zip(*cells, strict=True)]


def _read_cells(frame: DataFrame, name: ColumnName) -> list[Any]:
    values = read_column(frame, name)
    texts = ["" if is_missing(value) else value for value in values]
    missing = sum(map(is_missing, values))
    if missing:
        are = "is missing and counts" if missing == 1 else "are missing and count"
        warnings.warn(
            f"{missing:,} of {len(values):,} texts in column {shorten(name)} {are} as empty (None or NaN)",
            LMClassifyWarning,
            stacklevel=6,
        )
    return texts


def read_texts_of_model(frame: DataFrame, name: TextColumn | None) -> list[Any]:
    """Return the texts of a data frame that a model scores.

    Raises DataError if there is no such column.

    Parameters
    ----------
    name : str, int, list of these, or None
        The columns that the model was fitted on. None: one is recognised.
    """
    if name is None:
        name = recognise_text_column(frame)
    missing = [each for each in column_list(name) if each not in list(frame.columns)]
    if missing:
        raise DataError(
            f"the data frame has no column {shorten(missing[0])}, which the model was fitted on; its "
            f"columns: {listing(frame.columns) or 'none'}; rename the column of texts, or pass this column "
            "only"
        )
    return read_texts(frame, name)


def read_labels(frame: DataFrame, name: ColumnName) -> list[Any]:
    """Return a column of labels.

    Raises DataError as `read_column` does, and if labels are missing.
    """
    labels = read_column(frame, name)
    missing = [row for row, label in enumerate(labels) if is_missing(label)]
    if missing:
        index = getattr(frame, "index", None)
        row = missing[0]
        where = "counted from 0"
        if index is not None and index[row] != row:
            where += f"; index {shorten(index[row])}"
        more = f", the first of {len(missing):,} such rows" if len(missing) > 1 else ""
        raise DataError(
            f"column {shorten(name)}: row {row:,} ({where}) has no label{more}; leave such rows out, for "
            f"example with dropna(subset=[{name!r}])"
        )
    return labels


def recognise_text_column(frame: DataFrame, label: ColumnName | None = None) -> ColumnName:
    """Return the column of texts: the one that the command line would take, or the only one of strings.

    Raises DataError if there is none.

    Parameters
    ----------
    label : str or int, optional
        The column of labels, which holds no texts.
    """
    names = [name for name in frame.columns if isinstance(name, str | int) and name != label]
    for name in names:
        _check_unique(names, name)
    samples = {name: _sample(frame, name) for name in names}
    strings = [name for name in names if samples[name] is not None]
    rows = zip(*(samples[name] or () for name in strings), strict=True)
    table = _Table([str(name) for name in strings], list(rows))
    found = find_text_column(table)
    if found is not None:
        return strings[found]
    if len(strings) == 1:
        return strings[0]
    example = strings[0] if strings else next(iter(names), "text")
    raise DataError(
        f"the data frame has no column that is clearly the texts (such as {', '.join(TEXT_COLUMNS[:3])}); "
        f"its columns: {listing(frame.columns) or 'none'}; name it in fit (text={example!r}), or pass one "
        "column only"
    )


def _check_unique(names: list[Any], name: ColumnName) -> None:
    count = names.count(name)
    if count > 1:
        raise DataError(f"the data frame has {count} columns named {shorten(name)}; rename one of them")


@dataclass
class _Table:
    """Columns of strings, as `find_text_column` wants them."""

    columns: list[str]
    sample: list[tuple[str, ...]]
    name: str = "the data frame"
    header: Header = "given"


def _sample(frame: DataFrame, name: ColumnName) -> list[str] | None:
    """Return the first cells of a column, empty where they are missing; None if it holds no strings."""
    cells = list(frame[name].head(SAMPLE_ROWS))
    missing = list(map(is_missing, cells))
    if all(missing) and cells:
        return None
    texts = ["" if absent else cell for cell, absent in zip(cells, missing, strict=True)]
    return texts if all(isinstance(text, str) for text in texts) else None


def _kind(data: object) -> str:
    name = type(data).__name__
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN or the like."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(value != value)
