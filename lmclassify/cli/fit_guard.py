"""Writes the model of each stage of `fit`, and ends the program in time: after a signal, or by the clock."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, Self

from lmclassify.cli.replacement import OldModel, replacing

if TYPE_CHECKING:
    from lmclassify.classify.model import FittedModel
    from lmclassify.classify.training.checkpoints import Checkpoints
    from lmclassify.classify.training.time_limit import TimeLimit
    from lmclassify.cli.command import Run
    from lmclassify.datasets.reading import Reading

GRACE_SECONDS = 0.6
"""After a signal the program may end by itself for so long: it says within a second what is kept."""

TOLERANCE, TOLERANCE_SECONDS = 0.05, 0.5
"""How much longer than its time limit a fit may take before it is ended: less than what is promised."""


class FitGuard:
    """Writes the model of each stage, and ends the process when it has to end.

    Training runs in threads, and parts of it do not notice a signal for seconds. A thread of the guard waits
    for signals and for the end of the time, says what is kept, and ends the process if it does not end by
    itself. A commit that is cut off leaves the model before it.

    Parameters
    ----------
    run : Run
    output : str
        The model's folder.
    old : OldModel or None
        The model that is in the folder.
    limit : TimeLimit or None
    ends_on_signal : bool
        Whether an interrupt ends the fit, and no model of what is trained so far is made.
    """

    def __init__(
        self, run: Run, output: str, old: OldModel | None, limit: TimeLimit | None, ends_on_signal: bool
    ) -> None:
        self._run, self._output, self._ends_on_signal = run, output, ends_on_signal
        self._old, self._limit = old, limit
        self._written = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.interrupted = 0
        """The signal that ends the fit; 0 for none."""
        self.checkpoints: Checkpoints | None = None
        self.close_display: Callable[[], object] = lambda: None
        """Gives the terminal back."""

    def __enter__(self) -> Self:
        if sys.platform != "win32" and threading.current_thread() is threading.main_thread():
            self._reader, self._writer = os.pipe()
            os.set_blocking(self._writer, False)
            self._before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            signal.set_wakeup_fd(self._before)
            os.close(self._writer)  # ends the thread
            self._thread.join()
            os.close(self._reader)
        if self.interrupted:  # everything is cleaned up; Python's own end would take seconds
            self._exit(128 + self.interrupted)

    def say(self, message: str) -> None:
        """Print a message, unless the fit was interrupted: that takes one line."""
        if not self.interrupted:
            self._run.say(message)

    def write(self, model: FittedModel, reading: Reading) -> None:
        """Write the model of a stage and how its texts were read, and say which one it replaces."""
        replaced = "" if self._written else replacing(self._old)
        model.reading = reading
        model.save(self._output)
        self._written += 1
        stages = model.training_entries("stage")
        stage = f"stage {stages[-1]['stage']} of {stages[-1]['stages']}: " if stages else ""
        self._run.say(f"{stage}model written to {self._output}{replaced}")

    def _watch(self) -> None:
        end = None
        if self._limit is not None:
            end = self._limit.started + (1 + TOLERANCE) * self._limit.seconds + TOLERANCE_SECONDS
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._reader], [], [], left)[0]:
                self._out_of_time()
            numbers = os.read(self._reader, 64)
            if not numbers:
                return
            number = next((value for value in numbers if value in (signal.SIGINT, signal.SIGTERM)), None)
            if number is not None and self._ends_on_signal and not self.interrupted:
                self.interrupted = number
                self._give_terminal_back()
                self._run.fail(f"interrupted: {self._kept()}")
                if not self._ended.wait(GRACE_SECONDS):
                    self._exit(128 + number)

    def _out_of_time(self) -> NoReturn:
        self._give_terminal_back()
        if self._written:
            self._run.say(f"the time is over: {self._kept()}")
            self._exit(0)
        self._run.fail(f"the time is over before there is a model: give more time; {self._kept()}")
        self._exit(1)

    def _kept(self) -> str:
        resume = ""
        if self.checkpoints is not None and self.checkpoints.has_progress:
            resume = "; the same command with --resume continues"
        if self._written:
            return f"the model of stage {self._written} is in {self._output}{resume}"
        kept = "no model was written" if self._old is None else f"the model in {self._output} stays as it was"
        return kept + resume

    def _give_terminal_back(self) -> None:
        with contextlib.suppress(Exception):
            self.close_display()

    def _exit(self, status: int) -> NoReturn:
        sys.stderr.flush()
        os._exit(status)
