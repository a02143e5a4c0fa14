"""Trains the labels' language models side by side (torch), each on one thread.

One thread per model makes results independent of the number of threads, and is faster than many threads
for one model (docs/experiments.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lmclassify.classify.settings import Settings
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import DataSplit
from lmclassify.classify.training.history import BACKGROUND
from lmclassify.cluster.process_group import TrainWorkerGroup
from lmclassify.cluster.tasks import RayTasks, Shared, Stopped
from lmclassify.errors import LMClassifyWarning, listing
from lmclassify.lm.inference.directions import AnyLanguageModel, directed
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.lm.neural.data_parallel import train_together
from lmclassify.lm.neural.model import BaseLanguageModel, LanguageModel
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.lm.neural.training_state import TrainingState
from lmclassify.parallel import run_in_rounds
from lmclassify.text.sequences import Ids, reverse
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
Weights = dict[str, npt.NDArray[np.float32]]
Job = tuple[Any, Trainer]
"""A label, or what the progress callback gets instead, and the trainer of its language model."""

BACKGROUND_SHARE = 0.5
"""Of the time that is left, if it is limited: the labels' models start from the background model."""

_BACKWARD = {"forward": (False,), "backward": (True,), "both": (False, True)}


def reading_directions(settings: Settings) -> tuple[bool, ...]:
    """Return, for each language model of a label, whether it reads backward; forward comes first."""
    return _BACKWARD[settings.direction]


def reverse_sequences(sequences: Sequence[Ids], tokenizer: Tokenizer, settings: Settings) -> list[Ids]:
    """Return sequences reversed; with ``long_texts="truncate"`` they are cut first."""
    return [reverse(sequence[: settings.limit], tokenizer.end_id) for sequence in sequences]


def directed_models(
    weights: Sequence[Sequence[Weights]], tokenizer: Tokenizer, settings: Settings
) -> list[AnyLanguageModel]:
    """Return the labels' models from the weights of each direction's models, forward first."""
    models = [[NumpyLanguageModel(arrays) for arrays in per_direction] for per_direction in weights]
    forward = None if settings.direction == "backward" else models[0]
    return directed(forward, None if settings.direction == "forward" else models[-1], tokenizer.end_id)


def count_cut(sequences: Sequence[Ids], settings: Settings) -> int:
    """Return how many sequences are longer than training reads."""
    return sum(len(sequence) > settings.max_length for sequence in sequences)


def new_model(tokenizer: Tokenizer, settings: Settings, seed: int) -> LanguageModel:
    """Return an untrained language model over a tokenizer's vocabulary."""
    return LanguageModel(
        tokenizer.vocab_size,
        settings.max_length,
        settings.num_lstm_units,
        settings.num_lstm_layers,
        cell=settings.cell,
        embedding_dim=settings.embedding_dim,
        dropout=settings.dropout,
        tie_weights=settings.tie_weights,
        seed=seed,
    )


def new_trainer(
    split: DataSplit,
    sequences: Sequence[Ids],
    weights: Array | None,
    tokenizer: Tokenizer,
    context: FitContext,
    *,
    settings: Settings | None = None,
    start: Weights | None = None,
    one_embedding: bool = False,
    parts: int = 1,
) -> Trainer:
    """Return a trainer of one language model.

    Parameters
    ----------
    split : DataSplit
    sequences : sequence of array of int
        All texts as token ids.
    weights : ndarray, optional
        Weights of all texts.
    tokenizer : Tokenizer
    context : FitContext
    settings : Settings, optional
        Settings other than the context's.
    start : dict of str to ndarray, optional
        Weights to start from, as `LanguageModel.arrays` returns them; default: a unigram model.
    one_embedding : bool, default=False
        See `share_embedding`.
    parts : int, default=1
        See `lmclassify.lm.neural.trainer.Trainer`.
    """
    settings = settings or context.settings
    model = new_model(tokenizer, settings, split.seed)
    if start is not None:
        model.load_arrays(start)
    if one_embedding:
        share_embedding(model)
    return Trainer(
        model,
        [sequences[index] for index in split.training],
        [sequences[index] for index in split.validation],
        settings,
        weights=None if weights is None else weights[split.training],
        validation_weights=None if weights is None else weights[split.validation],
        pretrained=start is not None,
        seed=split.seed,
        device=context.device,
        stop=context.stop,
        parts=parts,
    )


def share_embedding(model: BaseLanguageModel, owner: BaseLanguageModel | None = None) -> None:
    """Freeze a model's vocabulary-sized weights in training, so that labels share the background's.

    Parameters
    ----------
    model : BaseLanguageModel
    owner : BaseLanguageModel, optional
        Another model with the same weights: `model` gives up its own copies.
    """
    for name in ("embedding", "output"):
        module = getattr(model, name)
        if owner is not None:
            module.weight = getattr(owner, name).weight
        module.weight.requires_grad_(False)


