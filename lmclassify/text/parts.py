"""Splits long texts: tokenizing a text in one piece takes many times the text's memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_PART = 1 << 18
"""Characters per part by default: tokenizing one part then takes some tens of megabytes."""

_WHITE_SPACE = re.compile(r"\s")


def split_long_text(text: str, size: int = MAX_PART) -> Iterator[tuple[int, str]]:
    """Yield consecutive parts of a text, each with the index where it begins.

    A part ends at the first white space after `size` characters, so that no word is cut. Only words of more
    than twice that length are cut, into parts of `size` characters.

    Parameters
    ----------
    size : int
        In characters.
    >>> list(split_long_text("to be or not", 4))
    [(0, 'to be'), (5, ' or not')]
    >>> list(split_long_text("a be-bop-a-lula", 4))
    [(0, 'a '), (2, 'be-b'), (6, 'op-a'), (10, '-lul'), (14, 'a')]
    """
    start = 0
    while start < len(text):
        space = _WHITE_SPACE.search(text, start + size)
        end = len(text) if space is None else space.start()
        head = text[start : start + size]
        word = start + len(head) - len(head.rsplit(None, 1)[-1] if head and not head[-1].isspace() else "")
        if end - word > 2 * size:
            yield from [(start, text[start:word])] if word > start else []
            yield from ((at, text[at : min(at + size, end)]) for at in range(word, end, size))
        else:
            yield start, text[start:end]
        start = end
