"""One thread does a model's work; texts of requests that wait together are scored together.

The event loop gathers jobs and hands them over a batch at a time, so that the thread sleeps until there is
something to do and the loop is woken once a batch.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from lmclassify.service.problems import RequestError
from lmclassify.service.served import Prediction, ServedModel
from lmclassify.service.settings import ServiceSettings

T = TypeVar("T")

_MOST_TEXTS = 256  # of several requests in one batch


class Source(Protocol):
    """Has the model that is in service now; see `lmclassify.service.served.ModelSource`."""

    @property
    def current(self) -> ServedModel:
        """The model for the next batch."""


class _Job:
    """Either texts to predict or other work, and where the result goes."""

    __slots__ = ("future", "texts", "work")

    def __init__(
        self,
        future: asyncio.Future[Any],
        texts: list[str] | None = None,
        work: Callable[[ServedModel], Any] | None = None,
    ) -> None:
        self.future, self.texts, self.work = future, texts, work


_Outcome = tuple[Any, Exception | None]


class ScoringThread:
    """The thread, and its queue. Methods but `stop` belong to the event loop that it was started in.

    Parameters
    ----------
    source : Source
    settings : ServiceSettings
    on_batch : callable, optional
        Called with the number of requests and of texts of each batch that is handed over.
    """

    def __init__(
        self,
        source: Source,
        settings: ServiceSettings,
        on_batch: Callable[[int, int], None] = lambda requests, texts: None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._on_batch = on_batch
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Job] = deque()
        self._handed_over: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self.waiting = 0
        """Requests that have no result yet."""
        self._thread = threading.Thread(target=self._work, name="scoring", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    async def predict(self, texts: list[str]) -> list[Prediction]:
        """Return what the model says of each text.

        Raises
        ------
        RequestError
            If too many requests wait (503).
        """
        found: list[Prediction] = await self._submit(texts=texts)
        return found

    async def run(self, work: Callable[[ServedModel], T]) -> T:
        """Return what other work makes of the model; see `predict`."""
        result: T = await self._submit(work=work)
        return result

    def stop(self) -> None:
        """Let the thread end when it has done what was handed over."""
        self._handed_over.put(None)
        self._thread.join()

    async def _submit(
        self, texts: list[str] | None = None, work: Callable[[ServedModel], Any] | None = None
    ) -> Any:
        if self.waiting >= self._settings.max_waiting:
            raise RequestError(
                503, "Too many requests are waiting; try again soon.", headers={"Retry-After": "1"}
            )
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.append(_Job(future, texts, work))
        self.waiting += 1
        if not self._busy and self._timer is None:
            self._hand_over_soon()
        try:
            return await future
        finally:
            self.waiting -= 1

    def _hand_over_soon(self) -> None:
        if self._settings.batching and self._settings.batch_milliseconds > 0:
            self._timer = self._loop.call_later(self._settings.batch_milliseconds / 1000, self._hand_over)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the thread the next jobs, if there are any."""
        self._timer = None
        batch: list[_Job] = []
        texts = 0
        while self._queue:
            job = self._queue[0]
            if job.future.done():  # its request has been given up
                self._queue.popleft()
                continue
            if batch and (
                not self._settings.batching
                or job.texts is None
                or batch[0].texts is None
                or texts + len(job.texts) > _MOST_TEXTS
            ):
                break
            batch.append(self._queue.popleft())
            texts += len(job.texts or ())
        self._busy = bool(batch)
        if batch:
            self._on_batch(len(batch), texts)
            self._handed_over.put(batch)

    def _deliver(self, batch: Sequence[_Job], outcomes: Sequence[_Outcome]) -> None:
        for job, (result, error) in zip(batch, outcomes, strict=True):
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)
        self._busy = False
        if self._queue:
            self._hand_over_soon()

    def _work(self) -> None:
        while (batch := self._handed_over.get()) is not None:
            outcomes = _outcomes(self._source.current, batch)
            self._loop.call_soon_threadsafe(self._deliver, batch, outcomes)


def _outcomes(model: ServedModel, batch: Sequence[_Job]) -> list[_Outcome]:
    """Return each job's result or error; one job's error is not another's."""
    try:
        return [(result, None) for result in _results(model, batch)]
    except Exception as error:
        if len(batch) == 1:
            return [(None, error)]
        return [outcome for job in batch for outcome in _outcomes(model, [job])]


def _results(model: ServedModel, batch: Sequence[_Job]) -> list[Any]:
    if batch[0].work is not None:
        return [batch[0].work(model)]
    texts = [job.texts or [] for job in batch]
    predictions = model.predict([text for some in texts for text in some])
    results, start = [], 0
    for some in texts:
        results.append(predictions[start : start + len(some)])
        start += len(some)
    return results
