"""Maximum-likelihood training of one language model (torch). The loop records; who calls it prints."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lmclassify.errors import TrainingError
from lmclassify.lm.loss import mean_nll
from lmclassify.lm.model import BaseLanguageModel
from lmclassify.lm.optimizer import AdamW
from lmclassify.lm.settings import LanguageModelSettings
from lmclassify.lm.training_state import (
    Arrays,
    TrainingState,
    generator_state,
    named,
    set_generator_state,
    under,
)
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
    ) -> None:
        self.model = model.to(device)
        self.records: list[EpochRecord] = []
        self.interrupted = False
        self._parts = tuple(SequenceStore(part, settings.max_length) for part in (sequences, validation))
        self._weights = weights, validation_weights
        self._settings = settings
        self._device = device
        self._stop = stop or Event()
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
        self._batch_size = min(settings.batch_size, max(_SMALLEST_BATCH, len(sequences) // _FEWEST_BATCHES))
        self._steps = settings.max_epochs * math.ceil(len(sequences) / self._batch_size)
        self._step = 0

    def _token_counts(self) -> npt.NDArray[np.float64]:
        """Return how often each token is a target of the training part, (V,), texts weighted."""
        texts, weights = self._parts[0], self._weights[0]
        of_texts = np.ones(len(texts)) if weights is None else weights / weights.mean()
        of_tokens = np.repeat(of_texts, texts.lengths - 1)
        return np.bincount(texts.targets(), of_tokens, minlength=self.model.vocab_size).astype(np.float64)

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

    def _loss(self, part: int, indices: npt.NDArray[np.intp]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean loss of a batch and the weight of its tokens."""
        batch, weights = self._parts[part].batch(indices), self._weights[part]
        inputs = torch.from_numpy(batch.inputs).to(self._device)
        targets = torch.from_numpy(batch.targets).to(self._device)
        mask = targets != PADDING_ID
        nll = self.model.token_nll(inputs, targets)
        if weights is None:
            return mean_nll(nll, mask), mask.sum()
        of_texts = torch.tensor(weights[indices], dtype=nll.dtype, device=self._device)
        return mean_nll(nll, mask, of_texts), (mask.sum(dim=1) * of_texts).sum()

    def step(self, indices: npt.NDArray[np.intp]) -> tuple[float, float]:
        """Learn from one batch of the training sequences; return its loss and the weight of its tokens."""
        loss, weight = self._loss(0, indices)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step(self._settings.learning_rate * self._share_of_peak(self._step))
        self._step += 1
        return float(loss.detach()), float(weight)

    def _train_once(self) -> tuple[float, int]:
        self.model.train()
        total = weight = 0.0
        tokens = 0
        lengths = self._parts[0].lengths
        for indices in batches_by_length(lengths, self._batch_size, self._rng):
            if self._stop.is_set():
                break
            loss, of_tokens = self.step(indices)
            total += loss * of_tokens
            weight += of_tokens
            tokens += int((lengths[indices] - 1).sum())
        return (total / weight if weight else math.inf), tokens

    @torch.no_grad()
    def _validation_loss(self) -> float | None:
        if not len(self._parts[1]):
            return None
        self.model.eval()
        total = weight = 0.0
        for indices in batches_by_length(self._parts[1].lengths, _VALIDATION_BATCH):
            loss, of_tokens = self._loss(1, indices)
            total += float(loss) * float(of_tokens)
            weight += float(of_tokens)
        return total / weight


def training_arrays(model: BaseLanguageModel, optimizer: AdamW) -> Arrays:
    """Return a copy of what a step of training depends on; see `load_training_arrays`."""
    arrays = named("weights", model.trained_arrays()) | named("moments", optimizer.arrays())
    return arrays | {"generator": model.generator.get_state().numpy()}


def load_training_arrays(model: BaseLanguageModel, optimizer: AdamW, arrays: Arrays, steps: int) -> None:
    """Take over what `training_arrays` returned after so many steps."""
    model.load_arrays(model.arrays() | under("weights", arrays))
    optimizer.load_arrays(under("moments", arrays), steps)
    model.generator.set_state(torch.from_numpy(np.array(arrays["generator"])))
