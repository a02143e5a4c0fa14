"""Maximum-likelihood training of one language model (torch). Records what happens; prints nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lmclassify.errors import TrainingError
from lmclassify.lm.neural.loss import summed_nll
from lmclassify.lm.neural.model import BaseLanguageModel
from lmclassify.lm.neural.optimizer import AdamW
from lmclassify.lm.neural.training_state import (
    Arrays,
    TrainingState,
    add_prefix,
    generator_state,
    set_generator_state,
    with_prefix,
)
from lmclassify.lm.settings import LanguageModelSettings
from lmclassify.parallel import WorkerMap, worker_map
from lmclassify.text.sequences import PADDING_ID, Ids, SequenceStore, batches_by_length

_VALIDATION_BATCH = 256  # texts; validation needs no gradients, so larger batches fit
MIN_BATCHES = 32
"""Batches per epoch: with few texts, batches become smaller so that an epoch has enough steps."""
_MIN_BATCH_SIZE = 8  # texts; smaller batches make noisy steps


@dataclass(frozen=True)
class EpochRecord:
    """Results of one pass over the training texts."""

    epoch: int
    """Number of the epoch, from 1."""
    max_epochs: int
    training_loss: float
    """Nats per token, with dropout, mean over the pass."""
    validation_loss: float | None
    """Nats per token; None without validation texts."""
    best: bool
    """Whether these weights are the best so far."""
    finished: bool
    """Whether training ends with this epoch."""
    tokens: int
    """Target tokens trained on in this pass."""
    seconds: float


class SingleProcess:
    """Training in this process alone; the interface of `lmclassify.lm.neural.data_parallel.ProcessGroup`."""

    rank, size = 0, 1

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over all processes."""
        return values

    def max(self, value: int) -> int:
        """Return the maximum over all processes."""
        return value

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each parameter's gradient by the sum over all processes."""


