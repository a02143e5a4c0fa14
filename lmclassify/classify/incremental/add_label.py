"""A label added to a fitted model, the others' models staying as they are (torch).

It learns language models and n-gram weights from its own texts, beside texts of the other labels: held-out
ones that the model has kept, or else texts sampled from the labels' language models. Of the combination only
its bias is fitted, on cross-fitted scores, so that what the others had learnt stands.

Shapes: n texts, K labels, F n-grams known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize_scalar

from lmclassify.classify.ensemble import LSTMS, Combination, log_softmax
from lmclassify.classify.incremental.remove_label import has_frequency_priors, recorded, require_forward
from lmclassify.classify.linear_ngrams import tf_idf
from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.novelty import cross_entropies, ood_features
from lmclassify.classify.scoring import log_likelihoods, ngram_background
from lmclassify.classify.thresholds import HeldOut, HeldOutTexts, subsample
from lmclassify.classify.training.ensemble import log_loss
from lmclassify.classify.training.folds import stratified_folds
from lmclassify.classify.training.language_models import DataSplit, FitContext, new_trainer, train
from lmclassify.classify.training.ngrams import as_matrix, separate
from lmclassify.classify.training.recipes import (
    adaptation_epochs,
    adaptation_settings,
    held_out_of_plain,
    shares_embedding,
    training_records,
    training_tokens,
)
from lmclassify.lm.inference.forward import NumpyLanguageModel, round_to_16_bits
from lmclassify.lm.ngram.index import count_known
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.parallel import number_of_threads
from lmclassify.text.sequences import Ids

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
T = TypeVar("T")

_FOLDS = 5
_SAMPLED_TEXTS = 1000  # of all other labels together, where none are kept
_LEAST_SAMPLED = 3  # of each
_BIAS_BOUND = 30.0  # nats


@dataclass(frozen=True)
class _Beside:
    """Texts of the labels that are there, for a new one to be told from."""

    texts: list[str]
    codes: Codes
    scores: list[Array]
    """(m, K) by each expert of the combination."""
    background: Array
    """(m,) log-likelihoods under the background model."""


def add_label(
    model: FittedModel, label: Any, texts: Sequence[str], course: FitContext, seed: int
) -> FittedModel:
    """Return a model with one label more, learnt from its texts.

    Parameters
    ----------
    model : FittedModel
    label : object
        Of the type of the other labels, and none of them.
    texts : sequence of str
        At least one.
    course : FitContext
        With the model's settings.
    seed : int
    """
    require_forward(model, "add-label")
    classes = np.array(sorted([*model.classes_.tolist(), label]))
    at = classes.tolist().index(label)
    label_weights = np.insert(model.label_weights, at, float(len(texts)))
    log_priors = _log_priors_with(model, label_weights, at)
    if isinstance(model, TunedModel):
        return _add_to_tuned(model, label, texts, course, seed, classes, at, label_weights, log_priors)
    lstm, record = _language_model(model, label, model.tokenizer.sequences(texts), course, seed)
    models = _inserted(model.models, at, lstm)
    whole = replace(
        model, classes_=classes, log_priors=log_priors, models=models, label_weights=label_weights
    )
    whole = replace(whole, held_out=_held_out_of_plain(whole, model, texts, at, course, seed))
    return recorded(whole, "add", label, len(texts), record)


def _add_to_tuned(
    model: TunedModel,
    label: Any,
    texts: Sequence[str],
    course: FitContext,
    seed: int,
    classes: npt.NDArray[Any],
    at: int,
    label_weights: Array,
    log_priors: Array,
) -> FittedModel:
    """Return a model of recipe "tuned" with one label more; `at` is the new label's index in `classes`."""
    sequences = model.tokenizer.sequences(texts)
    beside = _beside(model, seed)
    pool = [*beside.texts, *texts]
    is_new = np.repeat([False, True], [len(beside.texts), len(texts)])
    folds = stratified_folds(
        is_new.astype(np.intp), min(_FOLDS, len(texts)), np.random.default_rng([seed, len(texts)])
    )
    ngrams, of_ngrams = _ngrams(model, texts, pool, is_new, folds, at, seed)
    lstm, record, of_lstm = _cross_fitted_lstm(model, label, pool, is_new, folds, course, seed)
    # Where few texts were cross-fitted, the background model has learnt from the kept ones too, unlike those
    # whose adapted models scored them. What counts is how much likelier than it the label makes a text.
    known_better = _background_of_lstms(model, beside.texts) - beside.background
    of_lstm[: len(beside.texts)] -= known_better
    of_new_texts = model.expert_scores(list(texts))
    scores = [
        np.insert(np.concatenate([there, new]), at, column, axis=1)
        for there, new, column in zip(
            beside.scores, of_new_texts, [*of_ngrams, of_lstm, of_lstm], strict=True
        )
    ]
    codes = np.concatenate([beside.codes + (beside.codes >= at), np.full(len(texts), at)])
    combination = _with_bias(model, scores, codes, label_weights, log_priors, at)
    joint = combination.cascade_joint(scores, [len(sequence) for sequence in model.subwords.sequences(pool)])
    log_posteriors = log_softmax(joint)
    features = ood_features(log_posteriors, scores, *ngram_background(ngrams[0], pool))
    seen = HeldOut.from_scores(joint, codes, features, cross_entropies(log_posteriors, scores[1], pool))
    kept = model.held_out_texts
    if kept is None:
        held_out = _with_label(model.held_out, joint[~is_new], seen.rows(is_new), at, label_weights, seed)
    else:
        others = np.flatnonzero(~is_new)
        own = _drawn(np.flatnonzero(is_new), at, label_weights, len(others), seed)
        held_out = seen.rows(np.concatenate([others, own]))
        background = np.concatenate([beside.background, _background_of_lstms(model, texts)])
        kept = HeldOutTexts.sample(pool, codes, scores, background, seed)
    changed = replace(
        model,
        classes_=classes,
        log_priors=log_priors,
        models=_inserted(model.models, at, lstm),
        tuned=_inserted(model.tuned, at, lstm),
        token_ngrams=_inserted(
            model.token_ngrams, at, TokenNgrams.fit(sequences, model.tokenizer.vocab_size)
        ),
        ngrams=ngrams,
        combination=combination,
        held_out=held_out,
        held_out_texts=kept,
        label_weights=label_weights,
    )
    return recorded(changed, "add", label, len(texts), record)


