"""The experts of one new label, fitted beside texts of the other labels (torch); see `add_label`.

Shapes: n texts of the new label, m texts of all labels, K labels before, F known n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from lmclassify.classify.linear_ngrams import tf_idf
from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.scoring import log_likelihoods
from lmclassify.classify.thresholds import subsample
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import DataSplit, stratified_folds
from lmclassify.classify.training.history import training_records
from lmclassify.classify.training.language_models import new_trainer, train
from lmclassify.classify.training.linear_svm import fit_linear_svm
from lmclassify.classify.training.lstm_experts import adaptation_settings
from lmclassify.classify.training.ngrams import ngram_matrix, round_svm_weights
from lmclassify.lm.inference.forward import NumpyLanguageModel, round_to_16_bits
from lmclassify.lm.ngram.index import count_known
from lmclassify.text.sequences import Ids

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

FOLDS = 5
"""For cross-fitting; fewer if there are fewer texts."""


@dataclass(frozen=True)
class NewLabel:
    """A label to add, and the labels' properties with it."""

    label: Any
    index: int
    """In `classes`."""
    texts: list[str]
    """(n,)"""
    classes: npt.NDArray[Any]
    """(K + 1,)"""
    label_weights: Array
    """(K + 1,)"""
    log_priors: Array
    """(K + 1,)"""
    seed: int

    def shift(self, codes: npt.NDArray[Any]) -> Codes:
        """Return label indices with the new label from those without."""
        return (codes + (codes >= self.index)).astype(np.intp)

    def sample(self, rows: Codes, others: int) -> Codes:
        """Sample rows of the label: as many beside so many of others as the labels' weights ask for."""
        share = self.label_weights[self.index] / np.delete(self.label_weights, self.index).sum()
        return rows[subsample(len(rows), round(share * others) or min(1, others), self.seed)]


@dataclass(frozen=True)
class Pool:
    """Texts of other labels, then those of the new label."""

    texts: list[str]
    """(m,)"""
    is_new: Mask
    """(m,)"""
    folds: Codes
    """(m,)"""

    def training(self, fold: int) -> Mask:
        """Return the texts outside a fold; all if there is one fold only."""
        return self.folds != fold if self.folds.max() else np.ones(len(self.texts), dtype=bool)


def make_pool(others: Sequence[str], new: NewLabel) -> Pool:
    """Return texts of other labels and of the new one, assigned to folds."""
    is_new = np.repeat([False, True], [len(others), len(new.texts)])
    rng = np.random.default_rng([new.seed, len(new.texts)])
    folds = stratified_folds(is_new.astype(np.intp), min(FOLDS, len(new.texts)), rng)
    return Pool([*others, *new.texts], is_new, folds)


def fit_label_ngrams(model: TunedModel, new: NewLabel, pool: Pool) -> tuple[list[NgramModel], list[Array]]:
    """Fit the label's SVM weights and n-gram counts.

    Returns
    -------
    ngrams : list of NgramModel
        With the label.
    scores : list of ndarray, (m,)
        The label's, by each expert, cross-fitted.
    """
    subwords = model.subwords.sequences(pool.texts)
    own_subwords = model.subwords.sequences(new.texts)
    models, scores = [], []
    for ngrams in model.ngrams:
        idf = float(ngrams.idf.max(initial=1.0))
        ngrams = ngrams.with_ngrams(ngrams.analyzer.occurrences(new.texts, own_subwords), idf)
        occurrences = ngrams.analyzer.occurrences(pool.texts, subwords)
        columns = ngrams.look_up(occurrences)
        known = count_known(columns, occurrences.text_index, len(pool.texts))
        values, counts = (
            ngram_matrix(known, numbers, len(ngrams.keys))
            for numbers in (tf_idf(known, ngrams.idf), known.count)
        )
        label_scores = np.zeros((2, len(pool.texts)))
        for fold in np.unique(pool.folds):
            fitted = _fit_weights(ngrams, values, counts, pool.training(fold), pool.is_new, new.seed)
            found = _beside_others(ngrams, *fitted).scores_from_columns(
                columns, occurrences.text_index, occurrences.position, len(pool.texts)
            )
            inside = pool.folds == fold
            for row, fold_scores in zip(label_scores, found, strict=True):
                row[inside] = fold_scores[inside, 1]
        scores += list(label_scores)
        everything = np.ones(len(pool.texts), dtype=bool)
        fitted = _fit_weights(ngrams, values, counts, everything, pool.is_new, new.seed)
        models.append(ngrams.with_label(new.index, *fitted))
    return models, scores


