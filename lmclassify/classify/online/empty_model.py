"""A model of recipe online without any lessons. Such a model decides by lessons only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lmclassify.classify.model import FittedModel, PlainModel
from lmclassify.classify.online.lessons import Lessons
from lmclassify.classify.online.uniform_model import UniformModel
from lmclassify.classify.settings import Settings
from lmclassify.classify.thresholds import HeldOut
from lmclassify.errors import DataError
from lmclassify.text.tokenizer import Tokenizer


def empty_model(labels: Iterable[Any], settings: Settings | None = None) -> FittedModel:
    """Return a model of recipe online that has learned nothing.

    Parameters
    ----------
    labels : iterable
        At least two different ones, of one type.
    settings : Settings, optional

    Raises
    ------
    DataError
        If there are fewer than two different labels.
    """
    classes = np.unique(np.array(list(labels)))
    if len(classes) < 2:
        raise DataError("a model needs at least two different labels")
    count = len(classes)
    return PlainModel(
        classes_=classes,
        log_priors=np.full(count, -np.log(count)),
        tokenizer=Tokenizer("char", [], [], False),
        models=[UniformModel()] * count,
        settings=Settings(recipe="online") if settings is None else settings,
        label_weights=np.ones(count),
        held_out=HeldOut.empty(count),
        lessons=Lessons(count),
    )
