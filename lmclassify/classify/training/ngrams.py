"""The n-gram experts of recipe tuned: their models (scikit-learn), cross-fitted scores and combination.

Each analyzer of the text gives one model of two experts: linear SVM weights, and a likelihood of a language
model or of multinomial naive Bayes.

Shapes: n texts, s texts of the sample, F n-grams, K labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from lmclassify.classify.ensemble import Combination
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.training.context import FitContext, SizeLimits
from lmclassify.classify.training.data import TrainingData, stratified_folds, stratified_sample
from lmclassify.classify.training.ensemble import fit_combination
from lmclassify.classify.training.ngram_counts import (
    CountedNgrams,
    LabelCounts,
    LabelledBatch,
    TextShard,
    count_by_label,
    count_ngrams,
    labelled_batches,
)
from lmclassify.classify.training.vocabulary import VOCABULARY_SIZES
from lmclassify.cluster.tasks import RayTasks
from lmclassify.lm.ngram.index import NgramCounts
from lmclassify.parallel import ForkSafeLock, map_ordered
from lmclassify.text.ngrams import NgramAnalyzer
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

ANALYZERS = {
    NgramAnalyzer("character", 5): True,
    NgramAnalyzer("subword", 3): True,
    NgramAnalyzer("word", 2): False,
}
"""Whether each analyzer's likelihood is a language model's; else it is that of multinomial naive Bayes."""

FOLDS, FOLDS_FEW_TEXTS = 5, 10
"""For cross-fitting: with few texts more folds are cheap, and leave each model more texts."""

SVM_TOLERANCE = 1e-2
"""A smaller tolerance takes longer and changes nothing measurable (docs/benchmarks.md)."""

ABSENT_BIAS = -1.0
"""SVM bias of a label without texts in a fold's training part: the margin of "not this label"."""

_EXPERTS_PER_MODEL = 2
_liblinear = ForkSafeLock()  # its random numbers are one stream for the whole process
_matrices = ForkSafeLock()  # one tf-idf matrix, and its copy in liblinear, at a time: they are large


@dataclass(frozen=True)
class NgramExperts:
    """N-gram models of all labels, and how they are combined without language models."""

    subwords: Tokenizer
    models: list[NgramModel]
    sample: Codes
    """(s,) the texts that everything but the counts was fitted on."""
    held_out: list[Array]
    """(s, K) each: the experts' scores of these texts by models that were not fitted on them."""
    background: Array
    """(2, s) their log-likelihoods by single characters, and their numbers of characters."""
    combination: Combination

    @property
    def joint(self) -> Array:
        """(s, K) held-out joint log-probabilities by the n-gram experts alone."""
        return self.combination.joint(self.held_out)


def fit_ngram_experts(data: TrainingData, context: FitContext, rng: np.random.Generator) -> NgramExperts:
    """Fit the n-gram models, and their combination on cross-fitted scores."""
    limits, labels = context.limits, len(data.classes)
    chosen = stratified_sample(data.codes, limits.max_texts, rng, groups=data.groups)
    sample = data.select(chosen, limits.max_texts)
    rest = np.setdiff1d(np.arange(len(data.texts)), chosen, assume_unique=True)
    rest_texts = [data.texts[index] for index in rest]
    subwords = Tokenizer.train("subword", sample.texts, VOCABULARY_SIZES["subword"])
    models, held_out, background = cross_fit_ngrams(
        labelled_batches(sample.texts, sample.codes, sample.weights),
        subwords,
        labels,
        stratified_folds(
            sample.codes, number_of_folds(len(sample.texts), labels, limits), rng, sample.groups
        ),
        remainder=[
            *labelled_batches(rest_texts, data.codes[rest], data.weights_of(rest)),
            *data.remainder,
        ],
        seed=data.seed,
        threads=context.threads,
        cluster=context.cluster,
        step_done=context.step_done,
    )
    names = [name for model in models for name in model.score_names]
    combination = fit_combination(names, held_out, sample.codes, sample.log_frequencies, sample.weights)
    return NgramExperts(subwords, models, chosen, held_out, background, combination)


def number_of_folds(texts: int, labels: int, limits: SizeLimits) -> int:
    """Return in how many folds n-gram models are cross-fitted."""
    few = texts < limits.min_texts_to_hold_out and labels < limits.min_labels_to_share
    return FOLDS_FEW_TEXTS if few else FOLDS


def number_of_fits(texts: int, labels: int, limits: SizeLimits) -> int:
    """Return how many models `fit_ngram_experts` fits."""
    return len(ANALYZERS) * (1 + number_of_folds(min(texts, limits.max_texts), labels, limits))


