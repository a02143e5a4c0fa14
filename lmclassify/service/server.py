"""The process around the application: sockets, signals, loading a model again (uvicorn)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from lmclassify.errors import OutputError
from lmclassify.service.app import Service
from lmclassify.service.served import ModelSource
from lmclassify.service.settings import ServiceSettings

_log = logging.getLogger("lmclassify.service")

_BACKLOG = 2048
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_FINISH = 30


def serve(
    source: ModelSource,
    settings: ServiceSettings,
    listener: socket.socket,
    *,
    watch: bool = False,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those that run.

    SIGHUP loads the model again. A second SIGTERM or SIGINT ends at once.

    Parameters
    ----------
    source : ModelSource
    settings : ServiceSettings
    listener : socket
        Bound; see `listen_on_port`, `listen_on_path`.
    watch : bool, default=False
        Load the model again when it has changed.
    on_start : callable, optional
        Called once requests are answered.
    """
    service = Service(source, settings)
    config = uvicorn.Config(
        service.app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )
    _Server(config, service, source, watch=watch, on_start=on_start).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        source: ModelSource,
        *,
        watch: bool,
        on_start: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._service = service
        self._source = source
        self._watch = watch
        self._on_start = on_start
        self._reloading: asyncio.Task[None] | None = None
        self._again = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals in the loop; unlike uvicorn's own, the program then ends with status 0."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._load_again,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._on_start()
        if self._watch:
            self._watching = asyncio.create_task(self._look())

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self._service.ready = False
        _log.info("stopping; requests that run are finished")

    def _load_again(self) -> None:
        if self._reloading is not None:
            self._again = True  # what lies there may be newer than what is being read
            return
        self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        self._again = True
        while self._again:
            self._again = False
            self._service.metrics.reloaded(await asyncio.to_thread(self._source.reload))
        self._reloading = None

    async def _look(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            if self._source.has_changed():
                self._load_again()


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
