"""Teaches a fitted model labelled texts, such as corrections; see `lmclassify.classify.online`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import time
from typing import Any

from lmclassify.classify.incremental.common import plain_label, with_revision
from lmclassify.classify.model import FittedModel
from lmclassify.classify.online.folder import LearningFolder
from lmclassify.classify.online.kept_texts import KeptText
from lmclassify.classify.online.lesson import lesson_id
from lmclassify.classify.online.lessons import Lessons
from lmclassify.classify.online.stored_lessons import replay
from lmclassify.classify.online.teach import learn
from lmclassify.errors import (
    DataError,
    LMClassifyWarning,
    OutputError,
    counted,
    did_you_mean,
    listing,
    shorten,
)
from lmclassify.persistence.journal import JournalReplacedError


def update(
    model: FittedModel,
    texts: Sequence[str],
    labels: Sequence[Any],
    learned_as: Sequence[Any] | None = None,
    *,
    record: Callable[[bytes], None] = lambda lesson: None,
    on_text: Callable[[int], None] = lambda done: None,
) -> FittedModel:
    """Return a model that has learned some more texts, one after the other.

    Nothing that was fitted changes: lessons are weights of their own. A text that was learned with the same
    label is not learned again; if texts are equal, the last label counts. Warns of both. Raises DataError,
    before anything is learned, if the model has no such label or the lengths differ.

    Parameters
    ----------
    texts, labels : sequence, (n,)
    learned_as : sequence, (n,), optional
        For each text the label that it moves from, or None.
    record : callable, optional
        Gets each lesson as bytes.
    on_text : callable, optional
        Gets the number of texts that are done.
    """
    labels = [plain_label(label) for label in labels]
    wrong_labels = [None] * len(texts) if learned_as is None else [plain_label(label) for label in learned_as]
    _check(model, texts, labels, wrong_labels)
    if not texts:
        return model
    lessons = Lessons(len(model.classes_)) if model.lessons is None else model.lessons.copy()
    changed = replace(model, lessons=lessons)
    learned = []
    for number, row in enumerate(zip(texts, labels, wrong_labels, strict=True), 1):
        learned.append(learn(changed, *row, record))
        on_text(number)
    known = sum(not lesson["changed"] for lesson in learned)
    if known:
        _warn(f"{counted(known, 'text')} of {len(texts):,} already learned with the same label: not again")
    different = {(lesson["id"], lesson["label"]) for lesson in learned}
    contradictory = len(different) - len({identity for identity, _ in different})
    if contradictory:
        _warn(f"{counted(contradictory, 'text')} given with different labels: the last label counts")
    failed = sum(lesson["changed"] and lesson["predicted_after"] != lesson["label"] for lesson in learned)
    if failed:
        _warn(f"{counted(failed, 'text')} still get another label")
    for label in dict.fromkeys(labels):
        changed = with_revision(changed, "update", label, labels.count(label))
    return changed


def update_folder(
    folder: LearningFolder,
    texts: Sequence[str],
    labels: Sequence[Any],
    learned_as: Sequence[Any] | None = None,
    on_text: Callable[[int], None] = lambda done: None,
) -> None:
    """Teach a saved model some more texts: all, or none if it fails; see `update`.

    Other processes may teach it meanwhile: their lessons stay. Raises OutputError if one has replaced it, or
    the folder cannot be written.
    """
    records: list[bytes] = []
    changed = update(folder.model, texts, labels, learned_as, record=records.append, on_text=on_text)
    try:
        with folder.locked():
            if folder.refresh():
                raise JournalReplacedError
            assert folder.model.lessons is not None
            lessons = folder.model.lessons.copy()
            replay(lessons, records)
            for text, label in zip(folder.model.read(texts), labels, strict=True):
                folder.texts.add(KeptText(lesson_id(text).hex(), plain_label(label), time(), text))
            folder.replace(replace(changed, lessons=lessons))
    except JournalReplacedError:
        raise OutputError(f"{folder.path} was changed by another process meanwhile: run this again") from None


def _warn(message: str) -> None:
    warnings.warn(message, LMClassifyWarning, stacklevel=4)


def _check(
    model: FittedModel, texts: Sequence[str], labels: Sequence[Any], wrong_labels: Sequence[Any]
) -> None:
    if not len(texts) == len(labels) == len(wrong_labels):
        raise DataError(
            f"found {counted(len(texts), 'text')}, {counted(len(labels), 'label')} "
            f"and {len(wrong_labels)} in learned_as"
        )
    known = model.classes_.tolist()
    for row, (label, wrong) in enumerate(zip(labels, wrong_labels, strict=True)):
        for name in (label, *([] if wrong is None else [wrong])):
            if name not in known:
                similar = did_you_mean(name, known)
                raise DataError(f"row {row}: no label {shorten(name)}{similar}; there are: {listing(known)}")
        if wrong is not None and label == wrong:
            raise DataError(f"row {row}: {shorten(label)} cannot both learn and unlearn a text")
