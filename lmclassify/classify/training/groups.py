"""Groups of texts that stand in one part wherever training data are split: threads, senders, repeated texts.

Shapes: n texts, G groups, K labels.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.errors import DataError, counted

Codes = npt.NDArray[np.intp]

REPEATED_SHARE = 1 / 3
"""If more of the texts than this repeat others, equal texts are a group. This helps on real threads, where
new texts repeat none. It costs .1 to .2 points where new texts repeat training texts, as in random splits of
public sets; those stay below this share (docs/experiments.md)."""

_REPLY = re.compile(r"(?:\s*(?:re|fw|fwd|aw|wg|sv|vs|tr|rv)\s*(?:\[\d+\])?\s*:)+")
_DIGITS = re.compile(r"\d+")
_OTHER = re.compile(r"[\W_]+")


def encode_groups(groups: Any, n: int) -> Codes:
    """Return the index of each text's group.

    Parameters
    ----------
    groups : iterable of str or int, (n,)
        A text whose group is None or NaN stands alone.
    n : int

    Returns
    -------
    ndarray of int, (n,)

    Raises
    ------
    DataError
        If there is not one group for each text, or all texts are in one.
    """
    if isinstance(groups, (str, bytes)) or not isinstance(groups, Iterable):
        raise DataError("groups must hold one value for each text, such as a list or a column")
    if getattr(groups, "ndim", 1) != 1:
        raise DataError("groups must have one dimension: one value for each text")
    names = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)
    if len(names) != n:
        raise DataError(
            f"found {counted(n, 'text')} but {counted(len(names), 'group')}: inconsistent numbers of samples"
        )
    numbers: dict[Hashable, int] = {}
    codes = np.empty(n, dtype=np.intp)
    for row, name in enumerate(names):
        if not isinstance(name, Hashable):
            raise DataError(f"group {row} must be a str or a number, not {type(name).__name__}")
        alone = name is None or type(name).__name__ == "NAType" or bool(name != name)  # NA, NaN
        codes[row] = numbers.setdefault((None, row) if alone else name, len(numbers))
    if len(numbers) == 1:
        raise DataError("all texts are in one group, so none can be held out: give more groups, or none")
    return codes


def repeated_text_groups(texts: Sequence[str]) -> Codes | None:
    """Return groups of equal texts; None if few texts repeat others."""
    codes = equal_texts(texts)
    return codes if repeated_share(codes) > REPEATED_SHARE else None


def equal_texts(texts: Sequence[str]) -> Codes:
    """Return groups of equal texts; case, numbers, punctuation and the ``Re:`` of replies do not count."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(essence(text), len(numbers)) for text in texts], dtype=np.intp)


def repeated_share(groups: Codes) -> float:
    """Return the share of the texts that are not alone in their group."""
    return float((np.bincount(groups)[groups] > 1).mean()) if len(groups) else 0.0


def essence(text: str) -> str:
    """Return what two texts that repeat each other have in common."""
    folded = text.lower()
    reply = _REPLY.match(folded)
    without = folded[reply.end() :] if reply else folded
    return _OTHER.sub(" ", _DIGITS.sub("0", without)).strip() or folded


def separable(groups: Codes, codes: Codes) -> Codes:
    """Return groups in which each label has several: texts of a label with one group stand alone.

    If that group were held out, no text would be left to learn the label from.

    Parameters
    ----------
    groups, codes : ndarray of int, (n,)
        Index of each text's group and label.
    """
    pairs = np.unique(np.stack([codes, groups]), axis=1)[0]
    single = np.bincount(pairs, minlength=codes.max(initial=-1) + 1) == 1
    result = groups.copy()
    alone = np.flatnonzero(single[codes])
    result[alone] = groups.max(initial=-1) + 1 + np.arange(len(alone))
    return np.unique(result, return_inverse=True)[1].astype(np.intp)
