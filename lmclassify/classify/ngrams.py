"""Learns n-gram models (scikit-learn), with a held-out score for every training text.

Shapes: n texts, F n-grams, K labels.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from lmclassify.engines.local import map_ordered
from lmclassify.lm.ngram import NgramCounts, NgramModel
from lmclassify.text.ngrams import Keys, NgramView
from lmclassify.text.sequences import Ids

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

VIEWS = {NgramView("character", 5): True, NgramView("subword", 3): True, NgramView("word", 2): False}
"""The views learnt, and whether their likelihood is a language model's; else it is that of a bag."""

_SCORES = 2  # that a model has
_ENOUGH_TEXTS = 1000  # from which on characters that only one text has are left out
_TOLERANCE = 1e-2  # of the solver; a smaller one changes nothing that can be seen (docs/benchmarks.md)
_liblinear = threading.Lock()  # its random numbers are one stream for the whole process
_ABSENT = -1.0  # score of a label that a fold's training part lacks: the margin of "not this label"


@dataclass
class _View:
    view: NgramView
    keys: Keys
    counts: sparse.csr_matrix
    """(n, F)"""
    least_texts: int
    """An n-gram is used where so many texts have it."""
    owner: npt.NDArray[np.intp]
    place: npt.NDArray[np.intp]
    columns: npt.NDArray[np.int32]
    """Of all texts' symbols, as `lmclassify.lm.ngram.NgramModel.look_up` returns them."""
    contexts: npt.NDArray[np.int32] | None


def learn_ngram_models(
    texts: Sequence[str],
    sequences: Sequence[Ids],
    codes: Codes,
    labels: int,
    folds: Codes,
    *,
    weights: Array | None = None,
    seed: int = 0,
    threads: int = 1,
) -> tuple[list[NgramModel], list[Array], Array]:
    """Learn a model for each view, and score each text by models that have not seen it.

    Parameters
    ----------
    texts : sequence of str, (n,)
    sequences : sequence of array of int, (n,)
        The texts as subwords.
    codes : ndarray of int, (n,)
        Index of each text's label.
    labels : int
        K, at least 2.
    folds : ndarray of int, (n,)
        Texts of one fold are scored by models of the others.
    weights : ndarray, (n,), optional
        Of the texts.
    seed : int, default=0
    threads : int, default=1
        The result does not depend on it.

    Returns
    -------
    models : list of NgramModel
    held_out : list of ndarray, (n, K)
        For each model what its `NgramModel.scores` would return for texts that are new to it.
    background : ndarray, (2, n)
        The same for `NgramModel.background` of the first model.
    """
    weights = np.ones(len(texts)) if weights is None else weights
    views = [_prepare(view, ordered, texts, sequences) for view, ordered in VIEWS.items()]
    everything = np.ones(len(texts), dtype=bool)
    jobs = [(number, everything) for number in range(len(views))]
    jobs += [(number, folds != fold) for number in range(len(views)) for fold in np.unique(folds)]

    held_out = [[np.zeros((len(texts), labels)) for _ in range(_SCORES)] for _ in views]
    background = np.zeros((2, len(texts)))

    def learn(job: tuple[int, npt.NDArray[np.bool_]]) -> NgramModel | None:
        number, training = job
        model = _learn(views[number], training, codes, labels, weights, seed)
        if training is everything:
            return model
        known = _known(views[number], ~training)
        for scores, found in zip(held_out[number], model.scores_of(*known), strict=True):
            scores[~training] = found
        if not number:
            background[:, ~training] = model.background(*known)
        return None  # a fold's model takes memory and is not needed any more

    models = [model for model in map_ordered(learn, jobs, threads) if model is not None]
    return models, [scores for of_view in held_out for scores in of_view], background


