"""Tokenizers, trained on texts and stored as plain JSON.

There are three kinds, all run by Hugging Face ``tokenizers``:

``word``
    Words and punctuation. The most frequent ones are kept; all others are the unknown token.
``subword``
    Byte-pair encoding (Sennrich et al. 2016) within words, with byte fallback: nothing is unknown.
``char``
    Characters, with byte fallback.

Ids: 0 is padding, then the trained tokens from 1, then 256 bytes (``subword``, ``char``) or the unknown token
(``word``), then beginning-of-text and end-of-text. No text can contain a special token.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers

from lmclassify.errors import ModelError, OptionError
from lmclassify.text.parts import split_long_text
from lmclassify.text.scripts import needs_space
from lmclassify.text.sequences import PADDING_ID, Ids

TokenizerKind = Literal["word", "subword", "char"]

MAX_TOKENS = 250_000
"""Limit of trained tokens, as in `lmclassify.classify.settings`; bounds the memory for reading a model."""

_SPACE = "▁"  # marks the beginning of a word in tokens of kinds subword and char
MIN_PAIRS = 10
"""How often two subwords must meet to be merged. With fewer, a model memorizes small training sets."""
MAX_ENCODED = 1 << 18
"""Characters encoded at once; longer texts are split, as encoding takes many times the text's memory."""
WORDS_PER_BATCH = 10_000
"""Words encoded at once: the engine's result for each takes more than a kilobyte."""
CACHED_CHARACTERS = 1 << 20
"""Characters of the words whose tokens are kept: a hundred thousand words or so, in about 40 MB."""
MAX_BPE_CHARACTERS = 1 << 20
"""With more text, subwords are trained on every n-th text: the others change little and take seconds."""

_LONG_WORD = re.compile(r"\S{1000}")  # split for training, which takes quadratic time for a word
_PADDING, _UNKNOWN, _BEGIN, _END = "<padding>", "<unknown>", "<begin>", "<end>"
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]  # names that the engine's byte fallback expects
_WHITESPACE = r"[\s\x1c-\x1f\x85]+"  # as str.split()
_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}"
# Without backtracking, as a word of a million characters would exceed the engine's limit for it.
_WORDS = (
    rf"[{_CJK}](?>\p{{M}}*)"  # scripts without spaces: each character is a word
    rf"|(?>[\p{{L}}\p{{M}}\p{{N}}_&&[^{_CJK}]]+)(?:['’](?>\p{{L}}+)){{0,100}}"
    r"|([^\s\p{L}\p{M}\p{N}_])\1{0,9999}"  # punctuation and symbols: runs of the same character
)
_PIECES = rf"{_SPACE}?[\p{{L}}\p{{M}}]+|{_SPACE}?\p{{N}}+|{_SPACE}?[^\p{{L}}\p{{M}}\p{{N}}{_SPACE}]+"


