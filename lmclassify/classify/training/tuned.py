"""Recipe tuned: n-gram experts and LSTM experts, combined on scores of held-out text.

1. n-gram models over characters, subwords and words, with cross-fitted scores;
2. a background language model of all texts, adapted to each label by maximum likelihood;
3. all labels' language models fine-tuned together by conditional likelihood;
4. a log-linear combination of all experts, fitted on held-out scores, and the cascade that saves LSTMs
   where they cannot change the decision;
5. an n-gram language model of each label's tokens, which `suggest` and `generate` interpolate with.

With very many texts, n-grams are counted in all of them, and everything else is fitted on a sample.

Shapes: s texts of the sample, m of them with held-out scores, K labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import LSTMS, Combination, log_softmax
from lmclassify.classify.model import TunedModel
from lmclassify.classify.novelty import cross_entropies, ood_features
from lmclassify.classify.thresholds import HeldOut, HeldOutTexts
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import TrainingData
from lmclassify.classify.training.ensemble import add_experts, fit_cascade
from lmclassify.classify.training.history import merge_directions
from lmclassify.classify.training.language_models import Weights, directed_models
from lmclassify.classify.training.lstm_experts import LstmExperts, fit_lstm_experts
from lmclassify.classify.training.ngrams import NgramExperts, fit_ngram_experts
from lmclassify.classify.training.plain import FitResult, fit_plain
from lmclassify.errors import LMClassifyWarning
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.ngram.token_ngrams import TokenNgrams

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class HeldOutScores:
    """Scores of texts by experts that were not fitted on them."""

    texts: list[str]
    """(m,)"""
    codes: Codes
    """(m,) the index of each text's label."""
    experts: list[Array]
    """(m, K) each, in the order of the combination."""
    lengths: list[int]
    """(m,) in the n-gram models' subwords."""
    characters: Array
    """(2, m) log-likelihoods by single characters, and numbers of characters."""
    background: Array
    """(m,) log-likelihoods under the background language model; 0 unless held-out texts are kept."""


def fit_tuned(data: TrainingData, context: FitContext) -> FitResult:
    """Fit a model of recipe tuned.

    Raises
    ------
    KeyboardInterrupt
        If interrupted before every label has a language model. Later, the best weights so far are kept,
        with a warning.
    """
    if len(data.classes) == 1:  # nothing to tell apart
        _warn_one_label(data)
        return fit_plain(data, context)
    rng = np.random.default_rng([data.seed, len(data.classes)])
    ngrams = fit_ngram_experts(data, context, rng)
    sample = data.select(ngrams.sample, context.limits.max_texts)
    _warn_sampled(data, sample)
    ngram_joint = ngrams.joint
    lstms = fit_lstm_experts(sample, context, ngram_joint, rng)
    held_out = _held_out_scores(sample, ngrams, lstms)
    combination = _fit_combination(sample, ngrams.combination, ngram_joint, lstms[0].rows, held_out)
    model = _fitted_model(sample, context, ngrams, lstms, combination, held_out)
    return FitResult(model, len(sample.texts), lstms[-1].trained.texts_cut)


def _warn_one_label(data: TrainingData) -> None:
    if data.unlabelled:
        message = "with one label there is no background model: unlabelled texts are not used"
        warnings.warn(message, LMClassifyWarning, stacklevel=4)
    if data.remainder:
        message = f"with one label the model is fitted on {len(data.texts):,} texts drawn at random"
        warnings.warn(message, LMClassifyWarning, stacklevel=4)


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
            warnings.warn(message, LMClassifyWarning, stacklevel=4)


def _held_out_scores(
    sample: TrainingData, ngrams: NgramExperts, lstms: Sequence[LstmExperts]
) -> HeldOutScores:
    """Return the held-out scores of all experts; an LSTM expert's is the mean over directions."""
    rows = lstms[0].rows  # the same in every direction
    lstm_scores = [
        np.mean(per_direction, axis=0)
        for per_direction in zip(*(experts.scores for experts in lstms), strict=True)
    ]
    if all(experts.trained.tuned is experts.trained.models for experts in lstms):
        lstm_scores[1] = np.zeros_like(lstm_scores[1])  # an expert that stands there twice adds nothing
    texts = [sample.texts[row] for row in rows]
    return HeldOutScores(
        texts,
        sample.codes[rows],
        [*(scores[rows] for scores in ngrams.held_out), *lstm_scores],
        [len(sequence) for sequence in ngrams.subwords.sequences(texts)],
        ngrams.background[:, rows],
        np.mean([experts.background for experts in lstms], axis=0),
    )


def _fit_combination(
    sample: TrainingData,
    ngram_combination: Combination,
    ngram_joint: Array,
    rows: Codes,
    held_out: HeldOutScores,
) -> Combination:
    """Return the combination of all experts, with the priors to assume and the cascade."""
    combination = add_experts(
        ngram_combination,
        ngram_joint[rows],
        LSTMS,
        held_out.experts[-len(LSTMS) :],
        held_out.codes,
        sample.weights_of(rows),
    )
    shift = sample.log_priors - sample.log_frequencies
    combination = replace(combination, bias=combination.bias + shift)
    return fit_cascade(combination, held_out.experts, held_out.lengths)


def _fitted_model(
    sample: TrainingData,
    context: FitContext,
    ngrams: NgramExperts,
    lstms: Sequence[LstmExperts],
    combination: Combination,
    held_out: HeldOutScores,
) -> TunedModel:
    tokenizer = lstms[-1].trained.tokenizer

    def directed(weights: Sequence[list[Weights]]) -> list[AnyLanguageModel]:
        return directed_models(weights, tokenizer, context.settings)

    models = directed([experts.trained.models for experts in lstms])
    sequences = tokenizer.sequences(sample.texts)
    return TunedModel(
        classes_=sample.classes,
        log_priors=sample.log_priors,
        tokenizer=tokenizer,
        models=models,
        settings=context.settings,
        label_weights=sample.label_weights,
        held_out=_thresholds(sample, combination, held_out),
        training=merge_directions([experts.trained.records for experts in lstms]),
        background=directed([[experts.trained.background] for experts in lstms])[0],
        # Fine-tuned models without weight are not kept.
        tuned=directed([experts.trained.tuned for experts in lstms]) if combination.weights[-1] else models,
        token_ngrams=[
            TokenNgrams.fit(
                [sequences[index] for index in np.flatnonzero(sample.codes == code)], tokenizer.vocab_size
            )
            for code in range(len(sample.classes))
        ],
        subwords=ngrams.subwords,
        ngrams=ngrams.models,
        combination=combination,
        held_out_texts=_kept_texts(sample, held_out) if context.settings.keep_held_out else None,
    )


def _thresholds(sample: TrainingData, combination: Combination, held_out: HeldOutScores) -> HeldOut:
    """Return what thresholds are computed from: the decisions on held-out text."""
    joint = combination.cascade_joint(held_out.experts, held_out.lengths)
    log_posteriors = log_softmax(joint)
    features = ood_features(log_posteriors, held_out.experts, *held_out.characters)
    nats = cross_entropies(log_posteriors, held_out.experts[1], held_out.texts)
    return HeldOut.from_scores(joint, held_out.codes, features, nats).sample(sample.seed)


def _kept_texts(sample: TrainingData, held_out: HeldOutScores) -> HeldOutTexts:
    """Return held-out texts to keep in the model, for `add_label`."""
    return HeldOutTexts.sample(
        held_out.texts, held_out.codes, held_out.experts, held_out.background, sample.seed
    )
