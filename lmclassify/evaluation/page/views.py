"""Data for the templates, computed from an evaluation: matrix cells, shaded words, sorted rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmclassify.classify.explain import (
    MIN_SHARE,
    ExplainedWord,
    Explanation,
    InformativeWord,
    largest_contribution,
    strongest_words,
)
from lmclassify.classify.label_colours import colour_numbers
from lmclassify.evaluation.classification_report import reported_labels
from lmclassify.evaluation.confusion import MAX_MATRIX_LABELS
from lmclassify.evaluation.metrics import Evaluation
from lmclassify.evaluation.mistakes import Mistake

MAX_LABELS = 200
"""Labels in a table: with more, those that occur in the data are shown, the most frequent ones first."""
_SHADES = 5
"""Shades of the picture, so that all cells of a shade are one SVG path."""
_MAX_WORDS = 150
"""Words shown of a mistaken text: longer texts would hide the other mistakes."""
_MAX_NAMED_WORDS = 4
"""Words named below a mistaken text, for and against its label: the rest add little."""


@dataclass(frozen=True)
class MatrixCell:
    """One cell of the confusion matrix."""

    kind: str
    """``right`` or ``wrong``: the CSS class."""
    count: int
    share: float
    """Of its row."""


@dataclass(frozen=True)
class MatrixRow:
    """Texts of one true label."""

    label: str
    texts: int
    cells: list[MatrixCell]


def matrix_rows(evaluation: Evaluation) -> list[MatrixRow]:
    """Return the rows of the confusion matrix that are labels of the model or the data (not "unsure")."""
    rows = []
    for position, (label, counts) in enumerate(
        zip(evaluation.labels, evaluation.confusion_matrix, strict=True)
    ):
        if label in evaluation.per_label:
            texts = sum(counts)
            cells = [
                MatrixCell("right" if column == position else "wrong", count, count / texts if texts else 0.0)
                for column, count in enumerate(counts)
            ]
            rows.append(MatrixRow(label, texts, cells))
    return rows


def reported(evaluation: Evaluation) -> list[str]:
    """Return the labels that the tables show."""
    counts = np.asarray(evaluation.confusion_matrix, dtype=np.int64)
    texts = dict(zip(evaluation.labels, (counts.sum(axis=0) + counts.sum(axis=1)).tolist(), strict=True))
    return reported_labels({label: texts[label] for label in evaluation.per_label}, MAX_LABELS)


def matrix_picture(evaluation: Evaluation) -> dict[str, Any]:
    """Return the whole confusion matrix as SVG paths: a unit square per cell, one path per shade."""
    squares: dict[tuple[str, int], list[str]] = defaultdict(list)
    chosen = [at for at, label in enumerate(evaluation.labels) if label in evaluation.per_label]
    counts = np.asarray(evaluation.confusion_matrix, dtype=np.int64)[chosen]
    for y, x in np.argwhere(counts).tolist():
        shade = min(int(counts[y, x] / counts[y].sum() * _SHADES), _SHADES - 1)
        squares["right" if x == chosen[y] else "wrong", shade].append(f"M{x} {y}h1v1h-1z")
    paths = [
        {"kind": kind, "opacity": 0.3 + 0.7 * shade / (_SHADES - 1), "d": "".join(parts)}
        for (kind, shade), parts in sorted(squares.items())
    ]
    return {"width": len(evaluation.labels), "height": len(chosen), "paths": paths}


def label_rows(evaluation: Evaluation) -> list[tuple[str, dict[str, float]]]:
    """Return the metrics of the labels to report; the weakest labels first where there are many."""
    rows = [(label, evaluation.per_label[label]) for label in reported(evaluation)]
    if len(rows) > MAX_MATRIX_LABELS:
        rows.sort(key=lambda row: (row[1]["f1-score"], row[0]))
    return rows


@dataclass(frozen=True)
class ShadedWord:
    """A word, coloured by what it contributes."""

    text: str
    contribution: float
    """Nats."""
    strength: float
    """Share of the largest contribution, 0 to 1."""
    kind: str | None
    """``for`` or ``against``: the CSS class; None for a word that hardly matters and is grey."""
    colour: int | None
    """Number of the colour of the label that it speaks for."""
    spaced: bool = True
    """Whether a space comes before it; not within a text of a script without spaces."""


@dataclass(frozen=True)
class MistakeView:
    """A mistaken text and the words that led to its label."""

    mistake: Mistake
    place: str
    """Of its first row, such as "row 12"."""
    explanation: Explanation
    words: list[ShadedWord]
    words_cut: int
    """Words after the last one shown."""
    strongest: list[tuple[str, int | None, list[ExplainedWord]]]
    """The label and the one it is compared with: name, number of the colour, words that speak most for it."""


def mistake_view(mistake: Mistake, place: str, explanation: Explanation) -> MistakeView:
    """Return a mistake with its words shaded."""
    words = explanation["words"]
    labels = [label for label in (explanation["label"], explanation["against"]) if label is not None]
    numbers = colour_numbers(list(explanation["probabilities"]), labels)
    largest = largest_contribution(explanation)
    ends = [-1, *(word["end"] for word in words)]

    def shaded(word: ExplainedWord, end: int) -> ShadedWord:
        contribution, spaced = word["contribution"], word["start"] > end
        strength = abs(contribution) / largest
        if strength < MIN_SHARE:
            return ShadedWord(word["word"], contribution, strength, None, None, spaced)
        kind, label = ("for", labels[0]) if contribution > 0 else ("against", labels[-1])
        return ShadedWord(word["word"], contribution, strength, kind, numbers.get(label), spaced)

    return MistakeView(
        mistake,
        place,
        explanation,
        [shaded(word, end) for word, end in zip(words[:_MAX_WORDS], ends, strict=False)],
        max(0, len(words) - _MAX_WORDS),
        [
            (label, numbers.get(label), found)
            for label, found in zip(labels, strongest_words(explanation, _MAX_NAMED_WORDS), strict=False)
        ],
    )


def influential_word_rows(
    words: Mapping[str, Sequence[InformativeWord]], labels: Sequence[str]
) -> list[tuple[str, int | None, list[ShadedWord]]]:
    """Return each label, the number of its colour and its influential words, shaded by their total.

    Parameters
    ----------
    labels : sequence of str
        All labels of the model.
    """
    numbers = colour_numbers(labels, words)
    rows = []
    for label, found in words.items():
        largest = max((word["total"] for word in found), default=0.0) or 1.0
        number = numbers.get(label)
        shaded = [
            ShadedWord(word["word"], word["total"], word["total"] / largest, "for", number) for word in found
        ]
        rows.append((label, number, shaded))
    return rows


def fact_pairs(model_info: Mapping[str, Any], data: str, model: str) -> list[tuple[str, object]]:
    """Return facts of data and model as terms and values.

    Parameters
    ----------
    model_info : mapping
        See `lmclassify.evaluation.model_info.model_info`.
    data, model : str
        Their names.
    """
    tokenizer, training = model_info["tokenizer"], model_info["training"]
    case = "lower case" if tokenizer["lowercase"] else "case kept"
    pairs: list[tuple[str, object]] = [
        ("data", data),
        ("model", model),
        ("recipe", model_info["settings"].get("recipe", "–")),
        ("parameters", f"{model_info['parameters']:,}"),
        ("tokenizer", f"{tokenizer['kind']}, {tokenizer['vocab_size']:,} tokens, {case}"),
    ]
    if training["texts"] is not None:
        pairs.append(("training texts", f"{training['texts']:,}, {training['texts_cut'] or 0:,} truncated"))
    if training["started"] is not None:
        pairs.append(("fitted", f"{training['started']}, in {training['seconds']:,.0f} seconds"))
    versions = ", ".join(f"{key} {value}" for key, value in model_info["versions"].items())
    pairs.append(("versions", versions or "–"))
    return pairs


def setting_pairs(model_info: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Return all settings of a model as terms and values."""
    return [(key, "–" if value is None else value) for key, value in model_info["settings"].items()]
