"""Why a text has its label: its joint log-probability attributed to its words (numpy).

Every score is a sum over tokens, n-grams or symbols, so a decision is exactly the sum of its words' parts.
The part of an n-gram of several words is divided equally among them.

Shapes: n texts, K labels, w words (rows) of all texts, each text's end included.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from lmclassify.classify.cascade import merge
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.predictor import Predictor, as_texts
from lmclassify.classify.scoring import chunks_of, token_log_probs
from lmclassify.classify.tuned_predictor import TunedPredictor
from lmclassify.classify.variants import TextVariant
from lmclassify.errors import LMClassifyWarning, OptionError, shorten
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.ngram.sums import sum_by_text
from lmclassify.text.sequences import Ids

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
ByLabel = dict[str, float]

MAX_WORDS = 100_000
"""Words listed in an explanation: a dictionary per word takes about a hundred times the room of the text."""
MAX_WORD_LABELS = 1_000_000
"""Words times labels listed in an explanation, for the same reason where there are many labels."""


class ExplainedWord(TypedDict):
    """A whitespace-delimited word of the text and its contribution."""

    word: str
    start: int
    end: int
    log_probability: ByLabel
    """Under each label's maximum-likelihood language model, nats."""
    parts: ByLabel
    """What it adds to each label's joint log-probability, nats."""
    part: float
    """What it adds to the decision: its part in the label minus its part in the label compared with."""


class ExplainedRest(TypedDict):
    """The contribution of the prior or of the end of text."""

    parts: ByLabel
    part: float


class ExplainedEnd(ExplainedRest):
    """The end of text is a token too."""

    log_probability: ByLabel


class Explanation(TypedDict):
    """Why a text has its label rather than another. All parts sum to the joint log-probabilities."""

    text: str
    label: str
    against: str | None
    """The label compared with; None if the model has one label only."""
    probabilities: ByLabel
    joint_log_probabilities: ByLabel
    decision: float
    """The label's joint log-probability minus that of the other, nats: the sum of every ``part``."""
    reading: str | None
    """The variant of the text that decides (`lmclassify.classify.variants`). Words missing from it add
    nothing, and the prior's part holds the variant's penalty. None: the text as it stands."""
    prior: ExplainedRest
    words: list[ExplainedWord]
    """At most `MAX_WORDS`: the last one of a longer text stands for all the rest."""
    end_of_text: ExplainedEnd


class InformativeWord(TypedDict):
    """A word and how much it speaks for a label in some texts."""

    word: str
    count: int
    part: float
    """Mean over its occurrences: its part in the label minus the mean of its parts in all others, nats."""
    total: float
    """Sum over its occurrences."""


@dataclass(frozen=True)
class Attributions:
    """The scores of one text, attributed to its w words. The last row of either array is the end of text."""

    text: str
    spans: list[tuple[int, int]]
    """(w) start and end of each word."""
    log_probabilities: Array
    """(w + 1, K) under the labels' maximum-likelihood language models."""
    parts: Array
    """(w + 1, K) in the joint log-probabilities."""
    prior: Array
    """(K,) the part that belongs to no word."""
    reading: str | None = None
    """See `Explanation`."""

    @property
    def joint(self) -> Array:
        """(K,)"""
        joint: Array = self.prior + self.parts.sum(axis=0)
        return joint


