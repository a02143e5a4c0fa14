"""Stage 2 of recipe tuned: LSTM language models of all labels, which take part in the decision if that
helps (torch).

Shapes: s texts of the sample, m of them with held-out scores, K labels.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import LSTMS, Combination
from lmclassify.classify.model import TunedModel
from lmclassify.classify.training.context import FitContext, FitResult
from lmclassify.classify.training.data import stratified_folds
from lmclassify.classify.training.device import torch_device
from lmclassify.classify.training.ensemble import add_experts, fit_cascade
from lmclassify.classify.training.history import merge_directions
from lmclassify.classify.training.language_models import Weights, count_cut, directed_models
from lmclassify.classify.training.lstm_experts import LstmExperts, fit_lstm_experts
from lmclassify.classify.training.ngram_stage import (
    HeldOutScores,
    NgramStage,
    fit_token_ngrams,
    held_out_quality,
    prior_shift,
    stage_record,
)
from lmclassify.classify.training.plan import lstm_work
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.neural.threads import one_torch_thread
from lmclassify.text.display import quality, share_digits

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

FOLDS, FOLDS_MANY_SCORES, MANY_SCORES = 5, 2, 2_000_000
"""For the held-out quality of the combination: fewer folds where there are many texts and labels."""


@one_torch_thread()
def fit_lstm_stage(first: NgramStage, context: FitContext, rng: np.random.Generator) -> FitResult:
    """Train the labels' LSTMs and add them to the model of stage 1."""
    _return_freed_memory()
    context.device = torch_device(context.device)
    context.progress.begin(2, lstm_work(first.sample, context))
    lstms = fit_lstm_experts(first.sample, context, first.joint, rng)
    model, cut = _with_lstms(first, context, lstms), 0
    if context.settings.limit is not None:
        cut = count_cut(model.tokenizer.sequences(first.sample.texts), context.settings)
    return FitResult(model, len(first.sample.texts), cut)


def _return_freed_memory() -> None:
    """Return memory to the system that stage 1 has freed: hundreds of megabytes, which glibc keeps."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other C libraries have no such function
        ctypes.CDLL(None).malloc_trim(0)


def _with_lstms(first: NgramStage, context: FitContext, lstms: Sequence[LstmExperts]) -> TunedModel:
    """Return the model of stage 1 with LSTMs, which take part in the decision if they improve it."""
    sample, rows = first.sample, lstms[0].rows  # the same in every direction
    held_out = _held_out_scores(first, lstms)
    weights = sample.weights_of(rows)
    accuracy_before, loss_before = held_out_quality(first.joint[rows], held_out.codes, weights)
    joint = _cross_fitted_joint(first, rows, held_out)
    accuracy, loss = held_out_quality(joint, held_out.codes, weights)
    tokenizer = lstms[-1].trained.tokenizer

    def directed(per_direction: Sequence[list[Weights]]) -> list[AnyLanguageModel]:
        return directed_models(per_direction, tokenizer, context.settings)

    models = directed([experts.trained.models for experts in lstms])
    model = replace(
        first.model,
        settings=context.settings,
        tokenizer=tokenizer,
        models=models,
        tuned=models,
        background=directed([[experts.trained.background] for experts in lstms])[0],
        token_ngrams=fit_token_ngrams(sample, tokenizer),
    )
    decide = loss < loss_before
    if decide:
        combination = _combination(first, rows, held_out, np.arange(len(rows)))
        combination = replace(combination, bias=combination.bias + prior_shift(sample))
        lengths = first.experts.lengths[rows]
        combination = fit_cascade(combination, held_out.experts, lengths)
        cascaded = combination.cascade_joint(held_out.experts, lengths)
        keeps = context.settings.keep_held_out
        model = replace(
            model,
            combination=combination,
            held_out=held_out.thresholds(cascaded, sample.seed),
            held_out_texts=held_out.kept_texts(sample.seed) if keeps else None,
        )
    context.progress.end(_result(len(rows), accuracy, loss, accuracy_before, loss_before))
    if not decide:
        accuracy, loss = accuracy_before, loss_before
    record = stage_record(context, len(rows), accuracy, loss) | {
        "accuracy_before": accuracy_before,
        "log_loss_before": loss_before,
        "lstms_decide": decide,
    }
    records = merge_directions([experts.trained.records for experts in lstms])
    has_labels = any(entry["kind"] == "label" for entry in records)
    before = [entry for entry in first.model.training if entry["kind"] == "stage" or not has_labels]
    return replace(model, training=[*before, record, *records])


def _result(texts: int, accuracy: float, loss: float, accuracy_before: float, loss_before: float) -> str:
    """Return how stage 2 changed accuracy and log-loss, in words."""
    digits = share_digits(texts) + 1  # of the same texts, so differences are more exact than the figures
    if loss >= loss_before:
        return (
            f"held-out {quality(accuracy_before, loss_before, texts)}; the n-gram experts decide as after "
            f"stage 1, since with the LSTMs it would be {loss:.{digits}f}"
        )
    return (
        f"held-out {quality(accuracy, loss, texts)} ({texts:,} texts; compared with stage 1 on them: "
        f"{100 * (accuracy - accuracy_before):+.{digits - 2}f} points, {loss - loss_before:+.{digits}f} nats)"
    )


def _held_out_scores(first: NgramStage, lstms: Sequence[LstmExperts]) -> HeldOutScores:
    """Return the held-out scores of all experts; an LSTM expert's is the mean over directions."""
    sample, rows = first.sample, lstms[0].rows
    lstm_scores = np.mean([experts.scores for experts in lstms], axis=0)
    return HeldOutScores(
        [sample.texts[row] for row in rows],
        sample.codes[rows],
        [*(scores[rows] for scores in first.experts.held_out), lstm_scores, np.zeros_like(lstm_scores)],
        first.experts.background[:, rows],
        np.mean([experts.background for experts in lstms], axis=0),
    )


def _combination(first: NgramStage, rows: Codes, held_out: HeldOutScores, chosen: Codes) -> Combination:
    """Return the combination of all experts, fitted on some of the held-out texts."""
    return add_experts(
        first.experts.combination,
        first.joint[rows[chosen]],
        LSTMS,
        [scores[chosen] for scores in held_out.experts[-len(LSTMS) :]],
        held_out.codes[chosen],
        first.sample.weights_of(rows[chosen]),
        first.experts.lengths[rows[chosen]],
    )


def _cross_fitted_joint(first: NgramStage, rows: Codes, held_out: HeldOutScores) -> Array:
    """Return joint log-probabilities of all experts, (m, K), by combinations fitted on other texts."""
    result = np.zeros((len(rows), len(first.sample.classes)))
    folds = FOLDS if result.size <= MANY_SCORES else FOLDS_MANY_SCORES
    rng = np.random.default_rng(first.sample.seed)
    groups = None if first.sample.groups is None else first.sample.groups[rows]
    fold_of = stratified_folds(held_out.codes, min(folds, len(rows)), rng, groups)
    for fold in np.unique(fold_of):
        inside = np.flatnonzero(fold_of == fold)
        combination = _combination(first, rows, held_out, np.flatnonzero(fold_of != fold))
        inside_scores = [scores[inside] for scores in held_out.experts]
        result[inside] = combination.joint(inside_scores, first.experts.lengths[rows[inside]])
    return result