class Trainer:
    """Trains a language model epoch by epoch and keeps the best weights.

    Starts at a unigram model or at the model's weights. Uses AdamW (Loshchilov & Hutter 2019; biases do not
    decay), gradient clipping, a learning rate that rises linearly and falls as a half cosine, and early
    stopping on the validation loss.

    Parameters
    ----------
    model : BaseLanguageModel
        Trained in place. It holds the best weights once `run_epoch` has returned False.
    sequences, validation : sequence of array of int
        Sequences of token ids; those longer than ``settings.max_length`` are cut. Without validation
        sequences, early stopping uses the training loss.
    settings : LanguageModelSettings
    weights : array of float, (len(sequences),), optional
        Weight of each training sequence, all positive.
    validation_weights : array of float, (len(validation),), optional
    pretrained : bool, default=False
        Start from the model's weights. They count as the best until an epoch has a lower loss.
    seed : int, default=0
        Random seed of the order of batches.
    device : str, default="cpu"
    stop : threading.Event, optional
        When it is set, training ends after the current batch and keeps the best weights so far.
    group : SingleProcess, optional
        The processes that train together, each with its own part of the sequences.
    parts : int, default=1
        Parts of each batch whose gradients are computed at the same time, in as many threads. The result
        depends on the parts, not on the number of processors.
    min_batches : int, default=32
        Batches per epoch for which smaller batches than ``settings.batch_size`` are used.

    Attributes
    ----------
    records : list of EpochRecord
    best_epoch : int
        The epoch whose weights are kept; 0 before the first.
    interrupted : bool
        Whether `stop` ended the training.
    tokens_per_epoch : int
        Target tokens of the training part.
    """

    def __init__(
        self,
        model: BaseLanguageModel,
        sequences: Sequence[Ids],
        validation: Sequence[Ids],
        settings: LanguageModelSettings,
        *,
        weights: npt.NDArray[np.float64] | None = None,
        validation_weights: npt.NDArray[np.float64] | None = None,
        pretrained: bool = False,
        seed: int = 0,
        device: str = "cpu",
        stop: Event | None = None,
        group: SingleProcess | None = None,
        parts: int = 1,
        min_batches: int = MIN_BATCHES,
    ) -> None:
        self._group = group or SingleProcess()
        self.model = model.to(device)
        self.records: list[EpochRecord] = []
        self.interrupted = False
        self._stores = tuple(SequenceStore(part, settings.max_length) for part in (sequences, validation))
        self._parts = parts
        self._weights = weights, validation_weights
        self._settings = settings
        self._device = device
        self._stop = stop or Event()
        self._seed = seed
        self._min_batches = min_batches
        self._rng = np.random.default_rng(seed)
        self.tokens_per_epoch = int((self._stores[0].lengths - 1).sum())
        if not pretrained:
            model.start_from_unigram(self._token_counts())
        self.best_epoch = 0
        self._best = model.arrays()
        self._best_loss = math.inf
        self._pretrained = pretrained
        self._optimizer = AdamW(model.parameters(), settings.weight_decay, settings.max_grad_norm)
        texts = self._total(len(sequences))
        batch_size = min(settings.batch_size, max(_MIN_BATCH_SIZE, texts // min_batches))
        self._batch_size = math.ceil(batch_size / self._group.size)  # per process
        self._batches_per_epoch = math.ceil(self._group.max(len(sequences)) / self._batch_size)
        self._steps = settings.max_epochs * self._batches_per_epoch
        self._has_validation = self._total(len(validation)) > 0
        self._step = 0

    def _total(self, own: int) -> int:
        return int(self._group.sum(torch.tensor(own)))

    def _token_counts(self) -> npt.NDArray[np.float64]:
        """Return how often each token is a target in the training texts, (V,), texts weighted."""
        texts, weights = self._stores[0], self._weights[0]
        text_weights = np.ones(len(texts)) if weights is None else weights
        mean = self._group.sum(torch.tensor(text_weights.sum())) / self._total(len(texts))
        token_weights = np.repeat(text_weights / float(mean), texts.lengths - 1)
        counts = np.bincount(texts.targets(), token_weights, minlength=self.model.vocab_size).astype(
            np.float64
        )
        return self._group.sum(torch.from_numpy(counts)).numpy()

    def _relative_rate(self, step: int) -> float:
        warmup = max(1, round(self._settings.warmup * self._steps))
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self._steps - warmup)))

    def run_epoch(self) -> bool:
        """Train for one epoch and append its record; return whether to go on.

        Raises
        ------
        TrainingError
            If training ends and the loss was never finite.
        """
        started = time.perf_counter()
        if self._pretrained and not self.records:
            self._best_loss = self._validation_loss() or math.inf
        training_loss, tokens = self._train_epoch()
        self.interrupted = self._stop.is_set()
        if self.interrupted and (self.records or not tokens):  # the interrupted epoch is dropped
            self.restore_best()
            return False
        validation_loss = self._validation_loss()
        epoch = len(self.records) + 1
        loss = training_loss if validation_loss is None else validation_loss
        best = math.isfinite(loss) and loss < self._best_loss
        if best:
            self._best, self._best_loss, self.best_epoch = self.model.arrays(), loss, epoch
        finished = (
            self.interrupted
            or epoch >= self._settings.max_epochs
            or epoch - self.best_epoch >= self._settings.patience
        )
        self.records.append(
            EpochRecord(
                epoch=epoch,
                max_epochs=self._settings.max_epochs,
                training_loss=training_loss,
                validation_loss=validation_loss,
                best=best,
                finished=finished,
                tokens=tokens,
                seconds=time.perf_counter() - started,
            )
        )
        if finished:
            if not math.isfinite(self._best_loss):
                raise TrainingError("training diverged: no epoch has a finite loss; lower the learning rate")
            self.restore_best()
        return not finished

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_stop": None}  # an event cannot leave its process

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_stop": Event()}

    def interrupt(self) -> None:
        """End training now, with the best weights so far."""
        self.interrupted = self.interrupted or not self.records or not self.records[-1].finished
        self.restore_best()

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left to train."""
        return bool(self.records) and self.records[-1].finished

    def state(self) -> TrainingState:
        """Return the state between two epochs; see `load_state`."""
        arrays = add_prefix("best", {name: self._best[name] for name in self.model.trained_arrays()})
        if not self.finished:
            arrays |= training_arrays(self.model, self._optimizer)
        plain = {
            "records": [asdict(record) for record in self.records],
            "best_epoch": self.best_epoch,
            "best_loss": self._best_loss if math.isfinite(self._best_loss) else None,
            "step": self._step,
            "order": generator_state(self._rng),
        }
        return TrainingState(arrays, plain)

    def load_state(self, state: TrainingState) -> None:
        """Resume from the `state` of a trainer with the same texts, settings and seed."""
        arrays, plain = state.arrays, state.plain
        self.records = [EpochRecord(**record) for record in plain["records"]]
        self.best_epoch, self._step = plain["best_epoch"], plain["step"]
        self._best_loss = math.inf if plain["best_loss"] is None else plain["best_loss"]
        set_generator_state(self._rng, plain["order"])
        self._best = self._best | with_prefix("best", arrays)
        if self.finished:
            self.restore_best()
        else:
            load_training_arrays(self.model, self._optimizer, arrays, self._step)

    @property
    def best_validation_loss(self) -> float | None:
        """Validation loss of the best weights, nats per token; None without one."""
        return self._best_loss if len(self._stores[1]) and math.isfinite(self._best_loss) else None

    def restore_best(self) -> None:
        """Load the best weights so far into the model."""
        self.model.load_arrays(self._best)

    def _sums(
        self, store: int, indices: npt.NDArray[np.intp], generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the summed nats of a batch and the weight of its tokens."""
        weights = self._weights[store]
        if not len(indices):  # other processes have texts left
            return torch.zeros(()), torch.zeros((), dtype=torch.int64 if weights is None else torch.float32)
        batch = self._stores[store].batch(indices)
        inputs = torch.from_numpy(batch.inputs).to(self._device)
        targets = torch.from_numpy(batch.targets).to(self._device)
        mask = targets != PADDING_ID
        nll = self.model.token_nll(inputs, targets, generator)
        if weights is None:
            return summed_nll(nll, mask)
        return summed_nll(nll, mask, torch.tensor(weights[indices], dtype=nll.dtype, device=self._device))

    def step(self, indices: npt.NDArray[np.intp], each: WorkerMap = map) -> tuple[float, float]:
        """Take a step on a batch of training sequences; return its loss and the weight of its tokens.

        `each` computes the gradients of the batch's parts.
        """
        if self._parts > 1:
            return self._step_in_parts(indices, each)
        nats, weight = self._sums(0, indices)
        weight = self._group.sum(weight)
        loss = nats / weight
        if len(indices):
            loss.backward()  # type: ignore[no-untyped-call]
        self._group.sum_gradients(self.model.parameters())
        self._optimizer.step(self._settings.learning_rate * self._relative_rate(self._step))
        self._step += 1
        return float(self._group.sum(loss.detach())), float(weight)

    def _step_in_parts(self, indices: npt.NDArray[np.intp], each: WorkerMap) -> tuple[float, float]:
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        seeds = torch.randint(2**31, (self._parts,), generator=self.model.generator).tolist()

        def gradients(number: int) -> tuple[float, float, tuple[torch.Tensor, ...]]:
            part = indices[number :: self._parts]  # texts of similar length stand beside each other
            nats, weight = self._sums(0, part, torch.Generator().manual_seed(seeds[number]))
            return float(nats.detach()), float(weight), torch.autograd.grad(nats, parameters)

        found = list(each(gradients, range(min(self._parts, len(indices)))))
        nats, weight = sum(part[0] for part in found), sum(part[1] for part in found)
        for parameter, *gradient in zip(parameters, *(part[2] for part in found), strict=True):
            parameter.grad = sum(gradient[1:], start=gradient[0]) / weight
        self._optimizer.step(self._settings.learning_rate * self._relative_rate(self._step))
        self._step += 1
        return nats / weight, weight

    def _batches(self) -> list[npt.NDArray[np.intp]]:
        """Return the batches of one pass, in random order."""
        lengths = self._stores[0].lengths
        if self._group.size == 1:
            return batches_by_length(lengths, self._batch_size, self._rng)
        # All processes use the same order of lengths, so that none waits for long texts of another.
        seed = np.random.SeedSequence([self._seed, len(self.records), self._group.rank])
        self.model.generator.manual_seed(int(seed.generate_state(1)[0]))
        shuffled = np.random.default_rng(seed).permutation(len(lengths))
        batches = [shuffled[batch] for batch in batches_by_length(lengths[shuffled], self._batch_size)]
        batches += [shuffled[:0]] * (self._batches_per_epoch - len(batches))
        return [batches[number] for number in self._rng.permutation(len(batches))]

    def _train_epoch(self) -> tuple[float, int]:
        self.model.train()
        total = weight = 0.0
        tokens = 0
        lengths = self._stores[0].lengths
        with worker_map(self._parts, before=lambda: torch.set_num_threads(1)) as each:
            for indices in self._batches():
                if self._stop.is_set():
                    break
                loss, batch_weight = self.step(indices, each)
                total += loss * batch_weight
                weight += batch_weight
                tokens += int((lengths[indices] - 1).sum())
        return (total / weight if weight else math.inf), self._total(tokens)

    @torch.no_grad()
    def _validation_loss(self) -> float | None:
        if not self._has_validation:
            return None
        self.model.eval()
        total = weight = 0.0
        for indices in batches_by_length(self._stores[1].lengths, _VALIDATION_BATCH):
            nats, batch_weight = self._sums(1, indices)
            total += float(nats / batch_weight) * float(batch_weight)
            weight += float(batch_weight)
        total, weight = self._group.sum(torch.tensor([total, weight], dtype=torch.float64)).tolist()
        return float(total / weight)

    def split(self, processes: int) -> list[dict[str, Any]]:
        """Return the arguments of `Trainer` in each of several processes that train this model together."""
        stores = {"sequences": self._stores[0], "validation": self._stores[1]}
        weights = dict(zip(("weights", "validation_weights"), self._weights, strict=True))
        return [
            {
                "model": self.model,
                "settings": self._settings,
                "pretrained": self._pretrained,
                "seed": self._seed,
                "min_batches": self._min_batches,
                **{name: part.select(slice(rank, None, processes)) for name, part in stores.items()},
                **{
                    name: None if values is None else np.ascontiguousarray(values[rank::processes])
                    for name, values in weights.items()
                },
            }
            for rank in range(processes)
        ]


def training_arrays(model: BaseLanguageModel, optimizer: AdamW) -> Arrays:
    """Return a copy of all arrays that the next step depends on; see `load_training_arrays`."""
    arrays = add_prefix("weights", model.trained_arrays()) | add_prefix("moments", optimizer.arrays())
    return arrays | {"generator": model.generator.get_state().numpy()}


def load_training_arrays(model: BaseLanguageModel, optimizer: AdamW, arrays: Arrays, steps: int) -> None:
    """Load what `training_arrays` returned after this number of steps."""
    model.load_arrays(model.arrays() | with_prefix("weights", arrays))
    optimizer.load_arrays(with_prefix("moments", arrays), steps)
    model.generator.set_state(torch.from_numpy(np.array(arrays["generator"])))
