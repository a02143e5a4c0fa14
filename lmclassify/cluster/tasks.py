"""Jobs as tasks of a Ray cluster: what runs where, and again where a worker died, is Ray's business."""

from __future__ import annotations

import contextlib
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import Any, Generic, TypeVar

from lmclassify.cluster.connection import connect, require_ray
from lmclassify.errors import EngineError, OptionError

Payload = TypeVar("Payload")
Result = TypeVar("Result")
Value = TypeVar("Value")

_RETRIES = 5  # of one task whose worker died
_POLL = 0.2  # seconds after which a thread that waits looks whether it is to stop


class Shared(Generic[Value]):
    """A value in the cluster's memory: sent to each machine once, however many tasks use it."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference


class Stopped(Exception):  # noqa: N818
    """A task was given up because the run is to stop."""


class RayTasks:
    """Runs callables as Ray tasks, each on one processor.

    A task whose worker dies runs again, up to five times, so callables must depend on their arguments alone
    and change nothing but what they return.

    Parameters
    ----------
    processes : int
        How many tasks to have run at once.
    shards : int, default=1
        How many processes train one language model together, each with its part of the texts.
    storage : str, optional
        A folder or URL that all machines of the cluster share, where such processes keep their states.
        Without it they lie in a folder of this machine, where all processes then have to be.
    """

    def __init__(self, processes: int, *, shards: int = 1, storage: str | None = None) -> None:
        if not 1 <= shards <= processes:
            raise OptionError(f"{shards:,} shards need as many processes; there are {processes:,}")
        self.processes, self.shards, self.storage = processes, shards, storage
        self._ray = require_ray()
        self._task = self._ray.remote(num_cpus=1, max_retries=_RETRIES)(_call)

    def share(self, value: Value) -> Shared[Value]:
        """Put a value into the cluster's memory, until nobody holds what is returned."""
        return Shared(self._ray.put(value))

    def call(self, function: Callable[..., Result], *arguments: Any, stop: Event) -> Result:
        """Return what a function gives, called in a task; for threads, one call each at a time.

        Parameters
        ----------
        function : callable
        *arguments
            Of which those that are `Shared` arrive as the values they stand for.
        stop : threading.Event
            Ends the wait, and the task.

        Raises
        ------
        Stopped
            If `stop` was set before the task was done.
        EngineError
            If the task's workers died again and again.
        """
        task = self._start(function, *arguments)
        while not self._ray.wait([task], timeout=_POLL)[0]:
            if stop.is_set():
                self._ray.cancel(task, force=True)
                raise Stopped
        result: Result = self._result(task)
        return result

    def map(self, function: Callable[[Payload], Result], payloads: Iterable[Payload]) -> Iterator[Result]:
        """Yield the function's result for each payload, in order; few of them wait to be taken."""
        shared = self.share(function)
        running: deque[Any] = deque()
        try:
            for payload in payloads:
                if len(running) >= 2 * self.processes:
                    yield self._result(running.popleft())
                running.append(self._start(shared, payload))
            while running:
                yield self._result(running.popleft())
        finally:
            for task in running:
                self._ray.cancel(task, force=True)

    def _start(self, *arguments: Any) -> Any:
        return self._task.remote(
            *(argument.reference if isinstance(argument, Shared) else argument for argument in arguments)
        )

    def _result(self, task: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(task)
        except errors.RayTaskError as error:
            raise error.cause from None
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.ObjectLostError) as error:
            why = " ".join(str(error).split())[:160]
            raise EngineError(f"a task on the Ray cluster was lost {_RETRIES + 1} times ({why})") from None


def _call(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a worker, where warnings are nobody's to read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


@contextlib.contextmanager
def ray_tasks(
    address: str | None = None,
    processes: int | None = None,
    *,
    shards: int = 1,
    storage: str | None = None,
) -> Iterator[RayTasks]:
    """Connect to a cluster and give what runs tasks on it; see `RayTasks`.

    Raises
    ------
    OptionError
        As `lmclassify.cluster.connection.connect`, or if there are fewer processes than shards.
    """
    with connect(address, processes) as number:
        yield RayTasks(number, shards=shards, storage=storage)
