"""A fitted model with one label less, and what adding and updating labels share.

Shapes: n texts, K labels, F n-grams known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lmclassify.classify.fitted import FittedModel
from lmclassify.classify.held_out import HeldOut, HeldOutTexts
from lmclassify.errors import OptionError

Array = npt.NDArray[np.float64]
T = TypeVar("T")


def remove_label(model: FittedModel, label: Any) -> FittedModel:
    """Return a model without one of its labels, of which at least one must be left."""
    at = model.classes_.tolist().index(label)
    log_priors = np.delete(model.log_priors, at)
    held_out = model.held_out
    if held_out is not None:
        stay = held_out.codes != at
        codes = held_out.codes[stay]
        held_out = HeldOut(
            np.delete(held_out.joint[stay], at, axis=1),
            codes - (codes > at),
            held_out.signals[stay],
            held_out.cross_entropies[stay],
        )
    kept = model.held_out_texts
    if kept is not None:
        stay = kept.codes != at
        codes = kept.codes[stay]
        texts = [text for text, stays in zip(kept.texts, stay, strict=True) if stays]
        kept = HeldOutTexts(
            texts, codes - (codes > at), np.delete(kept.scores[:, stay], at, axis=2), kept.background[stay]
        )
    combination = model.combination
    if combination is not None:
        combination = replace(combination, bias=np.delete(combination.bias, at))
    changed = replace(
        model,
        classes_=np.delete(model.classes_, at),
        log_priors=log_priors - np.logaddexp.reduce(log_priors),
        models=_without(model.models, at),
        tuned=_without(model.tuned, at),
        token_ngrams=_without(model.token_ngrams, at),
        ngrams=[ngrams.without_label(at) for ngrams in model.ngrams],
        combination=combination,
        held_out=held_out,
        held_out_texts=kept,
        label_weights=np.delete(model.label_weights, at),
        training=[entry for entry in model.training if entry.get("label") != label],
    )
    return recorded(changed, "remove", label, 0, {})


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


def recorded(model: FittedModel, what: str, label: Any, texts: int, record: dict[str, Any]) -> FittedModel:
    """Note a revision in the training record."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entries: list[dict[str, Any]] = [
        {"kind": "revision", "what": what, "label": label, "texts": texts, "at": now}
    ]
    if record:
        entries.append({"kind": "label", "label": label, **record, "interrupted": False})
    return replace(model, training=[*model.training, *entries])


def _without(items: Sequence[T], at: int) -> list[T]:
    return [*items[:at], *items[at + 1 :]]
