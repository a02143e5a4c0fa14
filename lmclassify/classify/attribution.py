"""The joint log-probability of a text attributed to its words (numpy).

Every score is a sum over tokens, n-grams or symbols, so a decision is exactly the sum of its words' parts.
The part of an n-gram of several words is divided equally among them.

Shapes: n texts, K labels, w words (rows) of all texts, each text's end included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lmclassify.classify.cascade import merge
from lmclassify.classify.ensemble import LSTMS, SVM
from lmclassify.classify.linear_ngrams import share_equally
from lmclassify.classify.predictor import LabelModel, Predictor
from lmclassify.classify.scoring import chunks_of, token_log_probs
from lmclassify.classify.tuned_predictor import TunedPredictor
from lmclassify.classify.variants import TextVariant
from lmclassify.lm.ngram.sums import sum_by_text
from lmclassify.text.ngrams import words_of_spans
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer
from lmclassify.text.words import word_numbers, words_of

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

MAX_SHOWN_TOKENS = 10_000
"""Tokens of a text whose log-probabilities are computed only to be shown. More would take seconds."""


@dataclass(frozen=True)
class Attributions:
    """The scores of one text, attributed to its w words. The last row of either array is the end of text."""

    text: str
    spans: list[tuple[int, int]]
    """(w) start and end of each word."""
    log_probabilities: Array
    """(w + 1, K) under the labels' language models; see `MAX_SHOWN_TOKENS`. 0 if not computed."""
    parts: Array
    """(w + 1, K) in the joint log-probabilities."""
    prior: Array
    """(K,) the part that belongs to no word."""
    variant: str | None = None
    """The variant of the text that decides; None for the text as it stands."""

    @property
    def joint(self) -> Array:
        """(K,)"""
        joint: Array = self.prior + self.parts.sum(axis=0)
        return joint


def attribute(
    predictor: Predictor, texts: Sequence[str], *, language_models: bool = True
) -> Iterator[Attributions]:
    """Yield the attributions of each text.

    Parameters
    ----------
    predictor : Predictor
    texts : sequence of str
    language_models : bool, default=True
        Whether to compute the log-probabilities also if they have no weight in the decision. With many
        labels this takes most of the time. Without it they are 0.
    """
    scored = predictor.truncate(list(texts))
    for chunk in chunks_of(scored):
        if isinstance(predictor, TunedPredictor):
            attributed = _attribute_tuned(predictor, scored[chunk], language_models)
        else:
            attributed = _attribute_plain(predictor, scored[chunk])
        for text, attributions in zip(texts[chunk], attributed, strict=True):
            yield _with_cut_words(predictor, text, attributions)


def language_model_scores(predictor: Predictor, text: str, codes: Sequence[int]) -> Array:
    """Return the log-probability of each word and the end of text under some labels' models, (w + 1, codes).

    Nats; see `MAX_SHOWN_TOKENS`.
    """
    (scored,) = predictor.truncate([text])
    words = _word_table(predictor, [scored])
    found = _word_log_probs(predictor, [predictor.models[code] for code in codes], words, np.zeros(1, bool))
    (attributions,) = words.split(found, found, np.zeros((1, len(codes))))
    return _with_cut_words(predictor, text, attributions).log_probabilities


def _attribute_plain(predictor: Predictor, texts: Sequence[str]) -> list[Attributions]:
    words = _word_table(predictor, texts)
    log_probabilities = _word_log_probs(predictor, predictor.models, words, np.ones(len(texts), dtype=bool))
    prior = np.tile(predictor.log_priors, (len(texts), 1))
    parts = log_probabilities + _lesson_parts(predictor, words)
    return words.split(log_probabilities, parts, prior)


def _attribute_tuned(
    predictor: TunedPredictor, texts: Sequence[str], language_models: bool
) -> list[Attributions]:
    attributed = _attribute_as_they_stand(predictor, texts, language_models=language_models)
    joint = np.array([attributions.joint for attributions in attributed])
    _, variants = predictor.score_variants(texts, joint)
    return [
        attributions if variant is None else _by_variant(predictor, attributions, variant)
        for attributions, variant in zip(attributed, variants, strict=True)
    ]


