"""A limit of the wall time of a fit, and the signal that ends training early."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from lmclassify.errors import OptionError, shorten

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_TIME = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) *([smh]?)")


def parse_time(value: object, name: str = "time") -> float:
    """Return seconds from a number or from text such as ``60``, ``60s``, ``2m`` or ``1h``.

    Raises
    ------
    OptionError
        If it is something else, or not above 0.
    """
    seconds = math.nan
    if isinstance(value, str):
        if found := _TIME.fullmatch(value.strip().lower()):
            seconds = float(found[1]) * _UNITS[found[2]]
    elif not isinstance(value, bool) and hasattr(value, "__float__"):
        seconds = float(value)
    if not 0 < seconds < math.inf:
        raise OptionError(f"{name} must be a time above 0, such as 60, 60s or 2m, not {shorten(value)}")
    return seconds


@dataclass(frozen=True)
class TimeLimit:
    """The wall time that a fit may take."""

    seconds: float
    started: float = field(default_factory=time.monotonic)
    """On the clock of `time.monotonic`."""

    @property
    def left(self) -> float:
        """Seconds until the end; negative after it."""
        return self.started + self.seconds - time.monotonic()


class OutOfTime(Exception):  # noqa: N818
    """A step of a fit was given up because the time is over."""


class StopSignal(Event):
    """Tells training to end early and keep the best weights so far: set by an interrupt, or by the clock."""

    def __init__(self) -> None:
        super().__init__()
        self._ends = [math.inf]

    def is_set(self) -> bool:
        """Return whether to end."""
        return self.interrupted or time.monotonic() >= self._ends[-1]

    @property
    def interrupted(self) -> bool:
        """Whether it was set, whatever the clock says."""
        return super().is_set()

    def end_after(self, seconds: float) -> None:
        """Let the clock set the signal after so many seconds."""
        self._ends = [time.monotonic() + seconds]

    @contextmanager
    def share(self, fraction: float) -> Iterator[None]:
        """Give a step this fraction of the time that is left; without a time limit, nothing changes."""
        left = self._ends[-1] - time.monotonic()
        self._ends.append(time.monotonic() + fraction * left)
        try:
            yield
        finally:
            self._ends.pop()
