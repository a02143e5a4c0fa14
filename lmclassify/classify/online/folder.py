"""A saved model that learns: every lesson is in its journal, on the disk, before it counts.

The journal stands beside config.json (`lmclassify.persistence.journal`). Several processes may teach one
model and use it at the same time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from time import time
from typing import Any, TypeVar

from lmclassify.classify import storage
from lmclassify.classify.model import FittedModel, load_with_journal
from lmclassify.classify.online import teach
from lmclassify.classify.online.kept_texts import KeptText, KeptTexts
from lmclassify.classify.online.lesson import is_undo, lesson_id
from lmclassify.classify.online.lessons import Lessons
from lmclassify.classify.online.stored_lessons import replay
from lmclassify.classify.online.teach import Learned
from lmclassify.errors import OptionError, OutputError
from lmclassify.persistence.commit import write_model
from lmclassify.persistence.journal import Journal, JournalReplacedError
from lmclassify.persistence.reading import as_model_error

T = TypeVar("T")

MAX_JOURNAL_BYTES = 1 << 24
"""16 MB: several hundred lessons of mail, or a few thousand short texts."""
_ATTEMPTS = 5  # while other processes replace the model


class LearningFolder:
    """The model in a folder, which learns.

    Raises ModelError if there is no usable model.

    Parameters
    ----------
    path : path
    max_journal_bytes : int
        A larger journal becomes part of the model's files.

    Attributes
    ----------
    model : FittedModel
        Another object after another process has replaced the model.
    texts : KeptTexts
        The texts that it keeps for `lmclassify refit`.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_journal_bytes: int = MAX_JOURNAL_BYTES) -> None:
        self.path = path
        self._max_journal_bytes = max_journal_bytes
        self.model, self._journal, self.texts = self._load()

    def _load(self) -> tuple[FittedModel, Journal, KeptTexts]:
        model, stored, journal = load_with_journal(self.path)
        model.lessons = model.lessons or Lessons(len(model.classes_))
        return model, journal, KeptTexts.of_model(stored)

    @property
    def checksum(self) -> str:
        """Checksum of the saved model; lessons do not change it."""
        return self._journal.model

    @property
    def journal_bytes(self) -> int:
        """Size of the journal."""
        return self._journal.size

    def refresh(self) -> bool:
        """Take over what other processes have taught; return whether the model was replaced and loaded anew.

        It costs next to nothing if nothing has changed. Raises ModelError if there is no usable model any
        more.
        """
        try:
            records = self._journal.read_new()
        except JournalReplacedError:
            exact, threads = self.model.exact, self.model.n_jobs
            self.model, self._journal, self.texts = self._load()
            self.model.exact, self.model.n_jobs = exact, threads
            return True
        with as_model_error(str(self._journal.path)):
            replay(self._lessons, records)
        return False

    def learn(self, text: str, label: Any, *, undo: bool = False, from_label: Any = None) -> Learned:
        """Teach the model one text, or take its lesson back; see `FittedModel.learn`.

        When this returns, the lesson is on the disk; if it raises, nothing has been learned. Raises
        OutputError if the folder cannot be written.
        """

        def change(record: Callable[[bytes], None]) -> Learned:
            if undo:
                return teach.undo(self.model, text, label, record)

            def keep_and_record(lesson: bytes) -> None:
                (read,) = self.model.read([text])
                self.texts.add(KeptText(lesson_id(read).hex(), label, time(), read))
                record(lesson)

            return teach.learn(self.model, text, label, from_label, keep_and_record)

        return self._change(change)

    def undo_id(self, identity: str) -> None:
        """Take the lesson with an identity (32 hexadecimal digits) back.

        Raises OptionError if there is none, or it can no longer be undone.
        """
        try:
            given = bytes.fromhex(identity)
        except ValueError:
            raise OptionError(f"{identity!r} is not the id of a lesson: 32 hexadecimal digits") from None
        self._change(lambda record: teach.undo_lesson(self._lessons, given, record))

    def undo_since(self, time: float) -> int:
        """Take all lessons since a time (seconds since 1970) back, and return how many these are.

        Raises OptionError, and takes nothing back, if one of them can no longer be undone.
        """

        def change(record: Callable[[bytes], None]) -> int:
            chosen = [identity for identity, taught in self._lessons.taught.items() if taught.time >= time]
            for identity in chosen:
                teach.require_undo(self._lessons, identity)
            for identity in reversed(chosen):
                teach.undo_lesson(self._lessons, identity, record)
            return len(chosen)

        return self._change(change)

    def compact(self) -> None:
        """Make the journal's lessons part of the model's files."""
        for _ in range(_ATTEMPTS):
            self.refresh()
            try:
                with self._journal.locked():
                    if not self.refresh():
                        self.replace(self.model)
                        return
            except JournalReplacedError:
                continue

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock of the folder: nobody else teaches or replaces the model."""
        return self._journal.locked()

    def replace(self, model: FittedModel) -> None:
        """Replace the model by one that has its lessons; it keeps the same texts. Call it under the lock."""
        write_model(self.path, storage.to_stored(model), journals={"texts": self.texts.records()})
        self.model, self._journal, self.texts = self._load()

    @property
    def _lessons(self) -> Lessons:
        assert self.model.lessons is not None
        return self.model.lessons

    def _change(self, change: Callable[[Callable[[bytes], None]], T]) -> T:
        """Change lessons under the lock of the folder, after taking over those of other processes."""
        undone: list[str] = []

        def record(data: bytes) -> None:
            self._journal.append(data)
            if is_undo(data):
                undone.append(data.hex())

        attempt = 1
        while True:
            self.refresh()
            try:
                with self._journal.locked():
                    self.refresh()
                    result = change(record)
                    if undone:
                        self.texts.remove(undone)
                break
            except JournalReplacedError:
                if attempt == _ATTEMPTS:
                    raise
                attempt += 1
        if self._journal.size > self._max_journal_bytes:
            with contextlib.suppress(OutputError):  # the lesson is on the disk; the next one tries again
                self.compact()
        return result
