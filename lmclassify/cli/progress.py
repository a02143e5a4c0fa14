"""Progress of long commands on standard error: a bar on a terminal, else a line every ten seconds."""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from lmclassify.errors import printable
from lmclassify.text.durations import format_seconds
from lmclassify.text.terminal import unescaped

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress

    from lmclassify.classify.training.progress import FitProgress
    from lmclassify.cli.command import Run

SECONDS_BETWEEN_LINES = 10.0
"""A log that is read later shows that the program is alive, and stays short in a run of hours."""


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


def _may_be_shown() -> bool:
    """Return whether standard output may end on a terminal: it is one, or a pipe to another program."""
    try:
        return not stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except OSError:
        return False


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
    output : str, optional
        Name of the file that the command writes meanwhile. If this is standard output (``-``) and its lines
        may go to the terminal, directly or through a pipe, nothing else is written there.
    """

    def __init__(
        self,
        run: Run,
        name: str,
        total: float | None = None,
        seconds_between_lines: float = SECONDS_BETWEEN_LINES,
        *,
        output: str | None = None,
    ) -> None:
        self._run, self._name, self._total = run, name, total
        self._interval = seconds_between_lines
        self._done, self._state = 0.0, ""
        self._started = time.monotonic()
        self._is_shown = not run.quiet and not (output == "-" and sys.stderr.isatty() and _may_be_shown())
        self._bars = bars() if run.shows_bars and self._is_shown else None
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
            self._task = self._bars.add_task(printable(self._name), total=self._total, state="")
        elif self._is_shown:  # a thread prints, because a long step may report nothing for minutes
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
        self,
        run: Run,
        size: int | None,
        seconds_between_lines: float = SECONDS_BETWEEN_LINES,
        *,
        output: str | None = None,
    ) -> None:
        super().__init__(run, "rows", size, seconds_between_lines, output=output)
        self._rows = 0

    def add(self, rows: int, bytes_read: int) -> None:
        """Count rows that are done."""
        self._rows += rows
        self.show(bytes_read, f"{self._rows:,} done, {self._rows / self.seconds:,.0f}/s")


class StageBlock:
    """Shows the stages of a fit on a terminal: one block that is updated in place.

    It implements `lmclassify.classify.training.progress.Display`.
    """

    def __init__(self, run: Run) -> None:
        from rich.console import Console
        from rich.live import Live

        self._run = run
        self._progress: FitProgress | None = None
        console = Console(file=unescaped(sys.stderr))
        self._live = Live(get_renderable=self._render, console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the block and give the terminal back."""
        self._live.stop()

    def say(self, line: str) -> None:
        """Print a line above the block."""
        self._run.say(line)

    def update(self, progress: FitProgress) -> None:
        """Take note of the progress; the block is drawn four times a second."""
        self._progress = progress

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        progress = self._progress
        if progress is None:
            return Text("getting ready")
        table = Table.grid(padding=(0, 1))
        for number, stage in enumerate(progress.stages, 1):
            table.add_row(
                Text(f"stage {number} of {len(progress.stages)}"),
                Text(stage.name),
                ProgressBar(
                    total=1.0,
                    completed=stage.share,
                    width=20,
                    style="bright_black",
                    complete_style="cyan",
                    finished_style="green",
                ),
                Text(printable(stage.state), no_wrap=True, overflow="ellipsis"),
            )
        left = format_seconds(progress.seconds_left)
        return Group(table, Text(f"{format_seconds(progress.seconds)} so far, about {left} left"))
