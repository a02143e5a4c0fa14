"""N-grams of characters, subwords or words as 64-bit keys, found by vectorised numpy.

A key is a hash of the n-gram's symbols and its length; among a million n-grams the chance that any two
share one is below 1 in 10 million. Every n-gram belongs to the text position where it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers

from lmclassify.text.parts import parts_of
from lmclassify.text.sequences import Ids, places_within
from lmclassify.text.tokenizer import encodable

Keys = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]
Symbols = Literal["character", "subword", "word"]

_WORD = re.compile(r"\w+|[^\w\s]")
_NFC = normalizers.NFC()  # unicodedata's takes quadratic time for a run of combining marks
_SYMBOLS_AT_A_TIME = 1 << 18
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class NgramOccurrences:
    """The n-grams of some texts, m symbols in all, by the symbol at which they end."""

    owner: Indices
    """(m,) the text that each symbol is of; ascending."""
    place: Indices
    """(m,) the symbol's place in its text, from 0."""
    keys: Keys
    """(longest, m) those of 1, 2, ... symbols; meaningless where a text has too few symbols yet."""

    @property
    def whole(self) -> npt.NDArray[np.bool_]:
        """(longest, m) whether so many symbols of the text have been seen there."""
        whole: npt.NDArray[np.bool_] = self.place >= np.arange(len(self.keys))[:, np.newaxis]
        return whole


@dataclass(frozen=True)
class NgramAnalyzer:
    """Which n-grams of a text are looked at.

    ``character``: of the text with single spaces for white space, and one at either end, case kept.
    ``subword``: of the token ids of its sequence, beginning and end of text included.
    ``word``: of its words (runs of letters and digits) and other characters, lower-cased.
    """

    symbols: Symbols
    longest: int
    """N-grams of 1 to this many symbols."""

    def __post_init__(self) -> None:
        if self.symbols not in get_args(Symbols) or not 1 <= self.longest <= 16:
            raise ValueError(f"no view of n-grams: {self.symbols!r}, {self.longest!r}")

    def windows(self, texts: Sequence[str], sequences: Sequence[Ids]) -> NgramOccurrences:
        """Return the n-grams that end at each symbol of some texts.

        Parameters
        ----------
        texts : sequence of str, (n,)
        sequences : sequence of array of int, (n,)
            The same texts as token ids.
        """
        symbols, lengths = self._symbols(texts, sequences)
        return _windows(symbols, lengths, 0, len(symbols), self.longest)

    def pieces(
        self, texts: Sequence[str], sequences: Sequence[Ids]
    ) -> Iterator[tuple[NgramOccurrences, int]]:
        """Yield the same piece by piece, so that a long text takes no more memory than many short ones.

        Yields
        ------
        windows : NgramOccurrences
        seen : int
            How many of its first symbols have been in the piece before, and stand there to be looked back at.
        """
        symbols, lengths = self._symbols(texts, sequences)
        for start in range(0, max(1, len(symbols)), _SYMBOLS_AT_A_TIME):
            seen = min(start, self.longest)
            yield _windows(symbols, lengths, start - seen, start + _SYMBOLS_AT_A_TIME, self.longest), seen

    def _symbols(self, texts: Sequence[str], sequences: Sequence[Ids]) -> tuple[Keys, Indices]:
        """Return the symbols of all texts, (m,), and how many each text has, (n,)."""
        if self.symbols == "subword":
            lengths = [len(sequence) for sequence in sequences]
            symbols = np.concatenate([np.zeros(0, np.int64), *sequences]).astype(np.uint64)
        elif self.symbols == "character":
            spaced = [f" {' '.join(text.split())} " for text in texts]
            lengths = [len(text) for text in spaced]
            symbols = _code_points("".join(spaced)).astype(np.uint64)
        else:
            lengths, symbols = _word_symbols(texts)
        return symbols, np.array(lengths, dtype=np.intp)

    def words(self, texts: Sequence[str], word_of_token: Sequence[Indices]) -> Indices:
        """Return which whitespace-delimited word of its text each symbol of `windows` belongs to, (m,).

        White space belongs to the word after it, the beginning of text to the first word, and the end of text
        has the number of words.

        Parameters
        ----------
        texts : sequence of str, (n,)
        word_of_token : sequence of ndarray of int, (n,)
            The same for each text's tokens, without beginning and end of text.
        """
        found: list[npt.ArrayLike] = []
        for text, tokens in zip(texts, word_of_token, strict=True):
            words = text.split()
            if self.symbols == "subword":
                found.append([0, *tokens, len(words)])
            elif self.symbols == "character":
                symbols = [*(1 + len(word) for word in words), 1 if words else 2]
                found.append(np.repeat(np.arange(len(words) + 1), symbols))
            else:
                found.append(np.repeat(np.arange(len(words)), _word_symbols(words)[0]))
        return np.concatenate([np.zeros(0, np.intp), *found]).astype(np.intp)


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _word_symbols(texts: Sequence[str]) -> tuple[list[int], Keys]:
    """Return how many words each text has, and one hash a word."""
    lengths, hashes = [], [np.zeros(0, np.uint64)]
    words: list[str] = []
    waiting = 0  # characters of words without a hash
    for text in texts:
        lengths.append(0)
        for _, part in parts_of(text):
            found = _WORD.findall(_composed(part).lower())
            lengths[-1] += len(found)
            words += found
            waiting += len(part)
            if waiting >= _SYMBOLS_AT_A_TIME:
                hashes.append(_hashes(words))
                words, waiting = [], 0
    return lengths, np.concatenate([*hashes, _hashes(words)])


def _composed(text: str) -> str:
    """Return the text with each letter and its marks as one character, where there is one (NFC)."""
    if text.isascii():
        return text
    return str(_NFC.normalize_str(encodable(text)))


def _hashes(words: Sequence[str]) -> Keys:
    lengths = np.array([len(word) for word in words], dtype=np.intp)
    if not len(lengths):
        return np.zeros(0, np.uint64)
    points = _code_points("".join(words)).astype(np.uint64)
    starts = np.cumsum(lengths) - lengths
    powers = np.cumprod(np.full(lengths.max(), _GOLDEN))  # modulo 2**64, as all arithmetic here
    sums = np.add.reduceat(_mix(points) * powers[places_within(lengths)], starts)
    return _mix(sums)


def _windows(symbols: Keys, lengths: Indices, start: int, end: int, longest: int) -> NgramOccurrences:
    """Return the windows of the symbols from `start` to before `end`."""
    if start == 0 and end >= len(symbols):
        owner, place = np.repeat(np.arange(len(lengths)), lengths), places_within(lengths)
    else:
        at, ends = np.arange(start, min(end, len(symbols))), np.cumsum(lengths)
        owner = np.searchsorted(ends, at, side="right")
        place = at - (ends - lengths)[owner]
    symbols = symbols[start:end]
    keys = np.zeros((longest, len(symbols)), dtype=np.uint64)
    keys[0] = _mix(symbols + _GOLDEN)
    for size in range(2, longest + 1):
        whole = np.flatnonzero(place[size - 1 :] >= size - 1) + (size - 1)
        keys[size - 1, whole] = _mix(keys[size - 2, whole - 1] * _GOLDEN + symbols[whole])
    return NgramOccurrences(owner, place, keys)


def _mix(values: Keys) -> Keys:
    """Return a bijective scramble of 64-bit integers (the finaliser of splitmix64, Steele et al. 2014)."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
