"""Texts as callers pass them, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lmclassify.classify.data_frames import is_missing
from lmclassify.errors import DataError, shorten
from lmclassify.text.fields import join_fields
from lmclassify.text.tokenizer import encodable


def as_texts(texts: object) -> list[str]:
    """Return texts as a list of str.

    Parameters
    ----------
    texts : iterable of str
        For instance a list, tuple, pandas Series or one-dimensional numpy array. "" is a text. A tuple of
        several str is a text of several fields, each on a line of its own. Lone surrogates are no characters
        and are replaced by U+FFFD.

    Raises
    ------
    DataError
        If it is a single string or has two dimensions, or an item is missing or no str.
    """
    if isinstance(texts, (str, bytes)):
        raise DataError(f"expected several texts (a list, say), got one string: {shorten(texts)}")
    if getattr(texts, "ndim", 1) != 1:
        raise DataError(f"expected one-dimensional texts, got {texts.ndim} dimensions; pass one column")  # type: ignore[attr-defined]
    if not isinstance(texts, Iterable) or isinstance(texts, dict):
        raise DataError(f"expected several texts (a list, say), got {type(texts).__name__}")
    items: Sequence[Any] = texts.tolist() if hasattr(texts, "tolist") else list(texts)
    items = [_joined(item) if isinstance(item, tuple) else item for item in items]
    for row, item in enumerate(items):
        if not isinstance(item, str):
            problem = "is missing (None or NaN)" if is_missing(item) else f"is no str: {shorten(item)}"
            raise DataError(f"text {row} {problem}; every text must be a str (an empty one is fine)")
    return [encodable(item if type(item) is str else str(item)) for item in items]


def _joined(fields: tuple[Any, ...]) -> Any:
    """Return the text that a tuple of str makes; any other value is returned unchanged."""
    return join_fields(fields) if fields and all(isinstance(each, str) for each in fields) else fields
