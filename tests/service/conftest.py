"""A service in this process with a stand-in for the model, and one as users start it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from lmclassify.service.app import Service
from lmclassify.service.scoring import WorkerCommand
from lmclassify.service.settings import ServiceSettings


def with_service(
    use: Callable[[Service, httpx2.AsyncClient], Awaitable[None]],
    options: dict[str, object] | None = None,
    **settings: object,
) -> None:
    """Run a service whose scoring process is `tests.service.stand_in`, and a client of it."""

    async def run() -> None:
        command = WorkerCommand(options or {}, "tests.service.stand_in")
        service = Service(command, ServiceSettings(**settings))  # type: ignore[arg-type]
        await service.start()
        transport = httpx2.ASGITransport(app=service.app)
        try:
            async with (
                httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
                asyncio.timeout(60),  # a test that waits in vain fails
            ):
                await use(service, client)
        finally:
            await service.stop()

    asyncio.run(run())


class Running:
    """`lmclassify serve` in a process."""

    def __init__(
        self, *options: object, cwd: Path, environment: dict[str, str] | None = None, **more: object
    ) -> None:
        command = [sys.executable, "-m", "lmclassify", "serve", *map(str, options)]
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            **more,
        )
        self.said: list[str] = []
        self.url = self.wait_for(r"serving .* on (\S+)")

    def wait_for(self, pattern: str) -> str:
        """Return what a line on standard error matches."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if match := re.search(pattern, line):
                return match[1] if match.groups() else match[0]
        raise AssertionError(f"ended with {self.process.wait()}: {''.join(self.said)}")

    def client(self, **options: object) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=30, **options)  # type: ignore[arg-type]

    def stop(self) -> int:
        """End it as a system does; return its exit status and keep the rest of what it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, rest = self.process.communicate(timeout=60)
        self.said.append(rest)
        return self.process.returncode


@contextlib.contextmanager
def running(*options: object, cwd: Path, **more: object) -> Iterator[Running]:
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
def served(tuned_folder) -> Iterator[Running]:
    """A service of that model."""
    with running("-m", tuned_folder, "--port", 0, cwd=tuned_folder.parent) as service:
        yield service
