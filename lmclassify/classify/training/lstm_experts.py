"""The LSTM experts of recipe tuned: a background model, from which all labels' models are trained together.

A background language model is trained on all texts; from it, the joint phase
(`lmclassify.classify.training.joint`) trains the labels' models. Their scores on texts that they were not
fitted on come from a held-out part or, with few texts, from cross-fitting.

Shapes: n texts, m scored texts, K labels.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.scoring import log_likelihoods
from lmclassify.classify.settings import Settings
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import DataSplit, TrainingData, held_out_part, stratified_folds
from lmclassify.classify.training.history import BACKGROUND, joint_records, training_records
from lmclassify.classify.training.joint import (
    DOUBTFUL,
    MAX_TOKENS,
    JointTrainer,
    Validation,
    labels_to_compare,
)
from lmclassify.classify.training.language_models import (
    Weights,
    new_trainer,
    reading_directions,
    reverse_sequences,
    train,
)
from lmclassify.classify.training.unigram_rescaling import unigram_rescaled
from lmclassify.classify.training.vocabulary import choose_tokenizer, train_tokenizer
from lmclassify.lm.inference.forward import NumpyLanguageModel, round_to_16_bits
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer, TokenizerKind

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

HELD_OUT_SHARE = 0.1
"""Share of the texts to hold out if there is no time to cross-fit and ``validation_fraction`` is 0."""

FOLDS = 2
"""For cross-fitting: training takes by far the most time, so two folds have to do."""

BACKGROUND_TOKENS, MAX_BACKGROUND_EPOCHS = 250_000, 3
"""The background model reads so many tokens, in so many epochs at most: bounds the time with many texts."""

MIN_GAIN = 0.01
"""If the first fold's models lower the log-loss by a smaller share, they are not trained again on all texts.
Their scale is fitted on the same texts, so a small gain is chance."""

MIN_TOKENS_PER_LABEL, MAX_TRAINED_LABELS = 100, 400
"""With less text, training makes the labels' models worse than the rescaled background model; with more
labels, it takes too much time and memory."""

PIECE_TOKENS = 128
"""Long texts are cut into pieces for training: longer ones take more memory and time."""

SCORED_TOKENS = 100_000
"""Validation texts of about so many tokens in all are scored to fit the experts' weights."""

VALIDATION_TOKENS = 50_000
"""The best epoch is chosen by so many tokens of the validation texts: bounds the time with long texts."""

ADAPTATION_RATE = 0.1
"""Learning rate of adaptation, relative to training: with more, few texts undo what the background model
has learned from all."""

ADAPTATION_PATIENCE, ADAPTATION_EPOCHS = 2, 3
"""Adaptation to a label that is added or updated converges in a few epochs."""


@dataclass
class TrainedModels:
    """Language models of all labels that were trained together, over one tokenizer."""

    tokenizer: Tokenizer
    sequences: list[Ids]
    training: Codes
    validation: Codes
    background: Weights = field(default_factory=dict)
    models: list[Weights] = field(default_factory=list)
    """One per label."""
    scores: Array = field(default_factory=lambda: np.zeros((0, 0)))
    """(m, K) log-likelihoods of the validation texts."""
    records: list[dict[str, Any]] = field(default_factory=list)
    epochs: tuple[int, int] = (0, 0)
    """The best epochs of background model and joint phase."""


@dataclass(frozen=True)
class LstmExperts:
    """Language models that read in one direction, and scores of texts that they were not fitted on."""

    trained: TrainedModels
    """The models to keep."""
    scores: Array
    """(m, K) log-likelihoods."""
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
    directions = list(reading_directions(context.settings))
    experts = []
    for done, backward in enumerate(directions):
        with context.stop.share(1 / (len(directions) - done)):
            experts.append(LstmTrainer(data, context, joint, backward=backward).fit(copy.deepcopy(rng)))
    return experts


