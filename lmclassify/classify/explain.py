"""Explanations: why a text has its label, and which words speak for a label, as plain data.

Shapes: K labels.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

from lmclassify.classify.attribution import Attributions, attribute, language_model_scores
from lmclassify.classify.data_frames import Texts
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.predictor import Predictor
from lmclassify.classify.texts import as_texts
from lmclassify.errors import LMClassifyWarning, OptionError, plural, shorten
from lmclassify.text.fields import fields_at

Array = npt.NDArray[np.float64]
ByLabel = dict[str, float]

MAX_WORDS = 10_000
"""Words listed in an explanation: a dictionary per word takes about a hundred times the room of the text, and
nobody reads more."""
MIN_SHARE = 0.05
"""A word with less than this share of the largest contribution is shown in grey: it hardly matters."""
REASON_WORDS = 5
"""Words given as the reason of a prediction: a line that people read at a glance."""
MAX_WORD_LABELS = 100_000
"""Words times labels listed in an explanation, for the same reason where there are many labels."""


class ExplainedRest(TypedDict):
    """The contribution of the prior or of the end of text."""

    contributions: ByLabel
    """What it adds to each label's joint log-probability, in nats; a brief explanation has two labels."""
    contribution: float
    """What it adds to the decision: its contribution to the label minus that to the label compared with."""
    parts: ByLabel
    """Deprecated alias of ``contributions``, until version 0.9."""
    part: float
    """Deprecated alias of ``contribution``, until version 0.9."""


class ExplainedEnd(ExplainedRest):
    """The end of text is a token too."""

    log_probability: ByLabel
    """By label, in nats: under its language model. A brief explanation has the two labels compared only."""


class ExplainedWord(ExplainedEnd):
    """A word of the text (in scripts without spaces a token) and its contribution."""

    word: str
    start: int
    end: int
    field: NotRequired[str]
    """The text column that it stands in, where several columns make a text."""


class Explanation(dict[str, Any]):
    """Why a text has its label rather than another, as a dictionary that notebooks show as coloured text.

    All contributions, of the prior, the words and the end of text, sum to the joint log-probabilities.

    Keys
    ----
    text, label : str
    against : str or None
        The label compared with; None if the model has one label only.
    probabilities, joint_log_probabilities : dict of str to float
        Of all labels, in the order of the model.
    decision : float
        The label's joint log-probability minus that of the other, nats: the sum of every ``contribution``.
    reading : str or None
        The variant of the text that decides (`lmclassify.classify.variants`). Words missing from it add
        nothing, and the prior's contribution holds the variant's penalty. None: the text as it stands.
    prior : ExplainedRest
    words : list of ExplainedWord
        At most `MAX_WORDS`: the last one of a longer text stands for all the rest.
    end_of_text : ExplainedEnd
    """

    def _repr_html_(self) -> str:
        """Return HTML for notebooks."""
        from lmclassify.classify.explanation_html import to_html  # Jinja's escaping imports slowly

        return to_html(self)


class InformativeWord(TypedDict):
    """A word and how much it speaks for a label in some texts."""

    word: str
    count: int
    contribution: float
    """Mean over its occurrences: what it adds to the label minus the mean over all other labels, nats."""
    total: float
    """Sum over its occurrences."""
    part: float
    """Deprecated alias of ``contribution``, until version 0.9."""


