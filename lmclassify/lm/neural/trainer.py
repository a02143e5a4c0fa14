"""Maximum-likelihood training of one language model (torch). The loop records; who calls it prints."""

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
    generator_state,
    named,
    set_generator_state,
    under,
)
from lmclassify.lm.settings import LanguageModelSettings
from lmclassify.text.sequences import PADDING_ID, Ids, SequenceStore, batches_by_length

_VALIDATION_BATCH = 256
_FEWEST_BATCHES = 32
_SMALLEST_BATCH = 8


@dataclass(frozen=True)
class EpochRecord:
    """What happened in one pass over the training part."""

    epoch: int
    """From 1 up."""
    max_epochs: int
    training_loss: float
    """Nats per token, with dropout, mean over the pass."""
    validation_loss: float | None
    """Nats per token; None without validation part."""
    best: bool
    """Whether these weights are the best so far."""
    finished: bool
    """Whether training ends here."""
    tokens: int
    """Target tokens trained on in this pass."""
    seconds: float


class SingleProcess:
    """A model trained by this process alone. See `lmclassify.lm.neural.data_parallel.ProcessGroup`."""

    rank, size = 0, 1

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over all processes."""
        return values

    def most(self, value: int) -> int:
        """Return the largest over all processes."""
        return value

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each parameter's gradient by the sum over all processes."""


