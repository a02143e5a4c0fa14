"""Recipe plain: one independent LSTM language model per label, maximum likelihood, Bayes' rule.

Shapes: n texts, m held-out texts, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.model import PlainModel
from lmclassify.classify.novelty import cross_entropies, plain_ood_features
from lmclassify.classify.scoring import cut_texts, log_likelihoods
from lmclassify.classify.thresholds import HeldOut, subsample
from lmclassify.classify.training.context import FitContext, FitResult
from lmclassify.classify.training.data import DataSplit, TrainingData, held_out_part, split_label
from lmclassify.classify.training.device import torch_device
from lmclassify.classify.training.history import merge_directions, training_records
from lmclassify.classify.training.language_models import (
    count_cut,
    directed_models,
    keep_interrupted,
    new_trainer,
    reading_directions,
    reverse_sequences,
    train,
)
from lmclassify.classify.training.plan import (
    LSTM_STAGE,
    RESERVE_SECONDS,
    lstm_reserve,
    lstm_work,
    planned_stages,
)
from lmclassify.classify.training.vocabulary import train_tokenizer
from lmclassify.errors import TrainingError, counted
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.inference.forward import round_to_16_bits
from lmclassify.lm.neural.threads import one_torch_thread
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer, TokenizerKind

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

MAX_HELD_OUT_SCORES = 100_000
"""Text-label pairs scored for the thresholds: with many labels, more texts take too long."""


@one_torch_thread()
def fit_plain(data: TrainingData, context: FitContext) -> FitResult:
    """Fit a model of recipe plain.

    Raises
    ------
    KeyboardInterrupt
        If interrupted before every label has a model. Later, the best weights so far are kept, with a
        warning.
    """
    settings = context.settings
    context.device = torch_device(context.device)
    context.progress.stages = planned_stages(data, context, LSTM_STAGE)
    context.progress.begin(1, lstm_work(data, context), f" of {counted(len(data.texts), 'text')}")
    splits = split_labels(data, settings.validation_fraction)
    training = np.sort(np.concatenate([split.training for split in splits]))
    kind: TokenizerKind = "subword" if settings.tokenizer == "auto" else settings.tokenizer  # type: ignore[assignment]
    tokenizer = train_tokenizer(kind, [data.texts[index] for index in training], settings)
    sequences = tokenizer.sequences(data.texts)
    trainers = _train(data, splits, tokenizer, sequences, context)
    weights = [
        [round_to_16_bits(trainer.model.arrays()) for trainer in per_direction] for per_direction in trainers
    ]
    models = directed_models(weights, tokenizer, settings)
    records = [training_records(splits, per_direction) for per_direction in trainers]
    model = PlainModel(
        classes_=data.classes,
        log_priors=data.log_priors,
        tokenizer=tokenizer,
        models=models,
        settings=settings,
        label_weights=data.label_weights,
        held_out=_held_out(data, splits, models, tokenizer, context),
        training=merge_directions(records),
    )
    context.progress.end("trained")
    return FitResult(model, len(data.texts), count_cut(sequences, settings))


def split_labels(data: TrainingData, fraction: float) -> list[DataSplit]:
    """Split each label's texts into training and validation part."""
    held_out = None
    if data.groups is not None and fraction:
        held_out = held_out_part(data.codes, fraction, np.random.default_rng(data.seed), data.groups)
    return [
        split_label(label, np.flatnonzero(data.codes == code), fraction, [data.seed, code], held_out)
        for code, label in enumerate(data.classes)
    ]


def _train(
    data: TrainingData,
    splits: Sequence[DataSplit],
    tokenizer: Tokenizer,
    sequences: list[Ids],
    context: FitContext,
) -> list[list[Trainer]]:
    """Train each label's language models; return trainers per direction, per label."""
    trainers: list[list[Trainer]] = []
    for backward in reading_directions(context.settings):
        read = reverse_sequences(sequences, tokenizer, context.settings) if backward else sequences
        trainers.append([new_trainer(split, read, data.weights, tokenizer, context) for split in splits])
    limit = context.time_limit
    if limit is not None:
        context.stop.end_after(limit.left - RESERVE_SECONDS - lstm_reserve(data))
    for per_direction in trainers:
        jobs = list(zip(data.classes, per_direction, strict=True))
        try:
            train(jobs, context)
        except KeyboardInterrupt:
            if not all(trainer.records for trained in trainers for trainer in trained):
                raise
            keep_interrupted(jobs)
    if limit is not None and not all(trainer.records for trained in trainers for trainer in trained):
        raise TrainingError(
            f"{limit.seconds:g} s are too short to train a language model of each label: give more time; "
            "nothing was written"
        )
    return trainers


def _held_out(
    data: TrainingData,
    splits: Sequence[DataSplit],
    models: Sequence[AnyLanguageModel],
    tokenizer: Tokenizer,
    context: FitContext,
) -> HeldOut:
    """Return the scores of the validation texts."""
    validation = np.sort(np.concatenate([split.validation for split in splits]))
    max_texts = max(1, MAX_HELD_OUT_SCORES // len(splits))
    validation = validation[subsample(len(validation), max_texts, data.seed)]
    texts = [data.texts[index] for index in validation]
    limit = context.settings.limit
    if limit is not None:
        texts, _ = cut_texts(texts, tokenizer, limit)
    likelihoods = log_likelihoods(
        models, tokenizer.sequences(texts), max_length=limit, threads=context.threads
    )
    return plain_held_out(data.log_priors, likelihoods, data.codes[validation], texts, data.seed)


def plain_held_out(
    log_priors: Array, likelihoods: Array, codes: Codes, texts: Sequence[str], seed: int
) -> HeldOut:
    """Return held-out scores of recipe plain.

    Parameters
    ----------
    log_priors : ndarray, (K,)
    likelihoods : ndarray, (m, K)
        Log-likelihoods, nats.
    codes : ndarray of int, (m,)
        Index of each text's label.
    texts : sequence of str, (m,)
        The texts as they were scored: cut if ``long_texts="truncate"``.
    seed : int
    """
    joint = log_priors + likelihoods
    log_posteriors = log_softmax(joint)
    features = plain_ood_features(log_posteriors, likelihoods, texts)
    nats = cross_entropies(log_posteriors, likelihoods, texts)
    return HeldOut.from_scores(joint, codes, features, nats).sample(seed)
