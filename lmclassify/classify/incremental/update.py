"""Corrects a fitted model: labels learn some texts, and unlearn texts that they had wrongly learned (torch).

Shapes: n texts, K labels, F known n-grams.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

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
from lmclassify.errors import DataError, LMClassifyWarning, counted, did_you_mean, listing, shorten
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.lm.neural.threads import one_torch_thread
from lmclassify.lm.ngram.index import count_known
from lmclassify.text.sequences import Ids

Array = npt.NDArray[np.float64]

MARGIN = 3.0
"""Nats by which the label of a text leads all others after the update, as far as SVM weights can do that: so
that near copies of the text get the label too."""

MAX_MOVES = 10
"""Moves of a text's label away from the then likeliest other label: with many labels one is not enough."""

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

    A text's n-grams are counted under its label, and uncounted under the label that had wrongly learned it.
    The label's language model takes one more pass, at a small learning rate. If the label does not lead all
    others by `MARGIN` then, the SVM weights move as little as is enough for that (passive-aggressive, Crammer
    et al. 2006), and least where an n-gram is in many texts (confidence-weighted: AROW, Crammer et al. 2009),
    so that other texts are hardly concerned. So do the weights of a text's variants (see
    `lmclassify.classify.variants`). Fine-tuned language models and the token n-gram models of
    `suggest` and `generate` do not change. Raises DataError if the model has no such label, or the lengths
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
            ngrams=[_counted(ngrams, changed, texts, codes, wrong_codes) for ngrams in changed.ngrams],
            combination=replace(combination, bias=combination.bias + log_priors - model.log_priors),
        )
        changed = replace(changed, ngrams=_corrected(changed, texts, codes, wrong_codes))
        changed = _with_variants_corrected(changed, texts, codes, wrong_codes)
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
            f"found {counted(len(texts), 'text')}, {counted(len(labels), 'label')} "
            f"and {len(wrong_labels)} in learned_as"
        )
    known = model.classes_.tolist()
    for row, (label, wrong) in enumerate(zip(labels, wrong_labels, strict=True)):
        for name in (label, *([] if wrong is None else [wrong])):
            if name not in known:
                similar = did_you_mean(name, known)
                raise DataError(f"row {row}: no label {shorten(name)}{similar}; there are: {listing(known)}")
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


def _counted(
    ngrams: NgramModel,
    model: TunedModel,
    texts: Sequence[str],
    codes: Sequence[int],
    wrong_codes: Sequence[int | None],
) -> NgramModel:
    """Return an n-gram model that has counted texts under their labels; see `update`."""
    occurrences = ngrams.analyzer.occurrences(texts, model.subwords.sequences(list(texts)))
    ngrams = ngrams.with_ngrams(occurrences, float(ngrams.idf.max(initial=1.0)))
    found = count_known(ngrams.look_up(occurrences), occurrences.text_index, len(texts))
    counts = ngrams.counts.copy()
    starts = np.searchsorted(found.text_index, np.arange(len(texts) + 1))
    for index, (code, wrong) in enumerate(zip(codes, wrong_codes, strict=True)):
        row = slice(starts[index], starts[index + 1])
        columns, count = found.column[row], found.count[row]
        counts[columns, code] += count
        if wrong is not None:
            counts[columns, wrong] = np.maximum(0.0, counts[columns, wrong] - count)
    changed = sorted({*codes, *(code for code in wrong_codes if code is not None)})
    return ngrams.with_weights(ngrams.svm_weights, ngrams.svm_bias, counts, changed)


