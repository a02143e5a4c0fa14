"""Sockets that listen: on an address or on a path. Standard library only."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from lmclassify.errors import OutputError

BACKLOG = 2048
"""Connections that the kernel queues; uvicorn's default."""


def listen_on_port(host: str, port: int, options: str = "--host and --port") -> socket.socket:
    """Return a socket that listens on an address.

    Raises OutputError if that is not possible, for example because the port is in use.

    Parameters
    ----------
    options : str
        Named in messages: what the user can change.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OutputError(f"cannot listen on {host}: {error.strerror or error}; see {options}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OutputError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; see {options}"
        ) from error
    return listener


@contextlib.contextmanager
def listen_on_path(
    path: str | os.PathLike[str], *, mode: int = 0o600, option: str = "--socket"
) -> Iterator[socket.socket]:
    """Listen on a local (Unix domain) socket; remove it at the end.

    Raises OutputError if that is not possible, for example because another service uses it or the path is a
    file.

    Parameters
    ----------
    mode : int
        Who can connect; by default only this user.
    option : str
        Named in messages.
    """
    path = Path(path)
    _remove_stale_socket(path, option)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o777 & ~mode)
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OutputError(f"cannot listen on {path}: {error.strerror or error}; see {option}") from error
    finally:
        os.umask(mask)
    inode = path.stat().st_ino
    try:
        yield listener
    finally:
        listener.close()
        with contextlib.suppress(OSError):
            if path.stat().st_ino == inode:
                path.unlink()


def _remove_stale_socket(path: Path, option: str) -> None:
    """Remove a socket on which no process listens any more."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OutputError(f"{path} exists and is not a socket; choose another path for {option}")
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"cannot listen on {path}: {error.strerror or error}; see {option}") from error
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise OutputError(f"cannot listen on {path}: {error.strerror or error}; see {option}") from error
    raise OutputError(f"another service listens on {path}; stop it, or choose another {option}")
