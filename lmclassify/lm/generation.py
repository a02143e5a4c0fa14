"""Next words from a mixture of language models (numpy).

Shapes: M models, B partial words of the beam, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.lm.inference import NumpyLanguageModel, State
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer

_MAX_TOKENS = 40
"""Longest word tried, in tokens."""


def next_words(
    models: Sequence[NumpyLanguageModel],
    log_weights: npt.ArrayLike,
    tokenizer: Tokenizer,
    prefix: Ids,
    n: int,
    *,
    beam_width: int | None = None,
) -> list[tuple[str, float]]:
    """Return the likeliest next whole words, by beam search over their tokens.

    A word's probability is that of its tokens and of a word boundary (a token that begins a word, or
    end-of-text) after them; different tokens for the same word are added up.

    Parameters
    ----------
    models : sequence of NumpyLanguageModel
        M models over one vocabulary.
    log_weights : array_like of float, (M,)
        Log-weight of each model given the prefix; they sum to 1 as probabilities.
    tokenizer : Tokenizer
    prefix : ndarray of int
        Beginning-of-text and the tokens so far.
    n : int
        How many words at most.
    beam_width : int, optional
        Partial words kept at each step; by default 64, or 4 `n` where that is more.

    Returns
    -------
    list of (str, float)
        Words with probabilities, likeliest first.
    """
    beam_width = beam_width or max(64, 4 * n)
    boundary = tokenizer.starts_word.copy()
    boundary[tokenizer.end_id] = True
    if tokenizer.unknown_id is not None:
        boundary[tokenizer.unknown_id] = True
    within = ~boundary
    within[[0, tokenizer.begin_id]] = False
    states: list[State] = []
    next_log_probs = []
    for model in models:
        outputs, state = model.outputs(prefix[np.newaxis])
        states.append(state)
        next_log_probs.append(model.log_probabilities(outputs[:, -1]))
    joint = np.asarray(log_weights, dtype=np.float64)[:, np.newaxis]  # (M, B) of model and partial word
    words = [b""]
    allowed = tokenizer.starts_word
    finished: dict[bytes, float] = {}
    for _ in range(_MAX_TOKENS):
        extended = joint[:, :, np.newaxis] + np.stack(next_log_probs)  # (M, B, V)
        scores = np.logaddexp.reduce(extended, axis=0)
        scores[:, ~allowed] = -np.inf
        best = np.argsort(-scores, axis=None, kind="stable")[:beam_width]
        best = best[scores.ravel()[best] > _worst_needed(finished, n)]
        if not len(best):
            break
        parents, tokens = np.unravel_index(best, scores.shape)
        words = [
            words[parent] + tokenizer.token_bytes(int(token))
            for parent, token in zip(parents, tokens, strict=True)
        ]
        joint = extended[:, parents, tokens]
        allowed = within
        next_log_probs = []
        for number, model in enumerate(models):
            state = [(h[parents], c[parents]) for h, c in states[number]]
            outputs, states[number] = model.outputs(tokens[:, np.newaxis], state)
            next_log_probs.append(model.log_probabilities(outputs[:, 0]))
        ends = np.logaddexp.reduce(np.stack(next_log_probs)[:, :, boundary], axis=2)
        for word, log_prob in zip(words, np.logaddexp.reduce(joint + ends, axis=0), strict=True):
            if word and _is_utf8(word):
                finished[word] = finished.get(word, 0.0) + float(np.exp(log_prob))
    ranked = sorted(finished.items(), key=lambda item: (-item[1], item[0]))
    return [(word.decode(), probability) for word, probability in ranked[:n]]


def _worst_needed(finished: dict[bytes, float], n: int) -> float:
    """Return the log-probability below which partial words are dropped.

    None of them can come among the first `n`, nor, as another way to spell one of these, change its
    probability by more than a hundredth.
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
