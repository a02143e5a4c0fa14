"""The queue of jobs in front of the worker process, and the replacement of that process.

Jobs that wait at the same time are sent to the worker as one batch. A large job is sent in pieces, so that
others need not wait for all of it. To load a new model, a second worker process is started; it takes over
when it is ready, and the old one finishes the jobs it has begun. So each job is answered by one model.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lmclassify.errors import LMClassifyError
from lmclassify.service.problems import RequestError
from lmclassify.service.settings import ServiceSettings
from lmclassify.service.worker_process import WorkerCommand, WorkerProcess

_log = logging.getLogger("lmclassify.service")

MAYBE_LEARNED = "The text may have been learned; it is safe to send it again, as it counts once."
MAX_BATCH_TEXTS = 256
"""Maximum number of texts in a batch of several jobs: a larger batch is hardly faster per text."""


Lesson = Sequence[Any]
"""The arguments of `lmclassify.service.worker.WorkerScorer.learn`."""


@dataclass(frozen=True)
class JobResult:
    """The answer to a job."""

    bodies: list[bytes]
    """JSON of each piece of the job."""
    checksum: str
    """Checksum of the model that gave the answer; empty if the model has none."""


@dataclass(eq=False)
class _ScoringJob:
    kind: str
    pieces: Sequence[Any]
    user: str | None
    future: asyncio.Future[JobResult]
    bodies: list[bytes] = field(default_factory=list)
    """Answers to the pieces scored so far."""
    checksum: str = ""
    """Checksum of the model that gave them."""
    isolated: bool = False
    """Whether it must be sent alone: a batch that it was part of ended a worker."""

    @property
    def next_piece(self) -> Any:
        return self.pieces[len(self.bodies)]

    @property
    def num_texts(self) -> int:
        """Number of texts to predict in the next piece."""
        return len(self.next_piece) if self.kind in ("predict", "predict_with_reason") else 0

    @property
    def is_lesson(self) -> bool:
        return self.kind == "learn"


@dataclass(eq=False)
class _Worker:
    process: WorkerProcess
    batch: list[_ScoringJob] = field(default_factory=list)
    """Jobs sent to the process and not answered yet."""
    unfinished: deque[_ScoringJob] = field(default_factory=deque)
    """Jobs that this worker has begun and must finish although another one has taken over."""
    deadline: asyncio.TimerHandle | None = None
    """Kills the process if it does not answer in time."""
    lesson_next: bool = True
    """Whether the next batch is a lesson, if one waits; otherwise it is none, if another job waits."""


class ScoringQueue:
    """Jobs, and the worker process that answers them.

    Parameters
    ----------
    on_batch : callable, optional
        Called after each batch with the number of texts predicted and the number of texts per label.
    on_lesson : callable, optional
        Called with the answer to each lesson, its arguments and its user, even if nobody waits for it.

    Attributes
    ----------
    waiting : int
        Number of jobs without an answer.
    """

    def __init__(
        self,
        command: WorkerCommand,
        settings: ServiceSettings,
        on_batch: Callable[[int, Mapping[str, int]], object] = lambda texts, labels: None,
        on_lesson: Callable[[Mapping[str, Any], Lesson, str | None], object] = lambda answer, lesson, user: (
            None
        ),
    ) -> None:
        self._command = command
        self._settings = settings
        self._on_batch = on_batch
        self._on_lesson = on_lesson
        self._jobs: deque[_ScoringJob] = deque()
        self._worker: _Worker | None = None
        self._batch_timer: asyncio.TimerHandle | None = None
        self._receivers: dict[asyncio.Task[None], _Worker] = {}
        self._stopping = False
        self._start_failed = False  # the last attempt to start a needed worker failed
        self.waiting = 0

    async def start(self) -> None:
        """Start a worker process and let it take over from the current one, if any, when it is ready.

        Raises LMClassifyError if the process cannot load the model; a current worker then stays in use.
        """
        self._take_over(await WorkerProcess.start(self._command))

    async def stop(self, seconds: float = 10.0) -> None:
        """Let the worker finish its batch; kill it if that takes more than `seconds`."""
        self._stopping = True
        worker, self._worker = self._worker, None
        if worker is not None and not worker.batch:
            worker.process.close()
        if self._receivers:
            await asyncio.wait(self._receivers, timeout=seconds)
        self.kill()
        if self._receivers:
            await asyncio.wait(self._receivers)

    def kill(self) -> None:
        """Kill all worker processes."""
        self._stopping = True
        for worker in self._receivers.values():
            worker.process.kill()

    @property
    def ready(self) -> bool:
        """Whether a worker with a loaded model is running."""
        return self._worker is not None

    @property
    def num_workers(self) -> int:
        """Number of running worker processes, with those that finish their last jobs."""
        return len(self._receivers)

    def submit(self, kind: str, pieces: Sequence[Any], user: str | None = None) -> asyncio.Future[JobResult]:
        """Queue a job.

        A job whose future is cancelled before it is sent is dropped. Raises RequestError if too many jobs
        wait, or no worker can be started (503).

        Parameters
        ----------
        kind : str
            Name of a method of `lmclassify.service.worker.WorkerScorer`.
        pieces : sequence
            JSON-compatible arguments of one or more calls of it; those of predict are lists of texts.
        user : str, optional
            Whose model answers. The default is the shared one.

        Returns
        -------
        future of JobResult
            Its exception is a `RequestError` if there is no such model (404), the request does not fit it
            (422) or scoring failed (500, 503).
        """
        if self._start_failed and self._worker is None:
            raise unavailable()
        if self.waiting >= self._settings.max_waiting:
            raise RequestError(
                503, "Too many requests are waiting; try again later.", headers={"Retry-After": "1"}
            )
        job = _ScoringJob(kind, pieces, user, asyncio.get_running_loop().create_future())
        job.future.add_done_callback(lambda _: self._remove(job))
        self.waiting += 1
        self._jobs.append(job)
        self._schedule_batch()
        return job.future

    def _remove(self, job: _ScoringJob) -> None:
        self.waiting -= 1
        for jobs in (self._jobs, *(worker.unfinished for worker in self._receivers.values())):
            if job in jobs:  # it was cancelled
                jobs.remove(job)

    def _take_over(self, process: WorkerProcess) -> None:
        """Make a new process the current worker."""
        self._start_failed = False
        worker = _Worker(process)
        old, self._worker = self._worker, worker
        if self._stopping:
            self._worker = None
            process.close()
        if old is not None:
            old.unfinished.extend(job for job in self._jobs if job.bodies)
            self._jobs = deque(job for job in self._jobs if not job.bodies)
            self._continue(old)
        task = asyncio.create_task(self._receive_answers(worker))
        self._receivers[task] = worker
        task.add_done_callback(self._receivers.pop)
        self._schedule_batch()

    def _schedule_batch(self) -> None:
        """Send the next batch to the worker if it is idle, now or after `batch_milliseconds`."""
        if self._worker is None or self._worker.batch or self._batch_timer is not None or not self._jobs:
            return
        if self._settings.batching and self._settings.batch_milliseconds > 0:
            seconds = self._settings.batch_milliseconds / 1000
            self._batch_timer = asyncio.get_running_loop().call_later(seconds, self._send_queued)
        else:
            self._send_queued()

    def _send_queued(self) -> None:
        self._batch_timer = None
        if self._worker is not None and not self._worker.batch:
            self._send_batch(self._worker, self._jobs)

    def _continue(self, worker: _Worker) -> None:
        """Give a worker its next batch; end a replaced one that has nothing left to do."""
        if worker is self._worker:
            self._schedule_batch()
        elif not worker.batch and not self._send_batch(worker, worker.unfinished):
            worker.process.close()

    def _send_batch(self, worker: _Worker, jobs: deque[_ScoringJob]) -> bool:
        """Send the next batch of some jobs to an idle worker; return whether there was one."""
        batch = self._next_batch(jobs, worker.lesson_next)
        if batch:
            worker.lesson_next = not batch[0].is_lesson
            worker.process.send((batch[0].user, [(job.kind, job.next_piece) for job in batch]))
            worker.batch = batch
            seconds = self._settings.seconds_to_answer_batch
            worker.deadline = asyncio.get_running_loop().call_later(seconds, _kill_unresponsive, worker)
        return bool(batch)

    def _next_batch(self, jobs: deque[_ScoringJob], lesson_next: bool) -> list[_ScoringJob]:
        """Remove the next batch from some jobs and return it.

        A lesson does not wait for all other jobs, nor do these wait for all lessons: they take turns.
        """
        batch: list[_ScoringJob] = []
        first = next((job for job in jobs if job.is_lesson == lesson_next), None)
        if first is not None and first is not jobs[0]:
            jobs.remove(first)
            jobs.appendleft(first)
        num_texts = 0
        while jobs:
            job = jobs[0]
            alone = not self._settings.batching or job.kind != "predict" or job.isolated
            if batch and (alone or batch[0].isolated or batch[0].kind != "predict"):
                break
            if batch and job.user != batch[0].user:
                break
            if batch and num_texts + job.num_texts > MAX_BATCH_TEXTS:
                break
            batch.append(jobs.popleft())
            num_texts += job.num_texts
        return batch

    async def _receive_answers(self, worker: _Worker) -> None:
        """Deliver a worker's answers until it ends; replace it if it ended unexpectedly."""
        try:
            while True:
                value, payload = await worker.process.receive()
                self._deliver(worker, value, payload)
        except (asyncio.IncompleteReadError, OSError):
            pass  # it has ended
        except Exception as error:
            _log.error("the scoring process sent an invalid message: %s", type(error).__name__)
            worker.process.kill()
        status = await worker.process.wait()
        if worker.deadline is not None:
            worker.deadline.cancel()
        for job in (*worker.batch, *worker.unfinished, *(self._jobs if worker is self._worker else ())):
            job.bodies.clear()  # they start again: another process may have another model
        self._jobs.extendleft(reversed(worker.unfinished))
        worker.unfinished.clear()
        self._retry_isolated(worker.batch)
        if worker is self._worker and not self._stopping:
            self._worker = None
            _log.error("the scoring process ended with status %s; starting another", status)
            await self._restart()

    def _retry_isolated(self, batch: Sequence[_ScoringJob]) -> None:
        """Queue the jobs of a worker that ended once more, one by one; refuse a job that was sent alone."""
        for job in reversed(batch):
            if job.future.done():
                continue
            if job.is_lesson:  # it may have been learned
                job.future.set_exception(RequestError(503, f"The scoring process has ended. {MAYBE_LEARNED}"))
            elif len(batch) == 1 or job.isolated or self._stopping:
                job.future.set_exception(unavailable())
            else:
                job.isolated = True
                self._jobs.appendleft(job)
        self._schedule_batch()

    async def _restart(self) -> None:
        while not self._stopping and self._worker is None:
            try:
                process = await WorkerProcess.start(self._command)
            except LMClassifyError as error:
                self._start_failed = True
                _log.error("no model is available: %s", error)
                await asyncio.sleep(self._settings.restart_delay)
                continue
            if self.ready:  # a reload was faster
                process.close()
            else:
                self._take_over(process)

    def _deliver(self, worker: _Worker, value: dict[str, Any], payload: bytes) -> None:
        """Hand the answers to a batch to its jobs."""
        batch, worker.batch = worker.batch, []
        if worker.deadline is not None:
            worker.deadline.cancel()
        num_texts, start = sum(job.num_texts for job in batch), 0
        for job, (status, length) in zip(batch, value["answers"], strict=True):
            body = payload[start : start + length]
            start += length
            if job.is_lesson and status == 200:
                self._on_lesson(json.loads(body), job.next_piece, job.user)
            if job.future.done():
                continue
            if status != 200:
                job.future.set_exception(RequestError(status, json.loads(body)))
                continue
            if job.bodies and job.checksum != value["checksum"]:
                job.bodies.clear()  # it starts again, as the model was replaced
            else:
                job.checksum = value["checksum"]
                job.bodies.append(body)
            if len(job.bodies) == len(job.pieces):
                job.future.set_result(JobResult(job.bodies, job.checksum))
            else:
                (self._jobs if worker is self._worker else worker.unfinished).append(job)
        self._on_batch(num_texts, value["labels"])
        self._continue(worker)


def _kill_unresponsive(worker: _Worker) -> None:
    """Kill a worker that does not answer; `ScoringQueue._receive_answers` notices."""
    _log.error("the scoring process does not answer")
    worker.process.kill()


def unavailable() -> RequestError:
    """Return the error for requests while no model is available."""
    return RequestError(503, "No model is available at the moment; try again.", headers={"Retry-After": "1"})
