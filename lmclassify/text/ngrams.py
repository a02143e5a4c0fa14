"""N-grams of characters, subwords or words as 64-bit keys, extracted by vectorised numpy.

A key is a hash of the n-gram's symbols and its length. Among a million n-grams the chance that any two
share a key is below 1 in 10 million. An n-gram belongs to the text position where it ends.

Shapes: n texts, m symbols in all texts together, N the longest n-gram in symbols.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from tokenizers import normalizers

from lmclassify.text.parts import MAX_PART, split_long_text
from lmclassify.text.scripts import UNSPACED
from lmclassify.text.sequences import Ids, positions_within
from lmclassify.text.tokenizer import encodable
from lmclassify.text.words import GRAPHEME, Span, split

Keys = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]
Symbols = Literal["character", "subword", "word", "marked-word", "vector-word"]

CHUNK_SYMBOLS = 1 << 18
"""Symbols processed at a time by default: the n-grams of a chunk then take some tens of megabytes."""
CACHED_CHARACTERS = 1 << 20
"""Characters of the words whose symbols are kept: a hundred thousand words or so, in about 30 MB."""
MAX_LONGEST = 16
"""Longest n-gram allowed, in symbols. A saved model could otherwise ask for any amount of memory."""

_WORD = re.compile(r"\w+|[^\w\s]")
_MARKED_WORD = rf"{GRAPHEME}|(?>[\p{{L}}\p{{M}}\p{{N}}_&&[^{UNSPACED}]]+)|[^\s]"
_NFC = normalizers.NFC()  # unicodedata.normalize takes quadratic time for a run of combining marks
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class NgramOccurrences:
    """All n-grams of some texts, by the symbol at which they end."""

    text_index: Indices
    """(m,) the text of each symbol; ascending."""
    position: Indices
    """(m,) the symbol's position in its text, from 0."""
    keys: Keys
    """(N, m) row k holds the n-grams of k + 1 symbols; undefined where `complete` is False."""

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """(N, m) False where the n-gram would begin before its text."""
        complete: npt.NDArray[np.bool_] = self.position >= np.arange(len(self.keys))[:, np.newaxis]
        return complete


