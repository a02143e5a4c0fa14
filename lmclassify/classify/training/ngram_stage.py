"""Stage 1 of recipe tuned, and all of recipe ngram: n-gram experts, calibrated, as a complete model.

The labels' language models are token n-gram models then. With a time limit, the experts learn from a sample
of the texts if all take too long.

Shapes: s texts of the sample, m of them with held-out scores, K labels.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import LSTMS, log_softmax
from lmclassify.classify.model import TunedModel
from lmclassify.classify.novelty import cross_entropies, ood_features
from lmclassify.classify.thresholds import HeldOut, HeldOutTexts, subsample
from lmclassify.classify.training.context import FitContext, FitResult
from lmclassify.classify.training.data import TrainingData, stratified_sample
from lmclassify.classify.training.ensemble import log_loss
from lmclassify.classify.training.history import label_record
from lmclassify.classify.training.ngrams import (
    NgramExperts,
    choose_sample,
    expert_folds,
    fit_ngram_experts,
    number_of_fits,
)
from lmclassify.classify.training.plan import NGRAM_STAGE, ngram_work, planned_stages
from lmclassify.classify.training.self_training import (
    MAX_UNLABELLED,
    NUM_GUESSES,
    GuessedLabels,
    guess_labels,
    learns_unlabelled,
)
from lmclassify.classify.training.time_limit import OutOfTime, TimeLimit
from lmclassify.classify.training.vocabulary import choose_tokenizer, train_tokenizer
from lmclassify.errors import DataError, LMClassifyWarning, TrainingError, counted, plural
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.parallel import in_background
from lmclassify.text.display import quality
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

PILOT_CHARACTERS, PILOT_TEXTS_PER_LABEL = (10_000, 40_000), 4
"""Sizes of the samples on which the time is measured: a second or so, and some texts to cross-fit on."""

AMPLE = 8.0
"""If the time is so many times the predicted one, nothing is measured: machines differ less."""

SAFETY = 1.6
"""Factor of the time that follows from the sample's: more texts have more different n-grams."""

TEXTS_TO_CHOOSE_TOKENS, CHARACTERS_TO_CHOOSE_TOKENS = 2000, 200_000
"""Text on which the kind of tokenizer is chosen: enough to see whether words leave most of it unknown."""


@dataclass(frozen=True)
class HeldOutScores:
    """Scores of texts by experts that were not fitted on them."""

    texts: list[str]
    """(m,)"""
    codes: Codes
    """(m,) the index of each text's label."""
    experts: list[Array]
    """(m, K) each, in the order of the combination."""
    characters: Array
    """(2, m) log-likelihoods by single characters, and numbers of characters."""
    background: Array
    """(m,) log-likelihoods under the background language model; 0 unless held-out texts are kept."""

    def thresholds(self, joint: Array, seed: int) -> HeldOut:
        """Return what thresholds are computed from, given the joint log-probabilities, (m, K)."""
        log_posteriors = log_softmax(joint)
        features = ood_features(log_posteriors, self.experts, *self.characters)
        nats = cross_entropies(log_posteriors, self.experts[1], self.texts, unspaced_words=True)
        return HeldOut.from_scores(joint, self.codes, features, nats).sample(seed)

    def kept_texts(self, seed: int) -> HeldOutTexts:
        """Return held-out texts to keep in the model, for `add_label`."""
        return HeldOutTexts.sample(self.texts, self.codes, self.experts, self.background, seed)


@dataclass(frozen=True)
class NgramStage:
    """What stage 1 leaves to stage 2."""

    sample: TrainingData
    """The texts that everything but the n-gram counts is fitted on."""
    experts: NgramExperts
    joint: Array
    """(s, K) held-out joint log-probabilities of these texts."""
    model: TunedModel
    """A complete model without LSTMs."""


def fit_ngram(data: TrainingData, context: FitContext) -> FitResult:
    """Fit a model of recipe ngram.

    Raises
    ------
    DataError
        If there is one label only.
    TrainingError
        If the time is too short for a model.
    """
    if len(data.classes) == 1:
        raise DataError("recipe ngram tells labels apart, and there is one label only: use recipe plain")
    context.progress.stages = planned_stages(data, context, NGRAM_STAGE)
    stage = fit_ngram_stage(data, context, np.random.default_rng([data.seed, len(data.classes)]))
    return FitResult(stage.model, len(stage.sample.texts))


