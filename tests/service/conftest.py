"""Services for tests: in this process with a fake scorer or a small model, or as a process.

Nothing here waits for a fixed time. Tests wait for a condition, with a deadline that only a failure reaches.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from lmclassify.service.app import Service
from lmclassify.service.queue import ScoringQueue
from lmclassify.service.server import uvicorn_config
from lmclassify.service.settings import ServiceSettings
from lmclassify.service.sockets import listen_on_path, listen_on_port
from lmclassify.service.worker_process import WorkerCommand

DEADLINE = 120.0
"""Seconds after which a test that waits has failed."""
NO_TIMEOUT = 3600.0
"""Seconds; for time limits of the service that a test must not reach."""


class Gate:
    """A text on which the fake scorer blocks until the test lets it continue."""

    def __init__(self, path: Path) -> None:
        self.text = f"hold {path}"
        self._started = path.with_suffix(".started")
        self._released = path.with_suffix(".released")

    @property
    def reached(self) -> bool:
        """Whether the scorer has come to this text."""
        return self._started.exists()

    def release(self) -> None:
        self._released.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


async def until(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


def wait_until(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds, without an event loop."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the condition does not come true"
        time.sleep(0.005)


def fake_command(**options: object) -> WorkerCommand:
    """Return the command that starts the fake scorer; for its options see `tests.service.fake_scorer`."""
    return WorkerCommand(options, "tests.service.fake_scorer")


def fake_settings(**settings: Any) -> ServiceSettings:
    """Return settings without time limits, unless given."""
    return ServiceSettings(**{"timeout": NO_TIMEOUT, **settings})


def with_queue(
    use: Callable[[ScoringQueue], Awaitable[None]], options: dict[str, object] | None = None, **settings: Any
) -> None:
    """Run a queue whose worker is the fake scorer."""

    async def run() -> None:
        queue = ScoringQueue(fake_command(**options or {}), fake_settings(**settings))
        await queue.start()
        try:
            async with asyncio.timeout(DEADLINE):
                await use(queue)
        finally:
            await queue.stop(0)

    asyncio.run(run())


def with_service(
    use: Callable[[Service, httpx2.AsyncClient], Awaitable[None]],
    options: dict[str, object] | None = None,
    **settings: Any,
) -> None:
    """Run a service whose worker is the fake scorer, and a client of it, without a socket."""

    async def run() -> None:
        service = Service(fake_command(**options or {}), fake_settings(**settings))
        await service.start()
        transport = httpx2.ASGITransport(app=service.app)
        try:
            async with (
                httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
                asyncio.timeout(DEADLINE),
            ):
                await use(service, client)
        finally:
            await service.stop(0)

    asyncio.run(run())


@contextlib.contextmanager
def serving(command: WorkerCommand, socket_path: Path | None = None, **settings: Any) -> Iterator[str]:
    """Serve in a thread of this process, on a free port or a local socket, and give the URL."""
    used = fake_settings(**settings)
    ready: Future[uvicorn.Server] = Future()

    async def run() -> None:
        service = Service(command, used)
        config = uvicorn_config(service, used, used.max_connections)
        config.timeout_keep_alive = int(NO_TIMEOUT)
        server = uvicorn.Server(config)
        try:
            await service.start()
        except BaseException as error:
            ready.set_exception(error)
            return
        service.ready = True
        ready.set_result(server)
        await server.serve(sockets=[listener])
        await service.stop(0)

    with contextlib.ExitStack() as stack:
        if socket_path is None:
            listener = stack.enter_context(listen_on_port("127.0.0.1", 0))
        else:
            listener = stack.enter_context(listen_on_path(socket_path))
        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        try:
            server = ready.result(DEADLINE)
            try:
                yield "http://local" if socket_path else f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = server.force_exit = True
        finally:
            thread.join(DEADLINE)


class Running:
    """A service in a process of its own: `lmclassify serve`, or another command."""

    def __init__(
        self,
        *options: object,
        cwd: Path,
        environment: dict[str, str] | None = None,
        command: tuple[str, ...] = ("-m", "lmclassify", "serve"),
        ready: bool = True,
        **popen: Any,
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command, *map(str, options)],
            cwd=cwd,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            **popen,
        )
        self.said: list[str] = []
        self._seen = 0
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if ready:
            self.url = self.wait_for(r"serving .* on (\S+)")

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.said.append(line)
                self._more.notify()

    def wait_for(self, pattern: str) -> str:
        """Return what a further line on standard error matches."""
        deadline = time.monotonic() + DEADLINE
        with self._more:
            while True:
                while self._seen < len(self.said):
                    self._seen += 1
                    if match := re.search(pattern, self.said[self._seen - 1]):
                        return match[1] if match.groups() else match[0]
                ended = self.process.poll() is not None and not self._reader.is_alive()
                if ended or time.monotonic() > deadline:
                    raise AssertionError(f"no {pattern!r} (status {self.process.poll()}): {self.said}")
                self._more.wait(0.1)

    def client(self, **options: Any) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=DEADLINE, **options)

    def end(self) -> int:
        """Wait for the end of the process; return its exit status."""
        status = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status

    def stop(self) -> int:
        """End the service as a system does; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.end()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.end()
            raise


@contextlib.contextmanager
def running(*options: object, cwd: Path, **more: Any) -> Iterator[Running]:
    service = Running(*options, cwd=cwd, **more)
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="session")
def tuned_folder(tuned, tmp_path_factory) -> Path:
    """A saved model of recipe "tuned"; tests must not change it."""
    folder = tmp_path_factory.mktemp("tuned") / "model"
    tuned.save(folder)
    return folder


@pytest.fixture(scope="session")
def served(tuned_folder) -> Iterator[str]:
    """The URL of a service of that model."""
    command = WorkerCommand({"folder": str(tuned_folder), "deciding": {}})
    with serving(command) as url:
        yield url


@pytest.fixture
def short_folder():
    """A folder with a short path: that of a socket has at most 104 characters (macOS)."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)
