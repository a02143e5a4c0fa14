"""Streams pieces of work through a pool of Ray processes (Ray Data, which schedules and retries)."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lmclassify.cluster.connection import require_ray
from lmclassify.errors import LMClassifyError

BLOCK_BYTES = 1 << 16
"""Ray Data's block size: about one piece, so that pieces are spread evenly over the processes."""
MAX_SPLIT_TASKS = 10_000
"""Tasks that split items into pieces: more slow Ray down."""
PROCESSES_PER_SPLITTER = 4
"""Splitting (reading files) takes little of a processor, so one task serves several processes."""
MAX_TRIES = 4
"""Attempts per piece before the work is given up: a piece that always kills its process must not loop."""
_PIECE = "piece"


def stream(
    items: Sequence[Any],
    split: Callable[[Any], Iterator[Any]],
    prepare: Callable[[Any], Callable[[Any], Any]],
    shared: Any,
    processes: int,
) -> Iterator[Any]:
    """Yield the result of each piece of each item, in the order in which they are done.

    A process that dies is replaced and its piece is processed again, so processing a piece twice must have
    the same effect as once. Each result is yielded once. Raises LMClassifyError if a piece's process died
    repeatedly, or the cluster was lost.

    Parameters
    ----------
    split : callable
        Yields an item's pieces, always the same ones; called as there is room for them.
    prepare : callable
        Called once in each process with `shared`; returns the function from piece to result.
    shared : object
        Sent to each machine once.
    processes : int
        Number of processes, each with one piece at a time.
    """
    ray = require_ray()
    reference = ray.put(pickle.dumps(shared))

    class Worker:
        def __init__(self) -> None:
            self._work = prepare(pickle.loads(ray.get(reference)))

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            return {_PIECE: [pickle.dumps(self._work(pickle.loads(piece))) for piece in batch[_PIECE]]}

    def pieces(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for item in batch[_PIECE]:
            for piece in split(pickle.loads(item)):
                yield {_PIECE: [pickle.dumps(piece)]}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        ray.data.DataContext.get_current().target_max_block_size = BLOCK_BYTES
        rows = [{_PIECE: pickle.dumps(item)} for item in items]
        done = (
            ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_SPLIT_TASKS))
            # num_cpus=0: the pool below may hold all processors, and splitting must not wait for them.
            .map_batches(
                pieces, batch_size=1, num_cpus=0, concurrency=max(1, processes // PROCESSES_PER_SPLITTER)
            )
            .map_batches(
                Worker,
                batch_size=1,
                num_cpus=1,
                compute=ray.data.ActorPoolStrategy(size=processes),
                max_restarts=-1,
                max_task_retries=MAX_TRIES - 1,
            )
        )
        try:
            for row in done.iter_rows():
                yield pickle.loads(row[_PIECE])
        except ray.exceptions.RayTaskError:  # an error of the called function
            raise
        except ray.exceptions.RayError as error:
            why = " ".join(str(error).split())[:200]
            raise LMClassifyError(f"the Ray cluster gave up after {MAX_TRIES} tries ({why})") from error
