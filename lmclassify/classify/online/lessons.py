"""The lessons that a model has learned since it was fitted.

Lessons are an online linear classifier beside the fitted experts: what its weights add to the joint
log-probabilities corrects what the model says. See `lmclassify.classify.online.teach` for the steps.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from lmclassify.classify.online.lesson import Lesson, Move
from lmclassify.classify.online.weights import LessonWeights

Array = npt.NDArray[np.float64]

KEPT_LESSONS = 400
"""Number of lessons, of all labels together, that a saved model keeps with all their moves. They are the
latest ones of each label. Only these lessons and those in the journal can be undone and rehearsed."""


MIN_LESSONS = 10
"""A model of recipe online needs this number of lessons of each label before its predictions are used."""


@dataclass(frozen=True)
class LessonStatistics:
    """How much a model has learned from lessons."""

    total: int
    corrections: int
    """Lessons before which the model had predicted another label."""
    today: int
    """Since midnight, local time."""
    corrections_today: int
    last: float | None
    """Time of the last lesson, seconds since 1970; None if there is none."""
    per_label: list[int]
    """(K,)"""


@dataclass(frozen=True)
class Taught:
    """What is kept of every lesson, also of those that can no longer be undone."""

    time: float
    label: int
    is_correction: bool


class Lessons:
    """Lessons and the weights that they have changed.

    Parameters
    ----------
    labels : int
        K.

    Attributes
    ----------
    weights : LessonWeights
    labels : int
        K.
    taught : dict of bytes to Taught
        By the text's identity, in the order of the lessons.
    """

    def __init__(self, labels: int) -> None:
        self.weights = LessonWeights(labels)
        self.labels = labels
        self.taught: dict[bytes, Taught] = {}
        self._kept: dict[bytes, Lesson] = {}
        self._ids: list[list[bytes]] = [[] for _ in range(labels)]
        self._rehearsals: dict[bytes, list[Move]] = {}

    @property
    def per_label(self) -> npt.NDArray[np.intp]:
        """(K,) the number of lessons of each label."""
        return np.bincount([lesson.label for lesson in self.taught.values()], minlength=self.labels)

    def statistics(self) -> LessonStatistics:
        """Return how much has been learned, and how much of it today."""
        taught = self.taught.values()
        midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        today = [lesson for lesson in taught if lesson.time >= midnight]
        return LessonStatistics(
            total=len(taught),
            corrections=sum(lesson.is_correction for lesson in taught),
            today=len(today),
            corrections_today=sum(lesson.is_correction for lesson in today),
            last=max((lesson.time for lesson in taught), default=None),
            per_label=self.per_label.tolist(),
        )

    def apply(self, lesson: Lesson) -> None:
        """Add a lesson. An earlier lesson of the same text is undone first, if that is possible."""
        if lesson.id in self._kept:
            self.undo(lesson.id)
        own = [move for move in lesson.moves if move.owner is None]
        for move in lesson.moves:
            self.weights.apply(move)
            if move.owner is not None:
                self._rehearsals.setdefault(move.owner, []).append(move)
        self.taught[lesson.id] = Taught(lesson.time, lesson.label, lesson.is_correction)
        self.keep([replace(lesson, moves=own)])

    def get(self, identity: bytes) -> Lesson | None:
        """Return the lesson of a text, if it can be undone."""
        return self._kept.get(identity)

    def can_undo(self, identity: bytes) -> bool:
        """Return whether the lesson of a text can be undone."""
        return identity in self._kept

    def undo(self, identity: bytes) -> Lesson:
        """Undo a lesson and return it: all changes of weights and counts by its text are reverted.

        Raises
        ------
        KeyError
            If there is no such lesson, or it can no longer be undone.
        """
        lesson = self._kept.pop(identity)
        self._ids[lesson.label].remove(identity)
        for move in (*lesson.moves, *self._rehearsals.pop(identity, [])):
            self.weights.apply(move, -1)
        del self.taught[identity]
        return lesson

    def scores(self, texts: Sequence[str]) -> Array:
        """Return what lessons add to the joint log-probabilities of texts, (n, K) nats."""
        if not len(self.weights.buckets):
            return np.zeros((len(texts), self.labels))
        return self.weights.scores(texts)

    def keep(self, lessons: Iterable[Lesson]) -> None:
        """Keep lessons that are part of the weights, so that they can be undone and rehearsed."""
        for lesson in lessons:
            self._kept[lesson.id] = lesson
            self._ids[lesson.label].append(lesson.id)

    def kept(self) -> list[Lesson]:
        """Return the latest lessons of each label, as they are kept in a saved model."""
        most = max(1, KEPT_LESSONS // self.labels)
        latest = {identity for ids in self._ids for identity in ids[-most:]}
        return [
            replace(lesson, moves=[*lesson.moves, *self._rehearsals.get(identity, [])])
            for identity, lesson in self._kept.items()
            if identity in latest
        ]

    def sample(self, generator: random.Random) -> Lesson | None:
        """Return a lesson at random, of a random label; None if there is none that can be rehearsed."""
        labels = [ids for ids in self._ids if ids]
        if not labels:
            return None
        lesson = self._kept[generator.choice(generator.choice(labels))]
        return lesson if lesson.moves else None

    def copy(self) -> Lessons:
        """Return an independent copy."""
        result = Lessons(self.labels)
        result.weights = self.weights.copy()
        result.taught, result._kept = dict(self.taught), dict(self._kept)
        result._ids = [list(ids) for ids in self._ids]
        result._rehearsals = {identity: list(moves) for identity, moves in self._rehearsals.items()}
        return result

    def with_labels(self, kept: Sequence[int | None]) -> Lessons:
        """Return the lessons of a model with other labels; none can be undone.

        Parameters
        ----------
        kept : sequence of int or None
            For each label its index until now; None for a new one. Lessons of other labels are forgotten.
        """
        result = Lessons(len(kept))
        result.weights = self.weights.with_labels(kept)
        index = {old: new for new, old in enumerate(kept) if old is not None}
        for identity, taught in self.taught.items():
            if taught.label in index:
                result.taught[identity] = Taught(taught.time, index[taught.label], taught.is_correction)
        return result
