"""Why a text has its label: the joint log-probability shared out among the words, in numpy.

Every score is a sum over tokens, n-grams or symbols, so a decision is the sum of its words' parts, exactly.
What an n-gram of several words adds is shared equally by them.

Shapes: n texts, K labels, w words of a text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.scoring import chunks_of, token_log_probs
from lmclassify.classify.variants import TextVariant
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.ngram.sums import sum_by_text
from lmclassify.parallel import number_of_threads

if TYPE_CHECKING:
    from lmclassify.classify.predictor import FittedModel

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
ByLabel = dict[str, float]

_MOST_WORDS = 100_000


class ExplainedWord(TypedDict):
    """A whitespace-delimited piece of the text and what it adds."""

    word: str
    start: int
    end: int
    log_probability: ByLabel
    """Under each label's maximum-likelihood language model, nats."""
    parts: ByLabel
    """What it adds to each label's joint log-probability, nats."""
    part: float
    """What it adds to the decision: its part in the label less that in the label it is held against."""


class ExplainedRest(TypedDict):
    """What is no word's: the prior's or the end of text's parts."""

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
    """The label it is held against; None where the model has one label only."""
    probabilities: ByLabel
    joint_log_probabilities: ByLabel
    decision: float
    """The label's joint log-probability less that of the other, nats: the sum of the ``part`` of all."""
    reading: str | None
    """The text as it was read, where another reading decides (`lmclassify.classify.variants`): words left out
    of it add nothing, and the prior's part holds what the reading costs. None: as it stands."""
    prior: ExplainedRest
    words: list[ExplainedWord]
    """At most `most_words`: of longer texts, the last one is all the rest."""
    end_of_text: ExplainedEnd


class InformativeWord(TypedDict):
    """A word and how much it speaks for a label in some texts."""

    word: str
    count: int
    part: float
    """Mean over its occurrences: its part in the label less the mean of its parts in all others, nats."""
    total: float
    """Sum over its occurrences."""


@dataclass(frozen=True)
class Attributions:
    """One text's scores, shared out. The last row of either array is the end of text's."""

    text: str
    spans: list[tuple[int, int]]
    """(w) start and end of each word."""
    log_probabilities: Array
    """(w + 1, K) under the labels' maximum-likelihood language models."""
    parts: Array
    """(w + 1, K) in the joint log-probabilities."""
    prior: Array
    """(K,) the part that is no word's."""
    reading: str | None = None
    """See `Explanation`."""

    @property
    def joint(self) -> Array:
        """(K,)"""
        joint: Array = self.prior + self.parts.sum(axis=0)
        return joint


def attribute(model: FittedModel, texts: Sequence[str]) -> Iterator[Attributions]:
    """Yield how each text's joint log-probabilities are made up.

    Parameters
    ----------
    model : FittedModel
    texts : sequence of str
    """
    scored = model.texts_to_score(list(texts))
    prior = _prior(model)
    label = model.settings.disguised_among(model.label_names)
    for chunk in chunks_of(scored):
        shared = list(_share_out(model, texts[chunk], scored[chunk], prior))
        _, readings = model.score_variants(scored[chunk], np.array([of_text.joint for of_text in shared]))
        for of_text, reading in zip(shared, readings, strict=True):
            if reading is not None and label is not None:
                of_text = _by_reading(model, of_text, reading, label, prior)
            yield _whole(of_text, model)


def _by_reading(
    model: FittedModel, shares: Attributions, reading: TextVariant, label: int, prior: Array
) -> Attributions:
    """Return shares whose parts are those of another reading, each word's in equal parts by its sources."""
    (read,) = _share_out(model, [reading.text], [reading.text], prior, foretold=True)
    parts = np.zeros_like(shares.parts)
    parts[-1] = read.parts[-1]
    for (first, end), of_word in zip(reading.sources, read.parts[:-1], strict=True):
        parts[first:end] += of_word / (end - first)
    rest = read.prior + reading.shift
    rest[label] -= reading.penalty
    return replace(shares, parts=parts, prior=rest, reading=reading.text)


