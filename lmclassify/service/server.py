"""The server process: sockets, signals and reloading of the model (uvicorn)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import uvicorn

from lmclassify.errors import LMClassifyError
from lmclassify.service.app import Service
from lmclassify.service.protocol import Connections, LimitedProtocol
from lmclassify.service.settings import ServiceSettings
from lmclassify.service.sockets import BACKLOG
from lmclassify.service.worker import freeze_garbage_collector
from lmclassify.service.worker_process import WorkerCommand

_log = logging.getLogger("lmclassify.service")

SPARE_FILES = 256
"""Open files kept for other things than connections: pipes, files of the page, connections being refused."""
WATCH_SECONDS = 1.0
MAX_WATCH_SECONDS = 30.0
"""Time between checks for a changed model; doubled up to the maximum while the new one cannot be loaded."""
SECONDS_TO_FINISH = 10
"""Time for the scoring process to finish on shutdown, and for responses to be sent."""

_FileState = tuple[int, int, int] | None


def serve(
    command: WorkerCommand,
    settings: ServiceSettings,
    listener: socket.socket,
    *,
    watch: str | os.PathLike[str] | None = None,
    reload_token: Callable[[], str | None] | None = None,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish running requests.

    SIGHUP reloads the model and the token. A second SIGTERM or SIGINT ends the service at once. Raises
    LMClassifyError if the model cannot be loaded.

    Parameters
    ----------
    command : WorkerCommand
        Starts the scoring process.
    listener : socket
        A listening socket; see `lmclassify.service.sockets`.
    watch : path, optional
        Folder of the model; when it changes, the model is reloaded.
    reload_token : callable, optional
        Returns the current token, or raises an `LMClassifyError`.
    on_start : callable, optional
        Called when the service is ready.
    """
    service = Service(command, settings)
    config = uvicorn_config(service, settings, _available_connections(settings.max_connections))
    server = _Server(config, service, None if watch is None else Path(watch), reload_token, on_start)
    server.run(sockets=[listener])


def uvicorn_config(service: Service, settings: ServiceSettings, max_connections: int) -> uvicorn.Config:
    """Return the configuration of a uvicorn server for a service."""
    attributes = {
        "head_timeout": settings.timeout,
        "open_connections": Connections(max_connections, settings.timeout),
    }
    return uvicorn.Config(
        service.app,
        http=type("ServiceProtocol", (LimitedProtocol,), attributes),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(settings.timeout) + SECONDS_TO_FINISH,
    )


@contextlib.contextmanager
def handling_signals(handlers: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Call these functions in the running event loop when their signals arrive."""
    loop = asyncio.get_running_loop()
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        watch: Path | None,
        reload_token: Callable[[], str | None] | None,
        on_start: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._service = service
        self._watch = watch
        self._reload_token = reload_token
        self._on_start = on_start
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_requested = asyncio.Event()
        self._reload_requested = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals in the event loop; unlike with uvicorn's handlers, the exit status is 0."""
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._reload_requested.set,
        }
        with handling_signals(handlers):
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Load the model, then accept requests."""
        loaded = self._file_state()
        loading = asyncio.create_task(self._service.start())
        stop = asyncio.create_task(self._stop_requested.wait())
        await asyncio.wait([loading, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if self.should_exit:
            loading.cancel()
            await asyncio.wait([loading])
            await self._service.stop(0)
            return
        await loading
        await super().startup(sockets)
        self._tasks.append(asyncio.create_task(self._reload_on_request()))
        if self._watch is not None:
            self._tasks.append(asyncio.create_task(self._watch_model(loaded)))
        freeze_garbage_collector()
        self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish running requests, then end the scoring process."""
        for task in self._tasks:
            task.cancel()
        await super().shutdown(sockets)
        await self._service.stop(0 if self.force_exit else SECONDS_TO_FINISH)

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self._service.ready = False
        self._stop_requested.set()
        if self.force_exit:
            self._service.kill()
        else:
            _log.info("stopping after the running requests")

    async def _reload_on_request(self) -> None:
        while True:
            await self._reload_requested.wait()
            self._reload_requested.clear()
            if self._reload_token is not None:
                try:
                    self._service.set_token(self._reload_token())
                except LMClassifyError as error:
                    _log.error("cannot reload the token, so the old one stays in use: %s", error)
            await self._service.reload()

    async def _watch_model(self, loaded: _FileState) -> None:
        """Reload the model when it changes; if that fails, try again at increasing intervals."""
        pause = WATCH_SECONDS
        while True:
            await asyncio.sleep(pause)
            current = self._file_state()
            if current in (None, loaded):
                pause = WATCH_SECONDS
            elif await self._service.reload():
                loaded = current
            else:  # perhaps it is still being copied
                pause = min(2 * pause, MAX_WATCH_SECONDS)

    def _file_state(self) -> _FileState:
        if self._watch is None:
            return None
        try:
            status = (self._watch / "config.json").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


def _available_connections(wanted: int) -> int:
    """Raise the limit of open files as far as possible; return how many of the connections fit in."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft == resource.RLIM_INFINITY:
        return wanted
    available = max(1, min(wanted, soft - min(SPARE_FILES, soft // 2)))
    if available < wanted:
        _log.warning(
            "at most %d connections, not %d: the limit of open files (ulimit -n) is low", available, wanted
        )
    return available
