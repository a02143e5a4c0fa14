"""Jobs queued for the scoring process, and how another model takes its place.

Jobs that wait together go to the process together; large ones go piece by piece, so that others need not
wait for all of it. A new model is loaded by a new process, which takes over when it is ready; the old one
first finishes what it has begun, so that each job is answered by one model.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmclassify.errors import LMClassifyError, OptionError
from lmclassify.mail.local_service import TOKEN
from lmclassify.service.frames import read_frame_soon, write_frame
from lmclassify.service.problems import RequestError, fault
from lmclassify.service.settings import ServiceSettings

_log = logging.getLogger("lmclassify.service")

_MOST_TEXTS = 256  # of several requests in one batch
_BUFFER = 1 << 20  # bytes
_SECONDS_BETWEEN_STARTS = 1.0
_TIMEOUTS_TO_ANSWER = 2  # after which nobody waits any more for what a batch asked


@dataclass(frozen=True)
class WorkerCommand:
    """How to start a scoring process; see `lmclassify.service.worker`."""

    options: Mapping[str, Any]
    """Plain data: its first message."""
    module: str = "lmclassify.service.worker"


@dataclass(frozen=True)
class Scored:
    """A job's answer."""

    bodies: list[bytes]
    """JSON, of each piece of the job."""
    model: str
    """Checksum of the model that gave all of them; empty where it has none."""


@dataclass(eq=False)
class _Job:
    kind: str
    pieces: Sequence[Any]
    """What it asks, piece by piece."""
    future: asyncio.Future[Scored]
    bodies: list[bytes] = field(default_factory=list)
    """Of the pieces that are answered."""
    alone: bool = False
    """Whether it must not share a batch: one that it was in ended the process."""

    @property
    def piece(self) -> Any:
        return self.pieces[len(self.bodies)]

    @property
    def texts(self) -> int:
        """How many there are to predict in the next piece."""
        return len(self.piece) if self.kind == "predict" else 0


@dataclass
class _Worker:
    process: Process
    facts: dict[str, Any]
    batch: list[_Job] = field(default_factory=list)
    """What it has to answer now."""
    begun: deque[_Job] = field(default_factory=deque)
    """What it alone goes on with since another has taken its place."""
    deadline: asyncio.TimerHandle | None = None
    """When it is given up."""


