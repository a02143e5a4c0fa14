"""Adds a label to a fitted model; the other labels' models stay as they are (torch).

The label's language model and SVM weights are fitted on its own texts beside texts of the other labels:
held-out ones that the model has kept, or else texts sampled from the labels' language models. Of the
combination only the label's bias is fitted, on cross-fitted scores, so that the other weights stay.

Shapes: n texts of the new label, m texts of all labels, K labels before, F known n-grams.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from lmclassify.classify.ensemble import Combination, log_softmax
from lmclassify.classify.incremental.common import (
    has_frequency_priors,
    inserted,
    plain_label,
    require_forward,
    with_revision,
)
from lmclassify.classify.incremental.label_experts import (
    FOLDS,
    NewLabel,
    cross_fit_language_model,
    fit_label_ngrams,
    fit_language_model,
    make_pool,
    split_texts,
)
from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.classify.novelty import cross_entropies, ood_features
from lmclassify.classify.online.lessons import Lessons
from lmclassify.classify.online.uniform_model import UniformModel
from lmclassify.classify.predictor import LabelModel
from lmclassify.classify.scoring import log_likelihoods, ngram_background
from lmclassify.classify.thresholds import HeldOut, HeldOutTexts
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.ensemble import log_loss
from lmclassify.classify.training.history import label_record
from lmclassify.classify.training.plain import plain_held_out
from lmclassify.errors import DataError, shorten
from lmclassify.lm.neural.threads import one_torch_thread
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.parallel import number_of_threads
from lmclassify.text.tokenizer import encodable

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

MIN_SAMPLED_PER_LABEL = 3
"""Texts sampled from each other label, however rare it is."""

MAX_BIAS_CHANGE = 30.0
"""Nats; an interval wide enough for the search of the label's bias."""


@dataclass(frozen=True)
class _OtherTexts:
    """Texts of the other labels, from which the new one is to be told apart."""

    texts: list[str]
    codes: Codes
    scores: list[Array]
    """(m - n, K) by each expert of the combination."""
    background: Array
    """(m - n,) log-likelihoods under the background model."""


@one_torch_thread()
def add_label(
    model: FittedModel, label: Any, texts: Sequence[str], context: FitContext, seed: int
) -> FittedModel:
    """Return a model with one more label.

    Raises DataError if there are no texts, or the label exists or has another type. Raises OptionError if the
    model's language models read backward.

    Parameters
    ----------
    label : object
        A new label, of the type of the other labels.
    texts : sequence of str, (n,)
        The label's texts, at least one.
    context : FitContext
        With the model's settings.
    """
    label = plain_label(label)
    _check(model, label, texts)
    require_forward(model, "add-label")
    classes = np.array(sorted([*model.classes_.tolist(), label]))
    index = classes.tolist().index(label)
    label_weights = np.insert(model.label_weights, index, float(len(texts)))
    log_priors = _log_priors(model, label_weights, index)
    new = NewLabel(label, index, list(texts), classes, label_weights, log_priors, seed)
    if isinstance(model, TunedModel):
        return _add_to_tuned(model, new, context)
    if model.settings.recipe == "online":
        return _add_to_online(model, new)
    return _add_to_plain(model, new, context)


def count_trainings(model: FittedModel, texts: int) -> int:
    """Return how many language models `add_label` trains with so many texts."""
    if isinstance(model, TunedModel) and model.combination.lstms_decide:
        return 1 + min(FOLDS, texts)
    return 0 if model.settings.recipe in ("ngram", "online") else 1


def _check(model: FittedModel, label: Any, texts: Sequence[str]) -> None:
    known = model.classes_.tolist()
    if label in known:
        raise DataError(f"label {shorten(label)} is there already: update it, or remove it first")
    if type(label) is not type(known[0]) or label != label:
        raise DataError(f"label {shorten(label)} is no {type(known[0]).__name__}, as the other labels are")
    classes = np.array([*known, label])
    broken = isinstance(label, str) and encodable(label) != label
    kept = classes.dtype.kind in "Uifb" and classes.tolist() == [*known, label]
    infinite = isinstance(label, float) and math.isinf(label)
    if broken or not kept or infinite:
        raise DataError(f"label {shorten(label)} cannot be kept beside the others as it is")
    if not texts:
        raise DataError(f"no texts to fit label {shorten(label)} on")


def _log_priors(model: FittedModel, label_weights: Array, index: int) -> Array:
    """Return priors with the new label's: by frequency if the others' are, else an equal share."""
    if has_frequency_priors(model):
        log_priors: Array = np.log(label_weights / label_weights.sum())
        return log_priors
    labels = len(label_weights)
    others = model.log_priors + np.log((labels - 1) / labels)
    return np.insert(others, index, -np.log(labels))