def fit_ngram_stage(data: TrainingData, context: FitContext, rng: np.random.Generator) -> NgramStage:
    """Fit n-gram experts, and a model that decides by them alone.

    Raises
    ------
    TrainingError
        If the time is too short for that.
    """
    texts = len(data.texts) + data.remainder_size
    steps = number_of_fits(len(data.texts), len(data.classes), context)
    more = ""
    if learns_unlabelled(data):
        steps *= 2 + NUM_GUESSES
        more = f" and {min(MAX_UNLABELLED, len(data.unlabelled)):,} without label"
    context.progress.begin(1, steps, f" of {counted(texts, 'text')}{more}")
    if context.vectors is not None:
        context.progress.say(f"word vectors: {context.settings.vectors} (`--vectors none` does without them)")
    data, models = _fit_in_time(data, context, rng)
    sample, experts = models.sample, models.experts
    _warn_sampled(data, sample)
    joint = experts.joint
    accuracy, loss = held_out_quality(joint, sample.codes, sample.weights)
    model = _model(models, context, joint)
    context.progress.end(f"held-out {quality(accuracy, loss, len(sample.texts))}")
    record = stage_record(context, len(sample.texts), accuracy, loss)
    model = replace(model, training=[record, *model.training])
    return NgramStage(sample, experts, joint, model)


def held_out_quality(joint: Array, codes: Codes, weights: Array | None) -> tuple[float, float]:
    """Return accuracy and log-loss (nats per text) of joint log-probabilities, (m, K)."""
    right = joint.argmax(axis=1) == codes
    return float(np.average(right, weights=weights)), log_loss(joint, codes, weights)


def stage_record(context: FitContext, texts: int, accuracy: float, loss: float) -> dict[str, Any]:
    """Return the entry of a stage in the training record."""
    return {
        "kind": "stage",
        "stage": context.progress.number,
        "stages": len(context.progress.stages),
        "name": context.progress.stage.name,
        "held_out_texts": texts,
        "accuracy": accuracy,
        "log_loss": loss,
        "seconds": round(context.progress.stage.seconds or 0.0, 3),
    }


@dataclass(frozen=True)
class _Models:
    """The models of stage 1."""

    sample: TrainingData
    experts: NgramExperts
    tokenizer: Tokenizer
    token_ngrams: list[TokenNgrams]


def _fit(data: TrainingData, context: FitContext, rng: np.random.Generator) -> _Models:
    """Fit the n-gram experts and, at the same time, the labels' token n-gram models."""
    chosen = choose_sample(data, context, rng)
    sample = data.select(chosen, context.limits.max_texts)

    def fit_tokens() -> tuple[Tokenizer, list[TokenNgrams]]:
        tokenizer = _tokenizer(sample.texts, context)
        return tokenizer, fit_token_ngrams(sample, tokenizer)

    with in_background(fit_tokens, context.threads) as tokens:
        guessed = None
        if learns_unlabelled(data):
            guessed = _guess_labels(sample, context, rng)
        experts = fit_ngram_experts(data, chosen, context, rng, guessed)
        return _Models(sample, experts, *tokens())


def _guess_labels(sample: TrainingData, context: FitContext, rng: np.random.Generator) -> GuessedLabels:
    """Guess the labels of a sample of the unlabelled texts, for each fold."""
    some = subsample(len(sample.unlabelled), MAX_UNLABELLED, sample.seed)
    texts = [sample.unlabelled[index] for index in some]

    def posteriors(rows: Codes) -> Array:
        part = sample.select(rows, 0)
        experts = fit_ngram_experts(part, np.arange(len(rows)), context, np.random.default_rng(sample.seed))
        return np.exp(log_softmax(experts.score(texts)))

    return guess_labels(texts, expert_folds(sample, context, rng), posteriors)


def _fit_in_time(
    data: TrainingData, context: FitContext, rng: np.random.Generator
) -> tuple[TrainingData, _Models]:
    """Return the texts that there is time to learn from, and the models fitted on them."""
    limit = context.time_limit
    if limit is None or limit.left > AMPLE * context.progress.stage.predicted:
        return data, _fit(data, context, rng)
    context.stop.end_after(limit.left)
    learned, models, sample = data, None, data
    measured: list[tuple[int, float]] = []
    with contextlib.suppress(OutOfTime):
        for size in PILOT_CHARACTERS:
            started, sample = time.monotonic(), _subsample(data, size)
            if sample is data or (measured and ngram_work(sample) == measured[-1][0]):
                break
            models = _fit(sample, context, np.random.default_rng(data.seed))
            learned = sample
            measured.append((ngram_work(sample), time.monotonic() - started))
    chosen = _subsample(data, _affordable(measured, limit)) if measured else sample
    if (models is None and chosen is data) or ngram_work(chosen) > ngram_work(learned):
        context.progress.stage.done = 0.0
        with contextlib.suppress(OutOfTime):
            learned, models = chosen, _fit(chosen, context, rng)
    if models is None:
        raise TrainingError(
            f"{limit.seconds:g} s are too short for {counted(len(data.texts), 'text')} with "
            f"{counted(len(data.classes), 'label')}: give more time; nothing was written"
        )
    if learned is not data:
        context.checkpoints = None  # the clock decides which texts are in the sample
        context.progress.say(
            f"{limit.seconds:g} s are too short for all texts: {len(learned.texts):,} of "
            f"{len(data.texts) + data.remainder_size:,} {plural(len(learned.texts), 'is', 'are')} learned, "
            "drawn at random from each label"
        )
    return learned, models


