"""Trains one language model in several processes, each of which holds a part of the sequences (torch).

Every process has the whole model. In each step it computes the gradient of its part of the batch. Losses and
token counts are summed over the processes before the division, so that the step is that of the whole batch
(synchronous data parallelism: Chen, Pan, Monga, Bengio & Jozefowicz 2016, "Revisiting distributed
synchronous SGD").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import distributed

from lmclassify.lm.neural.trainer import SingleProcess, Trainer
from lmclassify.lm.neural.training_state import TrainingState


class ProcessGroup(SingleProcess):
    """The processes of a torch.distributed group, which train one model together."""

    def __init__(self) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over all processes."""
        values = values.clone()
        distributed.all_reduce(values)
        return values

    def max(self, value: int) -> int:
        """Return the maximum over all processes."""
        values = torch.tensor(value)
        distributed.all_reduce(values, distributed.ReduceOp.MAX)
        return int(values)

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each parameter's gradient by the sum over all processes."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in trained
        ]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        sizes = [parameter.numel() for parameter in trained]
        for parameter, gradient in zip(trained, torch.split(flat, sizes), strict=True):
            parameter.grad = gradient.view_as(parameter)


def train_together(arguments: Mapping[str, Any], state: bytes | None) -> Iterator[bytes]:
    """Train a model with the other processes of the group, and yield the state of training after each epoch.

    Parameters
    ----------
    arguments : mapping
        This process's item of `Trainer.split`.
    state : bytes, optional
        `TrainingState.to_bytes` of the state to resume from.
    """
    torch.set_num_threads(1)
    trainer = Trainer(**arguments, group=ProcessGroup())
    if state is not None:
        trainer.load_state(TrainingState.from_bytes(state))
    while not trainer.finished:
        trainer.run_epoch()
        yield trainer.state().to_bytes()
