"""Fits a saved model again with the texts that it was taught, while others may go on teaching it.

Lessons whose texts are fitted become part of the model; the other lessons are carried over. Lessons that are
taught during the fit are taught to the new model, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmclassify.classify.model import FittedModel
from lmclassify.classify.online.folder import LearningFolder
from lmclassify.classify.online.lesson import Lesson, lesson_id
from lmclassify.classify.online.lessons import Lessons
from lmclassify.classify.online.stored_lessons import ROLE as LESSONS
from lmclassify.classify.online.teach import find_change
from lmclassify.classify.storage import estimator_parameters
from lmclassify.errors import DataError, OutputError, listing, shorten
from lmclassify.persistence.reading import read_config


class Refit:
    """Collects the texts for fitting a model again, and replaces the old model by the new one.

    Raises ModelError if there is no usable model.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    model : FittedModel
        The old model.
    kept : list of KeptText
        The texts that it keeps, of labels that it has.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._fitted_files = _fitted_files(path)
        self._folder = LearningFolder(path)
        self.model = self._folder.model
        self._labels = self.model.classes_.tolist()
        self.kept = [kept for kept in self._folder.texts.texts() if kept.label in self._labels]
        self._taught = dict(self._lessons.taught)
        self._fitted: dict[bytes, int] = {}  # index of the label by identity, of taught texts

    def estimator_parameters(self) -> dict[str, Any]:
        """Return the parameters that the old model was fitted with."""
        return estimator_parameters(self.model)

    def combine(self, texts: Sequence[str], labels: Sequence[Any]) -> tuple[list[str], list[Any], int]:
        """Return the texts to fit: those given and the kept ones, and how many given ones get another label.

        A given text that the model was taught with another label gets that one. A kept text is added if it
        is not among those given. Raises DataError if a label of the model has no text.
        """
        all_texts, all_labels, corrected = [*texts], [*labels], 0
        for index, text in enumerate(texts):
            identity = lesson_id(text)
            if (taught := self._taught.get(identity)) is not None:
                label = self._labels[taught.label]
                corrected += all_labels[index] != label
                all_labels[index] = label
                self._fitted[identity] = taught.label
        for kept in self.kept:
            identity = bytes.fromhex(kept.id)
            if identity in self._taught and identity not in self._fitted:
                all_texts.append(kept.text)
                all_labels.append(kept.label)
                self._fitted[identity] = self._labels.index(kept.label)
        missing = [label for label in self._labels if label not in set(all_labels)]
        if missing:
            raise DataError(
                f"there is no text of label {listing(map(shorten, missing))}: name DATA that has some"
            )
        return all_texts, all_labels, corrected

    def lost_lessons(self) -> int:
        """Return how many lessons the new model cannot have.

        Their texts are not fitted, and of old lessons only the sum of their weights is known.
        """
        return sum(
            self._fitted.get(identity) != taught.label and self._lessons.get(identity) is None
            for identity, taught in self._taught.items()
        )

    def commit(self, model: FittedModel) -> int:
        """Replace the saved model by the new one, which gets the lessons that were not fitted.

        Returns how many fitted texts were taken back meanwhile. Raises OutputError if another process has
        replaced the old model by one with more than other lessons, or the folder cannot be written.
        """
        with self._folder.locked():
            self._folder.refresh()
            if _fitted_files(self._path) != self._fitted_files:
                raise OutputError(f"{self._path} was changed by another process meanwhile: run this again")
            self._carry_over(model)
            self._folder.replace(model)
            return sum(identity not in self._lessons.taught for identity in self._fitted)

    def _carry_over(self, model: FittedModel) -> None:
        """Give the new model the lessons of the old one, without the weights of those that were fitted."""
        old, kept = self._lessons, {kept.id: kept for kept in self._folder.texts.texts()}
        model.reading, model.text_column = self.model.reading, self.model.text_column
        new = model.lessons = Lessons(len(self._labels))
        for identity, taught in old.taught.items():
            if self._fitted.get(identity) != taught.label:
                lesson = old.get(identity)
                if identity.hex() in kept:
                    moves = find_change(model, kept[identity.hex()].text, taught.label).moves
                    before = lesson.before if lesson else None
                    lesson = Lesson(identity, taught.time, taught.label, before, None, moves)
                if lesson is None:
                    continue  # see `lost_lessons`
                new.apply(lesson)
            new.taught[identity] = taught

    @property
    def _lessons(self) -> Lessons:
        assert self._folder.model.lessons is not None
        return self._folder.model.lessons


def _fitted_files(path: str | os.PathLike[str]) -> list[tuple[Any, ...]]:
    """Return what identifies the files of a saved model except its lessons, which compaction changes."""
    entries = read_config(Path(path))["files"]
    return [
        tuple(entry.get(name) for name in ("role", "label", "sha256"))
        for entry in entries
        if entry["role"] != LESSONS
    ]
