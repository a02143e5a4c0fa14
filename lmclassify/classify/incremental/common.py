"""What adding, updating and removing labels share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np

from lmclassify.classify.model import FittedModel
from lmclassify.errors import DataError, OptionError, did_you_mean, listing, shorten

T = TypeVar("T")


def plain_label(label: Any) -> Any:
    """Return a label as plain Python data, a numpy scalar too."""
    return label.item() if isinstance(label, np.generic) else label


def label_index(model: FittedModel, label: Any) -> int:
    """Return the index of a label in `classes_`. Raises DataError if there is no such label."""
    known = model.classes_.tolist()
    if label not in known:
        raise DataError(f"no label {shorten(label)}{did_you_mean(label, known)}; there are: {listing(known)}")
    index: int = known.index(label)
    return index


def require_forward(model: FittedModel, command: str) -> None:
    """Raise OptionError if language models read backward: adding and updating do not train those."""
    if model.settings.direction != "forward":
        raise OptionError(
            f"{command} is for language models of direction forward; this model's direction is "
            f"{model.settings.direction}: fit it again with direction forward"
        )


def has_frequency_priors(model: FittedModel) -> bool:
    """Return whether priors are the labels' shares of the texts' weights."""
    return model.settings.fit_prior and "class_prior" not in model.parameters


def with_revision(
    model: FittedModel, what: str, label: Any, texts: int, record: dict[str, Any] | None = None
) -> FittedModel:
    """Return the model with a revision in its training record, and the entry of a new language model."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    revision = {"kind": "revision", "what": what, "label": label, "texts": texts, "at": now}
    return replace(model, training=[*model.training, revision, *([record] if record else [])])


def inserted(items: Sequence[T], index: int, item: T) -> list[T]:
    """Return items with one more at an index."""
    return [*items[:index], item, *items[index:]]


def without(items: Sequence[T], index: int) -> list[T]:
    """Return items without the one at an index."""
    return [*items[:index], *items[index + 1 :]]
