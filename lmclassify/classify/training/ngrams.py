"""The n-gram experts of recipe tuned: their models (scikit-learn), cross-fitted scores and combination.

Each analyzer of the text gives one model of two experts: linear SVM weights, and a likelihood of a language
model or of multinomial naive Bayes.

Shapes: n texts, s texts of the sample, F n-grams, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lmclassify.classify.ensemble import Combination
from lmclassify.classify.linear_ngrams import SMOOTHING
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.training.context import FitContext, SizeLimits
from lmclassify.classify.training.data import TrainingData, stratified_folds, stratified_sample
from lmclassify.classify.training.ensemble import fit_combination
from lmclassify.classify.training.linear_svm import fit_linear_svm, fold_svms
from lmclassify.classify.training.ngram_counts import (
    CountedNgrams,
    LabelCounts,
    LabelledBatch,
    TextShard,
    count_by_label,
    count_ngrams,
    labelled_batches,
)
from lmclassify.classify.training.self_training import GuessedLabels
from lmclassify.classify.training.vector_words import VECTOR_WORDS, fit_ridge, with_vectors, word_features
from lmclassify.classify.training.vocabulary import VOCABULARY_SIZES
from lmclassify.cluster.tasks import RayTasks
from lmclassify.lm.ngram.index import NgramCounts
from lmclassify.lm.ngram.witten_bell import WittenBell
from lmclassify.parallel import in_background, map_ordered
from lmclassify.text.ngrams import NgramAnalyzer
from lmclassify.text.tokenizer import Tokenizer
from lmclassify.text.word_vectors import WordVectors

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

ANALYZERS = {
    NgramAnalyzer("character", 5): True,
    NgramAnalyzer("subword", 3): True,
    NgramAnalyzer("marked-word", 2): False,
}
"""Whether each analyzer's likelihood is a language model's; else it is that of multinomial naive Bayes."""

FOLDS, FOLDS_FEW_TEXTS, FEW_TEXTS = 5, 10, 1000
"""For cross-fitting: with few texts more folds are cheap, and leave each model more texts."""

LABELS_AT_A_TIME = 64
"""Language models of a fold in memory: each takes two numbers for each n-gram."""

_EXPERTS_PER_MODEL = 2


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
    lengths: Codes
    """(s,) of these texts, in subwords."""
    combination: Combination

    @property
    def joint(self) -> Array:
        """(s, K) held-out joint log-probabilities by the n-gram experts alone."""
        return self.combination.joint(self.held_out, self.lengths)

    def score(self, texts: Sequence[str]) -> Array:
        """Return the joint log-probabilities of other texts by the n-gram experts alone, (n, K)."""
        sequences = self.subwords.sequences(texts)
        scores = [score for model in self.models for score in model.scores(texts, sequences)]
        return self.combination.joint(scores, [len(sequence) for sequence in sequences])


def choose_sample(data: TrainingData, context: FitContext, rng: np.random.Generator) -> Codes:
    """Return the texts that everything but the n-gram counts is fitted on, (s,)."""
    return stratified_sample(data.codes, context.limits.max_texts, rng, groups=data.groups)


def expert_folds(sample: TrainingData, context: FitContext, rng: np.random.Generator) -> Codes:
    """Return the folds in which n-gram models are cross-fitted, (s,)."""
    folds = number_of_folds(len(sample.texts), len(sample.classes), context.limits)
    return stratified_folds(sample.codes, folds, rng, sample.groups)


def fit_ngram_experts(
    data: TrainingData,
    chosen: Codes,
    context: FitContext,
    rng: np.random.Generator,
    guessed: GuessedLabels | None = None,
) -> NgramExperts:
    """Fit the n-gram models, and their combination on cross-fitted scores; see `choose_sample`.

    With `guessed`, its texts are learned, too, and its folds are used.
    """
    limits, labels = context.limits, len(data.classes)
    sample = data.select(chosen, limits.max_texts)
    rest = np.setdiff1d(np.arange(len(data.texts)), chosen, assume_unique=True)
    rest_texts = [data.texts[index] for index in rest]

    def train_subwords() -> Tokenizer:
        return Tokenizer.train("subword", sample.texts, VOCABULARY_SIZES["subword"])

    with in_background(train_subwords, context.threads) as subwords:
        models, held_out, background = cross_fit_ngrams(
            labelled_batches(sample.texts, sample.codes, sample.weights),
            subwords,
            labels,
            expert_folds(sample, context, rng) if guessed is None else guessed.folds,
            guessed=guessed,
            remainder=[
                *labelled_batches(rest_texts, data.codes[rest], data.weights_of(rest)),
                *data.remainder,
            ],
            seed=data.seed,
            threads=context.threads,
            cluster=context.cluster,
            step_done=context.step_done,
            vectors=context.vectors,
        )
    names = [name for model in models for name in model.score_names]
    lengths = np.array([len(sequence) for sequence in subwords().sequences(sample.texts)], dtype=np.intp)
    combination = fit_combination(
        names, held_out, sample.codes, sample.log_frequencies, sample.weights, lengths
    )
    return NgramExperts(subwords(), models, chosen, held_out, background, lengths, combination)


def number_of_folds(texts: int, labels: int, limits: SizeLimits) -> int:
    """Return in how many folds n-gram models are cross-fitted."""
    few = texts < FEW_TEXTS and labels < limits.min_labels_to_share
    return FOLDS_FEW_TEXTS if few else FOLDS


def number_of_fits(texts: int, labels: int, context: FitContext) -> int:
    """Return how many models `fit_ngram_experts` fits."""
    limits, models = context.limits, len(ANALYZERS) + (context.vectors is not None)
    return models * (1 + number_of_folds(min(texts, limits.max_texts), labels, limits))


def cross_fit_ngrams(
    batches: Sequence[LabelledBatch],
    subwords: Callable[[], Tokenizer],
    labels: int,
    folds: Codes,
    *,
    guessed: GuessedLabels | None = None,
    remainder: Sequence[TextShard] = (),
    seed: int = 0,
    threads: int = 1,
    cluster: RayTasks | None = None,
    step_done: Callable[[], object] = lambda: None,
    vectors: WordVectors | None = None,
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
    guessed : GuessedLabels, optional
        Texts without label, which are counted for each label with the probability of the label.
    remainder : sequence of TextShard, optional
        More texts, of which only n-gram counts by label are used.
    seed : int, default=0
    threads : int, default=1
        The result does not depend on it.
    cluster : RayTasks, optional
        Counts the n-grams; the result does not depend on it.
    step_done : callable, optional
        Called after each model, in the thread that fits it.
    vectors : WordVectors, optional
        With them there is one more model, of words that have a vector.

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
    unlabelled = [] if guessed is None else guessed.batches()
    models: list[NgramModel] = []
    held_out: list[Array] = []
    backgrounds: list[Array] = []
    analyzers = ANALYZERS if vectors is None else {**ANALYZERS, VECTOR_WORDS: False}
    for analyzer, ordered in analyzers.items():  # one after the other: the counts of each take memory
        tokenizer = subwords() if analyzer.symbols == "subword" else None
        counted = count_ngrams(
            analyzer, ordered, [*batches, *unlabelled], remainder, tokenizer, threads=threads, cluster=cluster
        )
        by_label = [count_by_label(counted, remainder, tokenizer, labels, threads=threads, cluster=cluster)]
        if guessed is not None:
            counted, rows = counted.split(len(codes))
            by_label = [by_label[0].plus(rows, shares) for shares in guessed.weights]
        array = None
        if vectors is not None and analyzer == VECTOR_WORDS:
            texts = chain.from_iterable(batch.texts for batch in batches)
            counted, by_label, array = with_vectors(counted, by_label, texts, vectors)
        fitter = _NgramFitter(counted, by_label, codes, labels, weights, seed, array)
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
    margins, likelihoods = (np.zeros((len(folds), fitter.labels)) for _ in range(_EXPERTS_PER_MODEL))
    background = np.zeros((2, len(folds)))

    def fit_linear() -> tuple[Floats, Floats, Floats]:
        return fitter.fit_linear(folds, margins, threads, step_done)

    def score_fold(fold: int) -> None:
        inside = folds == fold
        fitter.score(inside, fitter.label_counts(~inside, fold), likelihoods, background)

    jobs: list[Callable[[], Any]] = [fit_linear, *(partial(score_fold, fold) for fold in np.unique(folds))]
    (idf, svm_weights, bias), *_ = map_ordered(lambda job: job(), jobs, threads)
    counts = fitter.label_counts(everything, -1).T.toarray(order="C").astype(np.float32, copy=False)
    counted = fitter.counted
    model = NgramModel(counted.analyzer, counted.keys, idf, svm_weights, bias, counts, counted.contexts)
    return model, [margins, likelihoods], background


@dataclass(frozen=True)
class _NgramFitter:
    """Fits one analyzer's model on some of the texts and on the whole remainder."""

    counted: CountedNgrams
    remainder: Sequence[LabelCounts]
    """One of each fold, and one for the model of all texts; or one for all of them."""
    codes: Codes
    labels: int
    weights: Array
    seed: int

    vectors: Floats | None = None
    """(F, d) of the words; see `lmclassify.classify.training.vector_words`."""

    def fit_linear(
        self, folds: Codes, margins: Array, threads: int, step_done: Callable[[], object]
    ) -> tuple[Floats, Floats, Floats]:
        """Return idf (F,), weights (F, K) and biases (K,) of the linear expert.

        Each fold's rows of `margins`, (n, K), are set to its scores by an expert fitted on the other folds.
        """
        if self.vectors is not None:
            return self._fit_ridge(self.vectors, folds, margins, step_done)
        idf, rows = self.tf_idf()
        svm_weights, bias = fit_linear_svm(rows, self.codes, self.labels, self.weights, self.seed)
        step_done()
        svms = (svm_weights, bias)
        without = fold_svms(rows, self.codes, self.weights, folds, svms, self.seed, threads)
        for inside, fold_weights, fold_bias in without:
            margins[inside] = self.margins(rows, inside, fold_weights) + fold_bias
            step_done()
        return idf, round_svm_weights(svm_weights), bias

    def _fit_ridge(
        self, vectors: Floats, folds: Codes, margins: Array, step_done: Callable[[], object]
    ) -> tuple[Floats, Floats, Floats]:
        features = word_features(self.counted.counts, vectors)
        (_, word_weights, bias), *without = fit_ridge(features, self.codes, self.labels, self.weights, folds)
        step_done()
        for inside, fold_weights, fold_bias in without:
            margins[inside] = features.rows[inside] @ fold_weights + fold_bias
            step_done()
        return features.idf, round_svm_weights(word_weights), bias

    def tf_idf(self) -> tuple[Floats, sparse.csr_matrix]:
        """Return inverse document frequencies (F,), and the tf-idf of all texts (n, F), of norm 1 each."""
        rows = self.counted.counts
        text_counts = np.bincount(rows.indices, minlength=rows.shape[1])
        idf = (np.log((1 + rows.shape[0]) / (1 + text_counts)) + 1.0).astype(np.float32)
        idf[text_counts < self.counted.min_texts] = 0.0
        logs = np.log(np.arange(1, int(rows.data.max(initial=1)) + 1, dtype=np.float32)) + np.float32(1)
        values = sparse.csr_matrix(
            (logs[rows.data.astype(np.intp) - 1], rows.indices, rows.indptr), shape=rows.shape
        )
        values.data *= idf[rows.indices]
        values.data *= _inverse_norms(values)[_row_of(values)]
        return idf, values

    def margins(self, rows: sparse.csr_matrix, inside: Mask, svm_weights: Floats) -> Floats:
        """Return SVM scores of some texts, less the bias, by SVMs of the others, (n inside, K).

        N-grams that only the texts inside have are not known to such SVMs, and do not count in the norm.
        """
        counts = self.counted.counts
        outside = np.bincount(counts[~inside].indices, minlength=counts.shape[1])
        chosen = rows[inside]
        chosen.data *= (outside >= self.counted.min_texts)[chosen.indices]
        scores: Floats = (chosen @ svm_weights) * _inverse_norms(chosen)[:, np.newaxis]
        return scores

    def label_counts(self, training: Mask, fold: int) -> sparse.csr_matrix:
        """Return how often each label's texts have each n-gram, (K, F): some texts, and the remainder.

        The remainder is that of a fold; -1: that of the model of all texts.
        """
        remainder = self.remainder[fold if len(self.remainder) > 1 else 0]
        rows, codes, weights = self.counted.counts[training], self.codes[training], self.weights[training]
        # A label's likelihoods depend on its texts' weights relative to one another only.
        label_texts = remainder.texts + np.bincount(codes, minlength=self.labels)
        label_weights = remainder.weights + np.bincount(codes, weights, minlength=self.labels)
        means: Array = label_weights / np.where(label_texts > 0, label_texts, 1.0)
        scale = 1.0 / np.where(means > 0, means, 1.0)
        membership = sparse.csr_matrix(
            (weights * scale[codes], (codes, np.arange(len(codes)))), shape=(self.labels, len(codes))
        )
        counts = membership @ rows
        if remainder.counts.nnz:
            counts = counts + sparse.diags(scale) @ remainder.counts.T
        counts = counts.astype(np.float32)
        texts = np.bincount(rows.indices, minlength=rows.shape[1]) + self.counted.remainder_texts
        counts.data *= (texts >= self.counted.min_texts)[counts.indices]
        counts.eliminate_zeros()
        return counts.tocsr()

    def score(self, inside: Mask, counts: sparse.csr_matrix, likelihoods: Array, background: Array) -> None:
        """Set likelihoods (n, K) and background (2, n) of some texts, by other texts' counts (K, F)."""
        contexts = self.counted.contexts
        if contexts is None:
            likelihoods[inside] = naive_bayes_scores(self.counted.counts[inside], counts)
            return
        columns, text_index, position, texts = self.counted.select(inside)
        known = np.zeros(len(contexts), dtype=bool)
        known[counts.indices] = True
        symbols = int(np.count_nonzero(contexts[known] < 0))
        for first in range(0, self.labels, LABELS_AT_A_TIME):
            part = slice(first, first + LABELS_AT_A_TIME)
            models = WittenBell(counts[part].T.toarray(order="C"), contexts, symbols)
            likelihoods[inside, part] = models.log_likelihoods(columns, text_index, position, texts)
        if self.counted.analyzer.symbols == "character":
            pooled = np.asarray(counts.sum(axis=0), dtype=np.float32).reshape(-1, 1)
            single = WittenBell(pooled, contexts, symbols)
            background[0, inside] = single.log_likelihoods(columns[:1], text_index, position, texts)[:, 0]
            background[1, inside] = np.bincount(text_index[position > 0], minlength=texts)


