"""Checkpoints of a fit: the training state of each language model, so that an interrupted fit can resume.

They are kept in the folder ``unfinished`` of the model's folder until the model is complete::

    fit.json                the data and settings of the fit, to tell whether a fit is the same
    <number>.safetensors    the state of the number-th language model trained, followed by its SHA-256

A fit with the same texts, settings and seed trains the same models in the same order, so the number
identifies the model.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmclassify.errors import ModelError, OptionError, OutputError, counted, listing
from lmclassify.lm.neural.training_state import TrainingState
from lmclassify.persistence.atomic_file import FileWriter
from lmclassify.persistence.commit import locked
from lmclassify.persistence.layout import FIT, UNFINISHED, UNFINISHED_FORMAT, is_checkpoint
from lmclassify.persistence.reading import CONTENT_ERRORS, read_regular_file

SECONDS_BETWEEN = 1.0
"""A model's state is written at most this often: writing it after every short epoch slows training down."""

MAX_FIT_BYTES, MAX_STATE_BYTES = 1 << 20, 1 << 34
"""Larger files were not written by lmclassify, and are not read into memory."""

_DIGEST_BYTES = hashlib.sha256().digest_size


class Checkpoints:
    """Stores training states in a model's folder.

    A context manager: enter it before the fit, leave it when the model is saved. Only one fit at a time can
    use a folder. If the disk takes no more checkpoints, this is reported once and training continues.

    Parameters
    ----------
    model : path
        The folder where the model will be saved.
    resume : bool, default=False
        Continue the unfinished fit in the folder, if there is one; otherwise it is deleted.
    say : callable, optional
        Gets one-line messages for the user.
    seconds_between : float, optional
        Shortest time between two states of a language model.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        resume: bool = False,
        say: Callable[[str], object] = lambda line: None,
        seconds_between: float = SECONDS_BETWEEN,
    ) -> None:
        self._model = Path(model)
        self._folder = self._model / UNFINISHED
        self._resume = resume
        self._say = say
        self._seconds_between = seconds_between
        self._lock = contextlib.ExitStack()
        self._started = time.monotonic()
        self._saved_at: dict[int, float] = {}
        self._last_number = 0
        self._failed = threading.Event()
        self._owns_folder = False
        self.has_progress = False
        """Whether there is anything to resume."""

    def __enter__(self) -> Checkpoints:
        try:
            self._new_model = not self._model.exists()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.enter_context(locked(self._folder, wait=False))
        except BlockingIOError:
            raise OutputError(
                f"another fit is training for {self._model}: wait for its end, or choose another folder (-o)"
            ) from None
        except OSError as error:
            raise OutputError(f"cannot write to {self._folder}: {error.strerror}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self.has_progress and kind is not None:
                self._say("training progress is kept: run the same command with --resume to continue")
                return
            if self._owns_folder:
                self._clear()
            with contextlib.suppress(OSError):  # another fit's checkpoints stay
                self._folder.rmdir()
                if kind is not None and self._new_model:
                    self._model.rmdir()
        finally:
            self._lock.close()

    def _clear(self) -> None:
        for entry in self._folder.iterdir():
            if is_checkpoint(entry):
                with contextlib.suppress(OSError):
                    entry.unlink()

    def begin(self, fit: dict[str, Any]) -> None:
        """Declare what is fitted; called before any state is loaded or saved.

        Parameters
        ----------
        fit : dict
            Everything that the fitted model depends on, as plain data under names that users know.

        Raises
        ------
        OptionError
            If the unfinished fit to resume is another one.
        """
        fit = json.loads(json.dumps({"format": UNFINISHED_FORMAT, **fit}))
        before = self._unfinished()
        if self._resume and before is not None:
            differing = [name for name in sorted({*fit, *before}) if fit.get(name) != before.get(name)]
            if differing:
                raise OptionError(
                    f"{self._model} holds an unfinished fit with different {listing(differing)}: repeat its "
                    "data and options, or leave out --resume to start over"
                )
            self._owns_folder = self.has_progress = True
            states = len(list(self._folder.glob("[1-9]*.safetensors")))
            self._say(
                f"resuming an unfinished fit: {counted(states, 'language model is', 'language models are')} "
                "in progress or done"
            )
            return
        if self._resume:
            self._say(f"no unfinished fit in {self._model}: starting a new one")
        elif before is not None:
            self._say(f"replacing an unfinished fit in {self._model} (--resume would have continued it)")
        self._owns_folder = True
        self._clear()
        self._write(FIT, json.dumps(fit, indent=1).encode("ascii"))

    def _unfinished(self) -> dict[str, Any] | None:
        try:
            found = json.loads(read_regular_file(self._folder / FIT, MAX_FIT_BYTES))
        except (ModelError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def next_number(self) -> int:
        """Return the number of the next language model to train."""
        self._last_number += 1
        return self._last_number

    def load(self, number: int) -> TrainingState | None:
        """Return the state of a language model; None if there is no undamaged one."""
        path = self._folder / f"{number}.safetensors"
        if not os.path.lexists(path):
            return None
        try:
            content = read_regular_file(path, MAX_STATE_BYTES)
            content, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
            if hashlib.sha256(content).digest() == digest:
                return TrainingState.from_bytes(content)
        except (*CONTENT_ERRORS, ModelError):
            pass
        self._say(f"checkpoint {number} is damaged: its language model is trained from the start")
        return None

    def save(self, number: int, state: Callable[[], TrainingState], *, finished: bool) -> None:
        """Save the state of a language model, unless the last one is recent."""
        now = time.monotonic()
        last = self._started if finished else self._saved_at.get(number, self._started)
        if now - last < self._seconds_between:
            return
        content = state().to_bytes()
        self._write(f"{number}.safetensors", content + hashlib.sha256(content).digest())
        self._saved_at[number] = now

    def _write(self, name: str, content: bytes) -> None:
        """Write a file completely or not at all."""
        if self._failed.is_set():
            return
        try:
            with FileWriter(str(self._folder / name)) as writer:
                writer.write_bytes(content)
            self.has_progress = self.has_progress or name != FIT
        except OutputError as error:
            self._failed.set()
            self._say(f"note: no more checkpoints are written, training continues ({error})")