def explain(
    predictor: Predictor,
    text: str,
    label: object = None,
    against: object = None,
    *,
    max_words: int | None = None,
) -> Explanation:
    """Explain why a text has its label; see `lmclassify.FittedModel.explain`.

    Parameters
    ----------
    predictor : Predictor
    text : str
    label, against : object, optional
    max_words : int, optional
        Largest number of words listed; further ones are merged into the last one, with a warning. By default
        as many as `MAX_WORDS` and `MAX_WORD_LABELS` allow.
    """
    code = None if label is None else predictor.label_index(label)
    other = None if against is None else predictor.label_index(against)
    if against is not None and len(predictor.classes_) == 1:
        raise OptionError("a model with one label has no other to hold it against")
    if code is not None and code == other:
        raise OptionError(f"label {shorten(label)} cannot be held against itself")
    attributions = next(attribute(predictor, as_texts([text])))
    most = min(MAX_WORDS, MAX_WORD_LABELS // len(predictor.classes_)) if max_words is None else max_words
    if len(attributions.spans) > most:
        rest = len(attributions.spans) - most + 1
        message = f"the last {rest:,} of {len(attributions.spans):,} words are explained as one"
        warnings.warn(message, LMClassifyWarning, stacklevel=3)
        attributions = _merge_last_words(attributions, most)
    return explanation(attributions, predictor.label_names, code, other)


def informative_words(
    predictor: Predictor, texts: Iterable[str], n: int = 10
) -> dict[str, list[InformativeWord]]:
    """Return the words that speak most for each label; see `lmclassify.FittedModel.informative_words`."""
    if n < 1:
        raise OptionError(f"n must be at least 1, not {n}")
    return most_informative(attribute(predictor, as_texts(texts)), predictor.label_names, n)


def attribute(predictor: Predictor, texts: Sequence[str]) -> Iterator[Attributions]:
    """Yield the attributions of each text.

    Parameters
    ----------
    predictor : Predictor
    texts : sequence of str
    """
    scored = predictor.truncate(list(texts))
    for chunk in chunks_of(scored):
        if isinstance(predictor, TunedPredictor):
            attributed = _attribute_tuned(predictor, scored[chunk])
        else:
            attributed = _attribute_plain(predictor, scored[chunk])
        for text, attributions in zip(texts[chunk], attributed, strict=True):
            yield _with_cut_words(predictor, text, attributions)


def _attribute_plain(predictor: Predictor, texts: Sequence[str]) -> list[Attributions]:
    words = _word_table(predictor, texts)
    log_probabilities = _word_log_probs(predictor, predictor.models, words)
    prior = np.tile(predictor.log_priors, (len(texts), 1))
    return words.split(log_probabilities, log_probabilities, prior)


def _attribute_tuned(predictor: TunedPredictor, texts: Sequence[str]) -> list[Attributions]:
    attributed = _attribute_as_they_stand(predictor, texts)
    joint = np.array([attributions.joint for attributions in attributed])
    _, variants = predictor.score_variants(texts, joint)
    return [
        attributions if variant is None else _by_variant(predictor, attributions, variant)
        for attributions, variant in zip(attributed, variants, strict=True)
    ]


def _attribute_as_they_stand(
    predictor: TunedPredictor, texts: Sequence[str], *, approximate: bool = False
) -> list[Attributions]:
    """Attribute the scores of texts without variants; approximate: as `TunedPredictor.approximate_joint`."""
    combination = predictor.combination
    words = _word_table(predictor, texts)
    log_probabilities = _word_log_probs(predictor, predictor.models, words)
    subwords = predictor.subwords.sequences(texts)
    ngram_parts = _ngram_parts(predictor, texts, subwords, words)
    weight, tuned_weight = combination.weights[-2:]
    lstm_parts = weight * log_probabilities
    if tuned_weight:
        lstm_parts += tuned_weight * _word_log_probs(predictor, predictor.tuned, words)
    prior = np.tile(_prior(predictor), (len(texts), 1))
    ngram_joint = prior + _sum_rows(ngram_parts, words.text_of_row, prior.shape)
    approximate_joint = combination.approximate_joint(ngram_joint)
    if approximate:
        mask = np.zeros(ngram_joint.shape, dtype=bool)
    else:
        mask = predictor.cascade_mask(approximate_joint, [len(sequence) for sequence in subwords])
    likeliest = approximate_joint.argmax(axis=1)
    approximate_parts = combination.cascade.approximate(ngram_parts, ngram_parts)
    rows = words.text_of_row
    parts = merge(approximate_parts, ngram_parts + lstm_parts, mask[rows], likeliest[rows])
    rest = merge(combination.approximate_joint(prior), prior, mask, likeliest)
    return words.split(log_probabilities, parts, rest)


def _prior(predictor: TunedPredictor) -> Array:
    """Return the part of the combination that belongs to no word, (K,): its bias and the SVMs' biases."""
    prior = predictor.combination.bias.copy()
    weights = iter(predictor.combination.weights)
    for ngrams in predictor.ngrams:
        for name, weight in zip(ngrams.score_names, weights, strict=False):
            if name.startswith("tuned"):
                prior += weight * ngrams.svm_bias
    return prior


def _ngram_parts(
    predictor: TunedPredictor, texts: Sequence[str], subwords: Sequence[Ids], words: _WordTable
) -> Array:
    """Return what the n-gram experts add to each word, (w, K)."""
    parts = np.zeros((words.rows, len(predictor.classes_)))
    word_of_subword = [predictor.subwords.words(text)[1] for text in texts]
    weights = iter(predictor.combination.weights)
    for ngrams in predictor.ngrams:
        occurrences = ngrams.analyzer.occurrences(texts, subwords)
        rows = words.starts[occurrences.text_index] + ngrams.analyzer.words(texts, word_of_subword)
        for scores in ngrams.word_scores(occurrences, rows, words.rows, len(texts)):
            parts += next(weights) * scores
    return parts


def _by_variant(predictor: TunedPredictor, attributions: Attributions, variant: TextVariant) -> Attributions:
    """Return the attributions of the text's variant, each word's divided among the words it comes from."""
    label = predictor.settings.disguised_among(predictor.label_names)
    (scored,) = _attribute_as_they_stand(predictor, [variant.text], approximate=True)
    parts = np.zeros_like(attributions.parts)
    parts[-1] = scored.parts[-1]
    for (first, end), word_parts in zip(variant.sources, scored.parts[:-1], strict=True):
        parts[first:end] += word_parts / (end - first)
    prior = scored.prior + variant.shift
    prior[label] -= variant.penalty
    return replace(attributions, parts=parts, prior=prior, reading=variant.text)


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
    row_of_token: Indices
    """For each token scored, of all texts."""

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
            Attributions(text, spans, log_probabilities[rows], parts[rows], of_text)
            for text, spans, rows, of_text in zip(self.texts, self.spans, slices, prior, strict=True)
        ]


