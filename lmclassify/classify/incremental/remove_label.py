"""Removes a label from a fitted model; the other labels' models stay as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lmclassify.classify.incremental.common import label_index, plain_label, with_revision, without
from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.errors import DataError, shorten


def remove_label(model: FittedModel, label: Any) -> FittedModel:
    """Return a model without one of its labels. Raises DataError if there is no such label, or no other."""
    label = plain_label(label)
    index = label_index(model, label)
    if len(model.classes_) == 1:
        raise DataError(f"{shorten(label)} is the only label; a model needs one")
    log_priors = np.delete(model.log_priors, index)
    settings = model.settings
    others = [code for code in range(len(model.classes_)) if code != index]
    if settings.disguised_label == str(label):
        settings = replace(settings, disguised_label="none")
    changed = replace(
        model,
        settings=settings,
        classes_=np.delete(model.classes_, index),
        log_priors=log_priors - np.logaddexp.reduce(log_priors),
        models=without(model.models, index),
        held_out=model.held_out.without_label(index),
        label_weights=np.delete(model.label_weights, index),
        training=[entry for entry in model.training if entry.get("label") != label],
        lessons=None if model.lessons is None else model.lessons.with_labels(others),
    )
    if isinstance(changed, TunedModel):
        kept = changed.held_out_texts
        changed = replace(
            changed,
            tuned=without(changed.tuned, index),
            token_ngrams=without(changed.token_ngrams, index),
            ngrams=[ngrams.without_label(index) for ngrams in changed.ngrams],
            combination=replace(changed.combination, bias=np.delete(changed.combination.bias, index)),
            held_out_texts=None if kept is None else kept.without_label(index),
        )
    return with_revision(changed, "remove", label, 0)