def _attribute_as_they_stand(
    predictor: TunedPredictor,
    texts: Sequence[str],
    *,
    approximate: bool = False,
    language_models: bool = True,
) -> list[Attributions]:
    """Attribute the scores of texts without variants; approximate: as `TunedPredictor.approximate_joint`."""
    combination = predictor.combination
    words = _word_table(predictor, texts)
    subwords = predictor.subwords.sequences(texts)
    lengths = np.array([len(sequence) for sequence in subwords])
    ngram_parts = _ngram_parts(predictor, texts, subwords, lengths, words)
    prior = _prior(predictor, lengths)
    ngram_joint = prior + _sum_rows(ngram_parts, words.text_of_row, prior.shape)
    approximate_joint = combination.approximate_joint(ngram_joint)
    mask = np.zeros(ngram_joint.shape, dtype=bool)
    log_probabilities = lstm_parts = np.zeros(ngram_parts.shape)
    if not approximate:
        mask = predictor.cascade_mask(approximate_joint, lengths)
        asked = np.logical_or.reduce(mask, axis=1)
        log_probabilities, lstm_parts = _lstm_parts(predictor, words, lengths, asked, language_models)
    likeliest = approximate_joint.argmax(axis=1)
    approximate_parts = combination.cascade.approximate(ngram_parts, ngram_parts)
    rows = words.text_of_row
    parts = merge(approximate_parts, ngram_parts + lstm_parts, mask[rows], likeliest[rows])
    rest = merge(combination.approximate_joint(prior), prior, mask, likeliest)
    return words.split(log_probabilities, parts + _lesson_parts(predictor, words), rest)


def _lesson_parts(predictor: Predictor, words: _WordTable) -> Array:
    """Return what lessons add to each word, (w, K)."""
    if predictor.lessons is None:
        return np.zeros((words.rows, len(predictor.classes_)))
    return predictor.lessons.weights.word_scores(words.texts, words.spans, words.starts, words.rows)


def _lstm_parts(
    predictor: TunedPredictor,
    words: _WordTable,
    lengths: Indices,
    asked: npt.NDArray[np.bool_],
    language_models: bool,
) -> tuple[Array, Array]:
    """Return the words' log-probabilities and what the LSTMs add where they are asked, (w, K) each."""
    weight, tuned_weight = predictor.combination.weights[-len(LSTMS) :]
    log_probabilities = np.zeros((words.rows, len(predictor.classes_)))
    if language_models or weight:
        log_probabilities = _word_log_probs(predictor, predictor.models, words, asked & bool(weight))
    parts = weight * log_probabilities
    if tuned_weight and asked.any():
        parts += tuned_weight * _word_log_probs(predictor, predictor.tuned, words, asked)
    factor = predictor.combination.length_factor(LSTMS[0], lengths)
    return log_probabilities, factor[words.text_of_row, np.newaxis] * parts


def _prior(predictor: TunedPredictor, lengths: Indices) -> Array:
    """Return the part of the score that no word contributes, (n, K): biases of combination and SVMs."""
    combination = predictor.combination
    prior = np.tile(combination.bias, (len(lengths), 1))
    experts = iter(zip(combination.experts, combination.weights, strict=True))
    for ngrams in predictor.ngrams:
        for _ in ngrams.score_names:
            name, weight = next(experts)
            if name.startswith(SVM):
                factor = combination.length_factor(name, lengths)
                prior += (weight * factor)[:, np.newaxis] * ngrams.svm_bias
    return prior


def _ngram_parts(
    predictor: TunedPredictor,
    texts: Sequence[str],
    subwords: Sequence[Ids],
    lengths: Indices,
    words: _WordTable,
) -> Array:
    """Return what the n-gram experts add to each word, (w, K)."""
    combination = predictor.combination
    parts = np.zeros((words.rows, len(predictor.classes_)))
    tokens = [predictor.subwords.offsets(text) for text in texts]
    experts = iter(zip(combination.experts, combination.weights, strict=True))
    for ngrams in predictor.ngrams:
        occurrences = ngrams.analyzer.occurrences(texts, subwords)
        first, last = ngrams.analyzer.words(texts, words.spans, tokens)
        starts = words.starts[occurrences.text_index]
        for scores in ngrams.word_scores(
            occurrences, (starts + first, starts + last), words.rows, len(texts)
        ):
            name, weight = next(experts)
            factor = combination.length_factor(name, lengths)[words.text_of_row]
            parts += (weight * factor)[:, np.newaxis] * scores
    return parts


def _by_variant(predictor: TunedPredictor, attributions: Attributions, variant: TextVariant) -> Attributions:
    """Return the attributions of the text's variant, each word's divided among the words it comes from."""
    label = predictor.settings.disguised_among(predictor.label_names)
    (scored,) = _attribute_as_they_stand(predictor, [variant.text], approximate=True)
    parts = np.zeros_like(attributions.parts)
    parts[-1] = scored.parts[-1]
    piece_of_word = word_numbers(attributions.text, attributions.spans)
    for piece, word_parts in zip(word_numbers(scored.text, scored.spans), scored.parts[:-1], strict=True):
        first, end = np.searchsorted(piece_of_word, variant.sources[piece])
        parts[first:end] += word_parts / (end - first)
    prior = scored.prior + variant.shift
    prior[label] -= variant.penalty
    return replace(attributions, parts=parts, prior=prior, variant=variant.text)