def _corrected(
    model: TunedModel, texts: Sequence[str], codes: Sequence[int], wrong_codes: Sequence[int | None]
) -> list[NgramModel]:
    """Return n-gram models whose SVM weights give texts their labels; see `update`.

    Only labels that learn or unlearn a text move.
    """
    prepared = model.prepare(texts)
    subwords = model.subwords.sequences(prepared)
    lengths = [len(sequence) for sequence in subwords]
    joint = model.combination.joint(model.expert_scores(prepared), lengths)
    svms = [_SvmMoves(ngrams, model, prepared, subwords) for ngrams in model.ngrams]
    for index, (code, wrong) in enumerate(zip(codes, wrong_codes, strict=True)):
        reach = sum(svm.reach(index) for svm in svms)
        for _ in range(MAX_MOVES if reach > 0 else 0):
            scores = joint[index] + sum(svm.moved(index) for svm in svms)
            others = np.where(np.arange(len(scores)) == code, -np.inf, scores)
            rival = int(others.argmax())
            missing = MARGIN - (scores[code] - scores[rival])
            if missing <= 0:
                break
            moves = {code: missing / reach}
            if rival == wrong:
                moves = {code: missing / reach / 2, rival: -missing / reach / 2}
            for svm in svms:
                for label, size in moves.items():
                    svm.move(index, label, size)
    return [svm.model() for svm in svms]


def _with_variants_corrected(
    model: TunedModel, texts: Sequence[str], codes: Sequence[int], wrong_codes: Sequence[int | None]
) -> TunedModel:
    """Correct also the variants of texts by which the disguised label still wins; see `update`."""
    for _ in range(MAX_MOVES):
        result = model.score(texts)
        wrong = [
            (index, variant.text)
            for index, variant in enumerate(result.variants)
            if variant is not None and result.joint[index].argmax() != codes[index]
        ]
        if not wrong:
            break
        rows, variants = zip(*wrong, strict=True)
        chosen = [codes[row] for row in rows], [wrong_codes[row] for row in rows]
        model = replace(model, ngrams=_corrected(model, variants, *chosen))
    return model


class _SvmMoves:
    """Moves the SVM weights of one n-gram model along some texts."""

    def __init__(
        self, ngrams: NgramModel, model: TunedModel, texts: Sequence[str], subwords: Sequence[Ids]
    ) -> None:
        occurrences = ngrams.analyzer.occurrences(texts, subwords)
        found = count_known(ngrams.look_up(occurrences), occurrences.text_index, len(texts))
        self._ngrams, self._weights = ngrams, ngrams.svm_weights.copy()
        self._columns, self._values = found.column, tf_idf(found, ngrams.idf)
        expert, lengths = ngrams.score_names[0], [len(sequence) for sequence in subwords]
        weight = model.combination.weights[model.combination.experts.index(expert)]
        self._share = weight * model.combination.length_factor(expert, lengths)  # (n,)
        # From `idf = log((1 + all texts) / (1 + texts with the n-gram)) + 1`.
        texts_with = (1 + model.label_weights.sum()) / np.exp(ngrams.idf[found.column] - 1.0)
        self._steps = self._share[found.text_index] * self._values / np.maximum(1.0, texts_with)
        self._starts = np.searchsorted(found.text_index, np.arange(len(texts) + 1))
        self._changed: set[int] = set()

    def _row(self, text: int) -> slice:
        return slice(self._starts[text], self._starts[text + 1])

    def reach(self, text: int) -> float:
        """Return by how many nats one whole move along a text moves a label's log-probability."""
        row = self._row(text)
        return float(self._share[text] * (self._values[row] @ self._steps[row]))

    def moved(self, text: int) -> Array:
        """Return by how many nats all moves have moved the labels' log-probabilities of a text, (K,)."""
        row = self._row(text)
        columns = self._columns[row]
        moved: Array = self._share[text] * (
            self._values[row] @ (self._weights[columns] - self._ngrams.svm_weights[columns])
        )
        return moved

    def move(self, text: int, label: int, size: float) -> None:
        """Move a label's weights along a text."""
        row = self._row(text)
        self._weights[self._columns[row], label] += (size * self._steps[row]).astype(np.float32)
        self._changed.add(label)

    def model(self) -> NgramModel:
        """Return the model with the weights moved."""
        ngrams, changed = self._ngrams, sorted(self._changed)
        if not changed:
            return ngrams
        self._weights[:, changed] = round_svm_weights(self._weights[:, changed])
        return ngrams.with_weights(self._weights, ngrams.svm_bias, ngrams.counts, changed)
