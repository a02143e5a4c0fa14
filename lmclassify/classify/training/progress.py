"""Progress of a fit in stages: what is done, how long the rest takes, and lines that say so; without torch.

The work of a stage is counted in steps. How long it takes is predicted from the amount of text, corrected by
what the stage before took, and measured as soon as a part of it is done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lmclassify.text.durations import format_seconds

if TYPE_CHECKING:
    from lmclassify.lm.neural.trainer import EpochRecord

MEASURED_SHARE = 0.1
"""From this share of a stage's steps on, the time of the rest follows from that of the steps done."""

SECONDS_BETWEEN_LINES = 10.0
"""A log that is read later shows that the program is alive, and stays short in a run of hours."""


@dataclass
class Stage:
    """A stage of a fit."""

    name: str
    predicted: float
    """Seconds that it takes on the machine of docs/experiments.md."""
    steps: float = 1.0
    done: float = 0.0
    state: str = ""
    """What it does at the moment, or its result."""
    started: float | None = None
    """On the clock of `time.monotonic`."""
    seconds: float | None = None
    """How long it took; None before its end."""

    @property
    def share(self) -> float:
        """Share of the steps that are done."""
        return 1.0 if self.seconds is not None else min(1.0, self.done / self.steps)

    def left(self, factor: float) -> float:
        """Return how many seconds it still takes, if it takes `factor` times as long as predicted."""
        if self.seconds is not None:
            return 0.0
        if self.started is None:
            return self.predicted * factor
        elapsed = time.monotonic() - self.started
        if self.share >= MEASURED_SHARE:
            return elapsed / self.share * (1 - self.share)
        return max(0.0, self.predicted * factor - elapsed)


class Display(Protocol):
    """Shows the progress of a fit."""

    def say(self, line: str) -> None:
        """Print a line that stays."""

    def update(self, progress: FitProgress) -> None:
        """Show what has changed; called from the threads that train."""


class FitProgress:
    """The stages of a fit.

    Parameters
    ----------
    display : Display, optional
    """

    def __init__(self, display: Display | None = None) -> None:
        self.stages: list[Stage] = []
        self.number = 0
        """Of the current stage, from 1."""
        self._display = display
        self._lock = threading.Lock()
        self._started = time.monotonic()

    @property
    def title(self) -> str:
        """``stage n of m`` of the current stage."""
        return f"stage {self.number} of {len(self.stages)}"

    @property
    def stage(self) -> Stage:
        """The current stage."""
        return self.stages[self.number - 1]

    @property
    def seconds(self) -> float:
        """Seconds since the fit began."""
        return time.monotonic() - self._started

    @property
    def seconds_left(self) -> float:
        """Seconds that the current stage and the following ones still take."""
        ended = [stage for stage in self.stages if stage.seconds is not None]
        factor = ended[-1].seconds / ended[-1].predicted if ended and ended[-1].seconds else 1.0
        return sum(stage.left(factor) for stage in self.stages)

    def begin(self, number: int, steps: float, detail: str = "") -> None:
        """Begin a stage of so many steps."""
        with self._lock:
            self.number = number
            self.stage.steps, self.stage.started = max(1.0, steps), time.monotonic()
        self.say(f"{self.stage.name}{detail}; about {format_seconds(self.seconds_left)} left")

    def advance(self, steps: float = 1.0, state: str = "") -> None:
        """Count steps of the current stage that are done."""
        if not self.stages:
            return
        with self._lock:
            self.stage.done += steps
            self.stage.state = state or self.stage.state
        if self._display is not None:
            self._display.update(self)

    def end(self, result: str) -> float:
        """End the current stage and say its result; return how many seconds it took."""
        with self._lock:
            assert self.stage.started is not None
            self.stage.seconds = time.monotonic() - self.stage.started
            self.stage.state = result
        self.say(f"{result}; {self.stage.seconds:.1f} s")
        return self.stage.seconds

    def say(self, line: str) -> None:
        """Print a line about the current stage."""
        if self._display is not None:
            self._display.say(f"{self.title}: {line}")
            self._display.update(self)

    def epoch(self, label: Any, record: EpochRecord) -> None:
        """Count an epoch of language model training; epochs that need not be trained count as done, too."""
        loss = record.training_loss if record.validation_loss is None else record.validation_loss
        skipped = record.max_epochs - record.epoch if record.finished else 0
        unit = "text" if label is None else "token"
        name = {None: "all labels together", "all labels": "background model"}.get(label, label)
        state = f"{name}, epoch {record.epoch} of {record.max_epochs}, {loss:.3f} nats/{unit}"
        self.advance(record.tokens * (1.0 + skipped), state)


class LineDisplay:
    """Prints lines: results at once, and what else has changed now and then.

    Parameters
    ----------
    say : callable
        Prints a line.
    seconds_between : float, optional
    """

    def __init__(self, say: Callable[[str], object], seconds_between: float = SECONDS_BETWEEN_LINES) -> None:
        self._print = say
        self._interval = seconds_between
        self._last = time.monotonic()
        self._state = ""

    def say(self, line: str) -> None:
        """Print a line."""
        self._print(line)

    def update(self, progress: FitProgress) -> None:
        """Print the state of the current stage if it has changed and the last line is not recent."""
        stage, now = progress.stage, time.monotonic()
        if stage.seconds is not None or stage.state == self._state or now - self._last < self._interval:
            return
        self._last, self._state = now, stage.state
        self.say(f"{progress.title}: {stage.state}; about {format_seconds(progress.seconds_left)} left")
