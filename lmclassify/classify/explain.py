"""Explanations: why a text has its label, and which words speak for a label, as plain data.

Shapes: K labels.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from lmclassify.classify.attribution import Attributions, attribute
from lmclassify.classify.data_frames import Texts
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.predictor import Predictor, as_texts
from lmclassify.errors import LMClassifyWarning, OptionError, shorten

Array = npt.NDArray[np.float64]
ByLabel = dict[str, float]

MAX_WORDS = 10_000
"""Words listed in an explanation: a dictionary per word takes about a hundred times the room of the text, and
nobody reads more."""
MAX_WORD_LABELS = 100_000
"""Words times labels listed in an explanation, for the same reason where there are many labels."""


class ExplainedWord(TypedDict):
    """A word of the text (in scripts without spaces a token) and its contribution."""

    word: str
    start: int
    end: int
    log_probability: ByLabel
    """Under each label's language model, nats."""
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
    label, against : object, optional
    max_words : int, optional
        Largest number of words listed; further ones are merged into the last one, with a warning. By default
        as many as `MAX_WORDS` and `MAX_WORD_LABELS` allow.
    """
    code = None if label is None else predictor.label_index(label)
    other = None if against is None else predictor.label_index(against)
    if against is not None and len(predictor.classes_) == 1:
        raise OptionError("the model has one label: there is no other label to compare it with")
    if code is not None and code == other:
        raise OptionError(f"label {shorten(label)} cannot be compared with itself")
    attributions = next(attribute(predictor, as_texts([text])))
    most = (
        min(MAX_WORDS, max(1, MAX_WORD_LABELS // len(predictor.classes_))) if max_words is None else max_words
    )
    if len(attributions.spans) > most:
        rest = len(attributions.spans) - most + 1
        message = f"the last {rest:,} of {len(attributions.spans):,} words are explained as one"
        warnings.warn(message, LMClassifyWarning, stacklevel=3)
        attributions = _merge_last_words(attributions, most)
    return explanation(attributions, predictor.label_names, code, other)


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
        reading=attributions.variant,
        prior=rest(attributions.prior),
        words=words,
        end_of_text={
            **rest(attributions.parts[-1]),
            "log_probability": by_label(attributions.log_probabilities[-1]),
        },
    )


def informative_words(
    predictor: Predictor,
    texts: Texts,
    n: int = 10,
    *,
    progress: Callable[[int], object] = lambda done: None,
) -> dict[str, list[InformativeWord]]:
    """Return the words that speak most for each label, by the sum over their occurrences.

    Parameters
    ----------
    n : int, default=10
        Largest number of words per label.
    progress : callable, optional
        Called with the number of texts done after each text.
    """
    if n < 1:
        raise OptionError(f"n must be at least 1, not {n}")
    names = predictor.label_names
    sums: dict[str, Array] = defaultdict(lambda: np.zeros(len(names)))
    counts: dict[str, int] = defaultdict(int)
    others = max(1, len(names) - 1)
    for done, attributions in enumerate(attribute(predictor, predictor.read(texts)), 1):
        total = attributions.parts.sum(axis=1, keepdims=True)
        advantage = attributions.parts - (total - attributions.parts) / others
        for (start, end), row in zip(attributions.spans, advantage, strict=False):
            word = attributions.text[start:end]
            sums[word] += row
            counts[word] += 1
        progress(done)
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