def round_svm_weights(weights: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Return weights rounded as the saved model's file holds them, so that saving changes nothing."""
    return weights.astype(np.float16).astype(np.float32)


def ngram_matrix(found: NgramCounts, values: Array, size: int) -> sparse.csr_matrix:
    """Return values of the n-grams of texts as a sparse matrix, (n, size)."""
    return sparse.csr_matrix((values, (found.text_index, found.column)), shape=(found.texts, size))


def naive_bayes_scores(rows: sparse.csr_matrix, counts: sparse.csr_matrix) -> Array:
    """Return log-likelihoods of texts by multinomial naive Bayes, (n, K).

    They are those of `lmclassify.classify.linear_ngrams.naive_bayes_weights`, without making these weights.

    Parameters
    ----------
    rows : csr_matrix, (n, F)
        Counts of the texts.
    counts : csr_matrix, (K, F)
        Counts of each label's texts.
    """
    known = np.zeros(counts.shape[1], dtype=bool)
    known[counts.indices] = True
    totals = np.asarray(counts.sum(axis=1)).ravel() + SMOOTHING * np.count_nonzero(known)
    ratios = sparse.csr_matrix(
        (np.log1p(counts.data / SMOOTHING), counts.indices, counts.indptr), shape=counts.shape
    )
    lengths = rows @ known.astype(np.float64)
    scores: Array = (rows @ ratios.T).toarray() + lengths[:, np.newaxis] * np.log(
        SMOOTHING / np.maximum(totals, SMOOTHING)
    )
    return scores


def _row_of(rows: sparse.csr_matrix) -> Codes:
    """Return the row of each value that is not zero."""
    return np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))


def _inverse_norms(rows: sparse.csr_matrix) -> Floats:
    """Return the inverse of each row's norm, (n,); 0 where it is zero."""
    norms = np.sqrt(np.bincount(_row_of(rows), np.square(rows.data), minlength=rows.shape[0]))
    return np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0).astype(np.float32)
