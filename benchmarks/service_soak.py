"""Soak test: requests of every kind at once while the model is replaced (docs/reliability.md).

``python -m benchmarks.service_soak MODEL OTHER TEXTS [--seconds 300] [--swaps 50] [--kills 0]`` serves two
fitted models in turn and sends requests as fast as it can: valid, invalid, slow and aborted ones, and ones
whose answer is never read. Every answer must be that of one of the models, computed beforehand, and that of
the new one once the service reports it as loaded. Every request must get an answer. With ``--kills`` the
scoring process is killed from time to time, and status 503 is accepted as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.service_load import Setup, child_processes, megabytes, serving
from benchmarks.service_requests import RequestMixture, SoakRequest, matches
from benchmarks.speed_rows import read_texts
from lmclassify.classify.model import FittedModel, load
from lmclassify.errors import LMClassifyError
from lmclassify.persistence.reading import model_checksum
from lmclassify.service.app import MODEL_HEADER
from lmclassify.service.model_scorer import ModelScorer
from lmclassify.service.settings import ServiceSettings
from lmclassify.service.worker_process import WorkerCommand

_ANSWER_SECONDS_AFTER_TIMEOUT = 60
_SETTLE_SECONDS = 60
_NUM_TEXTS = 500
_NUM_CLIENTS = 24
_MAX_REQUESTS_PER_CONNECTION = 20


@dataclass
class SoakResult:
    """Counts and measurements of a run."""

    answered: Counter[str] = field(default_factory=Counter)
    """Number of requests by kind and status, such as ``one text 200``."""
    wrong: list[str] = field(default_factory=list)
    """Wrong answers: kind and reason."""
    lost: list[str] = field(default_factory=list)
    """Requests without an answer: kind and reason."""
    swaps: int = 0
    kills: int = 0
    seconds: float = 0.0
    service_megabytes: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, and resident memory of the service's own process."""
    worker_megabytes: list[float] = field(default_factory=list)
    """Resident memory of each scoring process before it is replaced."""
    open_files: list[int] = field(default_factory=list)
    """Open files of the service's own process while it is idle: before and after the run."""
    threads: list[int] = field(default_factory=list)

    @property
    def failures(self) -> int:
        """Number of wrong answers, lost requests and 5xx statuses (without 503 if processes were killed)."""
        statuses = [(name.split()[-1], count) for name, count in self.answered.items()]
        allowed = "503" if self.kills else ""
        faults = sum(count for status, count in statuses if status >= "500" and status != allowed)
        return len(self.wrong) + len(self.lost) + faults

    @property
    def growth(self) -> float:
        """Memory growth of the service's process in MB per minute: least squares after the first third."""
        samples = self.service_megabytes[len(self.service_megabytes) // 3 :]
        return 60 * statistics.linear_regression(*zip(*samples, strict=True)).slope

    def text(self) -> str:
        """Return a report."""
        service = [size for _, size in self.service_megabytes]
        workers = self.worker_megabytes
        lines = [f"{count:>9,}  {name}" for name, count in sorted(self.answered.items())]
        lines += [
            f"{sum(self.answered.values()):,} answers in {self.seconds:.0f} s; "
            f"{self.swaps} replaced models, {self.kills} killed scoring processes",
            f"wrong {len(self.wrong)}, lost {len(self.lost)}, failures in total {self.failures}",
            f"service {service[0]:.1f} MB at the start, {service[len(service) // 3]:.1f} after a third, "
            f"{service[-1]:.1f} at the end: {self.growth:+.2f} MB per minute after the first third",
            f"scoring processes {min(workers):.1f} to {max(workers):.1f} MB, "
            f"the first {workers[0]:.1f}, the last {workers[-1]:.1f}",
            f"open files {self.open_files[0]} before, {self.open_files[-1]} after; "
            f"threads {self.threads[0]} before, {self.threads[-1]} after",
        ]
        return "\n".join([*lines, *self.wrong[:5], *self.lost[:5]])


class _Run:
    """One run: clients, replacements of the model, measurements."""

    def __init__(
        self,
        models: Sequence[FittedModel],
        live: Path,
        mixture: RequestMixture,
        port: int,
        process: int,
        timeout: float,
    ) -> None:
        self.result = SoakResult()
        self._timeout = timeout
        self._models = models
        self._live = live
        self._mixture = mixture
        self._port = port
        self._process = process
        self._begun = self._done = 0
        """Number of replacements that have begun, and that the service has reported."""
        self._number = {model_checksum(live): 0}
        """Replacement by checksum; replacement n serves model n modulo the number of models."""
        self._start = time.monotonic()

    async def run(self, seconds: float, swaps: int, kills: int) -> SoakResult:
        await self._measure_idle()
        self._start = time.monotonic()
        until = self._start + seconds
        async with asyncio.TaskGroup() as group:
            swap = group.create_task(self._swap(seconds / (swaps + 1), swaps))
            for _ in range(_NUM_CLIENTS):
                group.create_task(self._ask_until(until, swap))
            group.create_task(self._kill(seconds / (kills + 1), kills))
            group.create_task(self._measure_until(until))
        self.result.seconds = time.monotonic() - self._start
        give_up = time.monotonic() + _SETTLE_SECONDS
        while self._open_files() > self.result.open_files[0] and time.monotonic() < give_up:
            await asyncio.sleep(0.1)  # let the last connections close
        await self._measure_idle()
        return self.result

    async def _ask_until(self, until: float, swap: asyncio.Task[None]) -> None:
        while time.monotonic() < until or not swap.done():
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                for _ in range(self._mixture.random.randint(1, _MAX_REQUESTS_PER_CONNECTION)):
                    if not await self._ask(reader, writer, self._mixture.sample()):
                        break
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: SoakRequest
    ) -> bool:
        """Send a request, check the answer, and return whether the connection stays open."""
        oldest = self._done
        data = request.encode()
        manner = self._mixture.random.random()
        cut = self._mixture.random.randrange(len(data))
        try:
            if manner < 0.04:  # abort in the middle
                writer.write(data[:cut])
                await writer.drain()
                return False
            if manner < 0.06:  # disconnect without reading the answer
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(self._mixture.random.random())
                return False
            if manner < 0.1:  # send slowly
                writer.write(data[:cut])
                await asyncio.sleep(2 * self._mixture.random.random())
                data = data[cut:]
            writer.write(data)
            await writer.drain()
        except OSError:  # it may refuse the request before reading all of it; the answer says why
            pass
        try:
            async with asyncio.timeout(self._timeout + _ANSWER_SECONDS_AFTER_TIMEOUT):
                status, headers, body = await _answer(reader)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.result.lost.append(f"{request.kind}: {type(error).__name__}")
            return False
        self.result.answered[f"{request.kind} {status}"] += 1
        problem = self._problem(request, status, headers, body, oldest)
        if problem is not None:
            self.result.wrong.append(f"{request.kind}: {problem}")
        return headers.get("connection", "").lower() != "close"

    def _problem(
        self, request: SoakRequest, status: int, headers: dict[str, str], body: bytes, oldest: int
    ) -> str | None:
        """Return what is wrong with an answer, if anything; 5xx statuses are counted elsewhere."""
        if status >= 500:
            return None
        found = json.loads(body)
        if status != request.status:
            return f"status {status}, not {request.status}: {found}"
        if status != 200:
            return None if found["status"] == status else "the body has another status"
        checksum = headers.get(MODEL_HEADER.lower(), "")
        number = self._number.get(checksum)
        if number is None and self._begun not in self._number.values():
            number = self._begun  # the service follows a new model before this run knows its checksum
        if number is None or not oldest <= number <= self._begun:
            return f"by model {number}, expected {oldest} to {self._begun}"
        return None if matches(request.answers[number % len(self._models)], found) else "different answer"

    async def _swap(self, pause: float, swaps: int) -> None:
        for number in range(1, swaps + 1):
            await asyncio.sleep(max(0.0, self._start + number * pause - time.monotonic()))
            self._begun += 1
            self._measure_workers()
            await asyncio.to_thread(self._models[self._begun % len(self._models)].save, self._live)
            checksum = model_checksum(self._live)
            self._number[checksum] = self._begun
            while await self._checksum() != checksum:  # after a kill, it may be loaded already
                os.kill(self._process, signal.SIGHUP)
                for _ in range(50):
                    await asyncio.sleep(0.1)
                    if await self._checksum() == checksum:
                        break
            self._done = self._begun
            self.result.swaps += 1

    async def _checksum(self) -> str:
        """Return the checksum that the service reports; empty while it has no model."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"GET /v1/model HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, _, body = await _answer(reader)
        writer.close()
        return str(json.loads(body)["checksum"]) if status == 200 else ""

    async def _kill(self, pause: float, kills: int) -> None:
        for _ in range(kills):
            await asyncio.sleep(pause)
            for child in child_processes(self._process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self.result.kills += 1

    async def _measure_until(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(1)
            own = megabytes(self._process, with_children=False)
            self.result.service_megabytes.append((time.monotonic() - self._start, own))

    async def _measure_idle(self) -> None:
        self.result.open_files.append(self._open_files())
        self.result.threads.append(len(os.listdir(f"/proc/{self._process}/task")))
        self._measure_workers()

    def _open_files(self) -> int:
        return len(os.listdir(f"/proc/{self._process}/fd"))

    def _measure_workers(self) -> None:
        for child in child_processes(self._process):
            with contextlib.suppress(OSError):  # it may just be ending
                self.result.worker_megabytes.append(megabytes(child))


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read a response; return its status, headers by lower-case name, and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


def soak(
    folders: Sequence[str | os.PathLike[str]],
    texts: Sequence[str],
    *,
    seconds: float,
    swaps: int,
    kills: int = 0,
    timeout: float = ServiceSettings.timeout,
    seed: int = 0,
) -> SoakResult:
    """Serve fitted models in turn and send requests.

    Parameters
    ----------
    folders : sequence of path
        Saved models; the first one is served first.
    texts : sequence of str
    seconds : float
    swaps, kills : int
        How often the model is replaced and the scoring process is killed, at even intervals.
    timeout : float
        Timeout of the service in seconds.
    seed : int
        Random seed of the requests.
    """
    models = [load(folder) for folder in folders]
    with tempfile.TemporaryDirectory() as folder:
        live = Path(folder) / "model"
        scorers = []
        for model in reversed(models):  # the first one is saved last and stays
            model.save(live)
            scorers.append(ModelScorer(live, deciding={}))
        mixture = RequestMixture(scorers[::-1], texts, seed)
        command = WorkerCommand({"folder": str(live), "deciding": {}})
        with serving(Setup(command, ServiceSettings(timeout=timeout))) as (url, process):
            port = int(url.rsplit(":", 1)[1])
            run = _Run(models, live, mixture, port, process, timeout)
            return asyncio.run(run.run(seconds, swaps, kills))


def main(arguments: Sequence[str]) -> int:
    """Run the soak test, print a report, and return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service_soak")
    parser.add_argument("model")
    parser.add_argument("other")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    texts = [text for text in read_texts(given.texts) if text.strip()][:_NUM_TEXTS]
    found = soak(
        [given.model, given.other],
        texts,
        seconds=given.seconds,
        swaps=given.swaps,
        kills=given.kills,
        seed=given.seed,
    )
    print(found.text())
    return int(found.failures > 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (LMClassifyError, OSError) as error:
        sys.exit(f"error: {error}")
