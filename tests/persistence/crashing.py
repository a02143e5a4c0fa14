"""Child processes that are killed or run out of disk space while writing. They are forked, so that they start fast."""

from __future__ import annotations

import builtins
import gc
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable

FINISHED, REFUSED, BROKEN = 0, 1, 2
_CALLS = ("replace", "fsync", "open", "unlink", "mkdir", "rmdir", "chmod", "link")
_TIMEOUT = 60.0  # seconds until a child counts as stuck


def in_child(work: Callable[[], None], *, kill_after: float | None = None) -> int:
    """Run work in a child; return its exit status, or minus the signal that ended it.

    The status is `REFUSED` for an exception of lmclassify, `BROKEN` for any other failure.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads about: none is used
        child = os.fork()
    if not child:
        _end(work)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    ends = time.monotonic() + _TIMEOUT
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise TimeoutError("a child did not end")


def _end(work: Callable[[], None]) -> None:
    from lmclassify import LMClassifyError

    status = BROKEN
    try:
        gc.disable()
        work()
        status = FINISHED
    except LMClassifyError as error:
        status = REFUSED if "\n" not in str(error) else BROKEN
    finally:
        os._exit(status)


def killed_at(moment: int, work: Callable[[], None]) -> bool:
    """Run work in a child that kills itself just before, or (odd moments) just after, a disk operation.

    Returns
    -------
    bool
        False if there are fewer operations, so that the child finished.
    """

    def dying() -> None:
        count = 0

        def wrapped(function):
            def call(*arguments, **options):
                nonlocal count
                mine, count = count, count + 1
                if mine == moment // 2 and moment % 2 == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                try:
                    return function(*arguments, **options)
                finally:
                    if mine == moment // 2:
                        os.kill(os.getpid(), signal.SIGKILL)

            return call

        for name in _CALLS:
            setattr(os, name, wrapped(getattr(os, name)))
        opened = wrapped(builtins.open)
        plain = builtins.open
        builtins.open = lambda file, mode="r", *rest, **options: (  # type: ignore[assignment]
            plain(file, mode, *rest, **options) if "r" in mode else opened(file, mode, *rest, **options)
        )
        work()

    status = in_child(dying)
    assert status in (FINISHED, -signal.SIGKILL), status
    return status != FINISHED


def limited(size: int, work: Callable[[], None]) -> Callable[[], None]:
    """Return the same work with a limit on file sizes, which fails as a full disk does."""

    def run() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        work()

    return run


def unprivileged(work: Callable[[], None]) -> Callable[[], None]:
    """Return the same work done by user nobody if this process is root, whom no permission stops."""

    def run() -> None:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        work()

    return run
