"""Discriminative fine-tuning: all labels' language models together, by conditional likelihood (torch).

A classifier needs the probability of the right label, not of the text: Chelba, Mahajan & Acero 2003, "Speech
utterance classification". The gradient of a text's log posterior reaches each label's model through its
log-likelihood only, so the models run and step side by side, each on one thread.

Shapes: n texts, B texts of a batch, K labels, R compared labels per text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import torch

from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.scoring import masked_log_likelihoods
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.ensemble import best_scale, log_loss
from lmclassify.classify.training.language_models import new_model, share_embedding
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.lm.neural.optimizer import AdamW
from lmclassify.lm.neural.trainer import EpochRecord, load_training_arrays, training_arrays
from lmclassify.lm.neural.training_state import (
    Arrays,
    TrainingState,
    add_prefix,
    generator_state,
    set_generator_state,
    with_prefix,
)
from lmclassify.parallel import WorkerMap, worker_map
from lmclassify.text.sequences import PADDING_ID, Batch, Ids, SequenceStore, batches_by_length
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Weights = dict[str, npt.NDArray[np.float32]]

MAX_COMPARED = 6
"""A text's label is compared with its likeliest competitors only, so many labels take no longer."""
MAX_EPOCHS = 4
"""Bounds the time; training usually ends earlier, by `PATIENCE`."""
MAX_TOKENS = 2_500_000
"""Tokens to read, each once per compared label, beyond two epochs: bounds the time with many texts."""
PATIENCE = 2
"""Epochs without a better validation loss."""
LEARNING_RATE = 2e-3
"""Of AdamW, at its peak."""
SCALE = 0.3
"""Factor of log-likelihoods in the posterior: their sums over words are far too confident."""
LIKELIHOOD_SHARE = 0.1
"""Share of the tokens' own losses in the loss: keeps the models language models."""
CORRUPTED_SHARE = 0.2
"""Share of input tokens replaced at random (Xie et al. 2017), against overfitting."""


