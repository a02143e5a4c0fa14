"""What the stages of a fit will take: predicted from the amount of text before anything is measured."""

from __future__ import annotations

from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import TrainingData
from lmclassify.classify.training.progress import Stage
from lmclassify.classify.training.self_training import (
    MAX_UNLABELLED,
    NUM_GUESSES,
    learns_unlabelled,
)

SECONDS_PER_CHARACTER = 1.5e-5
"""What stage 1 takes on two cores (docs/experiments.md)."""

SECONDS_PER_TOKEN, SECONDS_PER_SCORED_TOKEN = 2.5e-5, 1e-5
"""What LSTMs take to train and to score on two cores (docs/experiments.md)."""

CHARACTERS_PER_TOKEN = 4.0
"""Of mail and reviews in words, and of subwords that are a little shorter."""

EPOCHS, MAX_TOKENS = 2.5, 275_000
"""Passes of each of two phases of LSTM training over the text, about, and the most tokens of each."""

MAX_SCORED_TEXTS, MAX_SCORED_LABELS = 10_000, 6
"""About so many held-out texts, and labels of each, are scored."""

RESERVE_SECONDS = 0.5
"""Kept for the end of a fit, beside the time to score held-out texts and to write the model."""

NGRAM_STAGE, LSTM_STAGE = "n-gram experts", "LSTM language models"


def planned_stages(data: TrainingData, context: FitContext, *names: str) -> list[Stage]:
    """Return stages with the seconds that they are predicted to take."""
    seconds = {
        NGRAM_STAGE: SECONDS_PER_CHARACTER * ngram_work(data),
        LSTM_STAGE: SECONDS_PER_TOKEN * lstm_work(data, context),
    }
    return [Stage(name, max(0.1, seconds[name])) for name in names]


def ngram_work(data: TrainingData) -> int:
    """Return the number of characters, and some more for each text and label."""
    in_memory = sum(map(len, data.texts)) + 20 * len(data.texts)
    if learns_unlabelled(data):  # guesses by several models, and counting
        some = min(len(data.unlabelled), MAX_UNLABELLED)
        in_unlabelled = sum(map(len, data.unlabelled)) * some // len(data.unlabelled)
        return (2 + NUM_GUESSES) * (in_memory + 500 * len(data.classes)) + 2 * in_unlabelled
    in_files = data.remainder_size * in_memory // max(1, len(data.texts))
    return in_memory + in_files + 500 * len(data.classes)


def lstm_work(data: TrainingData, context: FitContext) -> float:
    """Return about how many tokens the training of LSTMs reads."""
    settings, texts = context.settings, len(data.texts)
    tokens = sum(map(len, data.texts)) / CHARACTERS_PER_TOKEN + 2 * texts
    fewer = min(1.0, context.limits.max_texts / max(1, texts))
    epochs = min(settings.max_epochs, EPOCHS)
    directions = 2 if settings.direction == "both" else 1
    if settings.recipe == "plain":
        return directions * epochs * fewer * tokens
    cross_fits = texts < context.limits.min_texts_to_hold_out or settings.validation_fraction == 0
    passes = 1.0
    if cross_fits:  # two or three trainings of half the tokens each; with much text a single one
        passes = 0.5 if tokens >= MAX_TOKENS else 1.5
    return passes * directions * 2 * min(MAX_TOKENS, epochs * fewer * tokens)


def lstm_reserve(data: TrainingData) -> float:
    """Return the seconds that scoring held-out texts with LSTMs takes."""
    texts = min(MAX_SCORED_TEXTS, len(data.texts))
    tokens = texts * sum(map(len, data.texts)) / CHARACTERS_PER_TOKEN / max(1, len(data.texts))
    return SECONDS_PER_SCORED_TOKEN * tokens * min(MAX_SCORED_LABELS, len(data.classes))
