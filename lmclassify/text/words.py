"""Words of a text, in scripts without spaces between words too.

In most scripts a word stands between white space. Chinese, Japanese, Thai, Khmer and others write no spaces,
so their words are tokens of a tokenizer, made of whole grapheme clusters (a letter with its marks).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, pre_tokenizers

from lmclassify.text.parts import split_long_text
from lmclassify.text.scripts import UNSPACED, is_unspaced
from lmclassify.text.tokenizer import Tokenizer, encodable

Span = tuple[int, int]
Indices = npt.NDArray[np.intp]

MAX_JOINED = 6
"""Characters of a token that is taken for a word. Longer ones are phrases that the training texts repeat."""

_PIECE = re.compile(r"\S+")
_MARKS = r"(?>[\p{M}\x{e33}\x{eb3}\x{200c}\x{200d}]*)"  # they belong to the letter before them
_STACKED = r"(?<=[\x{f39}\x{1039}\x{17d2}\x{1a60}])"  # after these, a letter is written below the one before
GRAPHEME = rf"[{UNSPACED}]{_MARKS}(?:{_STACKED}[{UNSPACED}]{_MARKS}){{0,8}}"
"""A grapheme cluster of a script without spaces."""
_UNITS = rf"{GRAPHEME}|(?>[\p{{L}}\p{{M}}\p{{N}}_\x{{200c}}\x{{200d}}&&[^{UNSPACED}]]+)|\X"


def words_of(text: str, tokenizer: Tokenizer | None = None) -> list[Span]:
    """Return start and end of each word of a text.

    Words cover all of the text but its white space.

    Parameters
    ----------
    tokenizer : Tokenizer, optional
        In scripts without spaces, grapheme clusters that are one of its tokens are one word.
    """
    spans = [match.span() for match in _PIECE.finditer(text)]
    if not is_unspaced(text):
        return spans
    result: list[Span] = []
    for start, end in spans:
        piece = text[start:end]
        if is_unspaced(piece):
            result += [(start + first, start + last) for first, last in split(_UNITS, piece)]
        else:
            result.append((start, end))
    return result if tokenizer is None else _joined(text, result, tokenizer)


def split(pattern: str, text: str) -> list[Span]:
    """Return start and end of each match of a pattern of the tokenizers' engine, and of the text between."""
    return [
        (offset + start, offset + end)
        for offset, part in split_long_text(encodable(text))
        for _, (start, end) in _splitter(pattern).pre_tokenize_str(part)
    ]


@cache
def _splitter(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def _joined(text: str, spans: Sequence[Span], tokenizer: Tokenizer) -> list[Span]:
    """Join words that are parts of one token."""
    tokens = [
        (start, start + length)
        for (start, end), token in zip(
            tokenizer.offsets(text).tolist(), tokenizer.sequences([text])[0][1:-1].tolist(), strict=True
        )
        for start, length in _token_words(tokenizer, token, start, end)
    ]
    starts = np.array([start for start, _ in tokens], dtype=np.intp)
    ends = np.array([end for _, end in tokens], dtype=np.intp)
    first = np.array([start for start, _ in spans], dtype=np.intp)
    token = np.searchsorted(starts, first, side="left") - 1  # the last one that begins before the word
    within = (token >= 0) & (ends[np.maximum(token, 0)] > first)
    result: list[Span] = []
    for (start, end), continues in zip(spans, within.tolist(), strict=True):
        if continues and result and result[-1][1] == start:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def _token_words(tokenizer: Tokenizer, token: int, start: int, end: int) -> list[tuple[int, int]]:
    """Return start and length of the words that a token is made of: itself, or the parts of a long one."""
    result = []
    for length in tokenizer.parts(token, MAX_JOINED) if end - start > MAX_JOINED else [end - start]:
        result.append((start, length))
        start += length
    return result


def word_numbers(text: str, spans: Sequence[Span]) -> Indices:
    """Return for each word of `words_of` which whitespace-delimited piece of the text it belongs to."""
    begins = [start == 0 or text[start - 1].isspace() for start, _ in spans]
    return np.cumsum(begins, dtype=np.intp) - 1
