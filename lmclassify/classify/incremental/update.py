"""Corrects a fitted model: labels learn some texts, and unlearn texts that they had wrongly learned (torch).

Shapes: n texts, K labels, F known n-grams.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lmclassify.classify.incremental.common import (
    has_frequency_priors,
    plain_label,
    require_forward,
    with_revision,
)
from lmclassify.classify.linear_ngrams import tf_idf
from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.classify.next_words import forward_models
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.predictor import LabelModel
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import DataSplit
from lmclassify.classify.training.language_models import new_trainer, train
from lmclassify.classify.training.ngrams import round_svm_weights
from lmclassify.errors import DataError, LMClassifyWarning, listing, shorten
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.lm.neural.threads import one_torch_thread
from lmclassify.lm.ngram.index import count_known
from lmclassify.text.sequences import Ids

MAX_CORRECTION = 1.0
"""Largest factor by which a text moves the SVM weights, as in a linear SVM with C = 1."""

UPDATE_RATE = 0.01
"""Learning rate of an update, relative to training: AdamW moves every weight by about as much per step."""

MIN_LABEL_WEIGHT = 1e-3
"""Weight of a label all of whose texts were unlearned, so that its prior stays above 0."""


@one_torch_thread()
def update(
    model: FittedModel,
    texts: Sequence[str],
    labels: Sequence[Any],
    learned_as: Sequence[Any] | None,
    context: FitContext,
    seed: int,
) -> FittedModel:
    """Return a model that has learned some more texts.

    A text's n-grams are counted under its label. The label's SVM weights move as far as the text asks for,
    and at most as far as one text can move them in a linear SVM (passive-aggressive, Crammer et al. 2006,
    PA-I with C = 1). The label's language model takes one more pass, at a small learning rate. Under the
    label that had wrongly learned a text, its n-grams are uncounted and the SVM weights move the other way.
    What that label's language model has learned stays, and so do all fine-tuned language models and the token
    n-gram models of `suggest` and `generate`. Raises DataError if the model has no such label, or the lengths
    differ. Raises OptionError if the model's language models read backward.

    Parameters
    ----------
    texts, labels : sequence, (n,)
    learned_as : sequence, (n,), optional
        For each text the label that had wrongly learned it, or None.
    context : FitContext
        With the model's settings.
    """
    labels = [plain_label(label) for label in labels]
    wrong_labels = [None] * len(texts) if learned_as is None else [plain_label(label) for label in learned_as]
    _check(model, texts, labels, wrong_labels)
    if not texts:
        return model
    require_forward(model, "update")
    code_of = {label: code for code, label in enumerate(model.classes_.tolist())}
    codes = [code_of[label] for label in labels]
    wrong_codes = [None if label is None else code_of[label] for label in wrong_labels]
    label_weights = model.label_weights.copy()
    for code, wrong in zip(codes, wrong_codes, strict=True):
        label_weights[code] += 1.0
        if wrong is not None:
            label_weights[wrong] = max(MIN_LABEL_WEIGHT, label_weights[wrong] - 1.0)
    log_priors = model.log_priors
    if has_frequency_priors(model):
        log_priors = np.log(label_weights / label_weights.sum())
    models = _updated_language_models(model, texts, codes, context, seed)
    changed = replace(model, log_priors=log_priors, models=models, label_weights=label_weights)
    if isinstance(changed, TunedModel):
        combination = changed.combination
        changed = replace(
            changed,
            # Fine-tuned models without weight are not kept.
            tuned=changed.tuned if combination.weights[-1] else models,
            ngrams=[_updated_ngrams(ngrams, changed, texts, codes, wrong_codes) for ngrams in changed.ngrams],
            combination=replace(combination, bias=combination.bias + log_priors - model.log_priors),
        )
    elif any(label is not None for label in wrong_labels):
        message = "recipe plain cannot unlearn a wrong text: only the label's prior changes"
        warnings.warn(message, LMClassifyWarning, stacklevel=3)
    for label in dict.fromkeys(labels):
        changed = with_revision(changed, "update", label, labels.count(label))
    return changed


def _check(
    model: FittedModel, texts: Sequence[str], labels: Sequence[Any], wrong_labels: Sequence[Any]
) -> None:
    if not len(texts) == len(labels) == len(wrong_labels):
        raise DataError(
            f"found {len(texts)} texts, {len(labels)} labels and {len(wrong_labels)} in learned_as"
        )
    known = model.classes_.tolist()
    for row, (label, wrong) in enumerate(zip(labels, wrong_labels, strict=True)):
        for name in (label, *([] if wrong is None else [wrong])):
            if name not in known:
                raise DataError(f"row {row}: no label {shorten(name)}; there are: {listing(known)}")
        if wrong is not None and label == wrong:
            raise DataError(f"row {row}: {shorten(label)} cannot both learn and unlearn a text")


def _updated_language_models(
    model: FittedModel, texts: Sequence[str], codes: Sequence[int], context: FitContext, seed: int
) -> list[LabelModel]:
    """Return the labels' language models after one more pass over each label's texts."""
    sequences = model.tokenizer.sequences(texts)
    models: list[LabelModel] = [*forward_models(model, "update")]
    for code in sorted(set(codes)):
        own = [sequence for sequence, other in zip(sequences, codes, strict=True) if other == code]
        lstm = models[code]
        if isinstance(lstm, NumpyLanguageModel):
            models[code] = _one_more_pass(model, code, lstm, own, context, seed)
    return models


def _one_more_pass(
    model: FittedModel,
    code: int,
    lstm: NumpyLanguageModel,
    sequences: Sequence[Ids],
    context: FitContext,
    seed: int,
) -> NumpyLanguageModel:
    label, labels = model.classes_.tolist()[code], len(model.classes_)
    rate = context.settings.learning_rate * UPDATE_RATE
    trainer = new_trainer(
        DataSplit(label, np.arange(len(sequences)), np.arange(0), seed),
        sequences,
        None,
        model.tokenizer,
        context,
        settings=replace(context.settings, learning_rate=rate, max_epochs=1, warmup=0.0),
        start=lstm.arrays,
        one_embedding=isinstance(model, TunedModel) and context.limits.share_embedding(labels),
    )
    train([(label, trainer)], context)
    return NumpyLanguageModel(trainer.model.arrays())  # not rounded: that would undo small steps


def _updated_ngrams(
    ngrams: NgramModel,
    model: TunedModel,
    texts: Sequence[str],
    codes: Sequence[int],
    wrong_codes: Sequence[int | None],
) -> NgramModel:
    """Return an n-gram model that has learned texts one after the other; see `update`."""
    occurrences = ngrams.analyzer.occurrences(texts, model.subwords.sequences(list(texts)))
    ngrams = ngrams.with_ngrams(occurrences, float(ngrams.idf.max(initial=1.0)))
    found = count_known(ngrams.look_up(occurrences), occurrences.text_index, len(texts))
    values = tf_idf(found, ngrams.idf)
    margin = 0.5 if ngrams.svm_weights.shape[1] == 2 else 1.0  # two labels share one SVM
    weights, bias, counts = ngrams.svm_weights.copy(), ngrams.svm_bias.copy(), ngrams.counts.copy()
    starts = np.searchsorted(found.text_index, np.arange(len(texts) + 1))

    def move(code: int, row: slice, sign: float) -> None:
        columns, text_values = found.column[row], values[row]
        counts[columns, code] = np.maximum(0.0, counts[columns, code] + sign * found.count[row])
        score = weights[columns, code] @ text_values + bias[code]
        loss = max(0.0, margin - sign * score)
        step = sign * min(MAX_CORRECTION, loss / (text_values @ text_values + 1.0))
        weights[columns, code] += step * text_values
        bias[code] += step

    for index, (code, wrong) in enumerate(zip(codes, wrong_codes, strict=True)):
        row = slice(starts[index], starts[index + 1])
        move(code, row, 1.0)
        if wrong is not None:
            move(wrong, row, -1.0)
    changed = sorted({*codes, *(code for code in wrong_codes if code is not None)})
    weights[:, changed] = round_svm_weights(weights[:, changed])
    return ngrams.with_weights(weights, bias, counts, changed)