def _prior(model: FittedModel) -> Array:
    if model.combination is None:
        return model.log_priors
    prior = model.combination.bias.copy()
    weights = iter(model.combination.weights)
    for ngrams in model.ngrams:
        for name, weight in zip(ngrams.score_names, weights, strict=False):
            if name.startswith("tuned"):
                prior += weight * ngrams.svm_bias
    return prior


def _share_out(
    model: FittedModel,
    texts: Sequence[str],
    scored: Sequence[str],
    prior: Array,
    *,
    foretold: bool = False,
) -> Iterator[Attributions]:
    """Share out some texts, of which `scored` is what counts; see `attribute`.

    Where `foretold`, as `FittedModel.foretold` has them.
    """
    words = [model.tokenizer.words(text) for text in scored]
    starts = np.cumsum([0, *(len(spans) + 1 for spans, _ in words)])
    shape = (int(starts[-1]), len(model.classes_))
    sequences = model.tokenizer.sequences(scored)
    threads = number_of_threads(model.n_jobs)
    slots = np.concatenate(
        [
            np.zeros(0, np.intp),
            *(
                start + np.append(word_of_token, len(spans))[: len(sequence[: model.limit]) - 1]
                for start, (spans, word_of_token), sequence in zip(starts[:-1], words, sequences, strict=True)
            ),
        ]
    )

    def of_lstms(models: Sequence[AnyLanguageModel]) -> Array:
        nats = token_log_probs(models, sequences, max_length=model.limit, threads=threads)
        return _add(np.concatenate([np.zeros((0, shape[1])), *nats]), slots, shape)

    log_probabilities = of_lstms(model.models)
    combination = model.combination
    if combination is None:
        parts, rest = log_probabilities, np.tile(prior, (len(texts), 1))
    else:
        assert model.subwords is not None
        parts = np.zeros(shape)
        as_subwords = model.subwords.sequences(scored)
        word_of_subword = [model.subwords.words(text)[1] for text in scored]
        weights = iter(combination.weights)
        for ngrams in model.ngrams:
            windows = ngrams.analyzer.occurrences(scored, as_subwords)
            places = starts[windows.text_index] + ngrams.analyzer.words(scored, word_of_subword)
            for of_words in ngrams.word_scores(windows, places, shape[0], len(scored)):
                parts += next(weights) * of_words
        lstms = next(weights) * log_probabilities
        weight = next(weights)
        if weight:
            lstms += weight * of_lstms(model.tuned)
        lengths = None if foretold else [len(subwords) for subwords in as_subwords]
        parts, rest = _decided(model, parts, lstms, prior, starts, lengths)
    for index, (text, (spans, _)) in enumerate(zip(texts, words, strict=True)):
        rows = slice(starts[index], starts[index + 1])
        yield Attributions(text, spans, log_probabilities[rows], parts[rows], rest[index])


def _decided(
    model: FittedModel,
    parts: Array,
    lstms: Array,
    prior: Array,
    starts: Indices,
    lengths: Sequence[int] | None,
) -> tuple[Array, Array]:
    """Return all experts' parts, (w, K), and what is no word's, (n, K), as `Combination.together` has them.

    Parameters
    ----------
    parts, lstms : ndarray, (w, K)
        What n-gram models and LSTMs add, by the words of all texts.
    prior : ndarray, (K,)
    starts : ndarray of int, (n + 1,)
        Where each text's words begin.
    lengths : sequence of int, (n,)
        In subwords; None: no label is contested.
    """
    combination = model.combination
    assert combination is not None
    texts = len(starts) - 1
    text_of_word = np.repeat(np.arange(texts), np.diff(starts))
    of_ngrams = prior + _add(parts, text_of_word, (texts, len(prior)))
    contested = (
        np.zeros(of_ngrams.shape, dtype=bool) if lengths is None else model.contested(of_ngrams, lengths)
    )
    likeliest = combination.likeliest(of_ngrams)
    whole = contested[text_of_word], likeliest[text_of_word]
    of_priors = np.tile(prior, (texts, 1))
    none = np.zeros_like(of_priors)
    return (
        combination.pooled(parts, parts, lstms, *whole),
        combination.pooled(of_priors, of_priors - combination.bias, none, contested, likeliest),
    )


