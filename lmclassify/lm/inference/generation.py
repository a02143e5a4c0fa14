"""Next words from a mixture of language models, and texts sampled from one language model (numpy).

Shapes: M models, B partial words or texts, V vocabulary.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lmclassify.errors import OptionError
from lmclassify.lm.inference.interpolation import NextTokenModel, take
from lmclassify.text.scripts import is_unspaced
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer

Mask = npt.NDArray[np.bool_]

_LIKE_MARKS = (
    "\u0e33\u0eb3\u200c\u200d"  # vowel signs of Thai and Lao, and joiners, which belong to a letter too
)
MAX_WORD_TOKENS = 40
"""Longest word suggested, in tokens; bounds the beam search. Hardly any word has more."""
SAMPLED_TOGETHER = 256
"""Texts sampled in one batch; bounds the memory of their states."""


def next_words(
    models: Sequence[NextTokenModel],
    log_weights: npt.ArrayLike,
    tokenizer: Tokenizer,
    prefix: Ids,
    n: int,
    *,
    unfinished: Unfinished | None = None,
    beam_width: int | None = None,
) -> list[tuple[str, float]]:
    """Return the most probable next words, by beam search over their tokens.

    A word's probability is that of its tokens followed by a word boundary (a token that begins a word, or
    end-of-text). In scripts without spaces a word is a token with the marks that follow it. Probabilities of
    different tokenizations of the same word are added.

    Parameters
    ----------
    models : sequence of NextTokenModel
        M models over one vocabulary.
    log_weights : array_like of float, (M,)
        Log-weight of each model given the prefix; the weights sum to 1.
    prefix : ndarray of int
        Beginning-of-text and the tokens so far.
    n : int
        Maximum number of words.
    unfinished : Unfinished, optional
        The end of the text so far, which the first word continues.
    beam_width : int, optional
        Partial words kept at each step; by default the maximum of 64 and 4 `n`.

    Returns
    -------
    list of (str, float)
        Words with probabilities, most probable first. The unknown token is not a word.
    """
    beam_width = beam_width or max(64, 4 * n)
    following = _word_boundaries(tokenizer)
    states, next_log_probs = [], []
    for model in models:
        log_probs, state = model.read(prefix[np.newaxis])
        states.append(state)
        next_log_probs.append(log_probs)
    joint = np.asarray(log_weights, dtype=np.float64)[:, np.newaxis]  # (M, B) log p(model, partial word)
    words = [b""]
    allowed = following.first(unfinished)[np.newaxis]
    finished: dict[bytes, float] = {}
    begun = b"" if unfinished is None else unfinished.content
    covered = 0.0 if begun else 1.0  # the probability of all tokenizations of the unfinished end
    for _ in range(MAX_WORD_TOKENS):
        if not allowed.any():  # every token is a whole word
            break
        extended = joint[:, :, np.newaxis] + np.stack(next_log_probs)  # (M, B, V)
        scores = np.logaddexp.reduce(extended, axis=0)
        scores[~np.broadcast_to(allowed, scores.shape)] = -np.inf
        best = np.argsort(-scores, axis=None, kind="stable")[:beam_width]
        best = best[scores.ravel()[best] > _worst_needed(finished, n)]
        if not len(best):
            break
        parents, tokens = np.unravel_index(best, scores.shape)
        was_covered = [len(words[parent]) >= len(begun) for parent in parents]
        words = [
            words[parent] + tokenizer.token_bytes(int(token))
            for parent, token in zip(parents, tokens, strict=True)
        ]
        joint = extended[:, parents, tokens]
        for word, before, log_prob in zip(words, was_covered, scores.ravel()[best].tolist(), strict=True):
            covered += 0.0 if before or len(word) < len(begun) else math.exp(log_prob)
        allowed, boundary = following.after(words, begun)
        next_log_probs = []
        for number, model in enumerate(models):
            log_probs, states[number] = model.read(tokens[:, np.newaxis], take(states[number], parents))
            next_log_probs.append(log_probs)
        ends = np.logaddexp.reduce(np.where(boundary, np.stack(next_log_probs), -np.inf), axis=2)
        for word, log_prob in zip(words, np.logaddexp.reduce(joint + ends, axis=0), strict=True):
            word = word[len(begun) :]
            if word and _is_utf8(word):
                finished[word] = finished.get(word, 0.0) + float(np.exp(log_prob))
    ranked = sorted(finished.items(), key=lambda item: (-item[1], item[0]))
    return [(word.decode(), probability / covered) for word, probability in ranked[:n]]


@dataclass(frozen=True)
class Unfinished:
    """The end of a text in a script without spaces: with what follows, it may have other tokens."""

    content: bytes
    begins_word: bool
    """Whether its first token begins a word."""


@lru_cache(maxsize=2)
def _word_boundaries(tokenizer: Tokenizer) -> _WordBoundaries:
    return _WordBoundaries(tokenizer)


class _WordBoundaries:
    """Which tokens continue a word, and which show that it is complete."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._starts = tokenizer.starts_word
        self._ends = tokenizer.starts_word.copy()
        self._ends[tokenizer.end_id] = True
        if tokenizer.unknown_id is not None:
            self._ends[tokenizer.unknown_id] = True
        self._within = ~self._ends
        self._within[[0, tokenizer.begin_id]] = False
        self._bytes = [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
        self._unspaced, self._marks = np.zeros((2, tokenizer.vocab_size), dtype=bool)
        for token in np.flatnonzero(self._within & (tokenizer.byte_of < 0)).tolist():
            first = self._bytes[token].decode()[:1]
            self._marks[token] = bool(first) and (
                unicodedata.category(first) in ("Mn", "Mc") or first in _LIKE_MARKS
            )
            self._unspaced[token] = is_unspaced(first) and not self._marks[token]

    def first(self, unfinished: Unfinished | None) -> Mask:
        """Return the tokens that may begin the next word, or the unfinished end of the text, (V,)."""
        if unfinished is None:
            return self._starts
        first = self._starts if unfinished.begins_word else self._within
        return first & self.matching(unfinished.content)

    def matching(self, rest: bytes) -> Mask:
        """Return the tokens that begin with some bytes or are the beginning of them, (V,)."""
        return np.array([rest.startswith(own) or own.startswith(rest) for own in self._bytes], dtype=bool)

    def after(self, words: Sequence[bytes], begun: bytes) -> tuple[Mask, Mask]:
        """Return the tokens that may continue each word, and those that end it, (B, V) each.

        `begun` is the unfinished end of the text, with which words begin.
        """
        allowed, boundary = np.tile(self._within, (len(words), 1)), np.tile(self._ends, (len(words), 1))
        matching: dict[int, Mask] = {}
        for row, whole in enumerate(words):
            word, covered = whole[len(begun) :], len(whole)
            if begun and not word:
                if covered not in matching:
                    matching[covered] = self.matching(begun[covered:])
                boundary[row] = False
                allowed[row] &= matching[covered]
            elif is_unspaced(word.decode(errors="ignore")[-1:]) and _is_utf8(word):
                allowed[row] = self._marks
                boundary[row] |= self._within & ~self._marks
            elif word:
                allowed[row] &= ~self._unspaced
                boundary[row] |= self._unspaced
        return allowed, boundary


def _worst_needed(finished: dict[bytes, float], n: int) -> float:
    """Return the log-probability below which partial words are dropped.

    They cannot become one of the first `n` words, nor, as another tokenization of one of these, change its
    probability by more than 1 %.
    """
    if len(finished) < n:
        return -np.inf
    return float(np.log(sorted(finished.values())[-n] / 100))


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def sample(
    model: NextTokenModel,
    tokenizer: Tokenizer,
    prefix: Ids,
    n: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    max_tokens: int = 100,
    begun: Unfinished | None = None,
    seed: int | None = None,
) -> list[list[int]]:
    """Sample texts from a language model, token by token.

    The unknown token is never sampled, nor bytes that are not UTF-8, nor (if any word is known) an empty
    text. The probabilities of the remaining tokens are renormalized. Raises OptionError if an option has an
    invalid value.

    Parameters
    ----------
    prefix : ndarray of int
        Beginning-of-text and the tokens that all texts begin with. The next token begins a word.
    n : int
        Number of texts.
    temperature : float, default=1.0
        Log-probabilities are divided by it; 0 always takes the most probable token.
    top_k : int, optional
        Sample from this number of most probable tokens only (Fan et al. 2018).
    top_p : float, optional
        Sample from the smallest set of most probable tokens whose probability reaches this value (nucleus
        sampling, Holtzman et al. 2020). Applied after `top_k`.
    max_tokens : int, default=100
        Maximum length of a text.
    begun : Unfinished, optional
        The end of the text so far, with which the tokens begin.
    seed : int, optional
        Random seed. Texts do not depend on `n`: a larger `n` adds texts. None: different texts each time.

    Returns
    -------
    list of list of int
        Tokens of n texts, without prefix and end of text.
    """
    _check(temperature, top_k, top_p, max_tokens, seed)
    generators = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]
    following = _Following(tokenizer, may_end=len(prefix) > 1, begun=begun)
    log_probs, state = model.read(prefix[np.newaxis])
    texts: list[list[int]] = []
    while len(texts) < n:
        batch = generators[len(texts) : len(texts) + SAMPLED_TOGETHER]
        written: list[list[int]] = [[] for _ in batch]
        unfinished = np.arange(len(batch))
        next_log_probs, before = log_probs, state
        rows = np.zeros(len(batch), dtype=np.intp)  # all continue the prefix
        for _ in range(max_tokens):
            scores, before = next_log_probs[rows], take(before, rows)
            scores[[~following.allowed(written[index]) for index in unfinished]] = -np.inf
            drawn = np.array([batch[index].random() for index in unfinished])
            tokens = _draw(scores, drawn, temperature, top_k, top_p)
            rows = np.flatnonzero(tokens != tokenizer.end_id)
            unfinished, tokens = unfinished[rows], tokens[rows]
            if not len(rows):
                break
            for index, token in zip(unfinished, tokens.tolist(), strict=True):
                written[index].append(token)
            next_log_probs, before = model.read(tokens[:, np.newaxis], take(before, rows))
            rows = np.arange(len(rows))
        texts += written
    return texts


