"""The joint phase: all labels' language models are trained together (torch).

Every label's model starts as the background model. Two losses are added: the likelihood of each text under
its own label's model, which adapts the models to the labels, and, for texts whose label the n-gram experts
leave in doubt, the conditional likelihood of the label (Chelba, Mahajan & Acero 2003, "Speech utterance
classification"). The gradient of a text's log posterior reaches each label's model through its log-likelihood
only, so the models run and step side by side, each on one thread.

Shapes: n sequences, m validation texts, B sequences of a batch, K labels, R compared labels per text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

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
Mask = npt.NDArray[np.bool_]
Weights = dict[str, npt.NDArray[np.float32]]

MAX_COMPARED = 3
"""A text's label is compared with its likeliest competitors only, so many labels take no longer."""
DOUBTFUL = 0.95
"""Texts to whose label the n-gram experts give a smaller probability are compared between labels."""
MAX_EPOCHS, MAX_EPOCHS_MANY_LABELS = 2, 1
"""More epochs take time and soon overfit, first of all where many labels share the embedding."""
MAX_TOKENS = 300_000
"""Tokens to read in all epochs, each once per compared label: bounds the time with many texts."""
LEARNING_RATE = 4e-3
"""Of AdamW, at its peak."""
SCALE = 0.3
"""Factor of log-likelihoods in the posterior: their sums over words are far too confident."""
LIKELIHOOD_SHARE = 1.0
"""Factor of the tokens' own losses in the loss: keeps the models language models."""
CORRUPTED_SHARE = 0.2
"""Share of input tokens replaced at random (Xie et al. 2017), against overfitting."""
PARTS = 4
"""Each batch's work is cut into at least so many pieces, so that all threads are busy."""


@dataclass(frozen=True)
class Validation:
    """Texts that training does not see, by which the best weights are chosen."""

    sequences: list[Ids]
    """(m,)"""
    codes: Codes
    """(m,) the index of each text's label."""
    joint: Array
    """(m, K) held-out joint log-probabilities by the n-gram experts."""
    weights: Array | None = None
    """(m,) of the texts; None where all are 1."""

    def scores(self, models: Sequence[NumpyLanguageModel], threads: int) -> Array:
        """Return log-likelihoods, (m, K); those of unlikely labels are approximated (`fill_unscored`)."""
        likely = likeliest(self.joint)
        scores = masked_log_likelihoods(models, self.sequences, likely, threads=threads)
        return fill_unscored(scores, likely, self.joint)

    def loss(self, scores: Array) -> float:
        """Return the log-loss in nats per text of the n-gram experts together with these scores."""
        scale = best_scale(scores, self.joint, self.codes, self.weights)
        together = log_loss(scale * scores + self.joint, self.codes, self.weights)
        return float(min(together, self.ngram_loss))

    @property
    def ngram_loss(self) -> float:
        """The log-loss in nats per text of the n-gram experts alone."""
        return log_loss(self.joint, self.codes, self.weights)


