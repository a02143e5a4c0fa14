"""Teaches a model one text, by the smallest change of weights that gives the text its label.

If the label of a text does not lead all others by `MARGIN`, the weights of its words and character n-grams
move as little as is enough for that (passive-aggressive, Crammer et al. 2006), and less the more texts have
an n-gram, so that other texts are hardly concerned (confidence-weighted, Dredze et al. 2008; AROW, Crammer et
al. 2009). So do those of the variant of the text that decides (see `lmclassify.classify.variants`).

Shapes: f features of a text, K labels.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.online.features import GROUPS, TextFeatures, features_of
from lmclassify.classify.online.lesson import Lesson, Move, lesson_id, undo_to_bytes
from lmclassify.classify.online.lessons import Lessons
from lmclassify.errors import OptionError, shorten

if TYPE_CHECKING:
    from lmclassify.classify.predictor import Predictor, ScoringResult

Array = npt.NDArray[np.float64]

MARGIN = 7.0
"""After a lesson, the label of its text leads all others by this many nats. So near copies get it, too."""
ONLINE_MARGIN = 4.0
"""The same for recipe online. With a larger margin, earlier lessons of other labels are forgotten sooner."""
REHEARSALS, REHEARSAL_DOUBT = 12, 0.05
"""Recipe online: after each lesson, this number of earlier ones are scored again. Those for which the other
labels together have at least this probability are learned again (rehearsed)."""
LOGISTIC_RATE, LEAST_DOUBT = 12.5, 0.01
"""Recipe online: learning rate of a step of logistic regression before the passive-aggressive step, and the
probability below which a label has no part in it."""
MAX_MOVES = 10
"""Maximum number of steps, each against the label that is likeliest beside the right one: with many labels,
several are needed."""
LESSON_POWER = 0.5
"""A feature's step is divided by 1 + the number of lessons that moved it, to this power."""


class Change(NamedTuple):
    """The result of `find_change`."""

    moves: list[Move]
    after: int
    """Index of the label that is predicted after these moves."""
    features: TextFeatures
    """Features of the text, or of its variant that decides."""


def find_change(model: Predictor, text: str, label: int, scored: ScoringResult | None = None) -> Change:
    """Return the moves that give a text its label; the model does not change.

    Parameters
    ----------
    model : Predictor
        With `lessons`.
    text : str
    label : int
        Index of the label.
    scored : ScoringResult, optional
        The text's scores, if they are known.
    """
    assert model.lessons is not None
    weights, moves, result = model.lessons.weights, list[Move](), scored or model.score([text])
    online = model.settings.recipe == "online"
    try:
        while True:
            joint, variant = result.joint[0], result.variants[0]
            features = features_of(result.texts[0] if variant is None else variant.text)
            rate = LOGISTIC_RATE if online else 0.0
            move = _move(model, features, joint, label, rate) if len(moves) < MAX_MOVES else None
            if move is None:
                return Change(moves, int(joint.argmax()), features)
            before = weights.score_of(features.buckets, features.values)
            weights.apply(move)
            moves.append(move)
            for rehearsal in _rehearsals(model) if online else ():
                weights.apply(rehearsal)
                moves.append(rehearsal)
            if model.scores_variants:  # another one may decide now
                result = model.score([text])
            else:
                moved = weights.score_of(features.buckets, features.values) - before
                result = result._replace(joint=(joint + moved)[np.newaxis])
            if online:  # without experts, one move is enough
                return Change(moves, int(result.joint[0].argmax()), features)
    finally:
        for move in moves:
            weights.apply(move, -1)


def _rehearsals(model: Predictor) -> Iterator[Move]:
    """Yield moves for earlier lessons, drawn at random, whose label has too small a probability now.

    Without rehearsals, a model that is taught many texts of one label and then many of another predicts the
    second label only: most texts of the first label moved no weights of their own, as words that all messages
    share sufficed, and the second label then moves the weights of these words.
    """
    assert model.lessons is not None
    generator, lessons = random.Random(len(model.lessons.taught)), model.lessons
    for _ in range(REHEARSALS):
        lesson = lessons.sample(generator)
        if lesson is None:
            continue
        buckets = lesson.moves[0].buckets
        values = np.repeat(lesson.values, [lesson.words, len(buckets) - lesson.words])
        scores = model.log_priors + lessons.weights.score_of(buckets, values)
        if -_doubt(scores, lesson.label)[lesson.label] >= REHEARSAL_DOUBT:
            steps = (1.0 + lessons.weights.lessons_of(buckets)) ** -LESSON_POWER * values
            sizes = _sizes(scores, lesson.label, float(values @ steps), LOGISTIC_RATE, ONLINE_MARGIN)
            moved = np.flatnonzero(sizes)
            kinds = moved.astype(np.uint16), sizes[moved].astype(np.float32)
            yield Move(buckets, steps.astype(np.float16), *kinds, owner=lesson.id)


def _doubt(scores: Array, label: int) -> Array:
    """Return the gradient of the log-loss at joint log-probabilities, (K,), with small components 0."""
    doubt: Array = np.exp(log_softmax(scores[np.newaxis])[0])
    doubt[label] -= 1.0
    doubt[np.abs(doubt) < LEAST_DOUBT] = 0.0
    return doubt


def _move(model: Predictor, features: TextFeatures, joint: Array, label: int, rate: float) -> Move | None:
    """Return the move that gives a text its label; None if it leads by enough or no feature can move.

    With a rate, the move is at least a step along the gradient of the log-loss.
    """
    steps = (_confidences(model, features) * features.values).astype(np.float16)
    reach = float(features.values @ steps.astype(np.float64))
    if reach <= 0.0:
        return None
    sizes = _sizes(joint, label, reach, rate, ONLINE_MARGIN if rate else MARGIN)
    moved = np.flatnonzero(sizes)
    if not len(moved) and rate == 0.0:
        return None
    return Move(features.buckets, steps, moved.astype(np.uint16), sizes[moved].astype(np.float32))