def cross_fit_ngrams(
    batches: Sequence[LabelledBatch],
    subwords: Tokenizer,
    labels: int,
    folds: Codes,
    *,
    remainder: Sequence[TextShard] = (),
    seed: int = 0,
    threads: int = 1,
    cluster: RayTasks | None = None,
    step_done: Callable[[], object] = lambda: None,
) -> tuple[list[NgramModel], list[Array], Array]:
    """Fit a model for each analyzer, and score each text by models that were not fitted on it.

    Parameters
    ----------
    batches : sequence of LabelledBatch
        n texts with labels and weights.
    subwords : Tokenizer
    labels : int
        K, at least 2.
    folds : ndarray of int, (n,)
        Texts of one fold are scored by models of the others.
    remainder : sequence of TextShard, optional
        More texts, of which only n-gram counts by label are used.
    seed : int, default=0
    threads : int, default=1
        The result does not depend on it.
    cluster : RayTasks, optional
        Counts the n-grams; the result does not depend on it.
    step_done : callable, optional
        Called after each model, in the thread that fits it.

    Returns
    -------
    models : list of NgramModel
    held_out : list of ndarray, (n, K)
        What each model's `NgramModel.scores` returns for texts that are new to it.
    background : ndarray, (2, n)
        What `NgramModel.background` of the first model returns for texts that are new to it.
    """
    codes = np.concatenate([batch.codes for batch in batches])
    weights = np.concatenate([batch.weights for batch in batches])
    models: list[NgramModel] = []
    held_out: list[Array] = []
    backgrounds: list[Array] = []
    for analyzer, ordered in ANALYZERS.items():  # one after the other: the counts of each take memory
        counted = count_ngrams(
            analyzer, ordered, batches, remainder, subwords, threads=threads, cluster=cluster
        )
        by_label = count_by_label(counted, remainder, subwords, labels, threads=threads, cluster=cluster)
        fitter = _NgramFitter(counted, by_label, codes, labels, weights, seed)
        model, scores, background = _cross_fit(fitter, folds, threads, step_done)
        models.append(model)
        held_out += scores
        backgrounds.append(background)
    return models, held_out, backgrounds[0]


def _cross_fit(
    fitter: _NgramFitter, folds: Codes, threads: int, step_done: Callable[[], object]
) -> tuple[NgramModel, list[Array], Array]:
    """Return one analyzer's model, and the folds' scores and background; see `cross_fit_ngrams`."""
    everything = np.ones(len(folds), dtype=bool)
    jobs = [everything, *(folds != fold for fold in np.unique(folds))]
    held_out = [np.zeros((len(folds), fitter.labels)) for _ in range(_EXPERTS_PER_MODEL)]
    background = np.zeros((2, len(folds)))

    def fit(training: Mask) -> NgramModel | None:
        model = fitter.fit(training)
        step_done()
        if training is everything:
            return model
        held_out_ngrams = fitter.counted.select(~training)
        for scores, found in zip(held_out, model.scores_from_columns(*held_out_ngrams), strict=True):
            scores[~training] = found
        if model.analyzer.symbols == "character":
            background[:, ~training] = model.background(*held_out_ngrams)
        return None  # a fold's model takes memory and is not needed any more

    (whole,) = (model for model in map_ordered(fit, jobs, threads) if model is not None)
    return whole, held_out, background


@dataclass(frozen=True)
class _NgramFitter:
    """Fits one analyzer's model on some of the texts and on the whole remainder."""

    counted: CountedNgrams
    remainder: LabelCounts
    codes: Codes
    labels: int
    weights: Array
    seed: int

    def fit(self, training: Mask) -> NgramModel:
        rows = self.counted.counts[training]
        codes, weights = self.codes[training], self.weights[training]
        text_counts = np.bincount(rows.indices, minlength=rows.shape[1])
        idf = np.log((1 + rows.shape[0]) / (1 + text_counts)) + 1.0
        idf[text_counts < self.counted.min_texts] = 0.0
        # A label's likelihoods depend on its texts' weights relative to one another only.
        label_texts = self.remainder.texts + np.bincount(codes, minlength=self.labels)
        label_weights = self.remainder.weights + np.bincount(codes, weights, minlength=self.labels)
        means: Array = label_weights / np.maximum(1, label_texts)
        membership = sparse.csr_matrix(
            (weights / means[codes], (codes, np.arange(len(codes)))), shape=(self.labels, len(codes))
        )
        remainder_counts = self.remainder.counts / np.where(means > 0, means, 1.0)
        counts = (np.asarray((membership @ rows).todense()).T + remainder_counts).astype(np.float32)
        counts[text_counts + self.counted.remainder_texts < self.counted.min_texts] = 0.0
        with _matrices:
            rows = _tf_idf(rows, idf)
            svm_weights, bias = fit_linear_svm(rows, codes, self.labels, weights, self.seed)
        return NgramModel(
            self.counted.analyzer,
            self.counted.keys,
            idf.astype(np.float32),
            round_svm_weights(svm_weights),
            bias.astype(np.float32),
            counts,
            self.counted.contexts,
        )


def round_svm_weights(weights: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Return weights rounded as the saved model's file holds them, so that saving changes nothing."""
    return weights.astype(np.float16).astype(np.float32)


def fit_linear_svm(
    rows: sparse.csr_matrix, codes: Codes, labels: int, weights: Array, seed: int
) -> tuple[Array, Array]:
    """Return weights (F, K) and biases (K,) of one-vs-rest linear SVMs; two labels share one SVM."""
    svm_weights, bias = np.zeros((rows.shape[1], labels)), np.full(labels, ABSENT_BIAS)
    present = np.unique(codes)
    if len(present) < 2 or not rows.shape[1]:
        return svm_weights, np.zeros(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # close enough after the usual iterations
        with _liblinear:
            svm = LinearSVC(tol=SVM_TOLERANCE, random_state=seed).fit(rows, codes, sample_weight=weights)
    if len(present) == 2:
        half = np.concatenate([svm.coef_, svm.coef_]) / 2
        half[0] *= -1
        svm_weights[:, present] = half.T
        bias[present] = [-svm.intercept_[0] / 2, svm.intercept_[0] / 2]
    else:
        svm_weights[:, present], bias[present] = svm.coef_.T, svm.intercept_
    return svm_weights, bias


def ngram_matrix(found: NgramCounts, values: Array, size: int) -> sparse.csr_matrix:
    """Return values of the n-grams of texts as a sparse matrix, (n, size)."""
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
