"""Maximum-likelihood training of one language model (torch). The loop records; who calls it prints."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lmclassify.errors import TrainingError
from lmclassify.lm.model import BaseLanguageModel
from lmclassify.lm.optimizer import AdamW
from lmclassify.lm.settings import LanguageModelSettings
from lmclassify.text.sequences import Ids, SequenceStore, batches_by_length

_VALIDATION_BATCH = 256
_FEWEST_BATCHES = 32
_SMALLEST_BATCH = 8
_SMALLEST_SPLIT = 32  # texts in a batch: the parts of smaller ones would keep no thread busy


Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Something like `map`."""


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
        self._models = [model]
        self._each: Each = map
        self._parameters = list(model.parameters())

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

    def interrupt(self) -> None:
        """End training where it stands, with the best weights so far."""
        self.interrupted = self.interrupted or not self.records or not self.records[-1].finished
        self.restore_best()

    @property
    def best_validation_loss(self) -> float | None:
        """Of the weights kept, nats per token; None without validation part or before it was taken."""
        return self._best_loss if len(self._parts[1]) and math.isfinite(self._best_loss) else None

    def restore_best(self) -> None:
        """Put the best weights so far into the model."""
        self.model.load_arrays(self._best)

    def split(self, each: Each) -> None:
        """Let two jobs share the work, each half of a batch; `each` runs them, one by one or in threads.

        The order of summation, and so the result, is another than without, but the same for every `each`.
        """
        if self._device != "cpu" or self._batch_size < _SMALLEST_SPLIT:
            return
        second = copy.copy(self.model)  # the same weights, with dropout of its own
        seed = int(torch.randint(2**62, (1,), generator=self.model.generator))
        second.generator = torch.Generator().manual_seed(seed)
        self._models, self._each = [self.model, second], each

    def _nats(self, model: BaseLanguageModel, part: int, indices: npt.NDArray[np.intp]) -> torch.Tensor:
        """Return the loss of some sequences, summed over tokens."""
        batch, weights = self._parts[part].batch(indices), self._weights[part]
        inputs = torch.from_numpy(batch.inputs).to(self._device)
        nll = model.token_nll(inputs, torch.from_numpy(batch.targets).to(self._device))
        if weights is None:
            return nll.sum()
        return (nll.sum(dim=1) * torch.from_numpy(weights[indices]).to(nll)).sum()

    def _weight(self, part: int, indices: npt.NDArray[np.intp]) -> float:
        """Return the weight of some sequences' tokens."""
        tokens, weights = self._parts[part].lengths[indices] - 1, self._weights[part]
        return float(tokens.sum() if weights is None else tokens @ weights[indices])

    def step(self, indices: npt.NDArray[np.intp]) -> tuple[float, float]:
        """Learn from one batch of the training sequences; return its mean loss and its tokens' weight."""
        weight = self._weight(0, indices)

        def differentiate(number: int) -> tuple[float, Sequence[torch.Tensor]]:
            loss = self._nats(self._models[number], 0, indices[number :: len(self._models)]) / weight
            return float(loss.detach()), torch.autograd.grad(loss, self._parameters)

        losses, gradients = zip(
            *self._each(differentiate, range(min(len(self._models), len(indices)))), strict=True
        )
        for parameter, first, *others in zip(self._parameters, *gradients, strict=True):
            parameter.grad = sum(others, start=first)
        self._optimizer.step(self._settings.learning_rate * self._share_of_peak(self._step))
        self._step += 1
        return sum(losses), weight

    def _train_once(self) -> tuple[float, int]:
        for model in self._models:
            model.train()
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

    def _validation_loss(self) -> float | None:
        if not len(self._parts[1]):
            return None
        self.model.eval()

        @torch.no_grad()
        def nats(indices: npt.NDArray[np.intp]) -> float:
            return float(self._nats(self.model, 1, indices))

        batches = batches_by_length(self._parts[1].lengths, _VALIDATION_BATCH)
        return sum(self._each(nats, batches)) / sum(self._weight(1, indices) for indices in batches)
