"""Learns n-gram models (scikit-learn), with a held-out score for every training text.

Shapes: n texts, F n-grams, K labels.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.training.ngram_counts import (
    CountedView,
    LabelCounts,
    TextShard,
    count_ngrams,
    label_counts,
)
from lmclassify.cluster.tasks import RayTasks
from lmclassify.lm.ngram.index import NgramCounts
from lmclassify.parallel import map_ordered
from lmclassify.text.ngrams import NgramAnalyzer
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

VIEWS = {
    NgramAnalyzer("character", 5): True,
    NgramAnalyzer("subword", 3): True,
    NgramAnalyzer("word", 2): False,
}
"""The views learnt, and whether their likelihood is a language model's; else it is that of a bag."""

_SCORES = 2  # that a model has
_TOLERANCE = 1e-2  # of the solver; a smaller one changes nothing that can be seen (docs/benchmarks.md)
_liblinear = threading.Lock()  # its random numbers are one stream for the whole process
_matrices = threading.Lock()  # one tf-idf matrix, and its copy in liblinear, at a time: they are large
_ABSENT = -1.0  # score of a label that a fold's training part lacks: the margin of "not this label"


def learn_ngram_models(
    texts: Sequence[str],
    subwords: Tokenizer,
    codes: Codes,
    labels: int,
    folds: Codes,
    *,
    weights: Array | None = None,
    others: Sequence[TextShard] = (),
    seed: int = 0,
    threads: int = 1,
    cluster: RayTasks | None = None,
) -> tuple[list[NgramModel], list[Array], Array]:
    """Learn a model for each view, and score each text by models that have not seen it.

    Parameters
    ----------
    texts : sequence of str, (n,)
    subwords : Tokenizer
    codes : ndarray of int, (n,)
        Index of each text's label.
    labels : int
        K, at least 2.
    folds : ndarray of int, (n,)
        Texts of one fold are scored by models of the others.
    weights : ndarray, (n,), optional
        Of the texts.
    others : sequence of TextShard, optional
        More texts, of which no more is learnt than how often each label has the n-grams.
    seed : int, default=0
    threads : int, default=1
        The result does not depend on it.
    cluster : RayTasks, optional
        Where n-grams are counted; nor does it depend on that.

    Returns
    -------
    models : list of NgramModel
    held_out : list of ndarray, (n, K)
        For each model what its `NgramModel.scores` would return for texts that are new to it.
    background : ndarray, (2, n)
        The same for `NgramModel.background` of the first model.
    """
    weights = np.ones(len(texts)) if weights is None else weights
    models: list[NgramModel] = []
    held_out: list[Array] = []
    backgrounds: list[Array] = []
    for view, ordered in VIEWS.items():  # one after the other: the counts of each take memory
        counted = count_ngrams(view, ordered, texts, others, subwords, threads, cluster)
        of_others = label_counts(counted, others, subwords, labels, threads, cluster)
        learner = _Learner(counted, of_others, codes, labels, weights, seed)
        model, of_folds, background = _cross_fit(learner, folds, threads)
        models.append(model)
        held_out += of_folds
        backgrounds.append(background)
    return models, held_out, backgrounds[0]


def _cross_fit(learner: _Learner, folds: Codes, threads: int) -> tuple[NgramModel, list[Array], Array]:
    """Return a view's model, and what the folds' models make of the texts; see `learn_ngram_models`."""
    everything = np.ones(len(folds), dtype=bool)
    jobs = [everything, *(folds != fold for fold in np.unique(folds))]
    held_out = [np.zeros((len(folds), learner.labels)) for _ in range(_SCORES)]
    background = np.zeros((2, len(folds)))

    def learn(training: npt.NDArray[np.bool_]) -> NgramModel | None:
        model = learner.learn(training)
        if training is everything:
            return model
        known = learner.counted.known(~training)
        for scores, found in zip(held_out, model.scores_from_columns(*known), strict=True):
            scores[~training] = found
        if model.analyzer.symbols == "character":
            background[:, ~training] = model.background(*known)
        return None  # a fold's model takes memory and is not needed any more

    (whole,) = (model for model in map_ordered(learn, jobs, threads) if model is not None)
    return whole, held_out, background


@dataclass(frozen=True)
class _Learner:
    """Learns a view's model from some of the texts and all others."""

    counted: CountedView
    of_others: LabelCounts
    codes: Codes
    labels: int
    weights: Array
    seed: int

    def learn(self, training: npt.NDArray[np.bool_]) -> NgramModel:
        rows = self.counted.counts[training]
        codes, weights = self.codes[training], self.weights[training]
        texts_with = np.bincount(rows.indices, minlength=rows.shape[1])
        idf = np.log((1 + rows.shape[0]) / (1 + texts_with)) + 1.0
        idf[texts_with < self.counted.least_texts] = 0.0
        # A label's likelihoods follow from its texts' weights beside one another, not from how large all are.
        texts_of = self.of_others.texts + np.bincount(codes, minlength=self.labels)
        weight_of = self.of_others.weights + np.bincount(codes, weights, minlength=self.labels)
        means: Array = weight_of / np.maximum(1, texts_of)
        membership = sparse.csr_matrix(
            (weights / means[codes], (codes, np.arange(len(codes)))), shape=(self.labels, len(codes))
        )
        of_others = self.of_others.counts / np.where(means > 0, means, 1.0)
        counts = (np.asarray((membership @ rows).todense()).T + of_others).astype(np.float32)
        counts[texts_with + self.counted.elsewhere < self.counted.least_texts] = 0.0
        with _matrices:
            rows = _tf_idf(rows, idf)
            tuned, bias = separate(rows, codes, self.labels, weights, self.seed)
        # Rounded here as the file will hold them, so that saving and loading change nothing.
        rounded = tuned.astype(np.float16).astype(np.float32)
        return NgramModel(
            self.counted.analyzer,
            self.counted.keys,
            idf.astype(np.float32),
            rounded,
            bias.astype(np.float32),
            counts,
            self.counted.contexts,
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


def as_matrix(found: NgramCounts, values: Array, size: int) -> sparse.csr_matrix:
    """Return a number for each text and n-gram that stands in it as a matrix, (n, size)."""
    return sparse.csr_matrix((values, (found.text_index, found.column)), shape=(found.texts, size))


def _tf_idf(rows: sparse.csr_matrix, idf: Array) -> sparse.csr_matrix:
    values = sparse.csr_matrix(
        ((1.0 + np.log(rows.data)) * idf[rows.indices], rows.indices, rows.indptr), shape=rows.shape
    )
    squares = sparse.csr_matrix((values.data**2, rows.indices, rows.indptr), shape=rows.shape)
    lengths = np.sqrt(np.asarray(squares.sum(axis=1)).ravel())
    del squares
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sparse.diags(scale).dot(values).tocsr()
