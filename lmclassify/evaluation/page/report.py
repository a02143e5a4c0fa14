"""The HTML report of an evaluation: gather its contents, then render the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup
from scipy.special import expit

from lmclassify import __version__
from lmclassify.classify.decisions import UNSURE, Decisions
from lmclassify.classify.explain import Explanation, InformativeWord
from lmclassify.classify.label_colours import colour_numbers, stylesheet
from lmclassify.classify.model import FittedModel
from lmclassify.classify.thresholds import subsample
from lmclassify.evaluation.confusion import MAX_MATRIX_LABELS, confused_pairs
from lmclassify.evaluation.curves import (
    Bin,
    CoverageCurve,
    Curves,
    measure_coverage,
    measure_curves,
    measure_reliability,
)
from lmclassify.evaluation.drift import Drift, interval
from lmclassify.evaluation.influential_words import influential_words
from lmclassify.evaluation.metrics import Evaluation, confidence, known_texts
from lmclassify.evaluation.mistakes import Locate, Mistake, place, worst_mistakes
from lmclassify.evaluation.model_info import model_info
from lmclassify.evaluation.page import plots, views
from lmclassify.evaluation.page.formats import environment
from lmclassify.evaluation.plots import MAX_NAME
from lmclassify.prediction.labelling import TableLabeller

_MAX_MISTAKES = 12
"""Mistakes in the report: about two screens."""
_MAX_SAMPLED_TEXTS = 300
"""Texts that the influential words come from: explaining a text takes longer than labelling it."""
_MAX_WORDS = 12
"""Influential words of a label: one or two lines."""
_MAX_TABLE_WORDS = 360
"""Influential words of all labels: with more than 30 labels, each gets fewer, to keep the table short."""
_MIN_WORDS = 6
"""Influential words of a label however many labels there are: fewer say little about it."""
_CAPTION_COVERAGES = (0.5, 0.8, 0.9, 0.95, 1.0)
"""Coverages in the caption of the coverage plot."""


@dataclass(frozen=True)
class Report:
    """Contents of the report of a model on labelled texts."""

    data: str
    """Name of the data."""
    model: str
    """Folder of the model."""
    left_out: int
    """Rows without text or label."""
    decisions: Decisions
    evaluation: Evaluation
    curves: Curves
    bins: list[Bin]
    """Empty if all texts are expected to be unknown."""
    coverage: CoverageCurve
    mistakes: list[tuple[Mistake, str, Explanation]]
    """Each with the place of its first row, such as "row 12"."""
    words: Mapping[str, Sequence[InformativeWord]]
    sampled: int
    """Number of texts that the influential words come from."""
    model_info: dict[str, Any]
    epochs: list[dict[str, Any]] = field(default_factory=list)
    background: list[dict[str, Any]] = field(default_factory=list)
    """Epochs of the background model in the training record."""
    drift: Drift | None = None


def build_report(
    labeller: TableLabeller,
    evaluation: Evaluation,
    fitted: FittedModel,
    *,
    data: str,
    model: str,
    left_out: int = 0,
    seed: int = 0,
    drift: Drift | None = None,
    locate: Locate | None = None,
    several_files: bool = False,
) -> Report:
    """Return the contents of the report of the rows that a labeller has kept.

    Parameters
    ----------
    labeller : TableLabeller
        With `keep_known`.
    evaluation : Evaluation
        Of these rows.
    data, model : str
        Their names.
    left_out : int, default=0
        Rows without text or label.
    seed : int, default=0
        Random seed of the sample of texts that the influential words come from.
    drift : Drift, optional
    locate : callable, optional
        See `lmclassify.evaluation.mistakes.Locate`; by default the rows are those of one file.
    several_files : bool, default=False
        Whether to name the file of a row.
    """
    true, texts, decisions = labeller.true, labeller.texts, labeller.decisions
    log_posteriors = labeller.log_posteriors
    predicted = decisions.decide(log_posteriors, labeller.novelty)
    top, correct = confidence(true, log_posteriors, decisions)
    known = known_texts(true, decisions)
    mistakes = worst_mistakes(
        texts,
        true,
        predicted.tolist(),
        log_posteriors,
        labeller.labels,
        _MAX_MISTAKES,
        labeller.true_rows,
    )
    locate = locate or (lambda row: (data, row))
    classes = dict(zip(labeller.labels, fitted.classes_.tolist(), strict=True))
    sample = subsample(len(texts), _MAX_SAMPLED_TEXTS, seed)
    words = min(_MAX_WORDS, max(_MIN_WORDS, _MAX_TABLE_WORDS // len(classes)))
    return Report(
        data=data,
        model=model,
        left_out=left_out,
        decisions=decisions,
        evaluation=evaluation,
        curves=measure_curves(true, log_posteriors, decisions, predicted),
        bins=measure_reliability(top[known], correct[known]) if known.any() else [],
        coverage=measure_coverage(top, correct),
        mistakes=[
            (
                mistake,
                place(mistake.rows[0], locate, several_files=several_files),
                fitted.explain(mistake.text, classes[mistake.predicted], classes.get(mistake.true)),
            )
            for mistake in mistakes
        ],
        words=influential_words(fitted, texts, true, sample.tolist(), words, seed),
        sampled=len(sample),
        model_info=model_info(fitted),
        epochs=fitted.training_entries("epoch"),
        background=fitted.training_entries("background epoch"),
        drift=drift,
    )


def render(report: Report) -> str:
    """Return the report as an HTML document; equal contents give equal bytes."""
    evaluation, decisions = report.evaluation, report.decisions
    many = len(evaluation.per_label) > MAX_MATRIX_LABELS
    reported = views.reported(evaluation)
    learning = _learning_curves(report)
    decided = None
    if evaluation.unsure and evaluation.accuracy_of_decided is not None:
        decided = (1 - evaluation.unsure / evaluation.texts, evaluation.accuracy_of_decided)
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            evaluation=evaluation,
            decisions=decisions,
            version=__version__,
            unsure_name=UNSURE,
            data_name=Path(report.data).name,
            positive_probability=_positive_probability(decisions),
            missing_labels=sorted(set(evaluation.per_label) - {*decisions.labels, decisions.unknown_label}),
            matrix=None if many else views.matrix_rows(evaluation),
            pairs=confused_pairs(evaluation.labels, evaluation.confusion_matrix) if many else None,
            picture=views.matrix_picture(evaluation) if many else None,
            label_rows=views.label_rows(evaluation),
            left_out_labels=len(evaluation.per_label) - len(reported),
            plots=_plots(report, decided, learning),
            decided=decided,
            largest_bin=max(report.bins, key=lambda part: part.texts, default=None),
            coverage_points=[
                point for point in evaluation.coverage if round(point["coverage"], 2) in _CAPTION_COVERAGES
            ],
            learning=learning,
            labels_with_epochs=len({entry["label"] for entry in report.epochs}),
            mistakes=[views.mistake_view(*mistake) for mistake in report.mistakes],
            word_rows=views.influential_word_rows(
                {label: words for label, words in report.words.items() if label in reported}, decisions.labels
            ),
            label_colours=Markup(stylesheet()),
            model_labels=[label for label in report.model_info["labels"] if str(label["label"]) in reported],
            facts=views.fact_pairs(report.model_info, report.data, report.model),
            drift_rows=[] if report.drift is None else report.drift.rows(),
            interval=interval,
            stages=report.model_info.get("stages", []),
            settings=views.setting_pairs(report.model_info),
            max_name=MAX_NAME,
        )
    )


def _positive_probability(decisions: Decisions) -> float | None:
    if decisions.positive is None or decisions.positive_log_odds is None:
        return None
    return float(expit(decisions.positive_log_odds))


def _plots(
    report: Report, decided: tuple[float, float] | None, learning: list[dict[str, Any]]
) -> dict[str, plots.Plot]:
    """Return the plots that there is data for."""
    binary = len(report.decisions.labels) == 2
    result = {}
    if report.curves.roc:
        drawn = [line.label for line in report.curves.roc if line.label is not None]
        numbers = colour_numbers(report.decisions.labels, drawn)
        result["roc"] = plots.roc(report.curves, numbers, binary=binary)
        result["precision_recall"] = plots.precision_recall(report.curves, numbers, binary=binary)
    if report.bins:
        result["reliability"] = plots.reliability(report.bins)
    result["coverage"] = plots.coverage(report.coverage, decided)
    if report.drift is not None:
        result["drift"] = plots.drift(report.drift, report.decisions.labels)
    if learning:
        drawn = [curve["label"] for curve in learning if curve["label"] is not None]
        numbers = colour_numbers(report.decisions.labels, drawn)
        result["learning"] = plots.learning_curves(
            [(curve["label"], curve["epochs"]) for curve in learning], numbers
        )
    return result


def _learning_curves(report: Report) -> list[dict[str, Any]]:
    """Return label, epochs and best epoch of the language models to draw: of the most frequent labels."""
    if not report.epochs:
        return []
    counts = {label: metrics["support"] for label, metrics in report.evaluation.per_label.items()}
    known = {str(entry["label"]) for entry in report.epochs}
    labels = [label for label in report.decisions.labels if label in known]
    labels.sort(key=lambda label: (-counts.get(label, 0), label))
    curves: list[tuple[str | None, list[dict[str, Any]]]] = [
        (label, [entry for entry in report.epochs if str(entry["label"]) == label])
        for label in labels[: plots.MAX_LEARNING_CURVES]
    ]
    if report.background:
        curves.insert(0, (None, report.background))
    result = []
    for label, epochs in curves:
        measured = [entry for entry in epochs if entry["validation_loss"] is not None]
        best = min(measured, key=lambda entry: float(entry["validation_loss"]), default=None)
        result.append({"label": label, "epochs": epochs, "best": best})
    return result
