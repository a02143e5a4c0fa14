"""Recipe tuned, in two stages: n-gram experts, then LSTM experts.

1. n-gram models over characters, subwords and words, with cross-fitted scores, and their log-linear
   combination: a complete model (`lmclassify.classify.training.ngram_stage`). Recipe ngram ends here.
2. LSTM language models of all labels (`lmclassify.classify.training.lstm_stage`). They take part in the
   decision where this makes the log-loss of held-out text smaller; then the cascade saves LSTMs where they
   cannot change the decision. Otherwise their weight is 0. An n-gram language model of each label's tokens
   is kept beside them, which `suggest` and `generate` interpolate with.

With very many texts, n-grams are counted in all of them, and everything else is fitted on a sample.

Shapes: s texts of the sample, m of them with held-out scores, K labels.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from lmclassify.classify.training.context import FitContext, FitResult
from lmclassify.classify.training.data import TrainingData
from lmclassify.classify.training.ngram_stage import NgramStage, fit_ngram_stage
from lmclassify.classify.training.plan import (
    LSTM_STAGE,
    NGRAM_STAGE,
    RESERVE_SECONDS,
    lstm_reserve,
    planned_stages,
)
from lmclassify.errors import LMClassifyWarning, counted

AMPLE = 3.0
"""With so many times the predicted time, stage 2 is as without a time limit."""

MIN_SHARE_OF_TIME = 0.25
"""With a smaller share of the predicted time, stage 2 is left out: its language models would be useless."""


def fit_tuned(data: TrainingData, context: FitContext) -> FitResult:
    """Fit a model of recipe tuned or ngram; `FitContext.commit` gets the model of each stage.

    Raises
    ------
    TrainingError
        If the time is too short for a model.
    """
    if len(data.classes) == 1:  # nothing to tell apart
        from lmclassify.classify.training.plain import fit_plain

        _warn_one_label(data)
        return fit_plain(data, context)
    context.progress.stages = planned_stages(data, context, NGRAM_STAGE, LSTM_STAGE)
    rng = np.random.default_rng([data.seed, len(data.classes)])
    first = fit_ngram_stage(data, context, rng)
    result = FitResult(first.model, len(first.sample.texts))
    context.commit(result)
    if not _time_for_lstms(first, context):
        return result
    from lmclassify.classify.training.lstm_stage import fit_lstm_stage  # torch, once stage 1 is over

    return fit_lstm_stage(first, context, rng)


def _warn_one_label(data: TrainingData) -> None:
    if data.unlabelled:
        message = "with one label there is no background model: unlabelled texts are not used"
        warnings.warn(message, LMClassifyWarning, stacklevel=4)
    if data.remainder:
        message = f"with one label the model is fitted on {counted(len(data.texts), 'text')} drawn at random"
        warnings.warn(message, LMClassifyWarning, stacklevel=4)


def _time_for_lstms(first: NgramStage, context: FitContext) -> bool:
    """Return whether stage 2 fits into the time; set when it has to end."""
    if context.time_limit is None:
        return True
    ended = context.progress.stages[0]
    factor = max(1.0, (ended.seconds or 0.0) / ended.predicted)  # of this machine, at the moment
    reserve = RESERVE_SECONDS + 3 * context.commit_seconds + factor * lstm_reserve(first.sample)
    left = context.time_limit.left - reserve
    context.stop.end_after(left)
    needed = context.progress.seconds_left
    if left < AMPLE * needed:
        # One round of training that may end early is better than three of which the last one is cut off.
        context.limits = replace(context.limits, min_texts_to_hold_out=0)
        context.checkpoints = None  # a fit without a time limit trains other models
    if left < MIN_SHARE_OF_TIME * needed:
        seconds = f"{context.time_limit.seconds:g} s"
        context.progress.say(f"{seconds} are too short for stage 2: the model has no LSTMs")
        return False
    return True