def train(jobs: Sequence[Job], context: FitContext) -> None:
    """Train several models to their ends; they take turns epoch by epoch.

    Raises
    ------
    KeyboardInterrupt
        After the running epochs have ended; `keep_interrupted` then keeps the best weights so far.
    """
    checkpoints, cluster = context.checkpoints, context.cluster
    remote = None if cluster is None else RemoteTrainer(cluster, context.stop)
    numbers: dict[int, int] = {}
    if checkpoints is not None:
        for label, trainer in jobs:
            numbers[id(trainer)] = number = checkpoints.next_number()
            state = checkpoints.load(number)
            if state is not None:
                trainer.load_state(state)
                if context.callback is not None:
                    for record in trainer.records:
                        context.callback(label, record)

    def run_epoch(job: Job) -> bool:
        label, trainer = job
        known = len(trainer.records)
        more = trainer.run_epoch() if remote is None else remote.run_epoch(trainer)
        if len(trainer.records) > known:
            if checkpoints is not None and not trainer.interrupted:
                checkpoints.save(numbers[id(trainer)], trainer.state, finished=not more)
            if context.callback is not None:
                context.callback(label, trainer.records[-1])
        return more

    before = torch.get_num_threads()
    unfinished = [job for job in jobs if not job[1].finished]
    try:
        longest_first = sorted(unfinished, key=lambda job: -job[1].tokens_per_epoch)
        parallel = context.threads if remote is None else remote.max_parallel
        share = BACKGROUND_SHARE if any(label is BACKGROUND for label, _ in jobs) else 1.0
        with context.stop.share(share):
            run_in_rounds(
                run_epoch, longest_first, parallel, context.stop, before=lambda: torch.set_num_threads(1)
            )
    finally:
        torch.set_num_threads(before)


def keep_interrupted(jobs: Sequence[Job]) -> None:
    """End interrupted training: every trainer goes back to its best weights so far."""
    for _, trainer in jobs:
        trainer.interrupt()
    epochs = [f"{label}: epoch {trainer.best_epoch}" for label, trainer in jobs]
    message = f"interrupted: the best weights so far are kept ({listing(epochs)})"
    warnings.warn(message, LMClassifyWarning, stacklevel=2)


@dataclass
class RemoteTrainer:
    """Runs epochs as tasks of a Ray cluster.

    A trainer is sent to the cluster once, its state with every epoch. An epoch depends on the state before
    it alone, so an epoch whose worker died is run again.
    """

    cluster: RayTasks
    stop: Event
    _sent: dict[int, Shared[Trainer]] = field(default_factory=dict)
    _groups: dict[int, TrainWorkerGroup] = field(default_factory=dict)

    @property
    def max_parallel(self) -> int:
        """How many models train at the same time."""
        return self.cluster.processes // self.cluster.shards

    def run_epoch(self, trainer: Trainer) -> bool:
        """Run one epoch as `Trainer.run_epoch` does; an epoch that is interrupted is left out."""
        try:
            run = self._run_in_group if self.cluster.shards > 1 else self._run_in_task
            trainer.load_state(run(trainer))
        except Stopped:
            trainer.interrupt()
            return False
        if trainer.finished:
            self._sent.pop(id(trainer), None)
            if (group := self._groups.pop(id(trainer), None)) is not None:
                group.close()
        return not trainer.finished

    def _run_in_task(self, trainer: Trainer) -> TrainingState:
        sent = self._sent.get(id(trainer))
        if sent is None:
            sent = self._sent[id(trainer)] = self.cluster.share(trainer)
        return self.cluster.call(_next_epoch, sent, trainer.state(), stop=self.stop)

    def _run_in_group(self, trainer: Trainer) -> TrainingState:
        group = self._groups.get(id(trainer))
        if group is None:
            start = trainer.state().to_bytes() if trainer.records else None
            payloads = trainer.split(self.cluster.shards)
            group = self._groups[id(trainer)] = TrainWorkerGroup(
                self.cluster, train_together, payloads, start
            )
        while True:
            state = TrainingState.from_bytes(group.next(self.stop))
            if len(state.plain["records"]) > len(trainer.records):
                return state


def _next_epoch(trainer: Trainer, state: TrainingState) -> TrainingState:
    """Return the state after one more epoch."""
    torch.set_num_threads(1)
    trainer.load_state(state)
    trainer.run_epoch()
    return trainer.state()
