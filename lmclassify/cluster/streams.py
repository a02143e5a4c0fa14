"""Pieces of work through a pool of Ray's processes by Ray Data: nothing is scheduled or tried again by us."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lmclassify.cluster.connection import require_ray
from lmclassify.errors import LMClassifyError

_BLOCK_BYTES = 1 << 16  # about a piece each, so that no process has many to itself
_MOST_TASKS = 10_000
_PROCESSES_A_READER = 4
_TRIES = 4
_PIECE = "piece"


def stream(
    items: Sequence[Any],
    split: Callable[[Any], Iterator[Any]],
    prepare: Callable[[Any], Callable[[Any], Any]],
    shared: Any,
    processes: int,
) -> Iterator[Any]:
    """Yield what becomes of each piece of each item, in the order in which they are done.

    A process that dies is replaced, and its piece done again, so a piece must leave the same behind however
    often it is done; a result is yielded once.

    Parameters
    ----------
    items : sequence
    split : callable
        Yields an item's pieces, always the same ones; they are made as there is room for them.
    prepare : callable
        Called once in each process with `shared`; returns what turns a piece into a result.
    shared : object
        Sent once to each machine.
    processes : int
        How many call what `prepare` returned, one piece at a time each.

    Raises
    ------
    LMClassifyError
        If a piece's process died again and again, or the cluster was lost.
    """
    ray = require_ray()
    reference = ray.put(pickle.dumps(shared))

    class Worker:
        def __init__(self) -> None:
            self._work = prepare(pickle.loads(ray.get(reference)))

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            return {_PIECE: [pickle.dumps(self._work(pickle.loads(one))) for one in batch[_PIECE]]}

    def pieces(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for item in batch[_PIECE]:
            for piece in split(pickle.loads(item)):
                yield {_PIECE: [pickle.dumps(piece)]}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        ray.data.DataContext.get_current().target_max_block_size = _BLOCK_BYTES
        rows = [{_PIECE: pickle.dumps(item)} for item in items]
        done = (
            ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_TASKS))
            # Readers need little of a processor, and a pool that holds them all must not keep them waiting.
            .map_batches(
                pieces, batch_size=1, num_cpus=0, concurrency=max(1, processes // _PROCESSES_A_READER)
            )
            .map_batches(
                Worker,
                batch_size=1,
                num_cpus=1,
                compute=ray.data.ActorPoolStrategy(size=processes),
                max_restarts=-1,
                max_task_retries=_TRIES - 1,
            )
        )
        try:
            for row in done.iter_rows():
                yield pickle.loads(row[_PIECE])
        except ray.exceptions.RayTaskError:  # a mistake in what is called
            raise
        except ray.exceptions.RayError as error:
            why = " ".join(str(error).split())[:200]
            raise LMClassifyError(f"the Ray cluster gave up after {_TRIES} tries ({why})") from error