def _affordable(measured: list[tuple[int, float]], limit: TimeLimit) -> int:
    """Return the `ngram_work` for which there is time, from the work and seconds of one or two samples."""
    work, seconds = measured[-1]
    rate = seconds / work
    if len(measured) > 1:  # a sample takes some time however small it is
        rate = max(rate / 4, (seconds - measured[0][1]) / (work - measured[0][0]))
    return int(work + max(0.0, limit.left / SAFETY - seconds) / rate)


def _subsample(data: TrainingData, size: int) -> TrainingData:
    """Return texts of about this `ngram_work` in all, stratified by label, with some of every label."""
    share = size / ngram_work(data)
    if share >= 1:
        return data
    rng = np.random.default_rng(data.seed)
    wanted = int(len(data.texts) * share)
    chosen = stratified_sample(data.codes, wanted, rng, min_per_label=PILOT_TEXTS_PER_LABEL)
    return replace(data.select(chosen, int(len(data.unlabelled) * share)), remainder=(), remainder_size=0)


def _warn_sampled(data: TrainingData, sample: TrainingData) -> None:
    texts = len(data.texts) + data.remainder_size
    for kind, before, after, fitted in (
        ("texts", texts, len(sample.texts), "n-grams are counted in all, everything else is fitted"),
        (
            "unlabelled texts",
            len(data.unlabelled),
            len(sample.unlabelled),
            "the background model is trained",
        ),
    ):
        if after < before:
            message = f"{before:,} {kind}: {fitted} on {after:,} drawn at random"
            warnings.warn(message, LMClassifyWarning, stacklevel=5)


def _model(models: _Models, context: FitContext, joint: Array) -> TunedModel:
    """Return the model that decides by the n-gram experts."""
    sample, experts, token_ngrams = models.sample, models.experts, models.token_ngrams
    unscored = np.zeros_like(joint)
    held_out = HeldOutScores(
        sample.texts,
        sample.codes,
        [*experts.held_out, *(unscored for _ in LSTMS)],
        experts.background,
        np.zeros(len(sample.texts)),
    )
    shift = prior_shift(sample)
    combination = experts.combination.without_lstms()
    settings = context.settings
    return TunedModel(
        classes_=sample.classes,
        log_priors=sample.log_priors,
        tokenizer=models.tokenizer,
        models=token_ngrams,
        settings=settings.without_lstms(),
        label_weights=sample.label_weights,
        held_out=held_out.thresholds(joint + shift, sample.seed),
        training=[
            label_record(label, int(texts))
            for label, texts in zip(sample.classes, np.bincount(sample.codes), strict=True)
        ],
        background=None,
        tuned=token_ngrams,
        token_ngrams=token_ngrams,
        subwords=experts.subwords,
        ngrams=experts.models,
        combination=replace(combination, bias=combination.bias + shift),
        held_out_texts=held_out.kept_texts(sample.seed) if settings.keep_held_out else None,
    )


def prior_shift(sample: TrainingData) -> Array:
    """Return log priors to assume minus those of the training texts, (K,)."""
    shift: Array = sample.log_priors - sample.log_frequencies
    return shift


def fit_token_ngrams(sample: TrainingData, tokenizer: Tokenizer) -> list[TokenNgrams]:
    """Return a language model of each label's tokens."""
    sequences = tokenizer.sequences(sample.texts)
    return [
        TokenNgrams.fit(
            [sequences[index] for index in np.flatnonzero(sample.codes == code)], tokenizer.vocab_size
        )
        for code in range(len(sample.classes))
    ]


def _tokenizer(texts: Sequence[str], context: FitContext) -> Tokenizer:
    """Train the tokenizer of the token n-gram models, of the kind that LSTMs would have."""
    order = np.random.default_rng(len(texts)).permutation(len(texts))[:TEXTS_TO_CHOOSE_TOKENS]
    characters = np.cumsum([len(texts[index]) for index in order])
    enough = max(2, int(np.searchsorted(characters, CHARACTERS_TO_CHOOSE_TOKENS)))
    some = [texts[index] for index in order[:enough].tolist()]
    kind = choose_tokenizer(some[::2], some[1::2], context.settings).kind
    return train_tokenizer(kind, texts, context.settings)