def _lessons_with_label(model: FittedModel, new: NewLabel) -> Lessons | None:
    """Return the lessons of the other labels."""
    kept = inserted(list[int | None](range(len(model.classes_))), new.index, None)
    return None if model.lessons is None else model.lessons.with_labels(kept)


def _add_to_online(model: FittedModel, new: NewLabel) -> FittedModel:
    """Return a model of recipe online that has been taught the new label's texts."""
    changed = replace(
        model,
        classes_=new.classes,
        log_priors=np.full(len(new.classes), -np.log(len(new.classes))),
        models=inserted(model.models, new.index, UniformModel()),
        label_weights=np.ones(len(new.classes)),
        held_out=HeldOut.empty(len(new.classes)),
        lessons=_lessons_with_label(model, new),
    )
    for text in new.texts:
        changed.learn(text, new.label)
    return with_revision(changed, "add", new.label, len(new.texts))


def _add_to_plain(model: FittedModel, new: NewLabel, context: FitContext) -> FittedModel:
    sequences = model.tokenizer.sequences(new.texts)
    lstm, record = fit_language_model(model, new.label, sequences, context, new.seed)
    changed = replace(
        model,
        classes_=new.classes,
        log_priors=new.log_priors,
        models=inserted(model.models, new.index, lstm),
        label_weights=new.label_weights,
        lessons=_lessons_with_label(model, new),
    )
    _, validation = split_texts(len(new.texts), context.settings.validation_fraction, new.seed)
    texts = changed.truncate([new.texts[index] for index in validation.tolist()])
    likelihoods = changed.log_likelihood(texts)
    own = plain_held_out(new.log_priors, likelihoods, np.full(len(texts), new.index), texts, new.seed)
    others = changed.predict_joint_log_proba(_sample_texts(model, new.seed, context)[0])
    changed = replace(changed, held_out=_held_out_with_label(model.held_out, others, own, new))
    return with_revision(changed, "add", new.label, len(new.texts), record)


def _add_to_tuned(model: TunedModel, new: NewLabel, context: FitContext) -> FittedModel:
    others = _other_texts(model, new.seed, context)
    pool = make_pool(others.texts, new)
    ngrams, ngram_scores = fit_label_ngrams(model, new, pool)
    token_ngrams = TokenNgrams.fit(model.tokenizer.sequences(new.texts), model.tokenizer.vocab_size)
    lstm: LabelModel = token_ngrams
    lstm_scores, record = np.zeros(len(pool.texts)), label_record(new.label, len(new.texts))
    if model.background is not None:
        lstm, record, lstm_scores = cross_fit_language_model(model, new, pool, context)
        # With few texts, the background model was fitted on the kept texts too, unlike the adapted models
        # that scored them. Only how much more likely than the background model a label makes a text counts.
        lstm_scores[~pool.is_new] -= _background_scores(model, others.texts) - others.background
    scores = [
        np.insert(np.concatenate([before, own]), new.index, column, axis=1)
        for before, own, column in zip(
            others.scores,
            model.expert_scores(new.texts),
            [*ngram_scores, lstm_scores, lstm_scores],
            strict=True,
        )
    ]
    codes = np.concatenate([new.shift(others.codes), np.full(len(new.texts), new.index)])
    lengths = [len(ids) for ids in model.subwords.sequences(pool.texts)]
    combination = _fit_bias(model.combination, scores, lengths, codes, new)
    joint = combination.cascade_joint(scores, lengths)
    log_posteriors = log_softmax(joint)
    features = ood_features(log_posteriors, scores, *ngram_background(ngrams[0], pool.texts))
    nats = cross_entropies(log_posteriors, scores[1], pool.texts, unspaced_words=model.unspaced_words)
    scored = HeldOut.from_scores(joint, codes, features, nats)
    kept = model.held_out_texts
    if kept is None:
        own = scored.rows(pool.is_new)
        held_out = _held_out_with_label(model.held_out, joint[~pool.is_new], own, new)
    else:
        rows = np.flatnonzero(~pool.is_new)
        held_out = scored.rows(np.concatenate([rows, new.sample(np.flatnonzero(pool.is_new), len(rows))]))
        background = np.concatenate([others.background, _background_scores(model, new.texts)])
        kept = HeldOutTexts.sample(pool.texts, codes, scores, background, new.seed)
    changed = replace(
        model,
        classes_=new.classes,
        log_priors=new.log_priors,
        models=inserted(model.models, new.index, lstm),
        tuned=inserted(model.tuned, new.index, lstm),
        token_ngrams=inserted(model.token_ngrams, new.index, token_ngrams),
        ngrams=ngrams,
        combination=combination,
        held_out=held_out,
        held_out_texts=kept,
        label_weights=new.label_weights,
        lessons=_lessons_with_label(model, new),
    )
    return with_revision(changed, "add", new.label, len(new.texts), record)