def _sizes(joint: Array, label: int, reach: float, rate: float, margin: float) -> Array:
    """Return how far each label's weights move along a text, (K,), so that its label leads by the margin.

    Parameters
    ----------
    joint : ndarray, (K,)
        Joint log-probabilities before.
    reach : float
        By how many nats a move of size 1 moves a label's.
    rate : float
        Of the step along the gradient of the log-loss that comes first.
    """
    sizes = -rate * _doubt(joint, label)
    scores = joint + reach * sizes
    for _ in range(MAX_MOVES):
        others = np.where(np.arange(len(scores)) == label, -np.inf, scores)
        rival = int(others.argmax())
        missing = margin - (scores[label] - scores[rival])
        if missing <= 1e-3:
            break
        change = missing / reach / 2
        for index, sign in ((label, 1), (rival, -1)):
            sizes[index] += sign * change
            scores[index] += sign * change * reach
    return sizes


def _confidences(model: Predictor, features: TextFeatures) -> Array:
    """Return by how much each feature may move, (f,): at most 1."""
    assert model.lessons is not None
    lessons = model.lessons.weights.lessons_of(features.buckets)
    fitted = np.zeros(len(lessons))
    for number, group in enumerate(GROUPS):
        own = features.group == number
        fitted[own] = model.texts_with(group.analyzer.symbols, features.keys[own])
    return (1.0 + lessons) ** -LESSON_POWER / (1.0 + fitted)


def _values(features: TextFeatures) -> tuple[int, tuple[float, float]]:
    """Return how many features are words and pairs of words, and the values of both groups."""
    first, second = (float(features.values[features.group == number][:1].sum()) for number in range(2))
    return int(np.count_nonzero(features.group == 0)), (first, second)


class Learned(TypedDict):
    """What `FittedModel.learn` returns."""

    id: str
    """Identity of the text: a hash of its words, 32 hexadecimal digits."""
    label: str
    changed: bool
    """False if the text had been learned with this label already, and nothing was done."""
    predicted_before: str | None
    """The label that the model gave the text before; None if it had learned too little to label texts."""
    predicted_after: str


def learn(
    model: Predictor,
    text: str,
    label: Any,
    from_label: Any = None,
    record: Callable[[bytes], None] | None = None,
) -> Learned:
    """Teach a model one text; see `lmclassify.FittedModel.learn`.

    Parameters
    ----------
    record : callable, optional
        Gets the lesson as bytes before the model changes. If it raises, the model does not change.
    """
    code = model.label_index(label)
    moved_from = None if from_label is None else model.label_index(from_label)
    if code == moved_from:
        raise OptionError(f"a text cannot move from {shorten(label)} to itself")
    (text,) = model.read([text])
    identity = lesson_id(text)
    if model.lessons is None:
        model.lessons = Lessons(len(model.classes_))
    lessons, names = model.lessons, model.label_names
    result = model.score([text])
    predicted = int(result.joint[0].argmax())
    before = None if model.needs_lessons else predicted
    known = lessons.taught.get(identity)
    changed = known is None or known.label != code
    after = predicted
    if changed:
        replaced = lessons.undo(identity) if lessons.can_undo(identity) else None
        try:
            change = find_change(model, text, code, result if replaced is None else None)
            after = change.after
            values = _values(change.features) if model.settings.recipe == "online" else ()
            lesson = Lesson(identity, time(), code, before, moved_from, change.moves, *values)
            if record is not None:
                record(lesson.to_bytes())
        except BaseException:
            if replaced is not None:
                lessons.apply(replaced)
            raise
        lessons.apply(lesson)
    return Learned(
        id=identity.hex(),
        label=names[code],
        changed=changed,
        predicted_before=None if before is None else names[before],
        predicted_after=names[after],
    )


def undo(model: Predictor, text: str, label: Any, record: Callable[[bytes], None] | None = None) -> Learned:
    """Take the lesson of a text back; see `learn`, and `FittedModel.learn`."""
    code = model.label_index(label)
    (text,) = model.read([text])
    identity, names = lesson_id(text), model.label_names
    lessons = model.lessons
    known = None if lessons is None else lessons.taught.get(identity)
    if lessons is None or known is None or known.label != code:
        raise OptionError(f"this text was not learned as {shorten(label)}, so there is nothing to undo")
    before = int(model.score([text]).joint[0].argmax())
    undo_lesson(lessons, identity, record)
    return Learned(
        id=identity.hex(),
        label=names[code],
        changed=True,
        predicted_before=names[before],
        predicted_after=names[int(model.score([text]).joint[0].argmax())],
    )


def undo_lesson(lessons: Lessons, identity: bytes, record: Callable[[bytes], None] | None = None) -> None:
    """Take the lesson with this identity back. Raises OptionError if that is not possible."""
    require_undo(lessons, identity)
    if record is not None:
        record(undo_to_bytes(identity))
    lessons.undo(identity)


def require_undo(lessons: Lessons, identity: bytes) -> None:
    """Raise OptionError if there is no lesson with this identity, or if it can no longer be undone."""
    if identity not in lessons.taught:
        raise OptionError(f"there is no lesson {identity.hex()}")
    if not lessons.can_undo(identity):
        raise OptionError(
            f"lesson {identity.hex()} can no longer be undone, only later ones can: "
            "teach the text with its true label instead"
        )