def _check(
    temperature: float, top_k: int | None, top_p: float | None, max_tokens: int, seed: int | None
) -> None:
    if not 0 <= temperature < np.inf:
        raise OptionError(f"temperature must be 0 (always the likeliest token) or more, not {temperature}")
    if top_k is not None and top_k < 1:
        raise OptionError(f"top_k must be at least 1, not {top_k}; leave it out to allow all tokens")
    if top_p is not None and not 0 < top_p <= 1:
        raise OptionError(f"top_p must be above 0 and at most 1, not {top_p}; 1 allows all tokens")
    if max_tokens < 1:
        raise OptionError(f"max_tokens must be at least 1, not {max_tokens}")
    if seed is not None and seed < 0:
        raise OptionError(f"seed must be 0 or more, not {seed}")


def _draw(
    scores: npt.NDArray[np.float64],
    drawn: npt.NDArray[np.float64],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> npt.NDArray[np.intp]:
    """Return one token per row of log-probabilities (B, V), given a uniform random number per row, (B,)."""
    if temperature == 0:
        most_probable: npt.NDArray[np.intp] = scores.argmax(axis=1)
        return most_probable
    with np.errstate(over="ignore"):  # a tiny temperature gives minus infinity
        p = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    order = np.argsort(-p, axis=1, kind="stable")[:, :top_k]
    p = np.take_along_axis(p, order, axis=1)
    p /= p.sum(axis=1, keepdims=True)
    if top_p is not None and top_p < 1:
        p[np.cumsum(p, axis=1) - p >= top_p] = 0.0
    sums = np.cumsum(p, axis=1)
    ranks = (sums <= drawn[:, np.newaxis] * sums[:, -1:]).sum(axis=1)
    chosen: npt.NDArray[np.intp] = np.take_along_axis(order, ranks[:, np.newaxis], axis=1)[:, 0]
    return chosen


class _Following:
    """Which tokens may follow those of a text so that it stays UTF-8."""

    def __init__(self, tokenizer: Tokenizer, may_end: bool, begun: Unfinished | None) -> None:
        self._byte_of = tokenizer.byte_of
        whole = np.ones(tokenizer.vocab_size, dtype=bool)
        whole[[0, tokenizer.begin_id]] = False
        if tokenizer.unknown_id is not None:
            whole[tokenizer.unknown_id] = False
        alone = (self._byte_of < 0x80) | ((self._byte_of >= 0xC2) & (self._byte_of <= 0xF4))
        self._whole = whole & alone
        self._first = self._whole & tokenizer.starts_word
        self._begun = begun
        self._words = _word_boundaries(tokenizer)
        self._token_bytes = tokenizer.token_bytes
        self._first[tokenizer.end_id] = may_end or not self._first.any()

    def allowed(self, text: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Return which tokens may come next, (V,)."""
        if self._begun is not None:
            content = b"".join(map(self._token_bytes, text))
            if not text:
                return self._words.first(self._begun)
            if len(content) < len(self._begun.content):
                return self._words.after([content], self._begun.content)[0].ravel()
        if not text:
            return self._first
        lead, missing = _unfinished(self._byte_of[list(text[-3:])].tolist())
        if not missing:
            return self._whole
        lowest, highest = 0x80, 0xBF
        if missing == _LENGTH[lead >> 4] - 1:  # second byte of a character (Unicode 17.0, table 3-7)
            lowest = {0xE0: 0xA0, 0xF0: 0x90}.get(lead, lowest)
            highest = {0xED: 0x9F, 0xF4: 0x8F}.get(lead, highest)
        following: npt.NDArray[np.bool_] = (self._byte_of >= lowest) & (self._byte_of <= highest)
        return following


_LENGTH = {0xC: 2, 0xD: 2, 0xE: 3, 0xF: 4}
"""Number of bytes of a character, by the upper half of its first byte."""


def _unfinished(last: Sequence[int]) -> tuple[int, int]:
    """Return the first byte of an incomplete character, and how many bytes it lacks; -1 is not a byte."""
    for back, byte in enumerate(reversed(last), start=1):
        if byte >= 0xC0:
            return byte, max(0, _LENGTH[byte >> 4] - back)
        if byte < 0x80:
            break
    return 0, 0