def _prepare(view: NgramView, ordered: bool, texts: Sequence[str], sequences: Sequence[Ids]) -> _View:
    windows = view.windows(texts, sequences)
    whole = windows.whole
    keys, found = np.unique(windows.keys[whole], return_inverse=True)
    owner = np.broadcast_to(windows.owner, whole.shape)[whole]
    ones = np.ones(len(found), dtype=np.float32)
    counts = sparse.csr_matrix((ones, (owner, found)), shape=(len(texts), len(keys)))  # adds up repeats
    least = 2 if view.symbols == "character" and len(texts) >= _ENOUGH_TEXTS else 1
    kept = np.flatnonzero(np.bincount(counts.indices, minlength=len(keys)) >= least)
    new_column = np.full(len(keys), -1, dtype=np.int32)
    new_column[kept] = np.arange(len(kept))
    columns = np.full(whole.shape, -1, dtype=np.int32)
    columns[whole] = new_column[found]
    contexts = None
    if ordered:
        contexts = np.full(len(kept), -1, dtype=np.int32)
        for shorter, longer in pairwise(columns):
            ends = np.flatnonzero(longer >= 0)
            contexts[longer[ends]] = shorter[ends - 1]  # known, as no fewer texts have it
    return _View(view, keys[kept], counts[:, kept], least, windows.owner, windows.place, columns, contexts)


def _learn(
    view: _View,
    training: npt.NDArray[np.bool_],
    codes: Codes,
    labels: int,
    weights: Array,
    seed: int,
) -> NgramModel:
    rows = view.counts[training]
    of_rows, weights = codes[training], weights[training]
    texts_with = np.bincount(rows.indices, minlength=rows.shape[1])
    idf = np.log((1 + rows.shape[0]) / (1 + texts_with)) + 1.0
    idf[texts_with < view.least_texts] = 0.0
    tuned, bias = separate(_tf_idf(rows, idf), of_rows, labels, weights, seed)
    # A label's likelihoods follow from its texts' weights beside one another, not from how large all are.
    texts_of = np.bincount(of_rows, minlength=labels)
    means = np.bincount(of_rows, weights, minlength=labels) / np.maximum(1, texts_of)
    membership = sparse.csr_matrix(
        (weights / means[of_rows], (of_rows, np.arange(len(of_rows)))), shape=(labels, len(of_rows))
    )
    counts = np.asarray((membership @ rows).todense()).T.astype(np.float32)
    counts[texts_with < view.least_texts] = 0.0
    # Rounded here as the file will hold them, so that saving and loading change nothing.
    rounded = tuned.astype(np.float16).astype(np.float32)
    return NgramModel(
        view.view,
        view.keys,
        idf.astype(np.float32),
        rounded,
        bias.astype(np.float32),
        counts,
        view.contexts,
    )


def separate(
    rows: sparse.csr_matrix, codes: Codes, labels: int, weights: Array, seed: int
) -> tuple[Array, Array]:
    """Return weights (F, K) and biases (K,) that tell each label from the rest."""
    tuned, bias = np.zeros((rows.shape[1], labels)), np.full(labels, _ABSENT)
    present = np.unique(codes)
    if len(present) < 2 or not rows.shape[1]:
        return tuned, np.zeros(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough after the usual iterations
        with _liblinear:
            machine = LinearSVC(tol=_TOLERANCE, random_state=seed).fit(rows, codes, sample_weight=weights)
    if len(present) == 2:
        half = np.concatenate([machine.coef_, machine.coef_]) / 2
        half[0] *= -1
        tuned[:, present] = half.T
        bias[present] = [-machine.intercept_[0] / 2, machine.intercept_[0] / 2]
    else:
        tuned[:, present], bias[present] = machine.coef_.T, machine.intercept_
    return tuned, bias


def _known(
    view: _View, chosen: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp], npt.NDArray[np.intp], int]:
    """Return the n-grams of the chosen texts, as `NgramModel.scores_of` takes them."""
    symbols = chosen[view.owner]
    renumbered = np.cumsum(chosen) - 1
    owner = renumbered[view.owner[symbols]]
    return view.columns[:, symbols], owner, view.place[symbols], int(chosen.sum())


def as_matrix(found: NgramCounts, values: Array, size: int) -> sparse.csr_matrix:
    """Return a number for each text and n-gram that stands in it as a matrix, (n, size)."""
    return sparse.csr_matrix((values, (found.owner, found.column)), shape=(found.texts, size))


def _tf_idf(rows: sparse.csr_matrix, idf: Array) -> sparse.csr_matrix:
    values = sparse.csr_matrix(
        ((1.0 + np.log(rows.data)) * idf[rows.indices], rows.indices, rows.indptr), shape=rows.shape
    )
    lengths = np.sqrt(np.asarray(values.multiply(values).sum(axis=1)).ravel())
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sparse.diags(scale).dot(values).tocsr()