def _other_texts(model: TunedModel, seed: int, context: FitContext) -> _OtherTexts:
    """Return texts of the other labels, kept or sampled, with the scores of the model's experts."""
    kept = model.held_out_texts
    if kept is not None and len(kept.texts):
        scores = list(kept.scores.astype(np.float64))
        return _OtherTexts(kept.texts, kept.codes.astype(np.intp), scores, kept.background.astype(np.float64))
    texts, codes = _sample_texts(model, seed, context)
    return _OtherTexts(texts, codes, model.expert_scores(texts), _background_scores(model, texts))


def _sample_texts(model: FittedModel, seed: int, context: FitContext) -> tuple[list[str], Codes]:
    """Return texts sampled from the labels' language models, in proportion to the labels, and their codes."""
    shares = model.label_weights / model.label_weights.sum()
    texts: list[str] = []
    codes: list[int] = []
    for code, label in enumerate(model.classes_.tolist()):
        count = max(MIN_SAMPLED_PER_LABEL, round(context.limits.sampled_texts * shares[code]))
        sampled = [text for text in model.generate(label, n=count, seed=seed + code) if text]
        texts += sampled
        codes += [code] * len(sampled)
    return texts, np.array(codes, dtype=np.intp)


def _background_scores(model: TunedModel, texts: Sequence[str]) -> Array:
    """Return log-likelihoods under the background model; 0 without one."""
    if model.background is None:
        return np.zeros(len(texts))
    limit, threads = model.settings.limit, number_of_threads(model.n_jobs)
    sequences = model.tokenizer.sequences(texts)
    return log_likelihoods([model.background], sequences, max_length=limit, threads=threads)[:, 0]


def _held_out_with_label(before: HeldOut, others: Array, own: HeldOut, new: NewLabel) -> HeldOut:
    """Return held-out scores with those of a new label.

    The texts that were held out are not kept, so the new label's scores of them are unknown: they are drawn
    from its scores of the other labels' texts.

    Parameters
    ----------
    before : HeldOut
        K labels.
    others : ndarray, (m - n, K + 1)
        Joint log-probabilities of texts of the other labels.
    own : HeldOut
        Of texts of the new label, K + 1 labels; a sample of them is kept.
    """
    rng = np.random.default_rng(new.seed)
    gaps = others[:, new.index] - np.logaddexp.reduce(np.delete(others, new.index, axis=1), axis=1)
    joint = before.joint.astype(np.float64)
    column = np.logaddexp.reduce(joint, axis=1) + rng.choice(gaps, len(joint))
    sampled = own.rows(new.sample(np.arange(len(own.codes)), len(joint)))
    return HeldOut.from_scores(
        np.concatenate([np.insert(joint, new.index, column, axis=1), sampled.joint]),
        np.concatenate([new.shift(before.codes), sampled.codes]),
        np.concatenate([before.ood_features, sampled.ood_features]),
        np.concatenate([before.cross_entropies, sampled.cross_entropies]),
    ).sample(new.seed)


def _fit_bias(
    combination: Combination,
    scores: Sequence[Array],
    lengths: Sequence[int],
    codes: Codes,
    new: NewLabel,
) -> Combination:
    """Return the combination with a bias of the new label, the one with the smallest log-loss.

    Parameters
    ----------
    combination : Combination
        Of K labels.
    scores : sequence of ndarray, (m, K + 1)
        Each expert's.
    lengths : sequence of int, (m,)
        Of the texts, in subwords.
    codes : ndarray of int, (m,)
    """
    others = np.delete(new.log_priors, new.index)
    start = float((combination.bias - others).mean()) + new.log_priors[new.index]
    bias = np.insert(combination.bias, new.index, start)
    joint = replace(combination, bias=bias).joint(scores, lengths)
    text_counts = np.bincount(codes, minlength=len(bias))
    weights = (new.label_weights / np.maximum(1, text_counts))[codes]
    weights /= weights.mean()

    def loss(change: float) -> float:
        shifted = joint.copy()
        shifted[:, new.index] += change
        # Regularized towards the others' mean, with the weight of one text.
        return log_loss(shifted, codes, weights) * len(codes) + change**2

    bounds = (-MAX_BIAS_CHANGE, MAX_BIAS_CHANGE)
    bias[new.index] += float(minimize_scalar(loss, bounds=bounds, method="bounded").x)
    return replace(combination, bias=bias)
