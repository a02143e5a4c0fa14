"""A service under everything at once, while its model changes: a script for docs/reliability.md.

``python -m benchmarks.service_soak MODEL OTHER TEXTS [--seconds 300] [--swaps 50] [--kills 0]`` serves two
fitted models in turn and asks, as fast as it can, requests of every sort: valid, invalid, sent slowly, broken
off, with answers that are read slowly or never. Every answer must be that of one of the models, as computed
beforehand; of the new one once the service says that it is loaded; and every request must have an answer.
With ``--kills`` the scoring process is killed now and then, and status 503 is an answer too.
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

from benchmarks.service_load import Served, children_of, megabytes, serving
from benchmarks.service_requests import Mixture, Question, alike
from benchmarks.speed_rows import read_texts
from lmclassify.classify.model import FittedModel, load
from lmclassify.errors import LMClassifyError
from lmclassify.persistence.model_folder import checksum_of
from lmclassify.service.app import MODEL_HEADER
from lmclassify.service.scoring import WorkerCommand
from lmclassify.service.served import ServedModel
from lmclassify.service.settings import ServiceSettings

_SECONDS_TO_WAIT = 60
_TEXTS = 500
_CLIENTS = 24
_MOST_REQUESTS_OF_A_CONNECTION = 20


@dataclass
class Soak:
    """What a run found."""

    answered: Counter[str] = field(default_factory=Counter)
    """Requests by kind and status, as in ``one text 200``."""
    wrong: list[str] = field(default_factory=list)
    """Answers that are none of the model's: kind and why."""
    lost: list[str] = field(default_factory=list)
    """Requests without an answer: kind and why."""
    swaps: int = 0
    kills: int = 0
    seconds: float = 0.0
    service_megabytes: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, and what the service's own process holds."""
    worker_megabytes: list[float] = field(default_factory=list)
    """Of each scoring process before another takes its place."""
    open_files: list[int] = field(default_factory=list)
    """Of the service's own process while nobody asks: before, and after."""
    threads: list[int] = field(default_factory=list)

    @property
    def failures(self) -> int:
        """Wrong answers, lost requests and statuses from 500 on, but for 503 where processes were killed."""
        statuses = [(name.split()[-1], count) for name, count in self.answered.items()]
        allowed = "503" if self.kills else ""
        faults = sum(count for status, count in statuses if status >= "500" and status != allowed)
        return len(self.wrong) + len(self.lost) + faults

    @property
    def growth(self) -> float:
        """Of the service's own process, MB a minute, by least squares after the first third."""
        samples = self.service_megabytes[len(self.service_megabytes) // 3 :]
        return 60 * statistics.linear_regression(*zip(*samples, strict=True)).slope

    def text(self) -> str:
        """Return it as lines."""
        service = [size for _, size in self.service_megabytes]
        workers = self.worker_megabytes
        lines = [f"{count:>9,}  {name}" for name, count in sorted(self.answered.items())]
        lines += [
            f"{sum(self.answered.values()):,} answers in {self.seconds:.0f} s; "
            f"{self.swaps} changes of the model, {self.kills} scoring processes killed",
            f"wrong {len(self.wrong)}, lost {len(self.lost)}, failures in all {self.failures}",
            f"service {service[0]:.1f} MB at first, {service[len(service) // 3]:.1f} after a third, "
            f"{service[-1]:.1f} at last: {self.growth:+.2f} MB a minute after the first third",
            f"scoring processes {min(workers):.1f} to {max(workers):.1f} MB, "
            f"the first {workers[0]:.1f}, the last {workers[-1]:.1f}",
            f"open files {self.open_files[0]} before, {self.open_files[-1]} after; "
            f"threads {self.threads[0]} before, {self.threads[-1]} after",
        ]
        return "\n".join([*lines, *self.wrong[:5], *self.lost[:5]])


class _Soaking:
    """One run: clients, changes of the model, measurements."""

    def __init__(
        self, models: Sequence[FittedModel], live: Path, mixture: Mixture, port: int, process: int
    ) -> None:
        self.found = Soak()
        self._models = models
        self._live = live
        self._mixture = mixture
        self._port = port
        self._process = process
        self._begun = self._done = 0
        """Changes of the model that have begun, and those of them that the service has reported."""
        self._number = {checksum_of(live): 0}
        """Which change a checksum is of; change n serves model n modulo their number."""
        self._start = time.monotonic()

    async def run(self, seconds: float, swaps: int, kills: int) -> Soak:
        await self._measure_idle()
        self._start = time.monotonic()
        until = self._start + seconds
        async with asyncio.TaskGroup() as group:
            swapping = group.create_task(self._swap(seconds / (swaps + 1), swaps))
            for _ in range(_CLIENTS):
                group.create_task(self._ask_until(until, swapping))
            group.create_task(self._kill(seconds / (kills + 1), kills))
            group.create_task(self._measure_until(until))
        self.found.seconds = time.monotonic() - self._start
        await asyncio.sleep(2)  # until the last connections are closed
        await self._measure_idle()
        return self.found

    async def _ask_until(self, until: float, swapping: asyncio.Task[None]) -> None:
        while time.monotonic() < until or not swapping.done():
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                for _ in range(self._mixture.random.randint(1, _MOST_REQUESTS_OF_A_CONNECTION)):
                    if not await self._ask(reader, writer, self._mixture.draw()):
                        break
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: Question
    ) -> bool:
        """Ask, check the answer, and return whether the connection stays open."""
        oldest = self._done
        request = question.request()
        manner = self._mixture.random.random()
        cut = self._mixture.random.randrange(len(request))
        try:
            if manner < 0.04:  # breaks off
                writer.write(request[:cut])
                await writer.drain()
                return False
            if manner < 0.06:  # goes away without reading
                writer.write(request)
                await writer.drain()
                await asyncio.sleep(self._mixture.random.random())
                return False
            if manner < 0.1:  # slowly
                writer.write(request[:cut])
                await asyncio.sleep(2 * self._mixture.random.random())
                request = request[cut:]
            writer.write(request)
            await writer.drain()
        except OSError:  # it may refuse before it has read all; the answer says why
            pass
        try:
            async with asyncio.timeout(_SECONDS_TO_WAIT):
                status, headers, body = await _answer(reader)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.found.lost.append(f"{question.kind}: {type(error).__name__}")
            return False
        self.found.answered[f"{question.kind} {status}"] += 1
        problem = self._problem(question, status, headers, body, oldest)
        if problem is not None:
            self.found.wrong.append(f"{question.kind}: {problem}")
        return headers.get("connection", "").lower() != "close"

    def _problem(
        self, question: Question, status: int, headers: dict[str, str], body: bytes, oldest: int
    ) -> str | None:
        """Return what is wrong with an answer; statuses from 500 on are counted elsewhere."""
        if status >= 500:
            return None
        found = json.loads(body)
        if status != question.status:
            return f"status {status}, not {question.status}: {found}"
        if status != 200:
            return None if found["status"] == status else "the body tells another status"
        checksum = headers.get(MODEL_HEADER.lower(), "")
        number = self._number.get(checksum)
        if number is None or not oldest <= number <= self._begun:
            return f"by model {number}, asked of {oldest} to {self._begun}"
        return None if alike(question.answers[number % len(self._models)], found) else "another answer"

    async def _swap(self, pause: float, swaps: int) -> None:
        for number in range(1, swaps + 1):
            await asyncio.sleep(max(0.0, self._start + number * pause - time.monotonic()))
            self._begun += 1
            self._measure_workers()
            await asyncio.to_thread(self._models[self._begun % len(self._models)].save, self._live)
            checksum = checksum_of(self._live)
            self._number[checksum] = self._begun
            while await self._checksum() != checksum:  # a killed process may have loaded it already
                os.kill(self._process, signal.SIGHUP)
                for _ in range(50):
                    await asyncio.sleep(0.1)
                    if await self._checksum() == checksum:
                        break
            self._done = self._begun
            self.found.swaps += 1

    async def _checksum(self) -> str:
        """Return that of the model that the service says it has, empty while it has none."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"GET /v1/model HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, _, body = await _answer(reader)
        writer.close()
        return str(json.loads(body)["checksum"]) if status == 200 else ""

    async def _kill(self, pause: float, kills: int) -> None:
        for _ in range(kills):
            await asyncio.sleep(pause)
            for child in children_of(self._process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self.found.kills += 1

    async def _measure_until(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(1)
            own = megabytes(self._process, with_children=False)
            self.found.service_megabytes.append((time.monotonic() - self._start, own))

    async def _measure_idle(self) -> None:
        self.found.open_files.append(len(os.listdir(f"/proc/{self._process}/fd")))
        self.found.threads.append(len(os.listdir(f"/proc/{self._process}/task")))
        self._measure_workers()

    def _measure_workers(self) -> None:
        for child in children_of(self._process):
            with contextlib.suppress(OSError):  # it may end just now
                self.found.worker_megabytes.append(megabytes(child))


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers by name in lower case, and body."""
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
    seed: int = 0,
) -> Soak:
    """Serve fitted models in turn, and ask.

    Parameters
    ----------
    folders : sequence of path
        Saved models, the first of which is served first.
    texts : sequence of str
    seconds : float
    swaps, kills : int
        How often the model changes, and how often the scoring process is killed, at even distances.
    seed : int
        Of what is asked.
    """
    models = [load(folder) for folder in folders]
    with tempfile.TemporaryDirectory() as folder:
        live = Path(folder) / "model"
        mixtures = []
        for model in reversed(models):  # the first comes last, and is there
            model.save(live)
            mixtures.append(ServedModel.load(live, deciding={}))
        mixture = Mixture(mixtures[::-1], texts, seed)
        command = WorkerCommand({"folder": str(live), "deciding": {}})
        with serving(Served(command, ServiceSettings())) as (url, process):
            port = int(url.rsplit(":", 1)[1])
            return asyncio.run(_Soaking(models, live, mixture, port, process).run(seconds, swaps, kills))


def main(arguments: Sequence[str]) -> int:
    """Run it, print what it found, and return 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service_soak")
    parser.add_argument("model")
    parser.add_argument("other")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    texts = [text for text in read_texts(given.texts) if text.strip()][:_TEXTS]
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
