"""The process around the application: sockets, signals, loading a model again (uvicorn)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import resource
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from lmclassify.errors import LMClassifyError, OutputError
from lmclassify.service.app import Service
from lmclassify.service.connections import Connections
from lmclassify.service.frames import keep_for_good
from lmclassify.service.protocol import LimitedProtocol
from lmclassify.service.scoring import WorkerCommand
from lmclassify.service.settings import ServiceSettings

_log = logging.getLogger("lmclassify.service")

_FileState = tuple[int, int, int] | None

_BACKLOG = 2048
_SPARE_FILES = 256  # beside connections: pipes, files of the page, connections that are being refused
_SECONDS_BETWEEN_LOOKS = 1.0
_MOST_SECONDS_BETWEEN_LOOKS = 30.0
_SECONDS_TO_FINISH = 10


def serve(
    command: WorkerCommand,
    settings: ServiceSettings,
    listener: socket.socket,
    *,
    watch: str | os.PathLike[str] | None = None,
    token_again: Callable[[], str | None] | None = None,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those that run.

    SIGHUP loads the model and the token again. A second SIGTERM or SIGINT ends at once.

    Parameters
    ----------
    command : WorkerCommand
        Starts the process that has the model.
    settings : ServiceSettings
    listener : socket
        Bound; see `listen_on_port`, `listen_on_path`.
    watch : path, optional
        A model's folder: load the model again when that has changed.
    token_again : callable, optional
        Returns the token as it is now, or raises an `LMClassifyError`.
    on_start : callable, optional
        Called once requests are answered.

    Raises
    ------
    LMClassifyError
        If the model cannot be loaded.
    """
    service = Service(command, settings)
    places = Connections(_most_connections(settings.max_connections), settings.timeout)
    protocol = type("Protocol", (LimitedProtocol,), {"seconds": settings.timeout, "places": places})
    config = uvicorn.Config(
        service.app,
        http=protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.timeout) + _SECONDS_TO_FINISH,
    )
    server = _Server(config, service, None if watch is None else Path(watch), token_again, on_start)
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        watch: Path | None,
        token_again: Callable[[], str | None] | None,
        on_start: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._service = service
        self._watch = watch
        self._token_again = token_again
        self._on_start = on_start
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_wanted = asyncio.Event()
        self._reload_wanted = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals in the loop; unlike uvicorn's own, the program then ends with status 0."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._reload_wanted.set,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the model, then begin to answer."""
        seen = self._state_of_files()
        loading = asyncio.create_task(self._service.start())
        stop = asyncio.create_task(self._stop_wanted.wait())
        await asyncio.wait([loading, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if self.should_exit:
            loading.cancel()
            await asyncio.wait([loading])
            await self._service.stop(0)
            return
        await loading
        await super().startup(sockets)
        self._tasks.append(asyncio.create_task(self._reload_when_wanted()))
        if self._watch is not None:
            self._tasks.append(asyncio.create_task(self._look_for_changes(seen)))
        keep_for_good()
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish requests, then end."""
        for task in self._tasks:
            task.cancel()
        await super().shutdown(sockets)
        await self._service.stop(0 if self.force_exit else _SECONDS_TO_FINISH)

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self._service.ready = False
        self._stop_wanted.set()
        if self.force_exit:
            self._service.kill()
        else:
            _log.info("stopping: requests that run are finished")

    async def _reload_when_wanted(self) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            if self._token_again is not None:
                try:
                    self._service.change_token(self._token_again())
                except LMClassifyError as error:
                    _log.error("the token was not read again, the old one stays: %s", error)
            await self._service.reload()

    async def _look_for_changes(self, loaded: _FileState) -> None:
        """Load the model again when it is another; if that fails, now and then until it works."""
        pause = _SECONDS_BETWEEN_LOOKS
        while True:
            await asyncio.sleep(pause)
            now = self._state_of_files()
            if now in (None, loaded):
                pause = _SECONDS_BETWEEN_LOOKS
            elif await self._service.reload():
                loaded = now
            else:  # it may be half copied
                pause = min(2 * pause, _MOST_SECONDS_BETWEEN_LOOKS)

    def _state_of_files(self) -> _FileState:
        if self._watch is None:
            return None
        try:
            status = (self._watch / "config.json").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


def _most_connections(wanted: int) -> int:
    """Return how many connections there may be, once as many files may be open as this user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft == resource.RLIM_INFINITY:
        return wanted
    most = max(1, min(wanted, soft - min(_SPARE_FILES, soft // 2)))
    if most < wanted:
        _log.warning(
            "at most %d connections, not %d: the limit of open files (ulimit -n) is low", most, wanted
        )
    return most


def listen_on_port(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address.

    Raises
    ------
    OutputError
        If that is impossible: the port is taken, say.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OutputError(f"cannot listen on {host}: {error.strerror or error}; see --host") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OutputError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; see --host and --port"
        ) from error
    return listener


@contextlib.contextmanager
def listen_on_path(path: str | os.PathLike[str]) -> Iterator[socket.socket]:
    """Give a local (Unix domain) socket that only this user may use, and remove it afterwards.

    Raises
    ------
    OutputError
        If that is impossible: another service uses it, say, or something else lies there.
    """
    path = Path(path)
    _remove_left_over(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OutputError(f"cannot listen on {path}: {error.strerror or error}; see --socket") from error
    finally:
        os.umask(mask)
    made = path.stat().st_ino
    try:
        yield listener
    finally:
        listener.close()
        with contextlib.suppress(OSError):
            if path.stat().st_ino == made:
                path.unlink()


def _remove_left_over(path: Path) -> None:
    """Remove a socket that nobody listens on any more."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OutputError(f"{path} is no socket; --socket names a place where there is nothing yet")
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"cannot listen on {path}: {error.strerror or error}; see --socket") from error
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise OutputError(f"cannot listen on {path}: {error.strerror or error}; see --socket") from error
    raise OutputError(f"another service listens on {path}; stop it, or choose another --socket")
