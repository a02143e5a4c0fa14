"""Corrections: texts learnt, and unlearnt, by the labels that they concern alone (torch).

Shapes: n texts, K labels, F n-grams known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lmclassify.classify.incremental.remove_label import has_frequency_priors, recorded, require_forward
from lmclassify.classify.linear_ngrams import tf_idf
from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.classify.next_words import forward_models
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.training.language_models import DataSplit, FitContext, new_trainer, train
from lmclassify.classify.training.recipes import shares_embedding
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.lm.ngram.index import count_known
from lmclassify.text.sequences import Ids

_CORRECTION = 1.0  # the most that a text may move a weight, as in a linear SVM with C = 1
_UPDATE_SHARE = 0.01  # of the learning rate: AdamW moves every weight by about as much a step
_LEAST_WEIGHT = 1e-3  # of a label all of whose texts were unlearnt: its prior stays above 0


def update(
    model: FittedModel,
    texts: Sequence[str],
    labels: Sequence[Any],
    learned_as: Sequence[Any],
    course: FitContext,
    seed: int,
) -> FittedModel:
    """Return a model that has learnt some more texts, and unlearnt where they had been learnt wrongly.

    A text's n-grams are counted under its label. Its weights that tell the label from the rest move as far
    as the text asks for, and at most as far as one text could have moved them in a linear SVM (passive-
    aggressive, Crammer et al. 2006, PA-I with C = 1). Its language model takes one more pass, at a small
    learning rate. Under the label that had wrongly learnt it, its n-grams are uncounted and the weights move
    the other way; what its language model had learnt stays, and so do all tuned language
    models and what `suggest` and `generate` have beside.

    Parameters
    ----------
    model : FittedModel
    texts, labels : sequence, (n,)
    learned_as : sequence, (n,)
        For each text the label that had learnt it, or None.
    course : FitContext
        With the model's settings.
    seed : int
    """
    require_forward(model, "update")
    label_weights = model.label_weights.copy()
    place = {label: index for index, label in enumerate(model.classes_.tolist())}
    codes = [place[label] for label in labels]
    wrong = [None if label is None else place[label] for label in learned_as]
    for code, unlearnt in zip(codes, wrong, strict=True):
        label_weights[code] += 1.0
        if unlearnt is not None:
            label_weights[unlearnt] = max(_LEAST_WEIGHT, label_weights[unlearnt] - 1.0)
    log_priors = model.log_priors
    if has_frequency_priors(model):
        log_priors = np.log(label_weights / label_weights.sum())
    sequences = model.tokenizer.sequences(texts)
    forward = forward_models(model, "update")
    models: list[AnyLanguageModel] = [*forward]
    for code in sorted(set(codes)):
        own = [sequence for sequence, of_text in zip(sequences, codes, strict=True) if of_text == code]
        label = model.classes_.tolist()[code]
        models[code] = _one_more_pass(model, label, forward[code], own, course, seed)
    changed = replace(model, log_priors=log_priors, models=models, label_weights=label_weights)
    if isinstance(model, TunedModel) and isinstance(changed, TunedModel):
        combination = model.combination
        changed = replace(
            changed,
            # Where what is tuned has no weight, it is not kept.
            tuned=model.tuned if combination.weights[-1] else models,
            ngrams=[_corrected(ngrams, model, texts, codes, wrong) for ngrams in model.ngrams],
            combination=replace(combination, bias=combination.bias + log_priors - model.log_priors),
        )
    for label in dict.fromkeys(labels):
        changed = recorded(changed, "update", label, sum(of_text == label for of_text in labels))
    return changed


def _one_more_pass(
    model: FittedModel,
    label: Any,
    lstm: NumpyLanguageModel,
    sequences: Sequence[Ids],
    course: FitContext,
    seed: int,
) -> NumpyLanguageModel:
    settings = replace(
        course.settings, learning_rate=course.settings.learning_rate * _UPDATE_SHARE, max_epochs=1, warmup=0.0
    )
    part = DataSplit(label, np.arange(len(sequences)), np.arange(0), seed)
    trainer = new_trainer(
        part,
        sequences,
        None,
        model.tokenizer,
        course,
        settings=settings,
        start=lstm.arrays,
        one_embedding=isinstance(model, TunedModel) and shares_embedding(len(model.classes_)),
    )
    train([(label, trainer)], course)
    return NumpyLanguageModel(trainer.model.arrays())  # not rounded: small steps would come to nothing


def _corrected(
    ngrams: NgramModel,
    model: TunedModel,
    texts: Sequence[str],
    codes: Sequence[int],
    wrong: Sequence[int | None],
) -> NgramModel:
    """Return n-gram weights that have learnt texts one after the other; see `update`."""
    windows = ngrams.analyzer.occurrences(texts, model.subwords.sequences(list(texts)))
    ngrams = ngrams.with_ngrams(windows, float(ngrams.idf.max(initial=1.0)))
    found = count_known(ngrams.look_up(windows), windows.text_index, len(texts))
    values = tf_idf(found, ngrams.idf)
    margin = 0.5 if ngrams.svm_weights.shape[1] == 2 else 1.0  # two labels share it
    tuned, bias, counts = ngrams.svm_weights.copy(), ngrams.svm_bias.copy(), ngrams.counts.copy()
    starts = np.searchsorted(found.text_index, np.arange(len(texts) + 1))

    def move(code: int, row: slice, sign: float) -> None:
        columns, of_text = found.column[row], values[row]
        counts[columns, code] = np.maximum(0.0, counts[columns, code] + sign * found.count[row])
        score = tuned[columns, code] @ of_text + bias[code]
        missing = max(0.0, margin - sign * score)
        step = sign * min(_CORRECTION, missing / (of_text @ of_text + 1.0))
        tuned[columns, code] += step * of_text
        bias[code] += step

    for index, (code, unlearnt) in enumerate(zip(codes, wrong, strict=True)):
        row = slice(starts[index], starts[index + 1])
        move(code, row, 1.0)
        if unlearnt is not None:
            move(unlearnt, row, -1.0)
    changed = sorted({*codes, *(code for code in wrong if code is not None)})
    tuned[:, changed] = tuned[:, changed].astype(np.float16).astype(np.float32)
    return ngrams.with_weights(tuned, bias, counts, changed)