def trainings(model: FittedModel, texts: int) -> int:
    """Return how many times `add_label` trains a language model on so many texts."""
    if isinstance(model, TunedModel) and model.combination.weights[-len(LSTMS) :].any():
        return 1 + min(_FOLDS, texts)
    return 1


def _beside(model: TunedModel, seed: int) -> _Beside:
    """Return texts of the labels that are there, with the scores of the model's experts."""
    kept = model.held_out_texts
    if kept is not None and len(kept.texts):
        scores = list(kept.scores.astype(np.float64))
        return _Beside(kept.texts, kept.codes.astype(np.intp), scores, kept.background.astype(np.float64))
    texts, codes = _sampled(model, seed)
    return _Beside(texts, codes, model.expert_scores(texts), _background_of_lstms(model, texts))


def _sampled(model: FittedModel, seed: int) -> tuple[list[str], Codes]:
    """Return texts sampled from the labels' language models, labels by their shares, and whose they are."""
    shares = model.label_weights / model.label_weights.sum()
    texts: list[str] = []
    codes: list[int] = []
    for code, label in enumerate(model.classes_.tolist()):
        count = max(_LEAST_SAMPLED, round(_SAMPLED_TEXTS * shares[code]))
        sampled = [text for text in model.generate(label, n=count, seed=seed + code) if text]
        texts += sampled
        codes += [code] * len(sampled)
    return texts, np.array(codes, dtype=np.intp)


def _held_out_of_plain(
    whole: FittedModel, before: FittedModel, texts: Sequence[str], at: int, course: FitContext, seed: int
) -> HeldOut:
    """Return the held-out scores of recipe "plain" with those of a new label's held-out texts."""
    _, validation = _parts(len(texts), course.settings.validation_fraction, seed)
    own = whole.truncate([texts[index] for index in validation.tolist()])
    codes = np.full(len(own), at)
    new = held_out_of_plain(whole.log_priors, whole.log_likelihood(own), codes, own, seed)
    beside = whole.predict_joint_log_proba(_sampled(before, seed)[0])
    return _with_label(before.held_out, beside, new, at, whole.label_weights, seed)