@dataclass(frozen=True)
class _WordTable:
    """The words of some texts as the rows of one table; the last row of each text is its end."""

    texts: Sequence[str]
    spans: list[list[tuple[int, int]]]
    """Of the words of each text."""
    starts: Indices
    """(n + 1,) the first row of each text."""
    sequences: list[Ids]
    """The tokens of each text."""
    rows_of_token: tuple[Indices, Indices]
    """The first and the last row of each token scored, of all texts."""

    @property
    def rows(self) -> int:
        """w"""
        return int(self.starts[-1])

    @property
    def text_of_row(self) -> Indices:
        """(w,)"""
        return np.repeat(np.arange(len(self.texts)), np.diff(self.starts))

    def split(self, log_probabilities: Array, parts: Array, prior: Array) -> list[Attributions]:
        """Return the attributions of each text from the rows of all, (w, K), and priors (n, K)."""
        slices = [slice(*bounds) for bounds in zip(self.starts[:-1], self.starts[1:], strict=True)]
        return [
            Attributions(text, spans, log_probabilities[rows], parts[rows], text_prior)
            for text, spans, rows, text_prior in zip(self.texts, self.spans, slices, prior, strict=True)
        ]


def _word_table(predictor: Predictor, texts: Sequence[str]) -> _WordTable:
    words = [words_of(text, _tokenizer_of_words(predictor)) for text in texts]
    starts = np.cumsum([0, *(len(spans) + 1 for spans in words)])
    sequences = predictor.tokenizer.sequences(texts)
    limit = predictor.settings.limit
    first, last = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    for start, text, spans, sequence in zip(starts[:-1], texts, words, sequences, strict=True):
        scored = len(sequence[:limit]) - 1
        for rows, found in zip(
            (first, last), words_of_spans(spans, predictor.tokenizer.offsets(text)), strict=True
        ):
            rows.append(start + np.append(found, len(spans))[:scored])
    return _WordTable(texts, words, starts, sequences, (np.concatenate(first), np.concatenate(last)))


def _tokenizer_of_words(predictor: Predictor) -> Tokenizer | None:
    """Return the tokenizer whose tokens are words in scripts without spaces; see `words_of`."""
    tokenizer = predictor.subwords if isinstance(predictor, TunedPredictor) else predictor.tokenizer
    return tokenizer if tokenizer.kind == "subword" else None


def _word_log_probs(
    predictor: Predictor, models: Sequence[LabelModel], words: _WordTable, decides: npt.NDArray[np.bool_]
) -> Array:
    """Return the log-probability of each word under each LSTM, (w, K) nats.

    Where it decides nothing it is 0 after `MAX_SHOWN_TOKENS` tokens; `decides`, (n,), says where it does.
    """
    sequences = [
        sequence if needed else sequence[:MAX_SHOWN_TOKENS]
        for sequence, needed in zip(words.sequences, decides.tolist(), strict=True)
    ]
    limit = predictor.settings.limit
    nats = token_log_probs(models, sequences, max_length=limit, threads=predictor.threads)
    tokens = [np.zeros((0, len(models)))]
    for sequence, found in zip(words.sequences, nats, strict=True):
        tokens += [found, np.zeros((len(sequence[:limit]) - 1 - len(found), len(models)))]
    return share_equally(np.concatenate(tokens), *words.rows_of_token, words.rows)


def _sum_rows(values: Array, rows: Indices, shape: tuple[int, ...]) -> Array:
    """Return an array of a shape to whose rows values, (m, K), have been added."""
    result = np.zeros(shape)
    sum_by_text(result, values, rows, 0, shape[0])
    return result


def _with_cut_words(predictor: Predictor, text: str, attributions: Attributions) -> Attributions:
    """Return the attributions of the whole text: words that were cut off add nothing."""
    if predictor.settings.limit is None:
        return attributions
    spans = words_of(text, _tokenizer_of_words(predictor))
    if not attributions.spans:
        return replace(attributions, text=text)
    first, last = words_of_spans(spans, np.array(attributions.spans))
    log_probabilities, parts = (
        np.concatenate([share_equally(rows[:-1], first, last, len(spans)), rows[-1:]])
        for rows in (attributions.log_probabilities, attributions.parts)
    )
    return replace(attributions, text=text, spans=spans, log_probabilities=log_probabilities, parts=parts)
