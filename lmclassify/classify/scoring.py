"""The hot path: texts x labels -> log-probabilities (numpy).

Shapes: n texts, K labels.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from lmclassify.classify.ngram_models import NgramModel
from lmclassify.lm.inference.directions import DirectedLanguageModel, reversed_batch
from lmclassify.lm.inference.forward import StackedLSTMs, stackable
from lmclassify.parallel import map_ordered
from lmclassify.text.sequences import Batch, Ids, batches_by_length, make_batch
from lmclassify.text.tokenizer import Tokenizer

T = TypeVar("T")

_BATCH = 256
_FEW = 32  # texts, up to which several LSTMs score together faster than one after the other
_MOST_STACKED = 8
_TOKENS_AT_A_TIME = 1 << 14  # long texts take no more memory than short ones
_CHARACTERS_AT_A_TIME = 1 << 16
_blas_lock = threading.Lock()


class Scorer(Protocol):
    """A language model that reads a text from its beginning, like `lmclassify.lm.NumpyLanguageModel`."""

    def token_nll(self, inputs: Ids, targets: Ids, state: Any = None) -> tuple[npt.NDArray[np.float64], Any]:
        """Return the negative log-probability of each target, and the state to go on from."""


def log_likelihoods(
    models: Sequence[Scorer | DirectedLanguageModel],
    sequences: Sequence[Ids],
    *,
    max_length: int | None = None,
    threads: int = 1,
) -> npt.NDArray[np.float64]:
    """Return the log-likelihood of each text under each language model.

    Batches of like length run in parallel, each on one BLAS thread, so results do not depend on the
    number of threads. Long texts are read piece by piece with carried state, which changes nothing.

    Parameters
    ----------
    models : sequence of NumpyLanguageModel or DirectedLanguageModel
        K models over one vocabulary.
    sequences : sequence of array of int
        n sequences of token ids.
    max_length : int, optional
        Count only the first `max_length` ids of each.
    threads : int, default=1

    Returns
    -------
    ndarray of float, (n, K)
        Nats: the sum over a text's tokens and its end.
    """
    result = np.zeros((len(sequences), len(models)))

    stacked = _stacked(tuple(models)) if len(models) <= _MOST_STACKED else None

    def score(indices: npt.NDArray[np.intp]) -> None:
        batch = make_batch([sequences[index] for index in indices], max_length)
        if stacked is not None and len(indices) <= _FEW and batch.inputs.size <= _TOKENS_AT_A_TIME:
            result[indices] = -stacked.token_nll(batch.inputs, batch.targets).sum(axis=2).T
            return
        for number, model in enumerate(models):
            result[indices, number] = _log_likelihood(model, batch)

    lengths = [len(sequence) for sequence in sequences]
    _run(score, batches_by_length(lengths, _BATCH, max_tokens=_TOKENS_AT_A_TIME), threads)
    return result


def asked_log_likelihoods(
    models: Sequence[Scorer | DirectedLanguageModel],
    sequences: Sequence[Ids],
    asked: npt.NDArray[np.bool_],
    *,
    max_length: int | None = None,
    threads: int = 1,
) -> npt.NDArray[np.float64]:
    """Return the log-likelihood of each text under the models asked for it; see `log_likelihoods`.

    Parameters
    ----------
    asked : ndarray of bool, (n, K)

    Returns
    -------
    ndarray of float, (n, K)
        0 where not asked for.
    """
    if asked.all():
        return log_likelihoods(models, sequences, max_length=max_length, threads=threads)
    result = np.zeros(asked.shape)
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.intp)
    jobs = [
        (number, rows[some])
        for number, rows in enumerate(map(np.flatnonzero, asked.T))
        for some in batches_by_length(lengths[rows], _BATCH, max_tokens=_TOKENS_AT_A_TIME)
    ]

    def score(job: tuple[int, npt.NDArray[np.intp]]) -> None:
        number, rows = job
        batch = make_batch([sequences[row] for row in rows.tolist()], max_length)
        result[rows, number] = _log_likelihood(models[number], batch)

    _run(score, jobs, threads)
    return result


def token_log_probs(
    models: Sequence[Scorer | DirectedLanguageModel],
    sequences: Sequence[Ids],
    *,
    max_length: int | None = None,
    threads: int = 1,
) -> list[npt.NDArray[np.float64]]:
    """Return the log-probability of each token under each language model; see `log_likelihoods`.

    Returns
    -------
    list of ndarray of float, n of (tokens scored, K)
        Nats; a row for each id of a sequence but the first, in the text's order whatever the model's
        direction. They sum to the log-likelihoods.
    """
    result = [np.zeros((len(sequence[:max_length]) - 1, len(models))) for sequence in sequences]

    def score(indices: npt.NDArray[np.intp]) -> None:
        batch = make_batch([sequences[index] for index in indices], max_length)
        for number, model in enumerate(models):
            for of_text, values in zip(indices.tolist(), _token_log_probs(model, batch), strict=True):
                result[of_text][:, number] = values[: len(result[of_text])]

    lengths = [len(sequence) for sequence in sequences]
    _run(score, batches_by_length(lengths, _BATCH, max_tokens=_TOKENS_AT_A_TIME), threads)
    return result


def _log_likelihood(model: Scorer | DirectedLanguageModel, batch: Batch) -> npt.NDArray[np.float64]:
    total: npt.NDArray[np.float64] = _token_log_probs(model, batch).sum(axis=1)
    return total


def _token_log_probs(model: Scorer | DirectedLanguageModel, batch: Batch) -> npt.NDArray[np.float64]:
    if isinstance(model, DirectedLanguageModel):
        turned, order = reversed_batch(batch, model.end_id)
        backward = np.take_along_axis(_token_log_probs(model.backward, turned), order, axis=1)
        return backward if model.forward is None else (_token_log_probs(model.forward, batch) + backward) / 2
    rows, length = batch.inputs.shape
    steps = max(1, _TOKENS_AT_A_TIME // rows)
    found, state = np.zeros((rows, length)), None
    for start in range(0, length, steps):
        piece = slice(start, start + steps)
        nll, state = model.token_nll(batch.inputs[:, piece], batch.targets[:, piece], state)
        found[:, piece] = -nll
    return found


def _run(work: Callable[[T], None], jobs: Iterable[T], threads: int) -> None:
    with _blas_lock, _blas().limit(limits=1, user_api="blas"):
        for _ in map_ordered(work, jobs, threads):
            pass


def ngram_scores(
    models: Sequence[NgramModel], texts: Sequence[str], sequences: Sequence[Ids], *, threads: int = 1
) -> list[npt.NDArray[np.float64]]:
    """Return each n-gram model's scores, (n, K) each, in the order of `NgramModel.score_names`.

    Parameters
    ----------
    models : sequence of NgramModel
    texts : sequence of str
        n texts.
    sequences : sequence of array of int
        The same texts as subwords.
    threads : int, default=1
        Results do not depend on it.
    """
    chunks = chunks_of(texts)

    def score(chunk: slice) -> list[npt.NDArray[np.float64]]:
        return [part for model in models for part in model.scores(texts[chunk], sequences[chunk])]

    scored = list(map_ordered(score, chunks, threads))
    return [np.concatenate(parts) for parts in zip(*scored, strict=True)]


def ngram_background(model: NgramModel, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return `NgramModel.background_scores` the texts, (2, n)."""
    parts = [model.background_scores(texts[chunk]) for chunk in chunks_of(texts)]
    return np.concatenate(parts, axis=1)


def cut_texts(texts: Sequence[str], tokenizer: Tokenizer, limit: int) -> tuple[list[str], int]:
    """Return texts, each cut after `limit` tokens (beginning of text is one), and how many were."""
    result, too_long = list(texts), 0
    for index, sequence in enumerate(tokenizer.sequences(texts)):
        if len(sequence) > limit:
            too_long += 1
            result[index] = texts[index][: int(tokenizer.offsets(texts[index])[limit - 2, 1])]
    return result, too_long


def chunks_of(texts: Sequence[str]) -> list[slice]:
    """Return consecutive parts of some texts, of not too many characters each; at least one part."""
    ends, characters = [], 0
    for index, text in enumerate(texts):
        characters += len(text)
        if characters >= _CHARACTERS_AT_A_TIME:
            ends.append(index + 1)
            characters = 0
    if not ends or ends[-1] < len(texts):
        ends.append(len(texts))
    return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


@lru_cache(maxsize=2)
def _stacked(models: tuple[Any, ...]) -> StackedLSTMs | None:
    return StackedLSTMs(models) if stackable(models) else None


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries, which takes milliseconds