def _word_table(predictor: Predictor, texts: Sequence[str]) -> _WordTable:
    words = [predictor.tokenizer.words(text) for text in texts]
    starts = np.cumsum([0, *(len(spans) + 1 for spans, _ in words)])
    sequences = predictor.tokenizer.sequences(texts)
    limit = predictor.settings.limit
    rows = [np.zeros(0, np.intp)]
    for start, (spans, word_of_token), sequence in zip(starts[:-1], words, sequences, strict=True):
        rows.append(start + np.append(word_of_token, len(spans))[: len(sequence[:limit]) - 1])
    return _WordTable(texts, [spans for spans, _ in words], starts, sequences, np.concatenate(rows))


def _word_log_probs(predictor: Predictor, models: Sequence[AnyLanguageModel], words: _WordTable) -> Array:
    """Return the log-probability of each word under each LSTM, (w, K) nats."""
    nats = token_log_probs(
        models,
        words.sequences,
        max_length=predictor.settings.limit,
        threads=predictor.threads,
    )
    shape = (words.rows, len(models))
    return _sum_rows(np.concatenate([np.zeros((0, shape[1])), *nats]), words.row_of_token, shape)


def _sum_rows(values: Array, rows: Indices, shape: tuple[int, ...]) -> Array:
    """Return an array of a shape to whose rows values, (m, K), have been added."""
    result = np.zeros(shape)
    sum_by_text(result, values, rows, 0, shape[0])
    return result


