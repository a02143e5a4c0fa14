"""Scores of texts by language models and by n-gram models, in batches and in parallel (numpy).

Shapes: n texts, K labels (or models).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from lmclassify.classify.ngram_models import NgramModel
from lmclassify.lm.inference.directions import DirectedLanguageModel, reversed_batch
from lmclassify.lm.inference.forward import SharedNetwork, StackedLSTMs, share_network, stackable
from lmclassify.parallel import ForkSafeLock, map_ordered
from lmclassify.text.sequences import Batch, Ids, batches_by_length, make_batch
from lmclassify.text.tokenizer import Tokenizer

T = TypeVar("T")

MAX_BATCH_TEXTS = 256
"""Texts per batch: larger ones are not faster."""
MAX_BATCH_TOKENS = 1 << 14
"""Tokens per batch, padding included; longer texts are read in pieces. Bounds the memory."""
MAX_STACKED_TEXTS = 32
"""Texts in a batch up to which scoring several LSTMs together is faster than one after the other."""
MAX_STACKED_MODELS = 8
"""Models that are scored together: a copy of their weights is kept in memory."""
MAX_CHUNK_CHARACTERS = 1 << 16
"""Characters after which a chunk of texts ends. Bounds the memory of n-gram models."""
_blas_lock = ForkSafeLock()


class Scorer(Protocol):
    """A forward language model, such as `lmclassify.lm.NumpyLanguageModel`."""

    def token_nll(self, inputs: Ids, targets: Ids, state: Any = None) -> tuple[npt.NDArray[np.float64], Any]:
        """Return the negative log-probability of each target, and the state after the last one."""


def log_likelihoods(
    models: Sequence[Scorer | DirectedLanguageModel],
    sequences: Sequence[Ids],
    *,
    max_length: int | None = None,
    threads: int = 1,
) -> npt.NDArray[np.float64]:
    """Return the log-likelihood of each text under each language model.

    Batches of texts of similar length run in parallel, each on one BLAS thread, so results do not depend on
    the number of threads. Long texts are read in pieces with carried state, which changes no result.

    Parameters
    ----------
    models : sequence of NumpyLanguageModel or DirectedLanguageModel
        K models over one vocabulary.
    sequences : sequence of array of int
        n sequences of token ids.
    max_length : int, optional
        Score only the first `max_length` ids of each.

    Returns
    -------
    ndarray of float, (n, K)
        Nats: the sum over a text's tokens and the end of text.
    """
    result = np.zeros((len(sequences), len(models)))

    shared = _shared(tuple(models))
    stacked = None
    if shared is None and len(models) <= MAX_STACKED_MODELS:
        stacked = _stacked(tuple(models))

    def score(indices: npt.NDArray[np.intp]) -> None:
        batch = make_batch([sequences[index] for index in indices], max_length)
        if shared is not None:
            result[indices] = _shared_log_likelihoods(shared, batch)
            return
        few = len(indices) <= MAX_STACKED_TEXTS and batch.inputs.size <= MAX_BATCH_TOKENS
        if stacked is not None and few:
            result[indices] = -stacked.token_nll(batch.inputs, batch.targets).sum(axis=2).T
            return
        for number, model in enumerate(models):
            result[indices, number] = _log_likelihood(model, batch)

    lengths = [len(sequence) for sequence in sequences]
    _run(score, batches_by_length(lengths, MAX_BATCH_TEXTS, max_tokens=MAX_BATCH_TOKENS), threads)
    return result


def masked_log_likelihoods(
    models: Sequence[Scorer | DirectedLanguageModel],
    sequences: Sequence[Ids],
    mask: npt.NDArray[np.bool_],
    *,
    max_length: int | None = None,
    threads: int = 1,
) -> npt.NDArray[np.float64]:
    """Return log-likelihoods of texts where a mask is set and 0 elsewhere; see `log_likelihoods`.

    Parameters
    ----------
    mask : ndarray of bool, (n, K)

    Returns
    -------
    ndarray of float, (n, K)
    """
    if mask.all() or _shared(tuple(models)) is not None:
        return mask * log_likelihoods(models, sequences, max_length=max_length, threads=threads)
    result = np.zeros(mask.shape)
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.intp)
    jobs = [
        (number, rows[some])
        for number, rows in enumerate(map(np.flatnonzero, mask.T))
        for some in batches_by_length(lengths[rows], MAX_BATCH_TEXTS, max_tokens=MAX_BATCH_TOKENS)
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
        Nats. A row for each id of a sequence except the first, in the order of the text whatever the
        model's direction. The rows sum to the log-likelihoods.
    """
    result = [np.zeros((len(sequence[:max_length]) - 1, len(models))) for sequence in sequences]

    def score(job: tuple[npt.NDArray[np.intp], int]) -> None:
        indices, number = job
        batch = make_batch([sequences[index] for index in indices], max_length)
        for text, values in zip(indices.tolist(), _token_log_probs(models[number], batch), strict=True):
            result[text][:, number] = values[: len(result[text])]

    lengths = [len(sequence) for sequence in sequences]
    batches = batches_by_length(lengths, MAX_BATCH_TEXTS, max_tokens=MAX_BATCH_TOKENS)
    _run(score, [(batch, number) for batch in batches for number in range(len(models))], threads)
    return result


