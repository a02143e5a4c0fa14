"""Scripts without spaces between words: which characters they have, and where spaces belong."""

from __future__ import annotations

import re
from collections.abc import Sequence

_OPENING, _CLOSING = "([{$£€#@", ".,:;!?)]}%"
"""Characters without a space after them or before them, when words are joined to a text."""
CJK = (
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u309b-\u309f\u30a1-\u30ff\u3105-\u312f"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
"""Ranges of the characters of Chinese and Japanese, for a character class."""
UNSPACED = CJK + (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ec6\u0ec8-\u0ece\u0edc-\u0edf\u0f40-\u0fbc"  # Thai, Lao, Tibetan
    "\u1000-\u103f\u1050-\u108f\ua9e0-\ua9ef\uaa60-\uaa7f\u1780-\u17d3\u17dc\u17dd"  # Burmese, Khmer
    "\u1950-\u19cf\u1a20-\u1a7c\u1b00-\u1b4c\ua980-\ua9c0\uaa80-\uaadf"  # Tai scripts, Balinese, Javanese
)
"""The same of all scripts without spaces between words."""
_ALWAYS_WORD = re.compile("[\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]")
"""Characters that are words by themselves (a part of `CJK`)."""
_NO_SPACE = re.compile(f"[{CJK}]")
"""Characters that have no space between them and one of `_ALWAYS_WORD`."""
_NO_SPACE_AROUND = re.compile(
    "[\u3001-\u3004\u3008-\u3020\u3030\u3036\u3037\u303d-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40"
    "\uff5b-\uff65\u200c\u200d]"
)
"""Punctuation of Chinese and Japanese, and zero-width joiners."""
_HAS_UNSPACED = re.compile(f"[{UNSPACED}]")
_ENDS_UNSPACED = re.compile(
    f"[{UNSPACED}\u3001-\u3003\u3008-\u3011\u3014-\u301f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
    "[\u3099\u309a]*$"
)


def needs_space(text: str, word: str) -> bool:
    """Return whether a space precedes a word appended to a text; tokenized again, it is the same word."""
    before, first = text[-1:], word[0]
    if not before or before.isspace():
        return False
    if before == first:  # keeps two runs of the same character apart
        return True
    if before in _OPENING or first in _CLOSING:
        return False
    pair = (before, first)
    if any(map(_NO_SPACE_AROUND.match, pair)):
        return False
    return not (any(map(_ALWAYS_WORD.match, pair)) and all(map(_NO_SPACE.match, pair)))


def is_unspaced(text: str) -> bool:
    """Return whether a text has characters of a script without spaces between words."""
    return not text.isascii() and _HAS_UNSPACED.search(text) is not None


def unspaced_share(texts: Sequence[str]) -> float:
    """Return the share of the characters that are of a script without spaces between words."""
    unspaced = sum(len(_HAS_UNSPACED.findall(text)) for text in texts if not text.isascii())
    return unspaced / max(1, sum(map(len, texts)))


def ends_unspaced(text: str) -> bool:
    """Return whether a text ends in a script without spaces, or its punctuation: no space comes after it."""
    return not text.isascii() and _ENDS_UNSPACED.search(text[-4:]) is not None
