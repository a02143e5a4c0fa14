"""The LSTM experts of recipe tuned: background model, adaptation to the labels, discriminative fine-tuning.

A background language model is trained on all texts, adapted to each label by maximum likelihood, and the
adapted models are fine-tuned together (`lmclassify.classify.training.discriminative`). Their scores on
texts that they were not fitted on come from a held-out part or, with few texts, from cross-fitting.

Shapes: n texts, m scored texts, K labels.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.scoring import log_likelihoods
from lmclassify.classify.settings import Settings
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import DataSplit, TrainingData, held_out_part, stratified_folds
from lmclassify.classify.training.discriminative import DiscriminativeTrainer, labels_to_compare
from lmclassify.classify.training.history import BACKGROUND, training_records, tuning_record
from lmclassify.classify.training.language_models import (
    Weights,
    count_cut,
    new_trainer,
    reading_directions,
    reverse_sequences,
    train,
)
from lmclassify.classify.training.vocabulary import choose_tokenizer, train_tokenizer
from lmclassify.lm.inference.forward import NumpyLanguageModel, round_to_16_bits
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer, TokenizerKind

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

FOLDS = 2
"""For cross-fitting: training takes by far the most time, so two folds have to do."""

ADAPTATION_RATE = 0.1
"""Learning rate of adaptation, relative to training: with more, few texts undo what the background model
has learned from all."""

ADAPTATION_PATIENCE = 2
"""Epochs of adaptation without a better validation loss: it converges in a few epochs."""

MANY_TEXTS = 2000
"""From so many texts on, the largest number of epochs falls with their number: an epoch has many steps."""

BACKGROUND_EPOCHS, ADAPTATION_EPOCHS = 6, 3
"""Largest number of epochs with fewer texts, which have little to train a network on."""


@dataclass
class TrainedModels:
    """Language models of all labels that were trained together, over one tokenizer."""

    tokenizer: Tokenizer
    sequences: list[Ids]
    training: Codes
    validation: Codes
    unlabelled: list[Ids] = field(default_factory=list)
    background: Weights = field(default_factory=dict)
    models: list[Weights] = field(default_factory=list)
    """One per label, maximum likelihood."""
    tuned: list[Weights] = field(default_factory=list)
    """One per label, fine-tuned; `models` itself if fine-tuning brought nothing better."""
    records: list[dict[str, Any]] = field(default_factory=list)
    epochs: tuple[int, int, int] = (0, 0, 0)
    """The best epochs of background, adaptation (mean over labels) and fine-tuning."""
    texts_cut: int = 0
    """Texts of which training reads a part only."""


@dataclass(frozen=True)
class LstmExperts:
    """Language models that read in one direction, and scores of texts that they were not fitted on."""

    trained: TrainedModels
    """The models to keep."""
    scores: list[Array]
    """(m, K) each: log-likelihoods by maximum likelihood and after fine-tuning."""
    rows: Codes
    """(m,) indices of the scored texts."""
    background: Array
    """(m,) log-likelihoods under the background model; 0 unless held-out texts are kept."""


def fit_lstm_experts(
    data: TrainingData, context: FitContext, joint: Array, rng: np.random.Generator
) -> list[LstmExperts]:
    """Fit the LSTM experts of each reading direction; all directions have the same folds.

    Parameters
    ----------
    data : TrainingData
    context : FitContext
    joint : ndarray, (n, K)
        Held-out joint log-probabilities by the n-gram experts.
    rng : numpy.random.Generator
    """
    return [
        TunedTrainer(data, context, joint, backward=backward).fit(copy.deepcopy(rng))
        for backward in reading_directions(context.settings)
    ]


class TunedTrainer:
    """Fits the LSTM experts of one reading direction.

    Parameters
    ----------
    data : TrainingData
    context : FitContext
    joint : ndarray, (n, K)
        See `fit_lstm_experts`.
    backward : bool, default=False
        Read texts from their ends.
    """

    def __init__(
        self,
        data: TrainingData,
        context: FitContext,
        joint: Array,
        *,
        backward: bool = False,
    ) -> None:
        self.data, self.context = data, context
        self._backward = backward
        self._compared = labels_to_compare(data.codes, joint)
        self._one_embedding = context.limits.share_embedding(len(data.classes))

    def fit(self, rng: np.random.Generator) -> LstmExperts:
        """Fit on a training part and score the rest, or cross-fit if there are few texts."""
        small = len(self.data.texts) < self.context.limits.min_texts_to_hold_out
        if small or self.context.settings.validation_fraction == 0:
            return self.cross_fit(rng)
        return self.hold_out(rng)

    def hold_out(self, rng: np.random.Generator) -> LstmExperts:
        """Fit on one part of the texts and score the rest."""
        fraction = self.context.settings.validation_fraction
        held_out = held_out_part(self.data.codes, fraction, rng, self.data.groups)
        trained = self._train(np.flatnonzero(~held_out), np.flatnonzero(held_out))
        self._fine_tune(trained)
        scores, background = self._score_validation(trained)
        return LstmExperts(trained, scores, trained.validation, background)

    def cross_fit(self, rng: np.random.Generator) -> LstmExperts:
        """Score each part of the texts by models of the other parts; then fit on all texts."""
        data = self.data
        folds = stratified_folds(data.codes, min(FOLDS, len(data.codes)), rng, data.groups)
        scores, background = np.zeros((2, len(folds), len(data.classes))), np.zeros(len(folds))
        fold_models: list[TrainedModels] = []
        for fold in np.unique(folds):
            kind = fold_models[0].tokenizer.kind if fold_models else None
            trained = self._train(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold), kind=kind)
            self._fine_tune(trained)
            scores[:, trained.validation], background[trained.validation] = self._score_validation(trained)
            fold_models.append(trained)
        rows = np.arange(len(folds))
        epochs = np.ceil(np.array([models.epochs for models in fold_models]).mean(axis=0)).astype(int)
        trained = self._train(
            rows,
            rows[:0],
            kind=fold_models[0].tokenizer.kind,
            epochs=(int(epochs[0]), max(1, int(epochs[1]))),
        )
        self._fine_tune(trained, epochs=int(epochs[2]))
        return LstmExperts(trained, list(scores), rows, background)

    def _train(
        self,
        training: Codes,
        validation: Codes,
        *,
        kind: TokenizerKind | None = None,
        epochs: tuple[int, int] | None = None,
    ) -> TrainedModels:
        """Train a background model and adapt it to each label, by maximum likelihood.

        `kind` and `epochs` (of background model and adaptation) are chosen here unless they are given.
        """
        data, settings = self.data, self.context.settings
        tokenizer = self._tokenizer(training, validation, kind)
        sequences, unlabelled = tokenizer.sequences(data.texts), tokenizer.sequences(data.unlabelled)
        texts_cut = count_cut(sequences, settings)
        if self._backward:
            sequences = reverse_sequences(sequences, tokenizer, settings)
            unlabelled = reverse_sequences(unlabelled, tokenizer, settings)
        trained = TrainedModels(tokenizer, sequences, training, validation, unlabelled, texts_cut=texts_cut)
        background_epochs, label_epochs = epochs or self._max_epochs(trained)
        background_split = self._background_split(trained)
        background = self._train_background(background_split, trained, background_epochs)
        trained.background = round_to_16_bits(background.model.arrays())
        splits = [self._label_split(code, training, validation) for code in range(len(data.classes))]
        trainers = [  # none for a label without texts in the training part
            self.adapt(split, trained, label_epochs) if len(split.training) and label_epochs else None
            for split in splits
        ]
        jobs = [
            (split.label, trainer)
            for split, trainer in zip(splits, trainers, strict=True)
            if trainer is not None
        ]
        train(jobs, self.context)
        trained.models = [
            trained.background if trainer is None else _kept(trainer.model.arrays(), trained.background)
            for trainer in trainers
        ]
        trained.tuned = trained.models
        trained.records = training_records([background_split, *splits], [background, *trainers])
        best = [trainer.best_epoch for _, trainer in jobs]
        trained.epochs = background.best_epoch, round(float(np.mean(best or [0]))), 0
        return trained

    def adapt(self, split: DataSplit, trained: TrainedModels, epochs: int) -> Trainer:
        """Return a trainer that adapts the background model to a label."""
        return new_trainer(
            split,
            trained.sequences,
            self.data.weights,
            trained.tokenizer,
            self.context,
            settings=adaptation_settings(self.context.settings, epochs),
            start=trained.background,
            one_embedding=self._one_embedding,
        )

    def _max_epochs(self, trained: TrainedModels) -> tuple[int, int]:
        """Return the largest number of epochs of background model and adaptation."""
        settings, training = self.context.settings, trained.training
        labelled = training_tokens([trained.sequences[index] for index in training], settings)
        unlabelled = training_tokens(trained.unlabelled, settings)
        texts = len(training) + len(trained.unlabelled)
        return (
            min(settings.max_epochs, _background_epochs(texts, labelled + unlabelled)),
            min(settings.max_epochs, adaptation_epochs(len(training), labelled)),
        )

    def _background_split(self, trained: TrainedModels) -> DataSplit:
        """Return the background model's texts; unlabelled ones stand behind the labelled ones."""
        unlabelled = len(self.data.texts) + np.arange(len(self.data.unlabelled))
        training = np.concatenate([trained.training, unlabelled])
        return DataSplit(BACKGROUND, training, trained.validation, self.data.seed)

    def _train_background(self, split: DataSplit, trained: TrainedModels, epochs: int) -> Trainer:
        """Train a language model on the texts of all labels and on unlabelled ones."""
        weights = self.data.weights
        if weights is not None:
            weights = np.concatenate([weights, np.full(len(self.data.unlabelled), weights.mean())])
        trainer = new_trainer(
            split,
            [*trained.sequences, *trained.unlabelled],
            weights,
            trained.tokenizer,
            self.context,
            settings=replace(self.context.settings, max_epochs=max(1, epochs)),
        )
        train([(BACKGROUND, trainer)], self.context)
        return trainer

    def _tokenizer(self, training: Codes, validation: Codes, kind: TokenizerKind | None) -> Tokenizer:
        """Train a tokenizer: of words, unless they leave most of the validation text unknown."""
        settings, texts = self.context.settings, self.data.texts
        known = [*(texts[index] for index in training), *self.data.unlabelled]
        if kind is not None:
            return train_tokenizer(kind, known, settings)
        return choose_tokenizer(known, [texts[index] for index in validation], settings)

    def _label_split(self, code: int, training: Codes, validation: Codes) -> DataSplit:
        codes = self.data.codes
        return DataSplit(
            self.data.classes[code],
            training[codes[training] == code],
            validation[codes[validation] == code],
            self.data.seed % 2**30 + code + 1,
        )

    def _fine_tune(self, trained: TrainedModels, epochs: int | None = None) -> None:
        """Fine-tune the labels' models together by conditional likelihood."""
        data = self.data
        trainer = DiscriminativeTrainer(
            trained.models,
            trained.tokenizer,
            trained.sequences,
            trained.training,
            trained.validation,
            self._compared,
            data.log_frequencies,
            self.context,
            weights=data.weights,
            epochs=epochs,
            seed=data.seed % 2**30,
            one_embedding=self._one_embedding,
        )
        trainer.run()
        if trainer.best_epoch:
            trained.tuned = [_kept(arrays, trained.background) for arrays in trainer.best]
        trained.epochs = (*trained.epochs[:2], trainer.best_epoch)
        trained.records.append(tuning_record(trainer))

    def _score_validation(self, trained: TrainedModels) -> tuple[list[Array], Array]:
        """Return the validation texts' scores by both experts, (m, K), and by the background model, (m,)."""
        background = np.zeros(len(trained.validation))
        if self.context.settings.keep_held_out:
            background = self._score(trained, [trained.background])[:, 0]
        scores = self._score(trained, trained.models)
        same = trained.tuned is trained.models
        return [scores, scores if same else self._score(trained, trained.tuned)], background

    def _score(self, trained: TrainedModels, models: list[Weights]) -> Array:
        """Return log-likelihoods of the validation texts, (m, len(models))."""
        return log_likelihoods(
            [NumpyLanguageModel(arrays) for arrays in models],
            [trained.sequences[index] for index in trained.validation],
            threads=self.context.threads,
        )