def _add(rows: Array, slots: Indices, shape: tuple[int, int]) -> Array:
    result = np.zeros(shape)
    sum_by_text(result, rows, slots, 0, shape[0])
    return result


def _whole(shares: Attributions, model: FittedModel) -> Attributions:
    """Add the words that were cut off, which have no part."""
    if model.limit is None:
        return shares
    spans = model.tokenizer.words(shares.text)[0]
    missing = len(spans) - len(shares.spans)
    none = np.zeros((missing, len(shares.prior)))
    log_probabilities, parts = (
        np.concatenate([of[:-1], none, of[-1:]]) for of in (shares.log_probabilities, shares.parts)
    )
    return replace(shares, spans=spans, log_probabilities=log_probabilities, parts=parts)


def most_words(labels: int) -> int:
    """Return how many words an explanation lists at most: its dictionaries take far more room than a text."""
    return min(_MOST_WORDS, 1_000_000 // labels)


def _listed(shares: Attributions, most: int) -> Attributions:
    """Join what follows the first words into one last word, so that there are `most`."""
    if len(shares.spans) <= most:
        return shares
    first = most - 1
    spans = [*shares.spans[:first], (shares.spans[first][0], shares.spans[-1][1])]
    log_probabilities, parts = (
        np.concatenate([of[:first], of[first:-1].sum(axis=0, keepdims=True), of[-1:]])
        for of in (shares.log_probabilities, shares.parts)
    )
    return replace(shares, spans=spans, log_probabilities=log_probabilities, parts=parts)


def explanation(
    shares: Attributions, names: Sequence[str], label: int | None, against: int | None
) -> Explanation:
    """Return shares as plain data.

    Parameters
    ----------
    shares : Attributions
    names : sequence of str, (K,)
        Of the labels.
    label, against : int, optional
        Which label to explain and what to hold it against; by default the likeliest ones.
    """
    shares = _listed(shares, most_words(len(names)))
    joint = shares.joint
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
            word=shares.text[start:end],
            start=start,
            end=end,
            log_probability=by_label(shares.log_probabilities[index]),
            parts=by_label(shares.parts[index]),
            part=difference(shares.parts[index]),
        )
        for index, (start, end) in enumerate(shares.spans)
    ]
    return Explanation(
        text=shares.text,
        label=names[label],
        against=None if against is None else names[against],
        probabilities=by_label(np.exp(log_softmax(joint[np.newaxis])[0])),
        joint_log_probabilities=by_label(joint),
        decision=difference(joint),
        reading=shares.reading,
        prior=rest(shares.prior),
        words=words,
        end_of_text={**rest(shares.parts[-1]), "log_probability": by_label(shares.log_probabilities[-1])},
    )


def informative_words(
    texts: Iterator[Attributions], names: Sequence[str], n: int
) -> dict[str, list[InformativeWord]]:
    """Return the words that speak most for each label, by the sum over their occurrences.

    Parameters
    ----------
    texts : iterator of Attributions
    names : sequence of str, (K,)
        Of the labels.
    n : int
        How many words of each label at most.
    """
    sums: dict[str, Array] = defaultdict(lambda: np.zeros(len(names)))
    counts: dict[str, int] = defaultdict(int)
    others = max(1, len(names) - 1)
    for shares in texts:
        total = shares.parts.sum(axis=1, keepdims=True)
        advantage = shares.parts - (total - shares.parts) / others
        for (start, end), row in zip(shares.spans, advantage, strict=False):
            word = shares.text[start:end]
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