class Trainer:
    """Trains a language model epoch by epoch and keeps the best weights.

    Starts at a unigram model, or at the weights there; AdamW (Loshchilov & Hutter 2019; biases do not
    decay), gradient clipping, a learning rate that rises linearly and falls as a half cosine, early
    stopping on the validation loss.

    Parameters
    ----------
    model : BaseLanguageModel
        Trained in place. It holds the best weights once `run_epoch` has returned False.
    sequences, validation : sequence of array of int
        Sequences of token ids; longer ones than ``settings.max_length`` are cut. Without validation
        sequences the training loss decides.
    settings : LanguageModelSettings
    weights : array of float, (len(sequences),), optional
        Weight of each training sequence, all positive.
    validation_weights : array of float, (len(validation),), optional
    pretrained : bool, default=False
        Go on from the model's weights, which then count as the best until an epoch betters them.
    seed : int, default=0
        Of the order of batches.
    device : str, default="cpu"
    stop : threading.Event, optional
        When it is set, training ends after the batch in hand and keeps the best weights so far.
    group : SingleProcess, optional
        The processes that train together; each is given its own part of the sequences.

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
    ) -> None:
        self._group = group or SingleProcess()
        self.model = model.to(device)
        self.records: list[EpochRecord] = []
        self.interrupted = False
        self._parts = tuple(SequenceStore(part, settings.max_length) for part in (sequences, validation))
        self._weights = weights, validation_weights
        self._settings = settings
        self._device = device
        self._stop = stop or Event()
        self._seed = seed
        self._rng = np.random.default_rng(seed)
        self.tokens_per_epoch = int((self._parts[0].lengths - 1).sum())
        if not pretrained:
            model.start_from_unigram(self._token_counts())
        self.best_epoch = 0
        self._best = model.arrays()
        self._best_loss = math.inf
        self._pretrained = pretrained
        self._optimizer = AdamW(model.parameters(), settings.weight_decay, settings.max_grad_norm)
        # Few texts make small batches, so that an epoch has steps enough to get somewhere.
        texts = self._number(len(sequences))
        batch_size = min(settings.batch_size, max(_SMALLEST_BATCH, texts // _FEWEST_BATCHES))
        self._batch_size = math.ceil(batch_size / self._group.size)  # of this process
        self._batches_a_pass = math.ceil(self._group.most(len(sequences)) / self._batch_size)
        self._steps = settings.max_epochs * self._batches_a_pass
        self._validates = self._number(len(validation)) > 0
        self._step = 0

    def _number(self, own: int) -> int:
        return int(self._group.sum(torch.tensor(own)))

    def _token_counts(self) -> npt.NDArray[np.float64]:
        """Return how often each token is a target of the training part, (V,), texts weighted."""
        texts, weights = self._parts[0], self._weights[0]
        of_texts = np.ones(len(texts)) if weights is None else weights
        mean = self._group.sum(torch.tensor(of_texts.sum())) / self._number(len(texts))
        of_tokens = np.repeat(of_texts / float(mean), texts.lengths - 1)
        counts = np.bincount(texts.targets(), of_tokens, minlength=self.model.vocab_size).astype(np.float64)
        return self._group.sum(torch.from_numpy(counts)).numpy()

    def _share_of_peak(self, step: int) -> float:
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
        training_loss, tokens = self._train_once()
        self.interrupted = self._stop.is_set()
        if self.interrupted and (self.records or not tokens):  # what the broken epoch did is left out
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
        return self.__dict__ | {"_stop": None}  # belongs to this process

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_stop": Event()}

    def interrupt(self) -> None:
        """End training where it stands, with the best weights so far."""
        self.interrupted = self.interrupted or not self.records or not self.records[-1].finished
        self.restore_best()

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left to train."""
        return bool(self.records) and self.records[-1].finished

    def state(self) -> TrainingState:
        """Return what it has come to, between two epochs; see `load_state`."""
        arrays = named("best", {name: self._best[name] for name in self.model.trained_arrays()})
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
        """Go on from where a trainer of the same texts, settings and seed returned its `state`."""
        arrays, plain = state.arrays, state.plain
        self.records = [EpochRecord(**record) for record in plain["records"]]
        self.best_epoch, self._step = plain["best_epoch"], plain["step"]
        self._best_loss = math.inf if plain["best_loss"] is None else plain["best_loss"]
        set_generator_state(self._rng, plain["order"])
        self._best = self._best | under("best", arrays)
        if self.finished:
            self.restore_best()
        else:
            load_training_arrays(self.model, self._optimizer, arrays, self._step)

    @property
    def best_validation_loss(self) -> float | None:
        """Of the weights kept, nats per token; None without validation part or before it was taken."""
        return self._best_loss if len(self._parts[1]) and math.isfinite(self._best_loss) else None

    def restore_best(self) -> None:
        """Put the best weights so far into the model."""
        self.model.load_arrays(self._best)

    def _sums(self, part: int, indices: npt.NDArray[np.intp]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the nats of a batch and the weight of its tokens."""
        weights = self._weights[part]
        if not len(indices):  # others have texts left
            return torch.zeros(()), torch.zeros((), dtype=torch.int64 if weights is None else torch.float32)
        batch = self._parts[part].batch(indices)
        inputs = torch.from_numpy(batch.inputs).to(self._device)
        targets = torch.from_numpy(batch.targets).to(self._device)
        mask = targets != PADDING_ID
        nll = self.model.token_nll(inputs, targets)
        if weights is None:
            return summed_nll(nll, mask)
        return summed_nll(nll, mask, torch.tensor(weights[indices], dtype=nll.dtype, device=self._device))

    def step(self, indices: npt.NDArray[np.intp]) -> tuple[float, float]:
        """Learn from one batch of the training sequences; return its loss and the weight of its tokens."""
        nats, weight = self._sums(0, indices)
        weight = self._group.sum(weight)
        loss = nats / weight
        if len(indices):
            loss.backward()  # type: ignore[no-untyped-call]
        self._group.sum_gradients(self.model.parameters())
        self._optimizer.step(self._settings.learning_rate * self._share_of_peak(self._step))
        self._step += 1
        return float(self._group.sum(loss.detach())), float(weight)

    def _batches(self) -> list[npt.NDArray[np.intp]]:
        """Return the batches of one pass, in random order."""
        lengths = self._parts[0].lengths
        if self._group.size == 1:
            return batches_by_length(lengths, self._batch_size, self._rng)
        # All processes go through their lengths in one order, so that none waits for another's long texts.
        seed = np.random.SeedSequence([self._seed, len(self.records), self._group.rank])
        self.model.generator.manual_seed(int(seed.generate_state(1)[0]))
        mixed = np.random.default_rng(seed).permutation(len(lengths))
        batches = [mixed[some] for some in batches_by_length(lengths[mixed], self._batch_size)]
        batches += [mixed[:0]] * (self._batches_a_pass - len(batches))
        return [batches[number] for number in self._rng.permutation(len(batches))]

    def _train_once(self) -> tuple[float, int]:
        self.model.train()
        total = weight = 0.0
        tokens = 0
        lengths = self._parts[0].lengths
        for indices in self._batches():
            if self._stop.is_set():
                break
            loss, of_tokens = self.step(indices)
            total += loss * of_tokens
            weight += of_tokens
            tokens += int((lengths[indices] - 1).sum())
        return (total / weight if weight else math.inf), self._number(tokens)

    @torch.no_grad()
    def _validation_loss(self) -> float | None:
        if not self._validates:
            return None
        self.model.eval()
        total = weight = 0.0
        for indices in batches_by_length(self._parts[1].lengths, _VALIDATION_BATCH):
            nats, of_tokens = self._sums(1, indices)
            total += float(nats / of_tokens) * float(of_tokens)
            weight += float(of_tokens)
        total, weight = self._group.sum(torch.tensor([total, weight], dtype=torch.float64)).tolist()
        return float(total / weight)

    def dealt(self, processes: int) -> list[dict[str, Any]]:
        """Return what `Trainer` takes in each of several processes that are to train this model together."""
        parts = {"sequences": self._parts[0], "validation": self._parts[1]}
        weights = dict(zip(("weights", "validation_weights"), self._weights, strict=True))
        return [
            {
                "model": self.model,
                "settings": self._settings,
                "pretrained": self._pretrained,
                "seed": self._seed,
                **{name: part.some(slice(rank, None, processes)) for name, part in parts.items()},
                **{
                    name: None if of is None else np.ascontiguousarray(of[rank::processes])
                    for name, of in weights.items()
                },
            }
            for rank in range(processes)
        ]


def training_arrays(model: BaseLanguageModel, optimizer: AdamW) -> Arrays:
    """Return a copy of what a step of training depends on; see `load_training_arrays`."""
    arrays = named("weights", model.trained_arrays()) | named("moments", optimizer.arrays())
    return arrays | {"generator": model.generator.get_state().numpy()}


def load_training_arrays(model: BaseLanguageModel, optimizer: AdamW, arrays: Arrays, steps: int) -> None:
    """Take over what `training_arrays` returned after so many steps."""
    model.load_arrays(model.arrays() | under("weights", arrays))
    optimizer.load_arrays(under("moments", arrays), steps)
    model.generator.set_state(torch.from_numpy(np.array(arrays["generator"])))
