"""Progress of long commands on standard error: a bar on a terminal, else a line every ten seconds."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from lmclassify.errors import printable
from lmclassify.text.terminal import unescaped

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from lmclassify.cli.command import Run
    from lmclassify.lm.neural.trainer import EpochRecord

SECONDS_BETWEEN_LINES = 10.0
"""A log that is read later shows that the program is alive, and stays short in a run of hours."""

MAX_BARS = 12
"""With more labels than this, one bar for all of them fits on a screen of 24 lines."""
_NGRAMS = "n-gram models"


def bars() -> Progress:
    """Return a progress display on standard error that shows the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(file=unescaped(sys.stderr)), transient=True)


class ProgressDisplay:
    """Shows the progress of one long task: a bar on a terminal, else a line now and then.

    Parameters
    ----------
    run : Run
    name : str
        The task's name, printed before its state.
    total : float, optional
        The amount of work. None: not known.
    seconds_between_lines : float
        How often a line is printed where there is no terminal.
    """

    def __init__(
        self,
        run: Run,
        name: str,
        total: float | None = None,
        seconds_between_lines: float = SECONDS_BETWEEN_LINES,
    ) -> None:
        self._run, self._name, self._total = run, name, total
        self._interval = seconds_between_lines
        self._done, self._state = 0.0, ""
        self._started = time.monotonic()
        self._bars = bars() if run.shows_bars else None
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
            self._task = self._bars.add_task(printable(self._name), total=self._total, state="")
        elif not self._run.quiet:  # a thread prints, because a long step may report nothing for minutes
            threading.Thread(target=self._print_lines, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._bars is not None:
            self._bars.stop()

    @property
    def seconds(self) -> float:
        """Seconds since the task began."""
        return max(time.monotonic() - self._started, 1e-9)

    def show(self, done: float, state: str, total: float | None = None) -> None:
        """Show the amount of work done and a short state; `total` is given where it was not known before."""
        self._total = self._total if total is None else total
        self._done, self._state = done, state
        if self._bars is not None:
            self._bars.update(self._task, completed=done, total=self._total, state=printable(state))

    def times(self) -> str:
        """Return the share done, if known, the seconds taken and the seconds left."""
        share = min(self._done / self._total, 1.0) if self._total else 0.0
        taken = f"{self.seconds:,.0f} s so far"
        return f"{share:.0%}, {taken}, {self.seconds * (1 - share) / share:,.0f} s left" if share else taken

    def _print_lines(self) -> None:
        while not self._ended.wait(self._interval):
            self._run.say(f"{self._name}{': ' if self._state else ''}{self._state} ({self.times()})")


class RowProgress(ProgressDisplay):
    """Shows the progress through the rows of a table; `size` is its size in bytes, if known."""

    def __init__(
        self, run: Run, size: int | None, seconds_between_lines: float = SECONDS_BETWEEN_LINES
    ) -> None:
        super().__init__(run, "rows", size, seconds_between_lines)
        self._rows = 0

    def add(self, rows: int, bytes_read: int) -> None:
        """Count rows that are done."""
        self._rows += rows
        self.show(bytes_read, f"{self._rows:,} done, {self._rows / self.seconds:,.0f}/s")


class EpochProgress:
    """Shows the epochs of a fit: one bar per label on a terminal, else a line now and then."""

    def __init__(self, run: Run, labels: list[str], recipe: str) -> None:
        self._run = run
        self._labels = labels
        self._recipe = recipe
        self._lock = threading.Lock()
        self._bars: Progress | None = bars() if run.shows_bars else None
        self._lines = None if run.shows_bars else ProgressDisplay(run, "training")
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> EpochProgress:
        if self._bars is not None:
            self._bars.start()
            if self._recipe == "tuned":
                self._tasks[_NGRAMS] = self._bars.add_task(_NGRAMS, total=None, state="")
        elif self._recipe == "tuned":
            self._run.say("training n-gram models, then language models")
        if self._lines is not None:
            self._lines.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
        if self._lines is not None:
            self._lines.__exit__()

    def name_of(self, label: Any) -> str:
        """Return the name of a label's training; None is the joint fine-tuning of all labels."""
        return "tuning" if label is None else str(label)

    def update(self, label: Any, record: EpochRecord) -> None:
        """Show an epoch of a label, or of all labels together (None); called from the threads that train."""
        loss = record.training_loss if record.validation_loss is None else record.validation_loss
        tuning, name = label is None, self.name_of(label)
        state = (
            f"epoch {record.epoch} of {record.max_epochs}, {loss:.3f} nats/{'text' if tuning else 'token'}"
        )
        with self._lock:
            if self._lines is not None:
                state = f"{name}: {state}, {record.tokens / record.seconds:,.0f} tokens/s"
                self._lines.show(0, state)
                if self._run.verbose:
                    self._run.say(state)
                return
            assert self._bars is not None
            ngrams = self._tasks.get(_NGRAMS)
            if ngrams is not None:
                self._bars.update(ngrams, total=1, completed=1, state="done")
            shared = len(self._labels) > MAX_BARS and name in self._labels
            self._show("labels" if shared else name, f"{name}: {state}" if shared else state, record, shared)

    def _show(self, name: str, state: str, record: EpochRecord, shared: bool) -> None:
        assert self._bars is not None
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=0, state="")
        task = self._bars.tasks[self._bars.task_ids.index(self._tasks[name])]
        done = record.max_epochs if record.finished else record.epoch
        if shared:  # one bar for all labels, whose length grows with each label that begins
            begins = record.epoch == 1
            self._bars.update(
                task.id,
                total=(task.total or 0) + (record.max_epochs if begins else 0),
                advance=1 + (record.max_epochs - record.epoch if record.finished else 0),
                state=state,
            )
        else:
            self._bars.update(task.id, total=record.max_epochs, completed=done, state=state)