def explain(
    predictor: Predictor,
    text: str,
    label: object = None,
    against: object = None,
    *,
    brief: bool = False,
    max_words: int | None = None,
) -> Explanation:
    """Explain why a text has its label; see `lmclassify.FittedModel.explain`.

    Parameters
    ----------
    label, against : object, optional
    brief : bool, default=False
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
    attributions = next(attribute(predictor, as_texts([text]), language_models=not brief))
    code, other = compared_labels(attributions.joint, code, other)
    if brief:
        codes = [code] if other is None else [code, other]
        shown = np.zeros_like(attributions.parts)
        shown[:, codes] = language_model_scores(predictor, text, codes)
        attributions = replace(attributions, log_probabilities=shown)
    listed = min(2, len(predictor.classes_)) if brief else len(predictor.classes_)
    most = min(MAX_WORDS, max(1, MAX_WORD_LABELS // listed)) if max_words is None else max_words
    if len(attributions.spans) > most:
        rest = len(attributions.spans) - most + 1
        are = plural(rest, "is", "are")
        message = f"the last {rest:,} of {len(attributions.spans):,} words {are} explained as one"
        warnings.warn(message, LMClassifyWarning, stacklevel=3)
        attributions = _merge_last_words(attributions, most)
    found = explanation(attributions, predictor.label_names, code, other, brief=brief)
    starts = [start for start, _ in attributions.spans]
    fields = fields_at(attributions.text, starts, predictor.field_names)
    for word, field in zip(found["words"], fields or (), strict=False):
        word["field"] = field
    return found


def _merge_last_words(attributions: Attributions, most: int) -> Attributions:
    """Merge the last words into one, so that `most` are left."""
    first = most - 1
    spans = [*attributions.spans[:first], (attributions.spans[first][0], attributions.spans[-1][1])]
    log_probabilities, parts = (
        np.concatenate([rows[:first], rows[first:-1].sum(axis=0, keepdims=True), rows[-1:]])
        for rows in (attributions.log_probabilities, attributions.parts)
    )
    return replace(attributions, spans=spans, log_probabilities=log_probabilities, parts=parts)


def compared_labels(joint: Array, label: int | None, against: int | None) -> tuple[int, int | None]:
    """Return the label to explain and the one to compare it with, by default the likeliest ones.

    Parameters
    ----------
    joint : ndarray, (K,)
        Joint log-probabilities.
    """
    ranked = np.argsort(-joint, kind="stable").tolist()
    if label is None:
        label = next(index for index in ranked if index != against)
    if against is None:
        against = next((index for index in ranked if index != label), None)
    return label, against


def explanation(
    attributions: Attributions,
    names: Sequence[str],
    label: int | None,
    against: int | None,
    *,
    brief: bool = False,
) -> Explanation:
    """Return attributions as plain data.

    Parameters
    ----------
    names : sequence of str, (K,)
        Of the labels.
    label, against : int, optional
        The label to explain and the one to compare it with; by default the likeliest ones.
    brief : bool, default=False
        Leave out what concerns other labels.
    """
    joint = attributions.joint
    label, against = compared_labels(joint, label, against)
    compared = [label] if against is None else [label, against]

    def by_label(row: Array) -> ByLabel:
        return dict(zip(names, row.tolist(), strict=True))

    def by_shown_label(row: Array) -> ByLabel:
        return {names[code]: float(row[code]) for code in compared} if brief else by_label(row)

    def difference(row: Array) -> float:
        return float(row[label] - (0.0 if against is None else row[against]))

    def rest(row: Array) -> ExplainedRest:
        contributions, contribution = by_shown_label(row), difference(row)
        return {
            "contributions": contributions,
            "contribution": contribution,
            "parts": contributions,
            "part": contribution,
        }

    words = [
        ExplainedWord(
            word=attributions.text[start:end],
            start=start,
            end=end,
            log_probability=by_shown_label(attributions.log_probabilities[index]),
            **rest(attributions.parts[index]),  # type: ignore[typeddict-item]  # field, not required
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
        end_of_text=ExplainedEnd(
            log_probability=by_shown_label(attributions.log_probabilities[-1]),
            **rest(attributions.parts[-1]),
        ),
    )


def largest_contribution(explanation: Explanation) -> float:
    """Return the largest contribution of a word or of the end of text, without its sign; never 0."""
    items = [*explanation["words"], explanation["end_of_text"]]
    return max(abs(item["contribution"]) for item in items) or 1.0


def strongest_words(explanation: Explanation, n: int) -> tuple[list[ExplainedWord], list[ExplainedWord]]:
    """Return at most `n` words that speak for the label and `n` that speak against it, the strongest first.

    Words that hardly matter are left out.
    """
    least = MIN_SHARE * largest_contribution(explanation)
    words = [word for word in explanation["words"] if abs(word["contribution"]) >= least]
    words.sort(key=lambda word: -abs(word["contribution"]))
    return (
        [word for word in words if word["contribution"] > 0][:n],
        [word for word in words if word["contribution"] < 0][:n],
    )


def deciding_words(predictor: Predictor, text: str, label: object = None, n: int = REASON_WORDS) -> list[str]:
    """Return at most `n` different words that speak most for a label, the strongest first.

    Their contributions, against the likeliest other label, are summed over all occurrences; letter case does
    not count. Words that hardly matter are left out.

    Parameters
    ----------
    label : object, optional
        By default the likeliest one.
    """
    attributions = next(attribute(predictor, as_texts([text]), language_models=False))
    joint = attributions.joint
    code = int(joint.argmax()) if label is None else predictor.label_index(label)
    others = np.delete(np.arange(len(joint)), code)
    rows = attributions.parts[:, code]
    if len(others):
        rows = rows - attributions.parts[:, others[joint[others].argmax()]]
    sums: dict[str, float] = defaultdict(float)
    first: dict[str, str] = {}
    for (start, end), contribution in zip(attributions.spans, rows[:-1].tolist(), strict=True):
        word = attributions.text[start:end]
        sums[word.casefold()] += contribution
        first.setdefault(word.casefold(), word)
    least = MIN_SHARE * max(map(abs, sums.values()), default=0.0)
    strongest = sorted(sums, key=lambda word: -sums[word])[:n]
    return [first[word] for word in strongest if sums[word] > 0 and sums[word] >= least]


def explained_sum(explanation: Explanation, write: Callable[[float], str], name: Callable[[str], str]) -> str:
    """Return sentences that say what the contributions are and what they add up to.

    Parameters
    ----------
    write, name : callable
        Write a contribution with its sign, and a label or the field of a text. Nothing else of the
        explanation is in the sentences.
    """
    against, decision = explanation["against"], explanation["decision"]
    label, total = name(explanation["label"]), write(decision)
    by_field: dict[str, float] = defaultdict(float)
    for word in explanation["words"]:
        by_field[name(word["field"]) if "field" in word else "words"] += word["contribution"]
    words = ", ".join(f"{field} {write(value)}" for field, value in (by_field or {"words": 0.0}).items())
    sums = (
        f"{words}, end of text {write(explanation['end_of_text']['contribution'])}, "
        f"prior (before any word is read) {write(explanation['prior']['contribution'])}"
    )
    unit = "Contributions are in nats, a unit of log-probability"
    if against is None:
        return f"{unit}. They add up to {total}, the joint log-probability of the text and {label}: {sums}."
    other = name(against)
    more, less = (label, other) if decision >= 0 else (other, label)
    return (
        f"{unit}: positive ones speak for {label}, negative ones for {other}. "
        f"They add up to {total}: {sums}. So {more} is {_times(abs(decision))} as probable as {less}."
    )


def _times(log_odds: float) -> str:
    """Return how many times as probable something is, such as "4.6 times" or "about 370,000 times"."""
    times = math.exp(min(log_odds, 700.0))
    if times >= 1e6:
        return "more than a million times"
    return f"{times:.1f} times" if times < 20 else f"about {float(f'{times:.2g}'):,.0f} times"


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
    for done, attributions in enumerate(
        attribute(predictor, predictor.read(texts), language_models=False), 1
    ):
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
                contribution=float(table[index, label]) / counts[words[index]],
                total=float(table[index, label]),
                part=float(table[index, label]) / counts[words[index]],
            )
            for index in best.tolist()
            if table[index, label] > 0
        ]
    return result
