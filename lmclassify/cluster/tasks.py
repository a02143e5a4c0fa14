"""Runs functions as tasks of a Ray cluster; Ray places them and retries those whose worker died."""

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

MAX_RETRIES = 5
"""Retries of a task whose worker died: a task that always kills its worker must not loop."""
POLL_SECONDS = 0.2
"""Interval at which a waiting thread checks whether to stop."""


class Shared(Generic[Value]):
    """A value in the cluster's memory: sent to each machine once, for any number of tasks."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference


class Stopped(Exception):  # noqa: N818
    """A task was cancelled because the run stops."""


class RayTasks:
    """Runs callables as Ray tasks, each on one processor.

    A task whose worker dies runs again, up to five times, so callables must depend on their arguments only
    and have no side effects.

    Parameters
    ----------
    processes : int
        Number of tasks that run at the same time.
    shards : int, default=1
        Number of processes that train one language model together, each with a part of the texts.
    storage : str, optional
        Folder or URL shared by all machines of the cluster, for the state of such processes. Default: a
        folder of this machine; all processes must then run on it.
    """

    def __init__(self, processes: int, *, shards: int = 1, storage: str | None = None) -> None:
        if not 1 <= shards <= processes:
            raise OptionError(f"{shards:,} shards need as many processes; there are {processes:,}")
        self.processes, self.shards, self.storage = processes, shards, storage
        self._ray = require_ray()
        self._task = self._ray.remote(num_cpus=1, max_retries=MAX_RETRIES)(_call)

    def share(self, value: Value) -> Shared[Value]:
        """Put a value into the cluster's memory for as long as the returned object exists."""
        return Shared(self._ray.put(value))

    def call(self, function: Callable[..., Result], *arguments: Any, stop: Event) -> Result:
        """Call a function in a task and return its result; may be called from several threads.

        Raises Stopped if `stop` was set before the task was done. Raises EngineError if the task's workers
        died repeatedly.

        Parameters
        ----------
        *arguments
            `Shared` arguments arrive as their values.
        stop : threading.Event
            Cancels the task when set.
        """
        task = self._start(function, *arguments)
        while not self._ray.wait([task], timeout=POLL_SECONDS)[0]:
            if stop.is_set():
                self._ray.cancel(task, force=True)
                raise Stopped
        result: Result = self._result(task)
        return result

    def map(self, function: Callable[[Payload], Result], payloads: Iterable[Payload]) -> Iterator[Result]:
        """Yield the function's result for each payload, in order; few results wait to be taken."""
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
            raise EngineError(f"a task on the Ray cluster was lost {MAX_RETRIES + 1} times ({why})") from None


def _call(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a worker, where nobody reads warnings."""
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
    """Connect to a cluster and yield a `RayTasks`.

    Raises OptionError as `lmclassify.cluster.connection.connect`, or if there are fewer processes than
    shards.

    Parameters
    ----------
    address, processes
        See `lmclassify.cluster.connection.connect`.
    shards, storage
        See `RayTasks`.
    """
    with connect(address, processes) as number:
        yield RayTasks(number, shards=shards, storage=storage)
