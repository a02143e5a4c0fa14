"""Trains the labels' language models side by side (torch), each on one thread.

One thread a model makes results independent of the number of threads, and is faster than many threads
for one model (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lmclassify.classify.settings import Settings
from lmclassify.classify.training.checkpoints import Checkpoints
from lmclassify.cluster.process_group import TrainWorkerGroup
from lmclassify.cluster.tasks import RayTasks, Shared, Stopped
from lmclassify.lm.neural.data_parallel import train_together
from lmclassify.lm.neural.model import BaseLanguageModel, LanguageModel
from lmclassify.lm.neural.trainer import EpochRecord, Trainer
from lmclassify.lm.neural.training_state import TrainingState
from lmclassify.parallel import run_in_rounds
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
ProgressCallback = Callable[[Any, EpochRecord], object]


@dataclass
class FitContext:
    """What holds for a whole `fit`: who is told of epochs, where training runs, and how it is ended."""

    settings: Settings
    device: str
    threads: int
    callback: ProgressCallback | None = None
    stop: Event = field(default_factory=Event)
    """Set by an interrupt; training then ends early and keeps the best weights so far."""
    checkpoints: Checkpoints | None = None
    """Where training notes how far it has come, to be gone on with when it was killed."""
    cluster: RayTasks | None = None
    """Where language models are trained and n-grams counted, if not in threads of this process."""


@dataclass
class DataSplit:
    """The texts of one language model."""

    label: Any
    training: Codes
    """Indices into all texts."""
    validation: Codes
    seed: int


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
    part: DataSplit,
    sequences: Sequence[Ids],
    weights: Array | None,
    tokenizer: Tokenizer,
    course: FitContext,
    *,
    settings: Settings | None = None,
    start: dict[str, npt.NDArray[np.float32]] | None = None,
    make: Callable[[Tokenizer, Settings, int], BaseLanguageModel] = new_model,
    one_embedding: bool = False,
) -> Trainer:
    """Return a trainer for a part of the texts.

    Parameters
    ----------
    part : DataSplit
    sequences : sequence of array of int
        All texts as token ids.
    weights : ndarray, optional
        Of all texts.
    tokenizer : Tokenizer
    course : FitContext
    settings : Settings, optional
        Other ones than the course's.
    start : dict of str to ndarray, optional
        Weights to start from, as `LanguageModel.arrays` returns them; else a unigram model.
    make : callable, default=new_model
        Makes the untrained model of tokenizer, settings and seed.
    one_embedding : bool, default=False
        See `share_embedding`.
    """
    settings = settings or course.settings
    model = make(tokenizer, settings, part.seed)
    if start is not None:
        model.load_arrays(start)
    if one_embedding:
        share_embedding(model)
    return Trainer(
        model,
        [sequences[index] for index in part.training],
        [sequences[index] for index in part.validation],
        settings,
        weights=None if weights is None else weights[part.training],
        validation_weights=None if weights is None else weights[part.validation],
        pretrained=start is not None,
        seed=part.seed,
        device=course.device,
        stop=course.stop,
    )


def share_embedding(model: BaseLanguageModel) -> None:
    """Leave a model's vocabulary-sized weights as they are in training: labels share the background's."""
    for name, parameter in model.named_parameters():
        if name in ("embedding.weight", "output.weight"):
            parameter.requires_grad_(False)


def train(jobs: Sequence[tuple[Any, Trainer]], course: FitContext) -> None:
    """Train several models to their ends, taking turns epoch by epoch.

    Parameters
    ----------
    jobs : sequence of (label, Trainer)
        The label is what the callback is told.
    course : FitContext

    Raises
    ------
    KeyboardInterrupt
        After the epochs in hand have ended; `Trainer.interrupt` then gives what there is.
    """

    checkpoints, cluster = course.checkpoints, course.cluster
    elsewhere = None if cluster is None else RemoteTrainer(cluster, course.stop)
    numbers: dict[int, int] = {}
    if checkpoints is not None:
        for label, trainer in jobs:
            numbers[id(trainer)] = number = checkpoints.next_number()
            state = checkpoints.load(number)
            if state is not None:
                trainer.load_state(state)
                if course.callback is not None:
                    for record in trainer.records:
                        course.callback(label, record)

    def run_epoch(job: tuple[Any, Trainer]) -> bool:
        label, trainer = job
        known = len(trainer.records)
        more = trainer.run_epoch() if elsewhere is None else elsewhere.run_epoch(trainer)
        if len(trainer.records) > known:
            if checkpoints is not None and not trainer.interrupted:
                checkpoints.save(numbers[id(trainer)], trainer.state, finished=not more)
            if course.callback is not None:
                course.callback(label, trainer.records[-1])
        return more

    before = torch.get_num_threads()
    unfinished = [job for job in jobs if not job[1].finished]
    try:
        longest_first = sorted(unfinished, key=lambda job: -job[1].tokens_per_epoch)
        at_once = course.threads if elsewhere is None else elsewhere.at_once
        run_in_rounds(run_epoch, longest_first, at_once, course.stop, before=lambda: torch.set_num_threads(1))
    finally:
        torch.set_num_threads(before)


class RemoteTrainer:
    """Runs epochs as tasks of a cluster: a trainer is sent there once, its state with every epoch.

    An epoch depends on the state before it alone, so one whose worker died is simply run again.
    """

    def __init__(self, cluster: RayTasks, stop: Event) -> None:
        self._cluster, self._stop = cluster, stop
        self._sent: dict[int, Shared[Trainer]] = {}
        self._gangs: dict[int, TrainWorkerGroup] = {}

    @property
    def at_once(self) -> int:
        """How many models can be in training."""
        return self._cluster.processes // self._cluster.shards

    def run_epoch(self, trainer: Trainer) -> bool:
        """Do what `Trainer.run_epoch` does; an epoch that is interrupted is left out."""
        try:
            trainer.load_state(self._together(trainer) if self._cluster.shards > 1 else self._alone(trainer))
        except Stopped:
            trainer.interrupt()
            return False
        if trainer.finished:
            self._sent.pop(id(trainer), None)
            if (gang := self._gangs.pop(id(trainer), None)) is not None:
                gang.close()
        return not trainer.finished

    def _alone(self, trainer: Trainer) -> TrainingState:
        sent = self._sent.get(id(trainer))
        if sent is None:
            sent = self._sent[id(trainer)] = self._cluster.share(trainer)
        return self._cluster.call(_epoch_from, sent, trainer.state(), stop=self._stop)

    def _together(self, trainer: Trainer) -> TrainingState:
        gang = self._gangs.get(id(trainer))
        if gang is None:
            start = trainer.state().to_bytes() if trainer.records else None
            payloads = trainer.split(self._cluster.shards)
            gang = self._gangs[id(trainer)] = TrainWorkerGroup(self._cluster, train_together, payloads, start)
        while True:
            state = TrainingState.from_bytes(gang.next(self._stop))
            if len(state.plain["records"]) > len(trainer.records):
                return state


def _epoch_from(trainer: Trainer, state: TrainingState) -> TrainingState:
    """Return the state that an epoch from another one leads to."""
    torch.set_num_threads(1)
    trainer.load_state(state)
    trainer.run_epoch()
    return trainer.state()