def _with_cut_words(predictor: Predictor, text: str, attributions: Attributions) -> Attributions:
    """Return the attributions of the whole text: words that were cut off add nothing."""
    if predictor.settings.limit is None:
        return attributions
    spans = predictor.tokenizer.words(text)[0]
    none = np.zeros((len(spans) - len(attributions.spans), len(attributions.prior)))
    log_probabilities, parts = (
        np.concatenate([rows[:-1], none, rows[-1:]])
        for rows in (attributions.log_probabilities, attributions.parts)
    )
    return replace(attributions, text=text, spans=spans, log_probabilities=log_probabilities, parts=parts)


def _merge_last_words(attributions: Attributions, most: int) -> Attributions:
    """Merge the last words into one, so that `most` are left."""
    first = most - 1
    spans = [*attributions.spans[:first], (attributions.spans[first][0], attributions.spans[-1][1])]
    log_probabilities, parts = (
        np.concatenate([rows[:first], rows[first:-1].sum(axis=0, keepdims=True), rows[-1:]])
        for rows in (attributions.log_probabilities, attributions.parts)
    )
    return replace(attributions, spans=spans, log_probabilities=log_probabilities, parts=parts)


def explanation(
    attributions: Attributions, names: Sequence[str], label: int | None, against: int | None
) -> Explanation:
    """Return attributions as plain data.

    Parameters
    ----------
    attributions : Attributions
    names : sequence of str, (K,)
        Of the labels.
    label, against : int, optional
        The label to explain and the one to compare it with; by default the likeliest ones.
    """
    joint = attributions.joint
    ranked = np.argsort(-joint, kind="stable").tolist()
    if label is None:
        label = next(index for index in ranked if index != against)
    if against is None:
        against = next((index for index in ranked if index != label), None)

    def by_label(row: Array) -> ByLabel:
        return dict(zip(names, row.tolist(), strict=True))

    def difference(row: Array) -> float:
        return float(row[label] - (0.0 if against is None else row[against]))

    def rest(row: Array) -> ExplainedRest:
        return {"parts": by_label(row), "part": difference(row)}

    words = [
        ExplainedWord(
            word=attributions.text[start:end],
            start=start,
            end=end,
            log_probability=by_label(attributions.log_probabilities[index]),
            parts=by_label(attributions.parts[index]),
            part=difference(attributions.parts[index]),
        )
        for index, (start, end) in enumerate(attributions.spans)
    ]
    return Explanation(
        text=attributions.text,
        label=names[label],
        against=None if against is None else names[against],
        probabilities=by_label(np.exp(log_softmax(joint[np.newaxis])[0])),
        joint_log_probabilities=by_label(joint),
        decision=difference(joint),
        reading=attributions.reading,
        prior=rest(attributions.prior),
        words=words,
        end_of_text={
            **rest(attributions.parts[-1]),
            "log_probability": by_label(attributions.log_probabilities[-1]),
        },
    )


def most_informative(
    attributed: Iterable[Attributions], names: Sequence[str], n: int
) -> dict[str, list[InformativeWord]]:
    """Return the words that speak most for each label, by the sum over their occurrences.

    Parameters
    ----------
    attributed : iterable of Attributions
    names : sequence of str, (K,)
        Of the labels.
    n : int
        Largest number of words per label.
    """
    sums: dict[str, Array] = defaultdict(lambda: np.zeros(len(names)))
    counts: dict[str, int] = defaultdict(int)
    others = max(1, len(names) - 1)
    for attributions in attributed:
        total = attributions.parts.sum(axis=1, keepdims=True)
        advantage = attributions.parts - (total - attributions.parts) / others
        for (start, end), row in zip(attributions.spans, advantage, strict=False):
            word = attributions.text[start:end]
            sums[word] += row
            counts[word] += 1
    words = sorted(sums)
    table = np.array([sums[word] for word in words]).reshape(len(words), len(names))
    result: dict[str, list[InformativeWord]] = {}
    for label, name in enumerate(names):
        best = np.argsort(-table[:, label], kind="stable")[:n]
        result[name] = [
            InformativeWord(
                word=words[index],
                count=counts[words[index]],
                part=float(table[index, label]) / counts[words[index]],
                total=float(table[index, label]),
            )
            for index in best.tolist()
            if table[index, label] > 0
        ]
    return result
