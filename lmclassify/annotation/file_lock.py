"""A lock that lets one process at a time label a file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from lmclassify.errors import LMClassifyError
from lmclassify.persistence.atomic_file import write_errors

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the lock of a file; it ends with the process, however that ends.

    The lock is on a hidden, empty file beside it, because each answer replaces the file itself. Raises
    LMClassifyError if another process holds it, OutputError if nothing can be written in the folder.
    """
    folder, name = os.path.split(os.path.realpath(path))
    lock = os.path.join(folder, f".{name[:200]}.lock")
    descriptor = _take(lock, path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


def _take(lock: str, path: str) -> int:
    """Return an open lock file that this process holds."""
    while True:
        with write_errors(f"in the folder of {path}, as each answer does"):
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if sys.platform != "win32":
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise LMClassifyError(
                f"{path} is being labelled by another lmclassify label; use its page, or end it first"
            ) from None
        except OSError:
            pass  # not every file system has locks
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        os.close(descriptor)  # its last holder has removed it in the meantime