@dataclass(frozen=True)
class NgramAnalyzer:
    """Which n-grams to extract from a text.

    Parameters
    ----------
    symbols : {"character", "subword", "word", "marked-word", "vector-word"}
        ``character``: characters of the text, case kept, with single spaces between words and one at
        either end. ``subword``: token ids of the text's sequence, beginning and end of text included.
        ``marked-word``: lower-cased words (runs of letters, their marks and digits) and other characters; in
        scripts without spaces, grapheme clusters. ``word``: the rule of models saved by 0.7.0, which breaks
        words at combining marks and takes all letters between spaces for one word. ``vector-word``: the
        symbols of ``marked-word``, of a model that knows words by their vectors.
    longest : int
        N. N-grams of 1 to this many symbols are extracted.
    """

    symbols: Symbols
    longest: int

    def __post_init__(self) -> None:
        if self.symbols not in get_args(Symbols) or not 1 <= self.longest <= MAX_LONGEST:
            raise ValueError(f"no such n-grams: {self.symbols!r}, {self.longest!r}")

    def occurrences(self, texts: Sequence[str], sequences: Sequence[Ids]) -> NgramOccurrences:
        """Return the n-grams that end at each symbol of some texts.

        Parameters
        ----------
        texts : sequence of str, (n,)
            Not used for subwords.
        sequences : sequence of array of int, (n,)
            The same texts as token ids; only used for subwords.
        """
        symbols, lengths = self._symbols(texts, sequences)
        return _occurrences(symbols, lengths, 0, len(symbols), self.longest)

    def chunks(
        self, texts: Sequence[str], sequences: Sequence[Ids], size: int = CHUNK_SYMBOLS
    ) -> Iterator[tuple[NgramOccurrences, int]]:
        """Yield the same n-grams chunk by chunk, so that a long text takes little memory.

        Parameters
        ----------
        texts, sequences
            See `occurrences`.
        size : int
            Symbols per chunk.

        Yields
        ------
        occurrences : NgramOccurrences
        overlap : int
            How many of its first symbols are the last ones of the chunk before, repeated as context.
        """
        symbols, lengths = self._symbols(texts, sequences)
        for start in range(0, max(1, len(symbols)), size):
            overlap = min(start, self.longest)
            yield _occurrences(symbols, lengths, start - overlap, start + size, self.longest), overlap

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
            lengths, symbols = _word_symbols(texts, self._rule)
        return symbols, np.array(lengths, dtype=np.intp)

    @property
    def unit(self) -> str:
        """What a symbol is: ``word`` for both rules of words."""
        return {"marked-word": "word", "vector-word": "word vector"}.get(self.symbols, self.symbols)

    @property
    def _rule(self) -> Symbols:
        """The rule by which an analyzer of words splits a text."""
        return "word" if self.symbols == "word" else "marked-word"

    def words_of_texts(self, texts: Iterable[str]) -> list[str]:
        """Return the symbols of an analyzer of words as text, each once."""
        pieces = [*dict.fromkeys(chain.from_iterable(text.split() for text in texts))]
        return [*dict.fromkeys(chain.from_iterable(_split_words(pieces, self._rule)))]

    def keys_of_words(self, words: Sequence[str]) -> tuple[Keys, npt.NDArray[np.bool_]]:
        """Return the keys of words, and which words are one symbol, (words,) each."""
        found = self.occurrences(words, [])
        single = np.bincount(found.text_index, minlength=len(words)) == 1
        first = np.searchsorted(found.text_index, np.arange(len(words)))
        return found.keys[0][np.minimum(first, max(0, len(found.text_index) - 1))], single

    def words(
        self, texts: Sequence[str], words: Sequence[Sequence[Span]], tokens: Sequence[Indices]
    ) -> tuple[Indices, Indices]:
        """Return the first and the last word that each symbol of `occurrences` belongs to, (m,) each.

        White space belongs to the word after it and the beginning of text to the first word. The end of text
        gets an index of its own, the number of words.

        Parameters
        ----------
        texts : sequence of str, (n,)
        words : sequence of sequence of (int, int), (n,)
            Start and end of each word, as `lmclassify.text.words.words_of` returns them.
        tokens : sequence of ndarray of int, (n,)
            Start and end of each token of the text, (tokens, 2), without beginning and end of text; only used
            for subwords.
        """
        first, last = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
        for number, (text, spans) in enumerate(zip(texts, words, strict=True)):
            if self.symbols == "subword":
                begin, end = words_of_spans(spans, tokens[number])
                begin, end = (np.array([0, *found, len(spans)]) for found in (begin, end))
            elif self.symbols == "character":
                lengths = [end - start + _begins(text, start) for start, end in spans]
                begin = end = np.repeat(np.arange(len(spans) + 1), [*lengths, 1 if spans else 2])
            else:
                begin, end = self._words_of_symbols(text, spans)
            first.append(begin)
            last.append(end)
        return np.concatenate(first).astype(np.intp), np.concatenate(last).astype(np.intp)

    def symbols_of_words(self, pieces: Sequence[str]) -> list[int]:
        """Return how many symbols of an analyzer of words each whitespace-delimited piece of text has."""
        known = _known_words([pieces], self._rule)
        return [len(known[piece]) for piece in pieces]

    def _words_of_symbols(self, text: str, spans: Sequence[Span]) -> tuple[Indices, Indices]:
        """Return the first and the last word of each symbol of an analyzer of words."""
        pieces = text.split()
        known = _known_words([pieces], self._rule)
        begins = np.flatnonzero([_begins(text, start) for start, _ in spans])
        counts = np.diff(np.append(begins, len(spans)))
        if (counts == 1).all():
            index = np.repeat(np.arange(len(spans)), self.symbols_of_words(pieces))
            return index, index
        first, last = [], []
        for piece, begin, words in zip(pieces, begins.tolist(), counts.tolist(), strict=True):
            if words == 1:
                found = np.zeros(len(known[piece]), np.intp), np.zeros(len(known[piece]), np.intp)
            else:
                ends = np.cumsum(
                    [len("".join(_parts(text[start:end]))) for start, end in spans[begin : begin + words]]
                )
                found = words_of_spans(
                    [*zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)],
                    np.array([*_symbol_spans(piece, self._rule)]).reshape(-1, 2),
                )
            first.append(begin + found[0])
            last.append(begin + found[1])
        none = [np.zeros(0, np.intp)]
        return np.concatenate(none + first), np.concatenate(none + last)


def words_of_spans(words: Sequence[Span], spans: Indices) -> tuple[Indices, Indices]:
    """Return the first and the last word that each span, (m, 2), shares characters with, (m,) each."""
    if not len(words):
        return np.zeros(len(spans), np.intp), np.zeros(len(spans), np.intp)
    ends = np.array(words, dtype=np.intp).reshape(-1, 2)[:, 1]
    # The end of a token determines its last word: its last character is never white space, unlike its first.
    last = np.minimum(np.searchsorted(ends, spans[:, 1], side="left"), len(words) - 1)
    return np.minimum(np.searchsorted(ends, spans[:, 0], side="right"), last), last


def _begins(text: str, start: int) -> bool:
    """Return whether a word that starts here is the first after white space."""
    return start == 0 or text[start - 1].isspace()


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _word_symbols(texts: Sequence[str], rule: Symbols) -> tuple[list[int], Keys]:
    """Return how many symbols each text has, and the symbols: hashes of lower-cased words."""
    symbols = [np.zeros(0, np.uint64)]
    first = characters = 0
    for number, text in enumerate(texts, 1):
        characters += len(text)
        if characters >= CHUNK_SYMBOLS or number == len(texts):
            words = [text.split() for text in texts[first:number]]
            known = _known_words(words, rule)
            for found in words:
                symbols.append(np.array([*chain.from_iterable(map(known.__getitem__, found))], np.uint64))
            first, characters = number, 0
    return [len(found) for found in symbols[1:]], np.concatenate(symbols)


