"""The mistakes of a model: the most confident ones for people, and all of them as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len

from lmclassify.prediction.labelling import TableLabeller
from lmclassify.tables.rows import Column, Rows
from lmclassify.text.display import aligned, percent, shown

Array = npt.NDArray[np.float64]
Locate = Callable[[int], tuple[str, int]]
"""Function that returns the name of a row's file and the row's number in that file."""

MAX_TEXT_MISTAKES = 5
"""Mistakes in the report as text: it should fit on a screen."""
_WIDTH = 80
"""Width of the report in terminal columns: the usual width of a terminal."""
_MAX_NAME = 14
"""Characters shown there of a label, or of the end of a file's name."""
_MIN_TEXT = 20
"""Smallest number of characters shown of a text, even if the line gets wider than the report."""


@dataclass(frozen=True)
class Mistake:
    """A text with a wrong predicted label."""

    text: str
    true: str
    predicted: str
    probability: float
    """Of the predicted label."""
    rows: Sequence[int]
    """Numbers of the rows with this text, true label and predicted label."""


def worst_mistakes(
    texts: Sequence[str],
    true: Sequence[str],
    predicted: Sequence[str],
    log_posteriors: Array,
    labels: Sequence[str],
    n: int,
    rows: Sequence[int] | None = None,
) -> list[Mistake]:
    """Return the texts with the most probable wrong labels, most probable first.

    Texts that are unsure or got the unknown label are not mistakes.

    Parameters
    ----------
    texts, true, predicted : sequence of str, (n,)
    log_posteriors : ndarray, (n, K)
    labels : sequence of str, (K,)
    n : int
        Maximum number of different mistakes.
    rows : sequence of int, (n,), optional
        Row numbers; by default from 1.
    """
    code_of = {label: code for code, label in enumerate(labels)}
    codes = np.array([code_of.get(label, -1) for label in predicted], dtype=np.intp)
    truth = np.array([code_of.get(label, -2) for label in true], dtype=np.intp)
    wrong = np.flatnonzero((codes >= 0) & (codes != truth))
    confidence = log_posteriors[wrong, codes[wrong]]
    found: dict[tuple[str, str, str], list[int]] = {}
    for index in wrong[np.argsort(-confidence, kind="stable")].tolist():
        found.setdefault((texts[index], true[index], predicted[index]), []).append(index)
    return [
        Mistake(
            *key,
            float(np.exp(log_posteriors[indices[0], codes[indices[0]]])),
            sorted(index + 1 if rows is None else rows[index] for index in indices),
        )
        for key, indices in list(found.items())[:n]
    ]


def all_mistakes(labeller: TableLabeller, locate: Locate, *, several_files: bool) -> Rows:
    """Return the rows with a wrong predicted label, sorted by the probability of that label, highest first.

    Rows that are unsure or got the unknown label come last: their label has no probability.

    Parameters
    ----------
    labeller : TableLabeller
        With `keep_known`.
    locate : callable
        See `Locate`.
    several_files : bool
        Whether to name the file of each row.
    """
    log_posteriors = labeller.log_posteriors
    predicted = labeller.decisions.decide(log_posteriors, labeller.novelty)
    true = np.asarray(labeller.true, dtype=object)
    wrong = np.flatnonzero(predicted != true)
    code_of = {label: code for code, label in enumerate(labeller.labels)}

    def probability(names: npt.NDArray[np.object_]) -> Array:
        """Return the probability of each row's label; NaN if the model lacks it."""
        codes = np.array([code_of.get(name, -1) for name in names[wrong]], dtype=np.intp)
        result: Array = np.exp(log_posteriors[wrong, codes])
        return np.where(codes >= 0, result, np.nan)

    predicted_probability, label_probability = probability(predicted), probability(true)
    order = np.argsort(-predicted_probability, kind="stable")  # NaN last
    chosen = wrong[order].tolist()
    places = [locate(labeller.true_rows[index]) for index in chosen]
    added: dict[str, Column] = {"row": np.array([row for _, row in places], dtype=np.int64)}
    if several_files:
        added["file"] = [name for name, _ in places]
    added |= {
        "text": [labeller.texts[index] for index in chosen],
        "label": [labeller.true[index] for index in chosen],
        "predicted_label": [str(predicted[index]) for index in chosen],
        "predicted_probability": predicted_probability[order],
        "label_probability": label_probability[order],
    }
    return Rows([], [[] for _ in chosen], added=added)


def place(row: int, locate: Locate, *, several_files: bool) -> str:
    """Return, for example, "row 12", or where there are several files "row 12 of mail.csv"."""
    name, number = locate(row)
    return f"row {number:,} of {name}" if several_files else f"row {number:,}"


def mistakes_text(
    mistakes: Sequence[Mistake], locate: Locate, *, several_files: bool, terminal: bool = False
) -> str:
    """Return mistakes as text, one line each.

    Parameters
    ----------
    terminal : bool, default=False
        Whether it is for a terminal; see `lmclassify.text.display.shown`.
    """
    rows = [["row", *(["file"] if several_files else []), "true", "predicted", "probability"]]
    for mistake in mistakes:
        name, number = locate(mistake.rows[0])
        end = name if len(name) <= _MAX_NAME else f"…{name[1 - _MAX_NAME :]}"
        names = [*([end] if several_files else []), mistake.true, mistake.predicted]
        cells = [shown(each, _MAX_NAME, terminal=terminal) for each in names]
        rows.append([f"{number:,}", *cells, percent(mistake.probability)])
    lines = [
        "  ".join([*number, *others])
        for number, others in zip(
            aligned([row[:1] for row in rows], left=0),
            aligned([row[1:] for row in rows], left=len(rows[0])),
            strict=True,
        )
    ]
    width = max(_MIN_TEXT, _WIDTH - cell_len(lines[0]) - 2)
    texts = ["text", *(shown(mistake.text, width, terminal=terminal) for mistake in mistakes)]
    return "\n".join(f"{line}  {text}" for line, text in zip(lines, texts, strict=True))
