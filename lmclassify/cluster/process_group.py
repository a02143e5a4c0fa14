"""Processes that work in step on a Ray cluster (Ray Train); if one dies, all continue from the last state."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from lmclassify.cluster.tasks import RayTasks, Stopped
from lmclassify.errors import EngineError, LMClassifyError

Rounds = Callable[[Any, bytes | None], Iterator[bytes]]
"""Called with a process's payload and the state to start from; yields the state after each round."""

MAX_FAILURES = 5
"""Deaths of processes before the work is given up."""
POLL_SECONDS = 0.2
"""Interval at which a waiting thread checks whether to stop."""
_STATE = "state"


class TrainWorkerGroup:
    """Processes that run rounds of work together, connected by torch.distributed (gloo).

    Parameters
    ----------
    rounds : callable
        Run by each process with its payload. All processes must yield the same states; if one dies, all
        start again from the last state.
    payloads : sequence
        One per process; only that process loads it into memory.
    start : bytes, optional
        The state to start from.
    """

    def __init__(
        self, cluster: RayTasks, rounds: Rounds, payloads: Sequence[Any], start: bytes | None = None
    ) -> None:
        import ray.train.torch
        from ray.util.queue import Queue

        self._folder = tempfile.TemporaryDirectory(prefix="lmclassify-")
        self._states = Queue(actor_options={"num_cpus": 0})
        self._error: BaseException | None = None
        self._trainer = ray.train.torch.TorchTrainer(
            _work,
            train_loop_config={
                "rounds": rounds,
                "payloads": [cluster.share(payload).reference for payload in payloads],
                "start": start,
                "states": self._states,
            },
            scaling_config=ray.train.ScalingConfig(
                num_workers=len(payloads), resources_per_worker={"CPU": 1}
            ),
            torch_config=ray.train.torch.TorchConfig(backend="gloo"),
            run_config=ray.train.RunConfig(
                storage_path=cluster.storage or self._folder.name,
                failure_config=ray.train.FailureConfig(max_failures=MAX_FAILURES),
                checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            ),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._trainer.fit()
        except BaseException as error:
            self._error = error

    def next(self, stop: Event) -> bytes:
        """Return the state after the next round; if a process died, it may be an earlier state again.

        Raises
        ------
        Stopped
            If `stop` was set before.
        LMClassifyError
            What the work raised; EngineError where its processes died too often.
        """
        from ray.util.queue import Empty

        while True:
            running = self._thread.is_alive()
            with contextlib.suppress(Empty):
                found = self._states.get(timeout=POLL_SECONDS)
                if isinstance(found, LMClassifyError):
                    raise found
                return bytes(found)
            if not running:
                why = " ".join(str(self._error).split())[:160]
                raise EngineError(f"processes that train together were lost on the Ray cluster ({why})")
            if stop.is_set():
                raise Stopped

    def close(self) -> None:
        """Wait for the end of the processes after their last round."""
        self._thread.join()
        self._states.shutdown()
        self._folder.cleanup()


def _work(config: dict[str, Any]) -> None:
    """Run in each process: report the state after each round, so that Ray Train can go on from there."""
    import ray
    import ray.train

    rank = ray.train.get_context().get_world_rank()
    payload, state = ray.get(config["payloads"][rank]), config["start"]
    before = ray.train.get_checkpoint()
    if before is not None:
        with before.as_directory() as folder:
            state = (Path(folder) / _STATE).read_bytes()
        if rank == 0:  # it may have died between the two
            config["states"].put(state)
    try:
        for after in config["rounds"](payload, state):
            with tempfile.TemporaryDirectory() as folder:
                checkpoint = None
                if rank == 0:
                    (Path(folder) / _STATE).write_bytes(after)
                    checkpoint = ray.train.Checkpoint.from_directory(folder)
                ray.train.report({}, checkpoint=checkpoint)
            if rank == 0:
                config["states"].put(after)
    except LMClassifyError as error:  # trying again would not help
        if rank == 0:
            config["states"].put(error)