def _fit_weights(
    ngrams: NgramModel,
    values: sparse.csr_matrix,
    counts: sparse.csr_matrix,
    training: Mask,
    is_new: Mask,
    seed: int,
) -> tuple[Floats, float, Floats]:
    """Return the label's SVM weights (F,), bias and counts (F,).

    Parameters
    ----------
    values, counts : csr_matrix, (m, F)
        tf-idf and counts of the texts.
    training, is_new : ndarray of bool, (m,)
        Which texts to fit on, and which are the label's.
    """
    codes = is_new[training].astype(np.intp)
    weights, bias = fit_linear_svm(values[training], codes, 2, np.ones(len(codes)), seed)
    # Two labels share a margin, half each; with more, every label has an SVM of its own.
    scale = 1.0 if ngrams.svm_weights.shape[1] == 2 else 2.0
    label_counts = np.asarray(counts[training & is_new].sum(axis=0), dtype=np.float32).ravel()
    return round_svm_weights(scale * weights[:, 1]), float(scale * bias[1]), label_counts


def _beside_others(ngrams: NgramModel, weights: Floats, bias: float, counts: Floats) -> NgramModel:
    """Return a model of two labels: all others together, and the new one."""
    return NgramModel(
        ngrams.analyzer,
        ngrams.keys,
        ngrams.idf,
        np.column_stack([np.zeros_like(weights), weights]),
        np.array([0.0, bias], dtype=np.float32),
        np.column_stack([ngrams.counts.sum(axis=1), counts]),
        ngrams.contexts,
    )


def cross_fit_language_model(
    model: TunedModel, new: NewLabel, pool: Pool, context: FitContext
) -> tuple[NumpyLanguageModel, dict[str, Any], Array]:
    """Return the label's language model, its training record, and its cross-fitted scores, (m,)."""
    sequences = model.tokenizer.sequences(pool.texts)

    def fit(mask: Mask) -> tuple[NumpyLanguageModel, dict[str, Any]]:
        chosen = [sequences[index] for index in np.flatnonzero(mask & pool.is_new)]
        return fit_language_model(model, new.label, chosen, context, new.seed)

    lstm, record = fit(pool.is_new)
    scores = np.zeros(len(pool.texts))
    for fold in np.unique(pool.folds) if model.combination.lstms_decide else []:
        fold_lstm, _ = fit(pool.training(fold))
        inside = np.flatnonzero(pool.folds == fold)
        scores[inside] = log_likelihoods(
            [fold_lstm],
            [sequences[index] for index in inside],
            max_length=model.settings.limit,
            threads=context.threads,
        )[:, 0]
    return lstm, record, scores


def fit_language_model(
    model: FittedModel, label: Any, sequences: Sequence[Ids], context: FitContext, seed: int
) -> tuple[NumpyLanguageModel, dict[str, Any]]:
    """Train the label's language model, from the background model on if there is one."""
    settings = context.settings
    split = DataSplit(label, *split_texts(len(sequences), settings.validation_fraction, seed), seed)
    start = None
    if isinstance(model, TunedModel):
        assert isinstance(model.background, NumpyLanguageModel)
        settings = adaptation_settings(settings)
        start = model.background.arrays
    trainer = new_trainer(
        split,
        sequences,
        None,
        model.tokenizer,
        context,
        settings=settings,
        start=start,
        one_embedding=start is not None and context.limits.share_embedding(len(model.classes_) + 1),
    )
    train([(label, trainer)], context)
    record = training_records([split], [trainer])[0]
    return NumpyLanguageModel(round_to_16_bits(trainer.model.arrays())), record


def split_texts(texts: int, validation_fraction: float, seed: int) -> tuple[Codes, Codes]:
    """Return the indices of training and validation texts."""
    shuffled = np.random.default_rng([seed, texts]).permutation(texts)
    size = round(validation_fraction * texts)
    return np.sort(shuffled[size:]), np.sort(shuffled[:size])
