"""Long texts part by part: what makes tokens and words of a text takes many times the text's memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CHARACTERS = 1 << 18
_WHITE_SPACE = re.compile(r"\s")


def parts_of(text: str, size: int = _CHARACTERS) -> Iterator[tuple[int, str]]:
    """Yield consecutive parts of a text, each with where it begins.

    Parameters
    ----------
    text : str
    size : int
        In characters. A part ends at white space after so many, so that no word is cut; but words of more
        than twice as many are cut into parts of their own, of so many characters each.

    >>> list(parts_of("to be or not", 4))
    [(0, 'to be'), (5, ' or not')]
    >>> list(parts_of("a be-bop-a-lula", 4))
    [(0, 'a '), (2, 'be-b'), (6, 'op-a'), (10, '-lul'), (14, 'a')]
    """
    start = 0
    while start < len(text):
        space = _WHITE_SPACE.search(text, start + size)
        end = len(text) if space is None else space.start()
        begun = text[start : start + size]
        word = (
            start + len(begun) - len(begun.rsplit(None, 1)[-1] if begun and not begun[-1].isspace() else "")
        )
        if end - word > 2 * size:
            yield from [(start, text[start:word])] if word > start else []
            yield from ((at, text[at : min(at + size, end)]) for at in range(word, end, size))
        else:
            yield start, text[start:end]
        start = end