def _log_likelihood(model: Scorer | DirectedLanguageModel, batch: Batch) -> npt.NDArray[np.float64]:
    total: npt.NDArray[np.float64] = _token_log_probs(model, batch).sum(axis=1)
    return total


def _token_log_probs(model: Scorer | DirectedLanguageModel, batch: Batch) -> npt.NDArray[np.float64]:
    if isinstance(model, DirectedLanguageModel):
        turned, order = reversed_batch(batch, model.end_id)
        backward = np.take_along_axis(_token_log_probs(model.backward, turned), order, axis=1)
        return backward if model.forward is None else (_token_log_probs(model.forward, batch) + backward) / 2
    found, state = np.zeros(batch.inputs.shape), None
    for piece in _pieces(batch):
        nll, state = model.token_nll(batch.inputs[:, piece], batch.targets[:, piece], state)
        found[:, piece] = -nll
    return found


def _pieces(batch: Batch) -> list[slice]:
    """Return pieces of the texts of a batch, each of at most `MAX_BATCH_TOKENS` tokens in all."""
    rows, length = batch.inputs.shape
    steps = max(1, MAX_BATCH_TOKENS // rows)
    return [slice(start, start + steps) for start in range(0, length, steps)]


def _shared_log_likelihoods(network: SharedNetwork, batch: Batch) -> npt.NDArray[np.float64]:
    """Return log-likelihoods of the batch's texts, (B, K)."""
    total: float | npt.NDArray[np.float64] = 0.0
    state = None
    for piece in _pieces(batch):
        nll, state = network.summed_nll(batch.inputs[:, piece], batch.targets[:, piece], state)
        total = total - nll
    return np.asarray(total)


def _run(work: Callable[[T], None], jobs: Iterable[T], threads: int) -> None:
    with _blas_lock, _blas().limit(limits=1, user_api="blas"):
        for _ in map_ordered(work, jobs, threads):
            pass


def ngram_scores(
    models: Sequence[NgramModel], texts: Sequence[str], subwords: Tokenizer, *, threads: int = 1
) -> tuple[list[npt.NDArray[np.float64]], npt.NDArray[np.intp]]:
    """Return the scores of n-gram models and the texts' lengths.

    Parameters
    ----------
    texts : sequence of str
        n texts.
    subwords : Tokenizer
        Of the models of subwords.
    threads : int, default=1
        Results do not depend on it.

    Returns
    -------
    scores : list of ndarray, (n, K)
        In the order of `NgramModel.score_names`.
    lengths : ndarray of int, (n,)
        Number of subword ids of each text's sequence.
    """

    def score(chunk: slice) -> tuple[list[npt.NDArray[np.float64]], list[int]]:
        sequences = subwords.sequences(texts[chunk])
        scores = [part for model in models for part in model.scores(texts[chunk], sequences)]
        return scores, [len(sequence) for sequence in sequences]

    scored, lengths = zip(*map_ordered(score, chunks_of(texts), threads), strict=True)
    scores = [np.concatenate(parts) for parts in zip(*scored, strict=True)]
    return scores, np.array([*chain.from_iterable(lengths)], dtype=np.intp)


def ngram_background(model: NgramModel, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return log-likelihoods under a model of single symbols, and numbers of symbols, (2, n)."""
    parts = [model.background_scores(texts[chunk]) for chunk in chunks_of(texts)]
    return np.concatenate(parts, axis=1)


def cut_texts(texts: Sequence[str], tokenizer: Tokenizer, limit: int) -> tuple[list[str], int]:
    """Return texts cut after `limit` tokens (the beginning of text is one), and how many were cut."""
    result, too_long = list(texts), 0
    for index, sequence in enumerate(tokenizer.sequences(texts)):
        if len(sequence) > limit:
            too_long += 1
            result[index] = texts[index][: int(tokenizer.offsets(texts[index])[limit - 2, 1])]
    return result, too_long


def chunks_of(texts: Sequence[str], max_characters: int = MAX_CHUNK_CHARACTERS) -> list[slice]:
    """Return consecutive slices of texts, each of about `max_characters`; at least one slice."""
    ends, characters = [], 0
    for index, text in enumerate(texts):
        characters += len(text)
        if characters >= max_characters:
            ends.append(index + 1)
            characters = 0
    if not ends or ends[-1] < len(texts):
        ends.append(len(texts))
    return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


@lru_cache(maxsize=2)
def _shared(models: tuple[Any, ...]) -> SharedNetwork | None:
    return SharedNetwork(models) if share_network(models) else None


@lru_cache(maxsize=2)
def _stacked(models: tuple[Any, ...]) -> StackedLSTMs | None:
    return StackedLSTMs(models) if stackable(models) else None


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # cached: it inspects all loaded libraries, which takes milliseconds