class Scoring:
    """The queue, and the process that empties it.

    Parameters
    ----------
    command : WorkerCommand
    settings : ServiceSettings
    on_batch : callable, optional
        Called after each batch with the number of texts predicted in it and how many got each label.

    Attributes
    ----------
    waiting : int
        Jobs that have no answer yet.
    """

    def __init__(
        self,
        command: WorkerCommand,
        settings: ServiceSettings,
        on_batch: Callable[[int, Mapping[str, int]], object] = lambda texts, labels: None,
    ) -> None:
        self._command = command
        self._settings = settings
        self._on_batch = on_batch
        self._queue: deque[_Job] = deque()
        self._worker: _Worker | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._listening: dict[asyncio.Task[None], _Worker] = {}
        self._stopping = False
        self._failing = False  # no process could be started when one was needed
        self.waiting = 0

    async def start(self) -> None:
        """Start the process, and return once its model is loaded.

        Raises
        ------
        LMClassifyError
            If it cannot be.
        """
        self._take_over(await self._start())

    async def reload(self) -> None:
        """Put another process with the model as it is now in the place of this one.

        Raises
        ------
        LMClassifyError
            If that model cannot be used; the old one then stays.
        """
        self._take_over(await self._start())

    async def stop(self, seconds: float = 10.0) -> None:
        """Let the process end when it has answered; after so much time, end it."""
        self._stopping = True
        worker, self._worker = self._worker, None
        if worker is not None and not worker.batch:
            _end(worker)
        if self._listening:
            await asyncio.wait(self._listening, timeout=seconds)
        self.kill()
        if self._listening:
            await asyncio.wait(self._listening)

    def kill(self) -> None:
        """End processes at once."""
        self._stopping = True
        for worker in self._listening.values():
            _kill(worker)

    @property
    def ready(self) -> bool:
        """Whether there is a process with a model."""
        return self._worker is not None

    @property
    def facts(self) -> dict[str, Any]:
        """What the model is.

        Raises
        ------
        RequestError
            If there is none at the moment (503).
        """
        if self._worker is None:
            raise unavailable()
        return self._worker.facts

    def submit(self, kind: str, pieces: Sequence[Any]) -> asyncio.Future[Scored]:
        """Queue a job and return where the JSON that answers it will be; see `lmclassify.service.worker`.

        A job whose future is cancelled before its turn is left out. The future's exception is a
        `RequestError` if the job asks for what the model has not (422) or scoring failed (500, 503).

        Parameters
        ----------
        kind : {"predict", "explain", "suggest"}
        pieces : sequence of plain data
            Arguments, one or more; those of predict are lists of texts.

        Raises
        ------
        RequestError
            If too many jobs wait (503).
        """
        if self._failing and self._worker is None:
            raise unavailable()
        if self.waiting >= self._settings.max_waiting:
            raise RequestError(
                503, "Too many requests are waiting; try again soon.", headers={"Retry-After": "1"}
            )
        job = _Job(kind, pieces, asyncio.get_running_loop().create_future())
        job.future.add_done_callback(lambda _: self._leave(job))
        self.waiting += 1
        self._queue.append(job)
        self._hand_over_soon()
        return job.future

    def _leave(self, job: _Job) -> None:
        self.waiting -= 1
        for queue in (self._queue, *(worker.begun for worker in self._listening.values())):
            if job in queue:  # it has been given up
                queue.remove(job)

    async def _start(self) -> _Worker:
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", self._command.module),
                stdin=PIPE,
                stdout=PIPE,
                env=_environment(),
                limit=_BUFFER,
                start_new_session=True,  # Ctrl-C is for the service
            )
        except OSError as error:  # too many files or processes, say
            raise LMClassifyError(f"no scoring process can be started: {error.strerror}") from error
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            write_frame(process.stdin, dict(self._command.options))
            head, _ = await read_frame_soon(process.stdout)
        except (asyncio.IncompleteReadError, OSError):
            await process.wait()
            raise LMClassifyError(
                f"the scoring process ended with status {process.returncode} before it was ready"
            ) from None
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        if "error" in head:
            await process.wait()
            raise (OptionError if head["misuse"] else LMClassifyError)(head["error"])
        for note in head["notes"]:
            _log.info("%s", note)
        return _Worker(process, head["facts"])

    def _take_over(self, worker: _Worker) -> None:
        self._failing = False
        old, self._worker = self._worker, worker
        if self._stopping:
            self._worker = None
            _end(worker)
        if old is not None:
            old.begun.extend(job for job in self._queue if job.bodies)
            self._queue = deque(job for job in self._queue if not job.bodies)
            self._go_on(old)
        task = asyncio.create_task(self._listen(worker))
        self._listening[task] = worker
        task.add_done_callback(self._listening.pop)
        self._hand_over_soon()

    def _hand_over_soon(self) -> None:
        """See to it that jobs go to an idle process: soon together, or at once one by one."""
        if self._worker is None or self._worker.batch or self._timer is not None or not self._queue:
            return
        if self._settings.batching and self._settings.batch_milliseconds > 0:
            seconds = self._settings.batch_milliseconds / 1000
            self._timer = asyncio.get_running_loop().call_later(seconds, self._hand_over)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        self._timer = None
        if self._worker is not None and not self._worker.batch:
            self._send(self._worker, self._queue)

    def _go_on(self, worker: _Worker) -> None:
        """Let an idle process do what is next, and end if nothing is and another has taken its place."""
        if worker is self._worker:
            self._hand_over_soon()
        elif not worker.batch and not self._send(worker, worker.begun):
            _end(worker)

    def _send(self, worker: _Worker, queue: deque[_Job]) -> bool:
        """Give an idle process the next batch of a queue, and return whether there is one."""
        batch = self._next_batch(queue)
        if batch:
            assert worker.process.stdin is not None
            write_frame(worker.process.stdin, [(job.kind, job.piece) for job in batch])
            worker.batch = batch
            seconds = _TIMEOUTS_TO_ANSWER * self._settings.timeout
            worker.deadline = asyncio.get_running_loop().call_later(seconds, _give_up, worker)
        return bool(batch)

    def _next_batch(self, queue: deque[_Job]) -> list[_Job]:
        batch: list[_Job] = []
        texts = 0
        while queue:
            job = queue[0]
            alone = not self._settings.batching or job.kind != "predict" or job.alone
            if batch and (alone or batch[0].alone or batch[0].kind != "predict"):
                break
            if batch and texts + job.texts > _MOST_TEXTS:
                break
            batch.append(queue.popleft())
            texts += job.texts
        return batch

    async def _listen(self, worker: _Worker) -> None:
        """Deliver a process's answers until it ends; if it ends by itself, start another."""
        assert worker.process.stdout is not None
        try:
            while True:
                head, rest = await read_frame_soon(worker.process.stdout)
                self._deliver(worker, head, rest)
        except (asyncio.IncompleteReadError, OSError):
            pass  # it has ended
        except Exception as error:
            _log.error("the scoring process does not keep to its messages: %s", type(error).__name__)
            _kill(worker)
        status = await worker.process.wait()
        if worker.deadline is not None:
            worker.deadline.cancel()
        for job in (*worker.batch, *worker.begun, *(self._queue if worker is self._worker else ())):
            job.bodies.clear()  # another process may have another model
        self._queue.extendleft(reversed(worker.begun))
        worker.begun.clear()
        self._try_alone(worker.batch)
        if worker is self._worker and not self._stopping:
            self._worker = None
            _log.error("the scoring process ended with status %s; starting another", status)
            await self._start_again()

    def _try_alone(self, batch: Sequence[_Job]) -> None:
        """Queue again what was asked of a process that ended; what it was alone with is refused."""
        for job in reversed(batch):
            if job.future.done():
                continue
            if len(batch) == 1 or job.alone or self._stopping:
                job.future.set_exception(unavailable())
            else:
                job.alone = True
                self._queue.appendleft(job)
        self._hand_over_soon()

    async def _start_again(self) -> None:
        while not self._stopping and self._worker is None:
            try:
                worker = await self._start()
            except LMClassifyError as error:
                self._failing = True
                _log.error("no model in service: %s", error)
                await asyncio.sleep(_SECONDS_BETWEEN_STARTS)
                continue
            if self.ready:  # a newer one has come meanwhile
                _end(worker)
            else:
                self._take_over(worker)

    def _deliver(self, worker: _Worker, head: dict[str, Any], rest: bytes) -> None:
        batch, worker.batch = worker.batch, []
        if worker.deadline is not None:
            worker.deadline.cancel()
        texts, start = sum(job.texts for job in batch), 0
        for job, (status, length) in zip(batch, head["answers"], strict=True):
            body = rest[start : start + length]
            start += length
            if job.future.done():
                continue
            if status != 200:
                job.future.set_exception(fault() if status == 500 else RequestError(status, json.loads(body)))
                continue
            job.bodies.append(body)
            if len(job.bodies) == len(job.pieces):
                job.future.set_result(Scored(job.bodies, worker.facts.get("checksum", "")))
            else:
                (self._queue if worker is self._worker else worker.begun).append(job)
        self._on_batch(texts, head["labels"])
        self._go_on(worker)


def _give_up(worker: _Worker) -> None:
    """End a process that hangs; `Scoring._listen` sees it."""
    _log.error("the scoring process does not answer")
    _kill(worker)


def _kill(worker: _Worker) -> None:
    with contextlib.suppress(ProcessLookupError):
        worker.process.kill()


def _end(worker: _Worker) -> None:
    assert worker.process.stdin is not None
    worker.process.stdin.close()


def unavailable() -> RequestError:
    """Return what is answered while there is no model."""
    return RequestError(503, "No model is in service at the moment; try again.", headers={"Retry-After": "1"})


def _environment() -> dict[str, str]:
    """Return the process's: it imports what this one would, and its tokenizer starts no threads."""
    own = {name: value for name, value in os.environ.items() if name != TOKEN}
    places = os.pathsep.join(place for place in sys.path if place)
    return {"TOKENIZERS_PARALLELISM": "false", **own, "PYTHONPATH": places}
