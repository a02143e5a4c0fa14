"""Recipe online: an empty model that is taught the training texts one after the other."""

from __future__ import annotations

import numpy as np

from lmclassify.classify.online.empty_model import empty_model
from lmclassify.classify.training.context import FitContext, FitResult
from lmclassify.classify.training.data import TrainingData
from lmclassify.classify.training.progress import Stage
from lmclassify.errors import OptionError, counted

SECONDS_PER_LESSON = 0.005
"""Of a short text."""


def fit_online(data: TrainingData, context: FitContext) -> FitResult:
    """Fit a model of recipe online: one pass over the texts, in random order.

    Raises OptionError if texts have weights.
    """
    if data.weights is not None:
        raise OptionError(
            "recipe online cannot weight texts: leave the weights out, or choose another recipe"
        )
    model = empty_model(data.classes.tolist(), context.settings)
    order = np.random.default_rng(data.seed).permutation(len(data.texts)).tolist()
    context.progress.stages = [Stage("lessons", SECONDS_PER_LESSON * len(order))]
    context.progress.begin(1, len(order), f" of {counted(len(order), 'text')}")
    for index in order:
        model.learn(data.texts[index], data.classes[data.codes[index]])
        context.step_done()
    context.progress.end("learned")
    return FitResult(model, len(order))