_cache: dict[Symbols, tuple[dict[str, list[int]], int]] = {}
"""By rule: the symbols of whitespace-delimited words, and how many characters these have."""


def _known_words(words: Iterable[Sequence[str]], rule: Symbols) -> dict[str, list[int]]:
    """Return the symbols of at least these whitespace-delimited words: no symbol spans white space."""
    known, characters = _cache.get(rule, ({}, 0))
    missing = list(set().union(*words).difference(known))
    characters += sum(map(len, missing))
    if characters > CACHED_CHARACTERS:  # a new dictionary, as another thread may read the old one
        known, missing = {}, list(set().union(*words))
        characters = sum(map(len, missing))
    parts = _split_words(missing, rule)
    hashes = iter(_hashes([*chain.from_iterable(parts)]).tolist())
    known.update(zip(missing, ([*islice(hashes, len(part))] for part in parts), strict=True))
    _cache[rule] = (known, characters) if characters <= CACHED_CHARACTERS else ({}, 0)
    return known


def _split_words(words: Sequence[str], rule: Symbols) -> list[list[str]]:
    """Return the symbols of each whitespace-delimited word as text, composed and in lower case."""
    if not words:
        return []
    plain = [len(word) <= MAX_PART and (rule == "word" or word.isascii()) for word in words]
    joined = "\n".join(word if is_plain else "" for word, is_plain in zip(words, plain, strict=True))
    result = [_WORD.findall(word) for word in _composed(joined).lower().split("\n")]  # faster at once
    for index, is_plain in enumerate(plain):
        if not is_plain:
            result[index] = _symbol_texts(words[index], rule)
    return result


def _symbol_texts(word: str, rule: Symbols) -> list[str]:
    """Return the symbols of a whitespace-delimited word as text."""
    if rule == "word" or word.isascii():  # the rules differ in marks and scripts without spaces only
        return [*chain.from_iterable(map(_WORD.findall, _parts(word)))]
    whole = "".join(_parts(word))
    return [whole[start:end] for start, end in split(_MARKED_WORD, whole)]


def _symbol_spans(word: str, rule: Symbols) -> Iterator[Span]:
    """Yield start and end of each symbol in a whitespace-delimited word, composed and in lower case."""
    if rule == "marked-word":
        yield from split(_MARKED_WORD, "".join(_parts(word)))
        return
    offset = 0
    for part in _parts(word):
        yield from ((offset + found.start(), offset + found.end()) for found in _WORD.finditer(part))
        offset += len(part)


def _parts(text: str) -> Iterator[str]:
    """Yield a text's parts, composed and in lower case."""
    parts = [text] if len(text) <= MAX_PART else (part for _, part in split_long_text(text))
    return (_composed(part).lower() for part in parts)


def _composed(text: str) -> str:
    """Return the text in Unicode normal form C: letters and marks combined where possible."""
    if text.isascii():
        return text
    return str(_NFC.normalize_str(encodable(text)))


def _hashes(words: Sequence[str]) -> Keys:
    if not words:
        return np.zeros(0, np.uint64)
    index = {word: number for number, word in enumerate(dict.fromkeys(words))}  # most words are repeated
    lengths = np.fromiter(map(len, index), np.intp, len(index))
    points = _code_points("".join(index)).astype(np.uint64)
    starts = np.cumsum(lengths) - lengths
    powers = np.cumprod(np.full(lengths.max(), _GOLDEN))  # modulo 2**64, as all arithmetic here
    sums = np.add.reduceat(_mix(points) * powers[positions_within(lengths)], starts)
    return _mix(sums)[np.fromiter(map(index.__getitem__, words), np.intp, len(words))]


def _occurrences(symbols: Keys, lengths: Indices, start: int, end: int, longest: int) -> NgramOccurrences:
    """Return the n-grams of the symbols from `start` to before `end`."""
    if start == 0 and end >= len(symbols):
        text_index, position = np.repeat(np.arange(len(lengths)), lengths), positions_within(lengths)
    else:
        chosen, ends = np.arange(start, min(end, len(symbols))), np.cumsum(lengths)
        text_index = np.searchsorted(ends, chosen, side="right")
        position = chosen - (ends - lengths)[text_index]
    symbols = symbols[start:end]
    keys = np.zeros((longest, len(symbols)), dtype=np.uint64)
    keys[0] = _mix(symbols + _GOLDEN)
    for shorter, longer in pairwise(keys):
        longer[1:] = _mix(shorter[:-1] * _GOLDEN + symbols[1:])
    return NgramOccurrences(text_index, position, keys)


def _mix(values: Keys) -> Keys:
    """Return a bijective scramble of 64-bit integers (the finaliser of splitmix64, Steele et al. 2014)."""
    values = values ^ (values >> np.uint64(30))
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
