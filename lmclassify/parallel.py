"""Jobs in the threads of this process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import TYPE_CHECKING, Protocol, TypeVar

from lmclassify.errors import OptionError

if TYPE_CHECKING:
    from concurrent.futures import Future

Payload = TypeVar("Payload")
Result = TypeVar("Result")

_POLL = 0.2  # seconds after which a waiting main thread looks for signals, where they do not wake it


def number_of_threads(n_jobs: int | None = None) -> int:
    """Return how many threads to use.

    Parameters
    ----------
    n_jobs : int, optional
        None: as many as this process may use; -1 the same, -2 one fewer, and so on.
    """
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        available = os.cpu_count() or 1
    if n_jobs is None:
        return available
    if n_jobs == 0:
        raise OptionError("n_jobs must not be 0; use -1 for all processors")
    return n_jobs if n_jobs > 0 else max(1, available + 1 + n_jobs)


def map_ordered(
    function: Callable[[Payload], Result], payloads: Iterable[Payload], threads: int
) -> Iterator[Result]:
    """Yield the function's result for each payload, in order, computed in threads."""
    items = list(payloads)
    if threads == 1 or len(items) <= 1:
        yield from map(function, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        yield from pool.map(function, items)


class WorkerMap(Protocol):
    """What `worker_map` gives: `map`, in threads."""

    def __call__(
        self, function: Callable[[Payload], Result], payloads: Iterable[Payload], /
    ) -> Iterator[Result]:
        """Yield the function's result for each payload, in order."""


@contextlib.contextmanager
def worker_map(threads: int, *, before: Callable[[], object] | None = None) -> Iterator[WorkerMap]:
    """Give a `map` whose calls run in threads that stay, for many small rounds of work.

    Parameters
    ----------
    threads : int
    before : callable, optional
        Called once in each thread before its first job.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads, initializer=before) as pool:
        yield pool.map


def run_in_rounds(
    step: Callable[[Payload], bool],
    payloads: Iterable[Payload],
    threads: int,
    stop: Event,
    *,
    before: Callable[[], object] | None = None,
) -> None:
    """Call ``step(payload)`` again and again for each payload until it returns False.

    Payloads take turns, so each of them has had its first step before any has its last.

    Parameters
    ----------
    step : callable
        Returns whether there is more to do for its payload.
    payloads : iterable
    threads : int
        How many steps run at once.
    stop : threading.Event
        Set here when the run is interrupted or a step fails; steps are expected to look at it and to
        return early.
    before : callable, optional
        Called once in each thread before its first step.

    Raises
    ------
    KeyboardInterrupt
        After the steps in hand have returned.
    """
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    # Steps always run in other threads than the caller's: Ctrl-C then never falls into one.
    with ThreadPoolExecutor(threads, initializer=before) as pool:
        running: dict[Future[bool], Payload] = {}
        try:
            for payload in payloads:
                running[pool.submit(step, payload)] = payload
            while running:
                done, _ = wait(running, _POLL, return_when=FIRST_COMPLETED)
                for future in done:
                    payload = running.pop(future)
                    if future.result():
                        running[pool.submit(step, payload)] = payload
        except BaseException:
            stop.set()
            wait([future for future in running if not future.cancel()])
            raise