class Tokenizer:
    """Converts text to token ids and back. Created by `train` or `from_json`.

    Attributes
    ----------
    kind : {"word", "subword", "char"}
    lowercase : bool
        Whether text is lower-cased.
    vocab_size : int
        V, number of ids, special tokens and padding included.
    begin_id, end_id : int
        Beginning-of-text and end-of-text.
    unknown_id : int or None
        The unknown token, for kind ``word``.
    max_encoded : int
        Longer texts are encoded in parts of about this number of characters.
    """

    def __init__(
        self, kind: TokenizerKind, tokens: Sequence[str], merges: Sequence[tuple[str, str]], lowercase: bool
    ) -> None:
        fallback = [_UNKNOWN] if kind == "word" else _BYTES
        self.kind = kind
        self.lowercase = lowercase
        self.tokens = list(tokens)
        self.merges = list(merges)
        names = [_PADDING, *self.tokens, *fallback, _BEGIN, _END]
        vocabulary = {name: index for index, name in enumerate(names)}
        if len(vocabulary) != len(names):
            raise ValueError("a token is repeated in the vocabulary")
        self.vocab_size = len(names)
        self.begin_id = vocabulary[_BEGIN]
        self.end_id = vocabulary[_END]
        self.unknown_id = vocabulary.get(_UNKNOWN)
        self.max_encoded = MAX_ENCODED
        self._names = names
        self._known_words: tuple[dict[str, list[int]], int] = {}, 0  # their tokens, and their characters
        self._engine = _engine(kind, lowercase)
        if kind == "word":
            self._engine.model = models.WordLevel(vocabulary, unk_token=_UNKNOWN)
        else:
            self._engine.model = models.BPE(vocabulary, self.merges, byte_fallback=True)

    @classmethod
    def train(
        cls, kind: TokenizerKind, texts: Sequence[str], vocab_size: int, *, lowercase: bool = False
    ) -> Tokenizer:
        """Train a tokenizer on texts.

        Raises OptionError if `kind` is invalid.

        Parameters
        ----------
        kind : {"word", "subword", "char"}
        texts : sequence of str
            Training texts only: validation and test texts must not influence the vocabulary.
        vocab_size : int
            Maximum number of words, subwords or characters; bytes and special tokens are added. Words and
            characters that occur only once are left to the unknown token or to bytes, so that these have
            training examples. Two subwords are merged if they meet at least `MIN_PAIRS` times.
        lowercase : bool, default=False
            Lower-case all text.
        """
        if kind not in get_args(TokenizerKind):
            raise OptionError(f"tokenizer must be one of {', '.join(get_args(TokenizerKind))}, not {kind!r}")
        engine = _engine(kind, lowercase)
        words: Counter[str] = Counter()
        for text in texts:
            words.update(encodable(text).split())
        if kind == "word":
            counts: Counter[str] = Counter()
            for word, count in words.items():
                for token, _ in engine.pre_tokenizer.pre_tokenize_str(engine.normalizer.normalize_str(word)):
                    counts[token] += count
            return cls(kind, _most_frequent(counts, vocab_size), [], lowercase)
        characters = Counter({_SPACE: words.total() + 2})
        for word, count in words.items():
            for character in engine.normalizer.normalize_str(word):
                characters[character] += count
        alphabet = _most_frequent(characters, vocab_size)
        if kind == "char":
            return cls(kind, alphabet, [], lowercase)
        rare = str.maketrans(dict.fromkeys(set(characters) - set(alphabet)))
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size, min_frequency=MIN_PAIRS, initial_alphabet=[_SPACE], show_progress=False
        )
        engine.model = models.BPE()
        step = math.ceil(sum(map(len, texts)) / MAX_BPE_CHARACTERS)
        normalized = [engine.normalizer.normalize_str(encodable(text)) for text in texts[:: max(1, step)]]
        engine.train_from_iterator(
            (_LONG_WORD.sub(r"\g<0> ", text.translate(rare)) for text in normalized), trainer
        )
        trained = json.loads(engine.to_str())["model"]
        merges = [(left, right) for left, right in trained["merges"]]
        return cls(kind, list(trained["vocab"]), merges, lowercase)

    def sequences(self, texts: Sequence[str]) -> list[Ids]:
        """Return the sequence (beginning-of-text, tokens, end-of-text) of each text.

        No token spans white space, so each word is encoded once and then looked up.
        """
        result = []
        first = characters = 0
        for number, text in enumerate(texts, 1):
            characters += len(text)
            if characters >= CACHED_CHARACTERS or number == len(texts):
                words = [encodable(text).split() for text in texts[first:number]]
                known = self._encoded(words)
                result += [
                    np.array(
                        [self.begin_id, *chain.from_iterable(map(known.__getitem__, found)), self.end_id],
                        dtype=np.int64,
                    )
                    for found in words
                ]
                first, characters = number, 0
        return result

    def _encoded(self, words: Iterable[Iterable[str]]) -> dict[str, list[int]]:
        """Return the tokens of at least these words."""
        known, characters = self._known_words
        missing = list(set().union(*words).difference(known))
        characters += sum(map(len, missing))
        if characters > CACHED_CHARACTERS:  # a new dictionary, as another thread may read the old one
            known, missing = {}, list(set().union(*words))
            characters = sum(map(len, missing))
        for first in range(0, len(missing), WORDS_PER_BATCH):
            batch = missing[first : first + WORDS_PER_BATCH]
            short = [word if len(word) <= self.max_encoded else "" for word in batch]
            encodings = self._engine.encode_batch_fast(short, add_special_tokens=False)
            for word, encoding in zip(batch, encodings, strict=True):
                known[word] = encoding.ids if len(word) <= self.max_encoded else self._long_word(word)
        self._known_words = (known, characters) if characters <= CACHED_CHARACTERS else ({}, 0)
        return known

    def _long_word(self, word: str) -> list[int]:
        parts = split_long_text(word, self.max_encoded)
        return [
            token for _, part in parts for token in self._engine.encode(part, add_special_tokens=False).ids
        ]

    def offsets(self, text: str) -> npt.NDArray[np.intp]:
        """Return the position of each token in a text.

        Returns
        -------
        ndarray of int, (tokens, 2)
            Start and end as indices into `text`, one row for each id of its sequence except the first and
            last. White space around a token is not included. Tokens that are bytes of one character all have
            that character's position.
        """
        spans = [
            (offset + start, offset + end)
            for offset, part in split_long_text(encodable(text), self.max_encoded)
            for start, end in self._engine.encode(part, add_special_tokens=False).offsets
        ]
        result: list[tuple[int, int]] = []
        following: tuple[int, int] = (len(text), len(text))
        for start, end in reversed(spans):
            if (start, end) == following:  # bytes of one character
                result.append(result[-1])
                continue
            last = end
            while last < following[0] and not text[last].isspace():
                last += 1  # a combining mark that normalization has merged
            result.append((end - len(text[start:end].lstrip()), last))
            following = (start, end)
        return np.array(result[::-1], dtype=np.intp).reshape(-1, 2)

    def words(self, text: str) -> tuple[list[tuple[int, int]], npt.NDArray[np.intp]]:
        """Return the words of a text and the word that each of its tokens belongs to.

        Returns
        -------
        spans : list of (int, int)
            Start and end of each whitespace-delimited piece of `text`.
        word_of_token : ndarray of int, (tokens,)
            Index into `spans`.
        """
        spans = [match.span() for match in re.finditer(r"\S+", text)]
        ends = [end for _, end in spans]
        # The end of a token determines its word: its last character is never white space, unlike its first.
        return spans, np.searchsorted(ends, self.offsets(text)[:, 1], side="left")

    def parts(self, token_id: int, most: int) -> list[int]:
        """Return how many characters the parts of a token have that its last merges join.

        Parts of at most `most` characters are not split further.
        """
        result = []
        pending = [self._names[token_id].removeprefix(_SPACE)]
        while pending:
            part = pending.pop()
            pair = self._merged_from.get(part) if len(part) > most else None
            if pair is None:
                result.append(len(part))
            else:
                pending += reversed([piece for piece in pair if piece])
        return result

    @cached_property
    def _merged_from(self) -> dict[str, tuple[str, str]]:
        """The two parts of each merged token, without the mark of a word's beginning."""
        return {
            (left + right).removeprefix(_SPACE): (left.removeprefix(_SPACE), right)
            for left, right in reversed(self.merges)
        }

    def token_bytes(self, token_id: int) -> bytes:
        """Return the UTF-8 bytes of a token, without the mark of a word's beginning."""
        if self._first_byte <= token_id < self._first_byte + 256:
            return bytes([token_id - self._first_byte])
        if not 0 < token_id <= len(self.tokens):
            return b""
        return self._names[token_id].replace(_SPACE, "").encode()

    @cached_property
    def byte_of(self) -> npt.NDArray[np.int64]:
        """(V,) the byte that each token stands for, -1 for tokens that are not a byte."""
        result = np.full(self.vocab_size, -1, dtype=np.int64)
        if self.kind != "word":
            result[self._first_byte : self._first_byte + 256] = np.arange(256)
        return result

    def decode(self, ids: Iterable[int], after: str = "") -> str:
        """Return the text of some tokens.

        Kind ``word`` does not store spaces; the usual ones are inserted between words and punctuation.
        Special tokens have no text. Bytes that are not part of a character are left out.

        Parameters
        ----------
        after : str, default=""
            The beginning of the text, which the tokens continue.

        Returns
        -------
        str
            `after` and the text of the tokens; valid in UTF-8.
        """
        if self.kind == "word":
            for token in ids:
                word = self.token_bytes(token).decode()
                after += f" {word}" if word and needs_space(after, word) else word
            return after
        content = b"".join(
            (b" " if self.starts_word[token] else b"") + self.token_bytes(token) for token in ids
        )
        text = content.decode(errors="ignore")
        return f"{after}{' ' if after and text[:1].isspace() else ''}{' '.join(text.split())}"

    @cached_property
    def starts_word(self) -> npt.NDArray[np.bool_]:
        """(V,) True for tokens that begin a word; all tokens of kind ``word``."""
        starts = np.zeros(self.vocab_size, dtype=bool)
        ids = range(1, len(self.tokens) + 1)
        starts[1 : len(self.tokens) + 1] = [
            self.kind == "word" or self._names[token_id].startswith(_SPACE) for token_id in ids
        ]
        return starts

    @property
    def _first_byte(self) -> int:
        return self.vocab_size if self.kind == "word" else len(self.tokens) + 1

    def to_json(self) -> str:
        """Return the tokenizer as JSON; see `from_json`."""
        content = {
            "lmclassify": "tokenizer",
            "kind": self.kind,
            "lowercase": self.lowercase,
            "tokens": self.tokens,
            "merges": [list(pair) for pair in self.merges],
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Return the tokenizer that `to_json` serialized.

        Raises ModelError if the text is not the JSON of a tokenizer.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            kind, tokens, merges = content["kind"], content["tokens"], content["merges"]
            if set(content) != {"lmclassify", "kind", "lowercase", "tokens", "merges"}:
                raise ValueError("unexpected entries")
            if kind not in get_args(TokenizerKind) or not isinstance(content["lowercase"], bool):
                raise ValueError("unknown kind of tokenizer")
            if not isinstance(tokens, list) or not isinstance(merges, list) or not all(tokens):
                raise ValueError("a token that is not text")
            if max(len(tokens), len(merges)) > MAX_TOKENS:
                raise ValueError("too many tokens")
            if not set(map(type, merges)) <= {list} or not set(map(len, merges)) <= {2}:
                raise ValueError("a merge that is not a pair of tokens")
            "".join([*tokens, *chain.from_iterable(merges)]).encode()  # raises if one is not text
            return cls(kind, tokens, [(left, right) for left, right in merges], content["lowercase"])
        except Exception as error:  # tokenizers raises bare Exception for bad merges
            raise ModelError(f"not a tokenizer of lmclassify: {error}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return Tokenizer.from_json, (self.to_json(),)


def _engine(kind: TokenizerKind, lowercase: bool) -> tokenizers.Tokenizer:
    """Return the steps before the vocabulary. They follow from the kind, so they are not stored."""
    steps: list[Any] = [normalizers.NFC()]
    if lowercase:
        steps.append(normalizers.Lowercase())
    if kind != "word":
        steps.append(normalizers.Replace(_SPACE, "_"))  # reserved as the mark
    steps += [normalizers.Replace(Regex(_WHITESPACE), " "), normalizers.Strip()]
    splits: list[Any]
    if kind == "word":
        splits = [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
        ]
    else:
        splits = [pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always", split=True)]
        if kind == "subword":
            splits.append(pre_tokenizers.Split(Regex(_PIECES), "isolated"))
    engine = tokenizers.Tokenizer(models.BPE())
    engine.normalizer = normalizers.Sequence(steps)
    engine.pre_tokenizer = pre_tokenizers.Sequence(splits)
    return engine


def _most_frequent(counts: Counter[str], limit: int) -> list[str]:
    """Return the items that occur more than once, most frequent first, ties in alphabetical order."""
    repeated = [item for item in counts if counts[item] > 1]
    return sorted(repeated, key=lambda item: (-counts[item], item))[:limit]


def encodable(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by U+FFFD.

    >>> encodable("a\\ud800b")
    'a\ufffdb'
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", "\ufffd", text)
    return text


assert PADDING_ID == 0, "the vocabulary begins with padding"
