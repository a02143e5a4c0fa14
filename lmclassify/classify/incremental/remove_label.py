"""A fitted model with one label less, and what adding and updating labels share.

Shapes: n texts, K labels, F n-grams known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np

from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.errors import OptionError

T = TypeVar("T")


def remove_label(model: FittedModel, label: Any) -> FittedModel:
    """Return a model without one of its labels, of which at least one must be left."""
    at = model.classes_.tolist().index(label)
    log_priors = np.delete(model.log_priors, at)
    settings = model.settings
    if settings.disguised_label == str(label):
        settings = replace(settings, disguised_label="none")
    changed = replace(
        model,
        settings=settings,
        classes_=np.delete(model.classes_, at),
        log_priors=log_priors - np.logaddexp.reduce(log_priors),
        models=_without(model.models, at),
        held_out=model.held_out.without_label(at),
        label_weights=np.delete(model.label_weights, at),
        training=[entry for entry in model.training if entry.get("label") != label],
    )
    if isinstance(changed, TunedModel):
        kept = changed.held_out_texts
        changed = replace(
            changed,
            tuned=_without(changed.tuned, at),
            token_ngrams=_without(changed.token_ngrams, at),
            ngrams=[ngrams.without_label(at) for ngrams in changed.ngrams],
            combination=replace(changed.combination, bias=np.delete(changed.combination.bias, at)),
            held_out_texts=None if kept is None else kept.without_label(at),
        )
    return recorded(changed, "remove", label, 0)


def require_forward(model: FittedModel, what: str) -> None:
    """Raise OptionError where language models read backward, which adding and updating do not teach."""
    if model.settings.direction != "forward":
        raise OptionError(
            f"{what} is for language models of direction forward; this model's direction is "
            f"{model.settings.direction}: fit it again with direction forward"
        )


def has_frequency_priors(model: FittedModel) -> bool:
    """Return whether priors are the labels' shares of the texts."""
    return model.settings.fit_prior and "class_prior" not in model.parameters


def recorded(
    model: FittedModel, what: str, label: Any, texts: int, record: dict[str, Any] | None = None
) -> FittedModel:
    """Note a revision in the training record, and the record of a language model that was learnt."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    revision = {"kind": "revision", "what": what, "label": label, "texts": texts, "at": now}
    return replace(model, training=[*model.training, revision, *([record] if record else [])])


def _without(items: Sequence[T], at: int) -> list[T]:
    return [*items[:at], *items[at + 1 :]]
