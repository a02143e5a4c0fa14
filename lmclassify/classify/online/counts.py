"""How many lessons a model has learned."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from lmclassify.classify.predictor import Predictor


class LessonCounts(TypedDict):
    """How many lessons a model has learned; those that were undone do not count."""

    total: int
    corrections: int
    """Lessons whose text the model had given another label."""
    labels: dict[str, int]
    """Lessons by label."""
    today: int
    """Lessons on the day of the last one, in local time."""
    corrections_today: int
    last: float | None
    """Time of the last lesson, in seconds since 1970."""


def lesson_counts(model: Predictor) -> LessonCounts:
    """Return how many lessons a model has learned."""
    taught = [] if model.lessons is None else list(model.lessons.taught.values())
    last = max((lesson.time for lesson in taught), default=None)
    day = datetime.fromtimestamp(last or 0.0)
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    today = [lesson for lesson in taught if lesson.time >= midnight]
    labels = Counter(lesson.label for lesson in taught)
    return {
        "total": len(taught),
        "corrections": sum(lesson.is_correction for lesson in taught),
        "labels": {name: labels[index] for index, name in enumerate(model.label_names)},
        "today": len(today),
        "corrections_today": sum(lesson.is_correction for lesson in today),
        "last": last,
    }