def _with_label(
    before: HeldOut, beside: Array, new: HeldOut, at: int, label_weights: Array, seed: int
) -> HeldOut:
    """Return held-out scores with a new label's.

    The texts that were held out are not there any more, and what the new label makes of them is not known: it
    is drawn from what it makes of the texts beside which it was learnt.

    Parameters
    ----------
    before : HeldOut
        Of K labels.
    beside : ndarray, (n, K + 1)
        Joint log-probabilities of texts of the other labels.
    new : HeldOut
        Of texts of the new label, K + 1 labels; as many are taken as its share asks for.
    """
    rng = np.random.default_rng(seed)
    gaps = beside[:, at] - np.logaddexp.reduce(np.delete(beside, at, axis=1), axis=1)
    joint = before.joint.astype(np.float64)
    column = np.logaddexp.reduce(joint, axis=1) + rng.choice(gaps, len(joint))
    chosen = new.rows(_drawn(np.arange(len(new.codes)), at, label_weights, len(joint), seed))
    return HeldOut.from_scores(
        np.concatenate([np.insert(joint, at, column, axis=1), chosen.joint]),
        np.concatenate([before.codes + (before.codes >= at), chosen.codes]).astype(np.intp),
        np.concatenate([before.ood_features, chosen.ood_features]),
        np.concatenate([before.cross_entropies, chosen.cross_entropies]),
    ).sample(seed)


def _drawn(new: Codes, at: int, label_weights: Array, others: int, seed: int) -> Codes:
    """Return some of a new label's texts, as many beside so many others as the labels' weights ask for."""
    share = label_weights[at] / np.delete(label_weights, at).sum()
    return new[subsample(len(new), round(share * others) or min(1, others), seed)]


def _ngrams(
    model: TunedModel,
    texts: Sequence[str],
    pool: Sequence[str],
    is_new: npt.NDArray[np.bool_],
    folds: Codes,
    at: int,
    seed: int,
) -> tuple[list[NgramModel], list[Array]]:
    """Learn a label's n-gram weights.

    Returns
    -------
    ngrams : list of NgramModel
        With the label.
    scores : list of ndarray, (pool,)
        The label's, by each expert, cross-fitted.
    """
    subwords = model.subwords.sequences(list(pool))
    of_new = model.subwords.sequences(list(texts))
    everything = np.ones(len(pool), dtype=bool)
    models, scores = [], []
    for ngrams in model.ngrams:
        idf = float(ngrams.idf.max(initial=1.0))
        ngrams = ngrams.with_ngrams(ngrams.analyzer.occurrences(texts, of_new), idf)
        windows = ngrams.analyzer.occurrences(pool, subwords)
        columns = ngrams.look_up(windows)
        known = count_known(columns, windows.text_index, len(pool))
        rows, counts = (
            as_matrix(known, values, len(ngrams.keys)) for values in (tf_idf(known, ngrams.idf), known.count)
        )
        # Two labels share a margin, half each; with more, every label has a machine of its own.
        scale = 1.0 if ngrams.svm_weights.shape[1] == 2 else 2.0
        of_others = ngrams.counts.sum(axis=1)
        found = np.zeros((2, len(pool)))
        for fold in np.unique(folds):
            rest = folds != fold if folds.max() else everything
            alone = _alone(ngrams, of_others, *_column(rows, counts, rest, is_new, scale, seed))
            of_label = alone.scores_from_columns(columns, windows.text_index, windows.position, len(pool))
            for score, of_expert in zip(found, of_label, strict=True):
                score[folds == fold] = of_expert[folds == fold, 1]
        scores += list(found)
        models.append(ngrams.with_label(at, *_column(rows, counts, everything, is_new, scale, seed)))
    return models, scores


def _column(
    rows: sparse.csr_matrix,
    counts: sparse.csr_matrix,
    training: npt.NDArray[np.bool_],
    is_new: npt.NDArray[np.bool_],
    scale: float,
    seed: int,
) -> tuple[npt.NDArray[np.float32], float, npt.NDArray[np.float32]]:
    """Return a new label's tuned weights (F,), bias and counts (F,) from some texts' n-grams (n, F)."""
    codes = is_new[training].astype(np.intp)
    weights, bias = separate(rows[training], codes, 2, np.ones(len(codes)), seed)
    tuned = (scale * weights[:, 1]).astype(np.float16).astype(np.float32)
    counted = np.asarray(counts[training & is_new].sum(axis=0), dtype=np.float32).ravel()
    return tuned, float(scale * bias[1]), counted


def _alone(
    ngrams: NgramModel,
    of_others: npt.NDArray[np.float32],
    tuned: npt.NDArray[np.float32],
    bias: float,
    counts: npt.NDArray[np.float32],
) -> NgramModel:
    """Return a model of all other labels together and a new one, in this order."""
    return NgramModel(
        ngrams.analyzer,
        ngrams.keys,
        ngrams.idf,
        np.column_stack([np.zeros_like(tuned), tuned]),
        np.array([0.0, bias], dtype=np.float32),
        np.column_stack([of_others, counts]),
        ngrams.contexts,
    )