def _kept(weights: Weights, background: Weights) -> Weights:
    """Return weights as a saved model has them: rounded; arrays equal to the background's are shared."""
    return {
        name: background[name] if np.array_equal(array, background[name]) else array
        for name, array in round_to_16_bits(weights).items()
    }


def adaptation_settings(settings: Settings, epochs: int) -> Settings:
    """Return the settings with which the background model is adapted to a label."""
    return replace(
        settings,
        learning_rate=settings.learning_rate * ADAPTATION_RATE,
        patience=ADAPTATION_PATIENCE,
        max_epochs=epochs,
    )


def training_tokens(sequences: Sequence[Ids], settings: Settings) -> int:
    """Return how many tokens of some texts training reads, at least 1."""
    return max(1, sum(min(len(sequence), settings.max_length) for sequence in sequences))


def _background_epochs(texts: int, tokens: int) -> int:
    """Return the largest number of epochs of the background model."""
    epochs = BACKGROUND_EPOCHS if texts < MANY_TEXTS else max(5, min(10, 60_000 // texts))
    return min(epochs, max(4, 1_000_000 // tokens))


def adaptation_epochs(texts: int, tokens: int) -> int:
    """Return the largest number of epochs of adaptation."""
    epochs = ADAPTATION_EPOCHS if texts < MANY_TEXTS else max(3, min(5, 25_000 // texts))
    return min(epochs, max(3, 600_000 // tokens))
