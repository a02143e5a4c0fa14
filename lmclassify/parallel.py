"""Runs work in threads of this process."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Event
from typing import Protocol, TypeVar

from lmclassify.errors import OptionError

Payload = TypeVar("Payload")
Result = TypeVar("Result")

_SIGNAL_INTERVAL = 0.2  # seconds after which a waiting main thread handles signals, where they do not wake it


def number_of_threads(n_jobs: int | None = None) -> int:
    """Return the number of threads to use.

    Raises OptionError if it is 0.

    Parameters
    ----------
    n_jobs : int, optional
        None and -1: all processors that this process may use; -2: one fewer, and so on.
    """
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:  # does not exist on every system
        available = os.cpu_count() or 1
    if n_jobs is None:
        return available
    if n_jobs == 0:
        raise OptionError("n_jobs must not be 0; use -1 for all processors")
    return n_jobs if n_jobs > 0 else max(1, available + 1 + n_jobs)


def map_ordered(
    function: Callable[[Payload], Result], payloads: Iterable[Payload], threads: int
) -> Iterator[Result]:
    """Yield the results of a function for each payload, computed in threads, in order."""
    items = list(payloads)
    if threads == 1 or len(items) <= 1:
        yield from map(function, items)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        yield from pool.map(function, items)


@contextlib.contextmanager
def in_background(function: Callable[[], Result], threads: int) -> Iterator[Callable[[], Result]]:
    """Call a function in a thread of its own; provide a function that waits for its result.

    With one thread only, the function is called when its result is first asked for.
    """
    if threads == 1:
        yield functools.cache(function)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(function).result


class ForkSafeLock:
    """A lock that a forked child finds free, whichever thread of its parent held it; one for each module."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):  # not on every system
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class WorkerMap(Protocol):
    """The `map` that `worker_map` provides."""

    def __call__(
        self, function: Callable[[Payload], Result], payloads: Iterable[Payload], /
    ) -> Iterator[Result]:
        """Yield the results of a function for each payload, in order."""


@contextlib.contextmanager
def worker_map(threads: int, *, before: Callable[[], object] | None = None) -> Iterator[WorkerMap]:
    """Provide a `map` whose calls run in persistent threads, for many small pieces of work.

    Parameters
    ----------
    before : callable, optional
        Called once in each thread before its first call.
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
    """Call ``step(payload)`` repeatedly for each payload until it returns False.

    Payloads take turns, so that every payload has its first step before any payload has its last.

    Parameters
    ----------
    step : callable
        Returns whether its payload needs more steps.
    threads : int
        Number of steps that run at the same time.
    stop : threading.Event
        Set by this function when the run is interrupted or a step fails. Steps should check it and return
        early.
    before : callable, optional
        Called once in each thread before its first step.

    Raises
    ------
    KeyboardInterrupt
        After the running steps have returned.
    """
    waiting = list(payloads)
    interrupted = threading.Event()
    ended = threading.Event()
    errors: list[BaseException] = []

    def guarded(payload: Payload) -> bool:
        return not interrupted.is_set() and step(payload)

    def interrupt() -> None:
        interrupted.set()
        stop.set()

    def run_all() -> None:
        try:
            _rounds(guarded, waiting, threads, before, interrupt)
        except BaseException as error:  # raised again in the calling thread
            errors.append(error)
        finally:
            ended.set()

    # Ctrl-C interrupts the calling thread only, at any point. It therefore does nothing but wait, and even a
    # thread whose start it interrupts runs no step afterwards.
    runner = threading.Thread(target=run_all)
    try:
        runner.start()
        while not ended.wait(_SIGNAL_INTERVAL):
            pass
    except BaseException:
        interrupt()
        if runner.ident is not None:
            ended.wait()
        raise
    runner.join()
    if errors:
        raise errors[0]


def _rounds(
    step: Callable[[Payload], bool],
    payloads: Sequence[Payload],
    threads: int,
    before: Callable[[], object] | None,
    interrupt: Callable[[], None],
) -> None:
    """Run the steps of `run_in_rounds`; after an error, call `interrupt` and wait for the running steps."""
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    with ThreadPoolExecutor(threads, initializer=before) as pool:
        running = {pool.submit(step, payload): payload for payload in payloads}
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    payload = running.pop(future)
                    if future.result():
                        running[pool.submit(step, payload)] = payload
        except BaseException:
            interrupt()
            raise
