"""The predictor of recipe tuned: n-gram models, LSTMs where they can change the decision, text variants.

Shapes: n texts, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lmclassify.classify.cascade import Mask, merge
from lmclassify.classify.data_frames import Texts
from lmclassify.classify.ensemble import LSTMS, Combination
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.novelty import ood_features
from lmclassify.classify.predictor import LabelModel, Predictor, ScoringResult, count_weights
from lmclassify.classify.scoring import chunks_of, masked_log_likelihoods, ngram_background, ngram_scores
from lmclassify.classify.thresholds import HeldOutTexts
from lmclassify.classify.variants import TextVariant, best_variants, candidate_variants, word_model
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.parallel import map_ordered
from lmclassify.text.ngrams import Keys
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]


@dataclass(kw_only=True, eq=False, repr=False)
class TunedPredictor(Predictor):
    """Decides by a log-linear combination of n-gram models and LSTM language models.

    With recipe ngram there are no LSTMs: `models` and `tuned` are `token_ngrams`, and the LSTMs' weights in
    the combination are 0.
    """

    background: AnyLanguageModel | None
    """Trained on all labels' texts and on unlabelled ones; the labels' models start from it."""
    tuned: Sequence[LabelModel]
    """One per label: `models` after discriminative fine-tuning (earlier versions), else `models`."""
    token_ngrams: list[TokenNgrams]
    """One per label, over the language models' tokens; `suggest` and `generate` interpolate with them."""
    subwords: Tokenizer
    """Subword tokenizer of the n-gram models."""
    ngrams: list[NgramModel]
    combination: Combination
    """Weights of the experts."""
    held_out_texts: HeldOutTexts | None = None
    """A sample of the held-out texts, if ``keep_held_out``."""

    def score(self, texts: Texts) -> ScoringResult:
        """Return the joint log-probabilities of texts and what they were computed from."""
        prepared = self.prepare(texts)
        distinct, rows = distinct_texts(prepared)
        scores, lengths = ngram_scores(self.ngrams, distinct, self.subwords, threads=self.threads)
        ngram_joint = self.combination.ngram_joint(scores, lengths)
        approximate = self.combination.approximate_joint(ngram_joint)
        mask = self.cascade_mask(approximate, lengths)
        lstm_joint = self._lstm_joint(distinct, lengths, mask)
        joint = merge(approximate, ngram_joint + lstm_joint, mask, approximate.argmax(axis=1))
        joint += self.lesson_scores(distinct)
        joint, variants = self.score_variants(distinct, joint)
        scores = [expert_scores[rows] for expert_scores in scores]
        longer = lengths[rows] > self.combination.usual_length
        return ScoringResult(
            prepared, joint[rows], scores[1], scores, [variants[row] for row in rows.tolist()], longer
        )

    def cascade_mask(self, approximate: Array, lengths: npt.ArrayLike) -> Mask:
        """Return which labels of each text the LSTMs score, (n, K); see `Combination.cascade_mask`."""
        return self.combination.cascade_mask(approximate, lengths, exact=self.exact)

    def _lstm_joint(self, texts: Sequence[str], lengths: npt.NDArray[np.intp], mask: Mask) -> Array:
        """Return what the LSTMs add to the joint log-probabilities, (n, K); 0 outside the mask."""
        rows = np.flatnonzero(mask.any(axis=1))
        joint = np.zeros(mask.shape)
        scores = self._lstm_scores([texts[row] for row in rows.tolist()], mask[rows])
        joint[rows] = self.combination.lstm_joint(scores, lengths[rows])
        return joint

    def _lstm_scores(self, texts: list[str], mask: Mask) -> list[Array]:
        """Return the scores of the experts `LSTMS`, (n, K) each; 0 outside the mask or without weight."""
        weights = self.combination.weights[-len(LSTMS) :]
        experts = [
            models for models, weight in zip((self.models, self.tuned), weights, strict=True) if weight > 0
        ]
        if not experts:
            return [np.zeros(mask.shape) for _ in LSTMS]
        found = masked_log_likelihoods(
            [model for models in experts for model in models],
            self.tokenizer.sequences(texts),
            np.tile(mask, (1, len(experts))),
            max_length=self.settings.limit,
            threads=self.threads,
        )
        scores = iter(np.hsplit(found, len(experts)))
        return [next(scores) if weight > 0 else np.zeros(mask.shape) for weight in weights]

    @property
    def scores_variants(self) -> bool:
        """Whether a variant of a text may decide; see `lmclassify.classify.variants`."""
        return self.settings.disguised_among(self.label_names) is not None

    def score_variants(self, texts: Sequence[str], joint: Array) -> tuple[Array, list[TextVariant | None]]:
        """Return joint log-probabilities by the variants that speak most for the disguised label.

        Parameters
        ----------
        texts : sequence of str, (n,)
            Prepared texts.
        joint : ndarray, (n, K)
            Their joint log-probabilities as they stand.

        Returns
        -------
        joint : ndarray, (n, K)
        variants : list of TextVariant or None
            None for the text as it stands.
        """
        label = self.settings.disguised_among(self.label_names)
        if label is None:
            return joint, [None] * len(texts)
        words = word_model(self.ngrams)
        prior_shift = self.log_priors - np.log(self.label_weights / self.label_weights.sum())
        chunks = chunks_of(texts)  # the variants of all texts together could take too much memory

        def score_chunk(chunk: slice) -> tuple[Array, list[TextVariant | None]]:
            variants = candidate_variants(texts[chunk], joint[chunk] - prior_shift, words, label)
            if not variants:
                return joint[chunk], [None] * len(joint[chunk])
            variant_joint = self.approximate_joint([variant.text for _, variant in variants])
            return best_variants(joint[chunk], variants, variant_joint, label, prior_shift)

        found = list(map_ordered(score_chunk, chunks, self.threads))
        return np.concatenate([part for part, _ in found]), [variant for _, best in found for variant in best]

    def approximate_joint(self, texts: list[str]) -> Array:
        """Return joint log-probabilities, (n, K), with the LSTMs approximated from the n-gram models."""
        scores, lengths = ngram_scores(self.ngrams, texts, self.subwords)
        joint = self.combination.approximate_joint(self.combination.ngram_joint(scores, lengths))
        return joint + self.lesson_scores(texts)

    def texts_with(self, symbols: str, keys: Keys) -> Array:
        """Return how many training texts have each of some n-grams, as far as the model knows it."""
        for ngrams in self.ngrams:
            if ngrams.analyzer.symbols == symbols:
                return ngrams.texts_with(keys, float(self.label_weights.sum()))
        return np.zeros(len(keys))

    def expert_scores(self, texts: list[str]) -> list[Array]:
        """Return the scores of all experts of prepared texts, (n, K) each, in the combination's order."""
        scores, _ = ngram_scores(self.ngrams, texts, self.subwords, threads=self.threads)
        return [*scores, *self._lstm_scores(texts, np.ones((len(texts), len(self.classes_)), dtype=bool))]

    @property
    def unspaced_words(self) -> bool:
        """Whether `cross_entropies` knows words of scripts without spaces: not in models saved by 0.7.0."""
        return any(model.analyzer.symbols == "marked-word" for model in self.ngrams)

    def ood_features(self, result: ScoringResult, log_posteriors: Array) -> Array:
        """Return the largest character SVM score and the likelihood ratio to single characters, (n, 2)."""
        background = ngram_background(self.ngrams[0], result.texts)
        return ood_features(log_posteriors, result.ngram_scores, *background)

    @cached_property
    def num_parameters(self) -> int:
        """Number of weights of all models together; shared ones count once."""
        background = [] if self.background is None else [self.background]
        lstms = count_weights([*self.models, *self.tuned, *background])
        ngrams = sum(model.num_parameters for model in self.ngrams)
        return lstms + ngrams + sum(model.num_parameters for model in self.token_ngrams)


def distinct_texts(texts: Sequence[str]) -> tuple[list[str], npt.NDArray[np.intp]]:
    """Return the distinct texts in order of appearance, and the index among them of each text, (n,)."""
    index = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return list(index), np.array([index[text] for text in texts], dtype=np.intp)