def _background_of_lstms(model: TunedModel, texts: Sequence[str]) -> Array:
    sequences = model.tokenizer.sequences(texts)
    threads = number_of_threads(model.n_jobs)
    return log_likelihoods([model.background], sequences, max_length=model.settings.limit, threads=threads)[
        :, 0
    ]


def _cross_fitted_lstm(
    model: TunedModel,
    label: Any,
    pool: Sequence[str],
    is_new: npt.NDArray[np.bool_],
    folds: Codes,
    course: FitContext,
    seed: int,
) -> tuple[NumpyLanguageModel, dict[str, Any], Array]:
    """Learn a label's language model; return it, its record, and its cross-fitted scores (pool,)."""
    sequences = model.tokenizer.sequences(list(pool))
    new = [sequence for sequence, of_label in zip(sequences, is_new, strict=True) if of_label]
    lstm, record = _language_model(model, label, new, course, seed)
    scores = np.zeros(len(pool))
    weighted = model.combination.weights[-len(LSTMS) :].any()
    for fold in np.unique(folds) if weighted else []:
        inside = [
            sequence
            for sequence, of_label, other in zip(sequences, is_new, folds != fold, strict=True)
            if of_label and (other or not folds.max())
        ]
        of_fold, _ = _language_model(model, label, inside, course, seed)
        chosen = np.flatnonzero(folds == fold)
        scored = [sequences[index] for index in chosen]
        scores[chosen] = log_likelihoods(
            [of_fold], scored, max_length=model.settings.limit, threads=course.threads
        )[:, 0]
    return lstm, record, scores


def _language_model(
    model: FittedModel, label: Any, sequences: Sequence[Ids], course: FitContext, seed: int
) -> tuple[NumpyLanguageModel, dict[str, Any]]:
    """Learn a label's language model, from the background model on where there is one."""
    settings = course.settings
    part = DataSplit(label, *_parts(len(sequences), settings.validation_fraction, seed), seed)
    start = None
    if isinstance(model, TunedModel):
        assert isinstance(model.background, NumpyLanguageModel)
        epochs = adaptation_epochs(len(sequences), training_tokens(sequences, settings))
        settings = adaptation_settings(settings, min(settings.max_epochs, epochs))
        start = model.background.arrays
    trainer = new_trainer(
        part,
        sequences,
        None,
        model.tokenizer,
        course,
        settings=settings,
        start=start,
        one_embedding=start is not None and shares_embedding(len(model.classes_) + 1),
    )
    train([(label, trainer)], course)
    return NumpyLanguageModel(round_to_16_bits(trainer.model.arrays())), training_records([part], [trainer])[
        0
    ]


def _parts(texts: int, validation_fraction: float, seed: int) -> tuple[Codes, Codes]:
    """Return which texts to learn from, and which to hold out."""
    shuffled = np.random.default_rng([seed, texts]).permutation(texts)
    size = round(validation_fraction * texts)
    return np.sort(shuffled[size:]), np.sort(shuffled[:size])


def _with_bias(
    model: TunedModel,
    scores: Sequence[Array],
    codes: Codes,
    label_weights: Array,
    log_priors: Array,
    at: int,
) -> Combination:
    """Return the combination with a bias for the new label, the one with the least log-loss."""
    others = np.delete(log_priors, at)
    start = float((model.combination.bias - others).mean()) + log_priors[at]
    bias = np.insert(model.combination.bias, at, start)
    joint = replace(model.combination, bias=bias).joint(scores)
    texts_of = np.bincount(codes, minlength=len(bias))
    weights = (label_weights / np.maximum(1, texts_of))[codes]
    weights /= weights.mean()

    def loss(more: float) -> float:
        shifted = joint.copy()
        shifted[:, at] += more
        # Pulled to the others' mean, by as much as one text is worth.
        return log_loss(shifted, codes, weights) * len(codes) + more**2

    bias[at] += float(minimize_scalar(loss, bounds=(-_BIAS_BOUND, _BIAS_BOUND), method="bounded").x)
    return replace(model.combination, bias=bias)


def _log_priors_with(model: FittedModel, label_weights: Array, at: int) -> Array:
    """Return priors with the new label's: by frequency where the others' are, else an equal share."""
    if has_frequency_priors(model):
        log_priors: Array = np.log(label_weights / label_weights.sum())
        return log_priors
    labels = len(label_weights)
    others = model.log_priors + np.log((labels - 1) / labels)
    return np.insert(others, at, -np.log(labels))


def _inserted(items: Sequence[T], at: int, item: T) -> list[T]:
    return [*items[:at], item, *items[at:]]