class LstmTrainer:
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
        self, data: TrainingData, context: FitContext, joint: Array, *, backward: bool = False
    ) -> None:
        self.data, self.context, self._joint = data, context, joint
        self._backward = backward
        self._compared = labels_to_compare(data.codes, joint)
        rows = np.arange(len(data.codes))
        self._doubtful = log_softmax(joint)[rows, data.codes] < math.log(DOUBTFUL)
        settings, few_texts = context.settings, context.limits.min_texts_to_hold_out
        # A limit of 0 texts rules cross-fitting out: there is no time for it.
        self._cross_fits = len(data.texts) < few_texts or (
            settings.validation_fraction == 0 and few_texts > 0
        )
        self._fraction = settings.validation_fraction or HELD_OUT_SHARE
        self._may_end_early = settings.direction != "both"  # both directions score the same texts
        self._rescales: bool | None = None
        self._one_embedding = context.limits.share_embedding(len(data.classes))

    def fit(self, rng: np.random.Generator) -> LstmExperts:
        """Fit on a training part and score the rest, or cross-fit if there are few texts."""
        return self.cross_fit(rng) if self._cross_fits else self.hold_out(rng)

    def hold_out(self, rng: np.random.Generator) -> LstmExperts:
        """Fit on one part of the texts and score the rest."""
        held_out = held_out_part(self.data.codes, self._fraction, rng, self.data.groups)
        if not held_out.any():  # every label has one text
            return self.cross_fit(rng)
        trained = self._train(np.flatnonzero(~held_out), np.flatnonzero(held_out))
        return LstmExperts(trained, trained.scores, trained.validation, self._background_scores(trained))

    def cross_fit(self, rng: np.random.Generator) -> LstmExperts:
        """Score each part of the texts by models of the other parts; then fit on all texts.

        The first models are kept if they have read as many tokens as there is time for, or most of these and
        do not help: training on all texts would change little.
        """
        data = self.data
        folds = stratified_folds(data.codes, min(FOLDS, len(data.codes)), rng, data.groups)
        scores, background = np.zeros((len(folds), len(data.classes))), np.zeros(len(folds))
        fold_models: list[TrainedModels] = []
        for fold in np.unique(folds):
            kind = fold_models[0].tokenizer.kind if fold_models else None
            trained = self._train(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold), kind=kind)
            scores[trained.validation] = trained.scores
            background[trained.validation] = self._background_scores(trained)
            fold_models.append(trained)
            share = self._share_read(trained)
            if share >= 1 or (self._may_end_early and share >= 0.5 and not self._helps(trained)):
                break
        rows = np.sort(np.concatenate([trained.validation for trained in fold_models]))
        if len(fold_models) == 1:
            return LstmExperts(fold_models[0], scores[rows], rows, background[rows])
        epochs = np.ceil(np.array([models.epochs for models in fold_models]).mean(axis=0)).astype(int)
        everything = np.arange(len(folds))
        trained = self._train(
            everything,
            everything[:0],
            kind=fold_models[0].tokenizer.kind,
            epochs=(int(epochs[0]), max(1, int(epochs[1]))),
        )
        return LstmExperts(trained, scores[rows], rows, background[rows])

    def _share_read(self, trained: TrainedModels) -> float:
        """Return the tokens of the training texts divided by how many a training may read."""
        tokens = sum(len(trained.sequences[index]) for index in trained.training)
        return tokens / self._max_tokens(BACKGROUND_TOKENS)

    def _helps(self, trained: TrainedModels) -> bool:
        """Return whether the validation texts' log-loss is clearly smaller with the LSTMs."""
        validation = self._validation(trained)
        return validation.loss(trained.scores) < (1 - MIN_GAIN) * validation.ngram_loss

    def _train(
        self,
        training: Codes,
        validation: Codes,
        *,
        kind: TokenizerKind | None = None,
        epochs: tuple[int, int] | None = None,
    ) -> TrainedModels:
        """Train a background model and, from it, the labels' models.

        `kind` and `epochs` (of background model and joint phase) are chosen here unless they are given.
        """
        tokenizer = self._tokenizer(training, validation, kind)
        sequences = self._sequences(tokenizer, self.data.texts)
        scored = [sequences[index][: self.context.settings.limit] for index in validation]
        some = within(scored, self._max_tokens(SCORED_TOKENS), np.random.default_rng(self.data.seed))
        trained = TrainedModels(tokenizer, sequences, training, validation[some])
        background = self._train_background(trained, None if epochs is None else epochs[0])
        joint = self._train_labels(trained, None if epochs is None else epochs[1])
        trained.epochs = background.best_epoch, 0 if joint is None else joint.best_epoch
        trained.scores = np.zeros((0, len(self.data.classes)))
        if len(validation):
            trained.scores = self._validation(trained).scores(
                [NumpyLanguageModel(arrays) for arrays in trained.models], self.context.threads
            )
        trained.records += self._joint_records(trained, joint)
        return trained

    def _joint_records(self, trained: TrainedModels, joint: JointTrainer | None) -> list[dict[str, Any]]:
        codes, labels = self.data.codes, range(len(self.data.classes))
        own = codes[trained.validation]
        losses = []
        for label in labels:
            rows = trained.validation[own == label]
            tokens = sum(len(trained.sequences[row]) - 1 for row in rows)
            losses.append(-float(trained.scores[own == label, label].sum()) / max(1, tokens))
        counts = [
            (int((codes[trained.training] == label).sum()), int((own == label).sum())) for label in labels
        ]
        return joint_records(joint, self.data.classes.tolist(), counts, losses)

    def _max_tokens(self, tokens: int) -> int:
        """Return how many tokens a training may read, if it may read `tokens` alone."""
        return tokens // 2 if self._cross_fits else tokens

    def _validation(self, trained: TrainedModels, max_tokens: int | None = None) -> Validation:
        """Return the validation texts, or some of them of so many tokens."""
        rows = trained.validation
        if max_tokens is not None:
            rng = np.random.default_rng(self.data.seed)
            rows = rows[within([trained.sequences[index] for index in rows], max_tokens, rng)]
        sequences = [trained.sequences[index] for index in rows]
        return Validation(sequences, self.data.codes[rows], self._joint[rows], self.data.weights_of(rows))

    def _sequences(self, tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
        sequences = tokenizer.sequences(texts)
        if self._backward:
            sequences = reverse_sequences(sequences, tokenizer, self.context.settings)
        return sequences

    def _train_background(self, trained: TrainedModels, epochs: int | None) -> Trainer:
        """Train a language model on the texts of all labels and on unlabelled ones."""
        data, settings = self.data, self.context.settings
        rng = np.random.default_rng(data.seed)
        unlabelled = self._sequences(trained.tokenizer, data.unlabelled)
        sources = [*trained.sequences, *unlabelled]
        training = np.concatenate([trained.training, len(trained.sequences) + np.arange(len(unlabelled))])
        cut, rows = pieces([sources[index] for index in training], settings)
        held_out, held_out_rows = pieces([sources[index] for index in trained.validation], settings)
        kept = within(cut, self._max_tokens(BACKGROUND_TOKENS), rng)
        held_out_kept = within(held_out, VALIDATION_TOKENS, rng)
        sequences = [*(cut[index] for index in kept), *(held_out[index] for index in held_out_kept)]
        weights = None
        if data.weights is not None:
            weights = np.concatenate([data.weights, np.full(len(unlabelled), data.weights.mean())])
            weights = np.concatenate(
                [weights[training[rows[kept]]], weights[trained.validation[held_out_rows[held_out_kept]]]]
            )
        split = DataSplit(BACKGROUND, np.arange(len(kept)), np.arange(len(kept), len(sequences)), data.seed)
        if epochs is None:
            tokens = max(1, sum(len(cut[index]) for index in kept))
            epochs = max(1, min(MAX_BACKGROUND_EPOCHS, self._max_tokens(BACKGROUND_TOKENS) // tokens))
        trainer = new_trainer(
            split,
            sequences,
            weights,
            trained.tokenizer,
            self.context,
            settings=replace(settings, max_epochs=max(1, min(settings.max_epochs, epochs))),
            parts=2,
        )
        train([(BACKGROUND, trainer)], self.context)
        trained.background = round_to_16_bits(trainer.model.arrays())
        trained.records += training_records([split], [trainer])
        return trainer

    def _train_labels(self, trained: TrainedModels, epochs: int | None) -> JointTrainer | None:
        """Train the labels' models together, from the background model on.

        With too little text they are the background model, rescaled for each label, and the result is None.
        """
        data, settings, labels = self.data, self.context.settings, len(self.data.classes)
        sequences, rows = pieces([trained.sequences[index] for index in trained.training], settings)
        rows = trained.training[rows]
        if self._rescales is None:  # the same for all folds
            tokens = sum(map(len, trained.sequences))
            self._rescales = labels > MAX_TRAINED_LABELS or tokens < MIN_TOKENS_PER_LABEL * labels
        if self._rescales:
            rescaled = unigram_rescaled(
                trained.background, sequences, data.codes[rows], labels, data.weights_of(rows)
            )
            trained.models = [_kept(arrays, trained.background) for arrays in rescaled]
            return None
        trainer = JointTrainer(
            trained.background,
            trained.tokenizer,
            sequences,
            self._compared[rows],
            self._doubtful[rows],
            data.log_frequencies,
            self.context,
            validation=self._validation(trained, VALIDATION_TOKENS) if len(trained.validation) else None,
            max_tokens=self._max_tokens(MAX_TOKENS),
            weights=data.weights_of(rows),
            epochs=epochs,
            seed=data.seed % 2**30,
            one_embedding=self._one_embedding,
        )
        trainer.run()
        trained.models = [_kept(arrays, trained.background) for arrays in trainer.best]
        return trainer

    def _tokenizer(self, training: Codes, validation: Codes, kind: TokenizerKind | None) -> Tokenizer:
        """Train a tokenizer: of words, unless they leave most of the validation text unknown."""
        settings, texts = self.context.settings, self.data.texts
        known = [*(texts[index] for index in training), *self.data.unlabelled]
        if kind is not None:
            return train_tokenizer(kind, known, settings)
        return choose_tokenizer(known, [texts[index] for index in validation], settings)

    def _background_scores(self, trained: TrainedModels) -> Array:
        """Return log-likelihoods of the validation texts under the background model, (m,)."""
        if not self.context.settings.keep_held_out:
            return np.zeros(len(trained.validation))
        sequences = [trained.sequences[index] for index in trained.validation]
        model = NumpyLanguageModel(trained.background)
        return log_likelihoods([model], sequences, threads=self.context.threads)[:, 0]


def _kept(weights: Weights, background: Weights) -> Weights:
    """Return weights as a saved model has them: rounded; arrays equal to the background's are shared."""
    return {
        name: background[name] if np.array_equal(array, background[name]) else array
        for name, array in round_to_16_bits(weights).items()
    }


def adaptation_settings(settings: Settings) -> Settings:
    """Return the settings with which the background model is adapted to a label that is added or updated."""
    return replace(
        settings,
        learning_rate=settings.learning_rate * ADAPTATION_RATE,
        patience=ADAPTATION_PATIENCE,
        max_epochs=min(settings.max_epochs, ADAPTATION_EPOCHS),
    )


def pieces(sequences: Sequence[Ids], settings: Settings) -> tuple[list[Ids], Codes]:
    """Cut sequences for training, so that long texts are read in full.

    Parameters
    ----------
    sequences : sequence of array of int, (n,)
    settings : Settings
        Pieces have at most `max_length` and `PIECE_TOKENS` tokens. With ``long_texts="truncate"`` what comes
        after `max_length` tokens is left out.

    Returns
    -------
    pieces : list of array of int, (p,)
        Each piece but a text's first starts with the token before it, which is not a target.
    rows : ndarray of int, (p,)
        The sequence that each piece is from.
    """
    length = min(settings.max_length, PIECE_TOKENS)
    cut: list[Ids] = []
    rows: list[int] = []
    for row, sequence in enumerate(sequences):
        if settings.long_texts == "truncate":
            sequence = sequence[: settings.max_length]
        for start in range(0, max(1, len(sequence) - 1), length - 1):
            cut.append(sequence[start : start + length])
            rows.append(row)
    return cut, np.array(rows, dtype=np.intp)


def within(sequences: Sequence[Ids], max_tokens: int, rng: np.random.Generator) -> Codes:
    """Return the indices of sequences, ascending; if they have more tokens, of some drawn at random."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.intp)
    if lengths.sum() <= max_tokens:
        return np.arange(len(sequences))
    order = rng.permutation(len(sequences))
    count = int(np.searchsorted(np.cumsum(lengths[order]), max_tokens))
    return np.sort(order[: max(1, count)])