class JointTrainer:
    """Trains the labels' language models together, epoch by epoch, and keeps the best weights.

    Parameters
    ----------
    start : dict of str to ndarray
        Weights of the background model, at which all labels' models start.
    tokenizer : Tokenizer
    sequences : sequence of array of int, (n,)
    compared : ndarray of int, (n, R)
        The labels between which each sequence's posterior is computed, its own first; see
        `labels_to_compare`.
    doubtful : ndarray of bool, (n,)
        The sequences whose posterior is computed; of the others, only their own label's likelihood.
    log_priors : ndarray, (K,)
    context : FitContext
    validation : Validation, optional
        Without it the weights of the last epoch are kept.
    weights : ndarray, (n,), optional
    epochs : int, optional
        By default `MAX_EPOCHS`, or `MAX_EPOCHS_MANY_LABELS` with `one_embedding`.
    max_tokens : int, optional
        If the epochs would read more tokens, each reads a part of the sequences, drawn at random.
    seed : int, default=0
    one_embedding : bool, default=False
        Freeze the embedding, which all labels share.

    Attributes
    ----------
    best : list of dict of str to ndarray
        The weights with the smallest validation loss; at first `start`.
    best_epoch : int
    records : list of EpochRecord
        Losses in nats per text.
    """

    def __init__(
        self,
        start: Weights,
        tokenizer: Tokenizer,
        sequences: Sequence[Ids],
        compared: npt.NDArray[np.intp],
        doubtful: Mask,
        log_priors: Array,
        context: FitContext,
        *,
        validation: Validation | None = None,
        weights: Array | None = None,
        epochs: int | None = None,
        max_tokens: int = MAX_TOKENS,
        seed: int = 0,
        one_embedding: bool = False,
    ) -> None:
        self._context, self._tokenizer, self._validation = context, tokenizer, validation
        self._compared, self._doubtful, self._log_priors = compared, doubtful, log_priors
        self._weights = np.ones(len(sequences)) if weights is None else weights / weights.mean()
        self._rng = np.random.default_rng(seed)
        settings = context.settings
        labels = len(log_priors)
        self._models = [new_model(tokenizer, settings, seed + label) for label in range(labels)]
        for model in self._models:
            model.load_arrays(start)
            model.to(context.device)
            if one_embedding:
                share_embedding(model, self._models[0])
        self._optimizers = [
            AdamW(model.parameters(), settings.weight_decay, settings.max_grad_norm, decay_all=True)
            for model in self._models
        ]
        self._store = SequenceStore(sequences)
        # Many labels share a batch: each should still find some texts of its own in it.
        self._batch_size = settings.batch_size * max(1, labels // (2 * compared.shape[1]))
        self._batch_size = max(8, min(self._batch_size, len(sequences) // 16))
        self._costs = self._store.lengths * np.where(doubtful, compared.shape[1], 1)
        total = max(1, int(self._costs.sum()))
        if epochs is None:
            epochs = min(MAX_EPOCHS_MANY_LABELS if one_embedding else MAX_EPOCHS, settings.max_epochs)
        self._epochs = epochs
        self._share = min(1.0, max_tokens / self._epochs / total)
        rows = max(1, round(self._share * len(sequences)))
        self._steps = self._epochs * math.ceil(rows / self._batch_size)
        self._step = 0
        self.records: list[EpochRecord] = []
        self.best, self.best_epoch = [start] * labels, 0
        self._best_loss = math.inf

    def run(self) -> None:
        """Train until there are no more epochs, the last one improved nothing, or the context is stopped."""
        checkpoints = self._context.checkpoints
        number = 0 if checkpoints is None else checkpoints.next_number()
        state = None if checkpoints is None else checkpoints.load(number)
        if state is not None:
            self.load_state(state)
            for record in self.records:
                self._tell(record)
        with worker_map(self._context.threads, before=lambda: torch.set_num_threads(1)) as each:
            while not self.finished and not self._context.stop.is_set():
                self._run_epoch(len(self.records) + 1, each)
                if checkpoints is not None and not self._context.stop.is_set():
                    checkpoints.save(number, self.state, finished=self.finished)

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left to train, or the last one did not improve the models.

        That is, it was not better than the one before or, if it was the first, than the n-gram experts alone.
        """
        epochs = len(self.records)
        helps = self._validation is None or self._best_loss < self._validation.ngram_loss
        return epochs >= self._epochs or (epochs > 0 and (epochs > self.best_epoch or not helps))

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
            "best_loss": self._best_loss if math.isfinite(self._best_loss) else None,
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
        self._best_loss = math.inf if plain["best_loss"] is None else plain["best_loss"]
        set_generator_state(self._rng, plain["order"])
        for label, (model, optimizer) in enumerate(zip(self._models, self._optimizers, strict=True)):
            arrays = with_prefix(str(label), state.arrays)
            self.best[label] = self.best[label] | with_prefix("best", arrays)
            if not self.finished:
                load_training_arrays(model, optimizer, arrays, plain["steps"][label])

    def _run_epoch(self, epoch: int, each: WorkerMap) -> None:
        started = time.perf_counter()
        total, tokens, texts = 0.0, 0, 0
        for model in self._models:
            model.train()
        rows = self._rng.permutation(len(self._store))[: max(1, round(self._share * len(self._store)))]
        for batch in batches_by_length(self._store.lengths[rows], self._batch_size, self._rng):
            if self._context.stop.is_set():
                break
            total += self._step_batch(rows[batch], each) * len(batch)
            tokens += int(self._costs[rows[batch]].sum())
            texts += len(batch)
        if self._context.stop.is_set() and (self._context.stop.interrupted or self.records or not texts):
            return  # an epoch that the clock ends counts only if there is no other
        loss = None
        if self._validation is not None:
            models = [NumpyLanguageModel(model.arrays()) for model in self._models]
            loss = self._validation.loss(self._validation.scores(models, self._context.threads))
        better = loss is None or (math.isfinite(loss) and loss < self._best_loss)
        if better:
            self._best_loss, self.best_epoch = loss or math.inf, epoch
            self.best = [model.arrays() for model in self._models]
        record = EpochRecord(
            epoch=epoch,
            max_epochs=self._epochs,
            training_loss=total / texts,
            validation_loss=loss,
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
        """Take one step for each label; return the batch's mean loss in nats per sequence."""
        batch = self._store.batch(indices)
        inputs = self._corrupt(batch.inputs)
        doubtful = self._doubtful[indices]
        compared = self._compared[indices]
        scored = np.where(doubtful[:, np.newaxis], compared, -1)
        scored[:, 0] = compared[:, 0]
        pieces = self._pieces(scored)
        seeds = self._rng.integers(2**31, size=len(pieces)).tolist()

        def forward(number: int) -> torch.Tensor:
            label, (rows, _) = pieces[number]
            part = _trim(Batch(inputs[rows], batch.targets[rows]))
            nll = self._models[label].token_nll(
                torch.from_numpy(part.inputs).to(self._context.device),
                torch.from_numpy(part.targets).to(self._context.device),
                torch.Generator().manual_seed(seeds[number]),
            )
            row_scores: torch.Tensor = -nll.sum(dim=1)
            return row_scores

        found: list[torch.Tensor] = list(each(forward, range(len(pieces))))
        scores = np.zeros(compared.shape)
        for (_, cells), piece_scores in zip(pieces, found, strict=True):
            scores[cells] = piece_scores.detach().cpu().numpy()
        loss, gradient = self._loss(scores, doubtful, indices, batch)

        def backward(number: int) -> tuple[torch.Tensor, ...]:
            label, cells = pieces[number]
            parameters = trained_parameters(self._models[label])
            return torch.autograd.grad(
                found[number], parameters, torch.from_numpy(gradient[cells]).to(found[number])
            )

        gradients = list(each(backward, range(len(pieces))))
        rate = LEARNING_RATE * self._share_of_peak()
        self._step += 1

        def step(label: int) -> None:
            parameters = trained_parameters(self._models[label])
            own = [part for (of, _), part in zip(pieces, gradients, strict=True) if of == label]
            for parameter, *parts in zip(parameters, *own, strict=True):
                parameter.grad = sum(parts[1:], start=parts[0])
            self._optimizers[label].step(rate)

        list(each(step, sorted({label for label, _ in pieces})))
        return loss

    def _pieces(self, scored: npt.NDArray[np.intp]) -> list[tuple[int, tuple[Codes, Codes]]]:
        """Return the pieces of a batch: a label, and the rows and columns of the scores that it computes."""
        size = max(8, math.ceil((scored >= 0).sum() / PARTS))
        pieces = []
        for label in np.unique(scored[scored >= 0]).tolist():
            rows, columns = np.nonzero(scored == label)
            count = math.ceil(len(rows) / size)
            # Sequences of similar length stand beside each other: each piece gets some of all lengths.
            pieces += [(label, (rows[part::count], columns[part::count])) for part in range(count)]
        return pieces

    def _loss(self, scores: Array, doubtful: Mask, indices: Codes, batch: Batch) -> tuple[float, Array]:
        """Return the loss of the doubtful sequences, in nats per sequence, and the scores' gradient."""
        log_p = log_softmax(SCALE * scores + self._log_priors[self._compared[indices]])
        weights = self._weights[indices] / len(indices)
        gradient = np.exp(log_p)
        gradient[:, 0] -= 1.0  # the true label stands first
        gradient *= SCALE * (weights * doubtful)[:, np.newaxis]
        tokens = (batch.targets != PADDING_ID).sum()
        gradient[:, 0] -= LIKELIHOOD_SHARE * weights * len(indices) / tokens
        return -float((log_p[:, 0] * weights * doubtful).sum()), gradient

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
        return float(rising * 0.5 * (1 + math.cos(math.pi * self._step / self._steps)))


def trained_parameters(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Return the parameters that training changes."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def labels_to_compare(codes: Codes, held_out: Array, max_labels: int = MAX_COMPARED) -> npt.NDArray[np.intp]:
    """Return each text's label followed by the likeliest other labels.

    Parameters
    ----------
    codes : ndarray of int, (n,)
    held_out : ndarray, (n, K)
        Joint log-probabilities by n-gram models that were not fitted on the text.
    max_labels : int, optional

    Returns
    -------
    ndarray of int, (n, min(K, max_labels))
    """
    ranked = held_out.copy()
    ranked[np.arange(len(codes)), codes] = np.inf
    return np.argsort(-ranked, axis=1, kind="stable")[:, :max_labels]


def likeliest(joint: Array, max_labels: int = MAX_COMPARED) -> Mask:
    """Return which labels are among the likeliest of each text, (n, K)."""
    mask = np.zeros(joint.shape, dtype=bool)
    top = np.argsort(-joint, axis=1, kind="stable")[:, :max_labels]
    np.put_along_axis(mask, top, True, axis=1)
    return mask


def fill_unscored(scores: Array, scored: Mask, joint: Array) -> Array:
    """Return scores with those of labels that were not scored approximated from the n-gram experts'.

    The approximation is a regression (least squares) of the scores on the n-gram experts' joint
    log-probabilities, both relative to each text's mean over its scored labels.

    Parameters
    ----------
    scores : ndarray, (n, K)
    scored : ndarray of bool, (n, K)
        At least one label of each text.
    joint : ndarray, (n, K)
    """
    if scored.all():
        return scores
    counts = scored.sum(axis=1, keepdims=True)
    score_means = (scores * scored).sum(axis=1, keepdims=True) / counts
    joint_from_mean = joint - (joint * scored).sum(axis=1, keepdims=True) / counts
    known = joint_from_mean[scored]
    slope = float(((scores - score_means)[scored] * known).sum() / max(1e-9, (known**2).sum()))
    return np.where(scored, scores, score_means + max(0.0, slope) * joint_from_mean)


def _trim(batch: Batch) -> Batch:
    """Return the batch without the steps at which every text is padding."""
    steps = max(1, int((batch.targets != PADDING_ID).sum(axis=1).max(initial=1)))
    return Batch(
        np.ascontiguousarray(batch.inputs[:, :steps]), np.ascontiguousarray(batch.targets[:, :steps])
    )