class DiscriminativeTrainer:
    """Fine-tunes the labels' language models epoch by epoch and keeps the best weights.

    Parameters
    ----------
    start : sequence of dict of str to ndarray
        K models' weights, maximum likelihood.
    sequences : sequence of array of int, (n,)
    training, validation : ndarray of int
        Indices of texts. The weights with the smallest log-loss on the validation texts, between the
        compared labels and at the best scale, are kept.
    compared : ndarray of int, (n, R)
        The labels between which each text's posterior is computed, its own first; see
        `labels_to_compare`.
    log_priors : ndarray, (K,)
    weights : ndarray, (n,), optional
    epochs : int, optional
        By default four, or fewer with many texts and labels.
    one_embedding : bool, default=False
        Freeze the embedding, which all labels share.

    Attributes
    ----------
    best : list of dict of str to ndarray
        The weights with the smallest validation loss; at first `start`.
    records : list of EpochRecord
        Losses in nats per text.
    """

    def __init__(
        self,
        start: Sequence[Weights],
        tokenizer: Tokenizer,
        sequences: Sequence[Ids],
        training: Codes,
        validation: Codes,
        compared: npt.NDArray[np.intp],
        log_priors: Array,
        context: FitContext,
        *,
        weights: Array | None = None,
        epochs: int | None = None,
        seed: int = 0,
        one_embedding: bool = False,
    ) -> None:
        self._context = context
        self._tokenizer = tokenizer
        self._sequences = sequences
        self._training, self._validation = training, validation
        self._compared, self._log_priors = compared, log_priors
        self._weights = np.ones(len(sequences)) if weights is None else weights / weights.mean()
        self._rng = np.random.default_rng(seed)
        self._models = [new_model(tokenizer, context.settings, seed + label) for label in range(len(start))]
        for model, arrays in zip(self._models, start, strict=True):
            model.load_arrays(arrays)
            model.to(context.device)
            if one_embedding:
                share_embedding(model)
        settings = context.settings
        self._optimizers = [
            AdamW(model.parameters(), settings.weight_decay, settings.max_grad_norm, decay_all=True)
            for model in self._models
        ]
        self._store = SequenceStore(sequences, settings.max_length)
        self._lengths = self._store.lengths[training]
        # Many labels share a batch: each should still find some texts of its own in it.
        self._batch_size = context.settings.batch_size * max(1, len(start) // (2 * compared.shape[1]))
        self._batch_size = max(8, min(self._batch_size, len(training) // 16))
        if epochs is None:
            tokens = int(self._lengths.sum()) * compared.shape[1]
            epochs = min(MAX_EPOCHS, max(2, MAX_TOKENS // max(1, tokens)))
        self._epochs = epochs
        self._steps = epochs * len(batches_by_length(self._lengths, self._batch_size, self._rng))
        self._step = 0
        self.records: list[EpochRecord] = []
        self.best, self.best_epoch = list(start), 0
        self._best_loss: float | None = None

    def run(self) -> None:
        """Train until the epochs are over, the patience is exhausted, or the context is stopped."""
        checkpoints = self._context.checkpoints
        number = 0 if checkpoints is None else checkpoints.next_number()
        state = None if checkpoints is None else checkpoints.load(number)
        if state is not None:
            self.load_state(state)
            for record in self.records:
                self._tell(record)
        elif len(self._validation):
            self._best_loss = self._validation_loss()
        before = torch.get_num_threads()
        try:
            with worker_map(
                min(self._context.threads, len(self._models)), before=lambda: torch.set_num_threads(1)
            ) as each:
                while not self.finished and not self._context.stop.is_set():
                    self._run_epoch(len(self.records) + 1, each)
                    if checkpoints is not None and not self._context.stop.is_set():
                        checkpoints.save(number, self.state, finished=self.finished)
        finally:
            torch.set_num_threads(before)

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left to train."""
        epochs = len(self.records)
        return epochs >= self._epochs or epochs - self.best_epoch >= PATIENCE

    def state(self) -> TrainingState:
        """Return the state of training between two epochs; see `load_state`."""
        arrays: Arrays = {}
        for label, (model, optimizer) in enumerate(zip(self._models, self._optimizers, strict=True)):
            best = {name: self.best[label][name] for name in model.trained_arrays()}
            arrays |= add_prefix(f"{label}/best", best)
            if not self.finished:
                arrays |= add_prefix(str(label), training_arrays(model, optimizer))
        plain = {
            "records": [asdict(record) for record in self.records],
            "best_epoch": self.best_epoch,
            "best_loss": self._best_loss,
            "step": self._step,
            "steps": [optimizer.steps for optimizer in self._optimizers],
            "order": generator_state(self._rng),
        }
        return TrainingState(arrays, plain)

    def load_state(self, state: TrainingState) -> None:
        """Continue from the `state` of a trainer with the same texts, settings and seed."""
        plain = state.plain
        self.records = [EpochRecord(**record) for record in plain["records"]]
        self.best_epoch, self._step = plain["best_epoch"], plain["step"]
        self._best_loss = plain["best_loss"]
        set_generator_state(self._rng, plain["order"])
        for label, (model, optimizer) in enumerate(zip(self._models, self._optimizers, strict=True)):
            arrays = with_prefix(str(label), state.arrays)
            self.best[label] = self.best[label] | with_prefix("best", arrays)
            if not self.finished:
                load_training_arrays(model, optimizer, arrays, plain["steps"][label])

    def _run_epoch(self, epoch: int, each: WorkerMap) -> None:
        started = time.perf_counter()
        total, tokens = 0.0, 0
        for model in self._models:
            model.train()
        for rows in batches_by_length(self._lengths, self._batch_size, self._rng):
            if self._context.stop.is_set():
                return
            total += self._step_batch(self._training[rows], each) * len(rows)
            tokens += int((self._lengths[rows] - 1).sum()) * self._compared.shape[1]
        loss = self._validation_loss()
        better = math.isfinite(loss) and (self._best_loss is None or loss < self._best_loss)
        if better:
            self._best_loss, self.best_epoch = loss, epoch
            self.best = [model.arrays() for model in self._models]
        record = EpochRecord(
            epoch=epoch,
            max_epochs=self._epochs,
            training_loss=total / len(self._training),
            validation_loss=loss if len(self._validation) else None,
            best=better,
            finished=epoch == self._epochs,
            tokens=tokens,
            seconds=time.perf_counter() - started,
        )
        self.records.append(record)
        self._tell(record)

    def _tell(self, record: EpochRecord) -> None:
        if self._context.callback is not None:
            self._context.callback(None, record)

    def _step_batch(self, indices: Codes, each: WorkerMap) -> float:
        """Take one step for each label; return the batch's mean loss in nats per text."""
        batch = self._store.batch(indices)
        inputs = self._corrupt(batch.inputs)
        compared = self._compared[indices]
        labels = np.unique(compared)
        label_rows = [np.nonzero(compared == label) for label in labels]

        def forward(number: int) -> torch.Tensor:
            rows = label_rows[number][0]
            part = _trim(Batch(inputs[rows], batch.targets[rows]))
            nll = self._models[labels[number]].token_nll(
                torch.from_numpy(part.inputs).to(self._context.device),
                torch.from_numpy(part.targets).to(self._context.device),
            )
            row_scores: torch.Tensor = -nll.sum(dim=1)
            return row_scores

        found: list[torch.Tensor] = list(each(forward, range(len(labels))))
        scores = np.zeros(compared.shape)
        for rows, label_scores in zip(label_rows, found, strict=True):
            scores[rows] = label_scores.detach().cpu().numpy()
        log_p = log_softmax(SCALE * scores + self._log_priors[compared])
        text_weights = self._weights[indices] / len(indices)
        gradient = np.exp(log_p)
        gradient[:, 0] -= 1.0  # the true label stands first
        gradient *= SCALE * text_weights[:, np.newaxis]
        tokens = (batch.targets != PADDING_ID).sum()
        gradient[:, 0] -= LIKELIHOOD_SHARE * text_weights * len(indices) / tokens
        rate = LEARNING_RATE * self._share_of_peak()
        self._step += 1

        def step(number: int) -> None:
            found[number].backward(torch.from_numpy(gradient[label_rows[number]]).to(found[number]))  # type: ignore[no-untyped-call]
            self._optimizers[labels[number]].step(rate)

        list(each(step, range(len(labels))))
        return -float((log_p[:, 0] * text_weights).sum())

    def _corrupt(self, inputs: Ids) -> Ids:
        """Return inputs with some tokens, except beginnings of text, replaced at random."""
        replaced = (self._rng.random(inputs.shape) < CORRUPTED_SHARE) & (inputs != PADDING_ID)
        replaced[:, 0] = False
        result = inputs.copy()
        result[replaced] = self._rng.integers(1, max(2, len(self._tokenizer.tokens) + 1), replaced.sum())
        return result

    def _share_of_peak(self) -> float:
        warmup = max(1, round(0.1 * self._steps))
        rising = min(1.0, (self._step + 1) / warmup)
        return rising * 0.5 * (1 + math.cos(math.pi * self._step / self._steps))

    def _validation_loss(self) -> float:
        """Return the log-loss in nats per validation text between the compared labels."""
        if not len(self._validation):
            return -float(len(self.records))  # without a validation part the last epoch is the best
        compared = self._compared[self._validation]
        models = [NumpyLanguageModel(model.arrays()) for model in self._models]
        held_out = [self._sequences[index] for index in self._validation]
        mask = np.zeros((len(held_out), len(models)), dtype=bool)
        np.put_along_axis(mask, compared, True, axis=1)
        found = masked_log_likelihoods(models, held_out, mask, threads=self._context.threads)
        scores = np.take_along_axis(found, compared, axis=1)
        log_priors = self._log_priors[compared]
        first, weights = np.zeros(len(scores), dtype=np.intp), self._weights[self._validation]
        scale = best_scale(scores, log_priors, first, weights)
        return log_loss(scale * scores + log_priors, first, weights)


def labels_to_compare(codes: Codes, held_out: Array, max_labels: int = MAX_COMPARED) -> npt.NDArray[np.intp]:
    """Return each text's label followed by the likeliest other labels.

    Parameters
    ----------
    codes : ndarray of int, (n,)
    held_out : ndarray, (n, K)
        Joint log-probabilities by n-gram models that were not fitted on the text.

    Returns
    -------
    ndarray of int, (n, min(K, max_labels))
    """
    ranked = held_out.copy()
    ranked[np.arange(len(codes)), codes] = np.inf
    return np.argsort(-ranked, axis=1, kind="stable")[:, :max_labels]


def _trim(batch: Batch) -> Batch:
    """Return the batch without the steps at which every text is padding."""
    steps = max(1, int((batch.targets != PADDING_ID).sum(axis=1).max(initial=1)))
    return Batch(
        np.ascontiguousarray(batch.inputs[:, :steps]), np.ascontiguousarray(batch.targets[:, :steps])
    )
