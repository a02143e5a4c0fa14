"""Checkpoints of a fit: how far each language model's training has come, so that a killed fit can go on.

They lie in a folder ``unfinished`` in the model's, until the model is complete::

    fit.json                what is learnt from and how, to tell whether a fit is the same
    <number>.safetensors    the state of the number-th model trained, followed by its SHA-256

A fit of the same texts, settings and seed trains the same models in the same order, so a number tells
which one it is.
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

from lmclassify.errors import ModelError, OptionError, OutputError, listing
from lmclassify.lm.neural.training_state import TrainingState
from lmclassify.persistence.atomic_file import FileWriter
from lmclassify.persistence.commit import locked
from lmclassify.persistence.layout import FIT, UNFINISHED, UNFINISHED_FORMAT, is_checkpoint
from lmclassify.persistence.reading import CONTENT_ERRORS, read_regular_file

_BETWEEN = 1.0  # seconds of training that may be lost, where epochs are shorter
_LARGEST_FIT = 1 << 20  # bytes
_LARGEST_STATE = 1 << 34
_DIGEST = hashlib.sha256().digest_size


class Checkpoints:
    """Keeps states of training in a model's folder; a context manager, to be left once the model is saved.

    One fit at a time may keep them in a folder. A disk that cannot take them is said once, and training
    goes on without.

    Parameters
    ----------
    model : path
        The folder of the model-to-be.
    resume : bool, default=False
        Go on with the unfinished fit there, if there is one; else it is forgotten.
    say : callable, optional
        Told in a line what the user should know.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        resume: bool = False,
        say: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._model = Path(model)
        self._folder = self._model / UNFINISHED
        self._resume = resume
        self._say = say
        self._lock = contextlib.ExitStack()
        self._began = time.monotonic()
        self._saved_at: dict[int, float] = {}
        self._numbers = 0
        self._failed = threading.Event()
        self._begun = self._keeps = False

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
            if self._keeps and kind is not None:
                self._say("what has been trained is kept: the same command with --resume goes on with it")
                return
            if self._begun:
                self._clear()
            with contextlib.suppress(OSError):  # an unfinished fit that was not begun anew stays
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

    def begin(self, what: dict[str, Any]) -> None:
        """Say what is being fitted, before anything is loaded or saved.

        Parameters
        ----------
        what : dict
            All that the result depends on, by names that a user knows, in what JSON can hold.

        Raises
        ------
        OptionError
            If the unfinished fit that is to be gone on with is another one.
        """
        what = json.loads(json.dumps({"format": UNFINISHED_FORMAT, **what}))
        before = self._unfinished()
        if self._resume and before is not None:
            differing = [name for name in sorted({*what, *before}) if what.get(name) != before.get(name)]
            if differing:
                raise OptionError(
                    f"{self._model} holds an unfinished fit with other {listing(differing)}: give what it "
                    "was begun with, or leave --resume out to begin anew"
                )
            self._begun = self._keeps = True
            states = len(list(self._folder.glob("[1-9]*.safetensors")))
            self._say(f"going on with an unfinished fit: {states:,} language models begun or done")
            return
        if self._resume:
            self._say(f"no unfinished fit in {self._model}: beginning one")
        elif before is not None:
            self._say(f"an unfinished fit in {self._model} is replaced (--resume would have gone on with it)")
        self._begun = True
        self._clear()
        self._write(FIT, json.dumps(what, indent=1).encode("ascii"))

    def _unfinished(self) -> dict[str, Any] | None:
        try:
            found = json.loads(read_regular_file(self._folder / FIT, _LARGEST_FIT))
        except (ModelError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def next_number(self) -> int:
        """Return the number of the model that is trained next."""
        self._numbers += 1
        return self._numbers

    def load(self, number: int) -> TrainingState | None:
        """Return the state of a model's training, None where there is none that is whole."""
        path = self._folder / f"{number}.safetensors"
        if not os.path.lexists(path):
            return None
        try:
            content = read_regular_file(path, _LARGEST_STATE)
            content, digest = content[:-_DIGEST], content[-_DIGEST:]
            if hashlib.sha256(content).digest() == digest:
                return TrainingState.from_bytes(content)
        except (*CONTENT_ERRORS, ModelError):
            pass
        self._say(f"checkpoint {number} is damaged: what it held is trained again")
        return None

    def save(self, number: int, state: Callable[[], TrainingState], *, finished: bool) -> None:
        """Keep the state of a model's training, unless what would be lost is hardly worth it."""
        now = time.monotonic()
        if now - (self._began if finished else self._saved_at.get(number, self._began)) < _BETWEEN:
            return
        content = state().to_bytes()
        self._write(f"{number}.safetensors", content + hashlib.sha256(content).digest())
        self._saved_at[number] = now

    def _write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        if self._failed.is_set():
            return
        try:
            with FileWriter(str(self._folder / name)) as writer:
                writer.write_bytes(content)
            self._keeps = self._keeps or name != FIT
        except OutputError as error:
            self._failed.set()
            self._say(f"note: no checkpoints any more, training goes on ({error})")
