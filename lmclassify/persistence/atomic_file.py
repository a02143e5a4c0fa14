"""Write one file atomically: readers see the old content or the complete new content."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from lmclassify.errors import OutputError, shorten
from lmclassify.text.terminal import TerminalWriter


@contextlib.contextmanager
def write_errors(name: str) -> Iterator[None]:
    """Turn an OSError into an OutputError that names the file; a broken pipe is left to the caller."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {name}: {error.strerror}") from error


class FileWriter:
    """Write bytes to a temporary file that replaces the target when the ``with`` block succeeds.

    Raises OutputError if the target cannot be written. This is checked at once, before any work is done.

    Parameters
    ----------
    path : str
        The target; ``-`` is standard output. An existing file is replaced and its permissions are kept. A new
        file gets the permissions that the umask allows. Pipes and devices are written directly.
    """

    def __init__(self, path: str) -> None:
        self._name = "standard output" if path == "-" else path
        self._path = os.path.realpath(path)  # write the file that a link points to; keep the link
        self._temporary: str | None = None
        if path == "-":
            self._stream: Any = sys.stdout.buffer
            return
        if not path or path.endswith(("/", os.sep)):
            raise OutputError(f"cannot write {shorten(path)}: it names no file")
        if _belongs_to_another_user(path):
            raise OutputError(
                f"cannot write {path}: it belongs to another user, in a folder that everybody can write to; "
                "choose another file"
            )
        with write_errors(path):
            if path.startswith(("/dev/", "/proc/")) or _is_special(self._path):
                self._stream = open(path, "wb")  # noqa: SIM115 (closed in __exit__)
                if self._stream.isatty():
                    self._stream = TerminalWriter(self._stream, "utf-8")
                return
            if os.path.exists(self._path) and not os.access(self._path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            folder, name = os.path.split(self._path)
            self._temporary = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(8)}")
            # A signal may end the process before the `with` block begins.
            self._remove_temporary = weakref.finalize(self, _remove, self._temporary)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            self._stream = open(os.open(self._temporary, flags, 0o600), "wb")  # noqa: SIM115

    def write_bytes(self, content: bytes) -> None:
        """Append bytes. Raises OutputError if they cannot be written."""
        with write_errors(self._name):
            self._stream.write(content)

    def flush(self) -> None:
        """Flush buffered bytes to the file or pipe. Raises OutputError if they cannot be written."""
        with write_errors(self._name):
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with write_errors(self._name):
                    self._commit()
        finally:
            self._close()

    def _close(self) -> None:
        """Close the stream, and remove the temporary file if it was not committed."""
        if self._stream is not sys.stdout.buffer:
            with contextlib.suppress(OSError):
                self._stream.close()
        if self._temporary is not None:
            self._remove_temporary()

    def _commit(self) -> None:
        """Flush the stream to disk, then replace the target by the temporary file."""
        if not self._stream.closed:
            self._stream.flush()
        if self._temporary is None:
            return
        if not self._stream.closed:
            os.fsync(self._stream.fileno())
            self._stream.close()
        _copy_permissions(self._path, self._temporary)
        os.replace(self._temporary, self._path)


def _remove(path: str) -> None:
    """Remove a file if it exists."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _is_special(path: str) -> bool:
    """Return whether a path is a pipe, a device or a folder, which a file cannot replace."""
    return os.path.exists(path) and not os.path.isfile(path)


def _belongs_to_another_user(path: str) -> bool:
    """Return whether another user put a file or link into a shared folder such as /tmp.

    Such a link could make us overwrite one of our own files. Linux refuses to follow it
    (fs.protected_symlinks), but it does not prevent replacing the file by name, as `FileWriter` does.
    """
    if not hasattr(os, "geteuid"):  # Windows
        return False
    try:
        found, folder = os.lstat(path), os.stat(os.path.dirname(path) or ".")
    except OSError:
        return False
    is_shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    return bool(is_shared) and found.st_uid not in (os.geteuid(), folder.st_uid)


def _copy_permissions(old: str, new: str) -> None:
    """Give the new file the mode and owner of the old one, or the umask's mode if there is no old one."""
    if not os.path.exists(old):
        os.chmod(new, 0o666 & ~_umask())
        return
    status = os.stat(old)
    mode = stat.S_IMODE(status.st_mode)
    if hasattr(os, "chown"):
        try:
            os.chown(new, status.st_uid, status.st_gid)
        except OSError:  # only root can change the owner
            try:
                os.chown(new, -1, status.st_gid)
            except OSError:
                mode &= ~stat.S_IRWXG  # another group must not get the old group's access
    os.chmod(new, mode)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
