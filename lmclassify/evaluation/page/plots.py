"""The plots of the page, each with a caption that has its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmclassify.evaluation.curves import Bin, CoverageCurve, Curves, Line, Point
from lmclassify.evaluation.metrics import Coverage
from lmclassify.evaluation.page.drawing import BLACK, COLOURS, MARKERS, STYLES, from_0_to_1, svg
from lmclassify.evaluation.page.markup import Html, element, joined, name, percent, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = (4.3, 3.6)
_LONGEST_NAME = 22
_MOST_CURVES = 5


@dataclass(frozen=True)
class _Look:
    color: str
    linestyle: Any
    marker: str


def _look(number: int) -> _Look:
    return _Look(COLOURS[number % len(COLOURS)], STYLES[number % len(STYLES)], MARKERS[number % len(MARKERS)])


def _short(label: str) -> str:
    shown = visible(label)
    if shown.startswith("_"):
        shown = "\N{ZERO WIDTH SPACE}" + shown  # else matplotlib leaves it out of the legend
    return shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 1] + "…"


def figure(picture: Html, title: str, *caption: object) -> Html:
    """Return a picture on a light ground, with its caption."""
    return element(
        "figure",
        element("h3", title),
        element("div", picture, class_="plot"),
        element("figcaption", *caption),
    )


def roc(curves: Curves, *, binary: bool) -> Html:
    """Return the ROC curves."""

    def draw(drawing: Figure) -> None:
        axes = drawing.subplots()
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":")
        for number, line in enumerate(curves.roc):
            _draw(axes, line, number)
            for place, point in enumerate(line.points):
                _mark(axes, point.false_positive_rate, point.recall, point, number, place, binary)
        from_0_to_1(axes)
        axes.set_xlabel("false-positive rate")
        axes.set_ylabel("true-positive rate (recall)")
        axes.legend(loc="lower right")

    title = _titled("ROC", curves, binary)
    areas = joined((Html(f"{_named(line)} {line.area:.4f}") for line in curves.roc), ", ")
    marks = [
        f"At probability {point.name}: false-positive rate {percent(point.false_positive_rate)}, "
        f"true-positive rate {percent(point.recall)}. "
        for line in curves.roc
        for point in line.points
        if binary
    ]
    rest = "" if binary else _which(curves)
    return figure(svg("roc", title, draw, _SIZE), title, "Area under the curve: ", areas, ". ", *marks, rest)


def precision_recall(curves: Curves, *, binary: bool) -> Html:
    """Return the curves of precision over recall."""

    def draw(drawing: Figure) -> None:
        axes = drawing.subplots()
        for number, line in enumerate(curves.precision_recall):
            _draw(axes, line, number, drawstyle="steps-post")
            for place, point in enumerate(line.points):
                if point.precision is not None:
                    _mark(axes, point.recall, point.precision, point, number, place, binary)
        from_0_to_1(axes)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        axes.legend(loc="lower left")

    title = _titled("Precision and recall", curves, binary)
    areas = joined((Html(f"{_named(line)} {line.area:.4f}") for line in curves.precision_recall), ", ")
    marks = [
        f"At probability {point.name}: precision "
        f"{'undefined' if point.precision is None else percent(point.precision)}, "
        f"recall {percent(point.recall)}. "
        for line in curves.precision_recall
        for point in line.points
        if binary
    ]
    rest = "" if binary else _which(curves)
    return figure(svg("pr", title, draw, _SIZE), title, "Average precision: ", areas, ". ", *marks, rest)


def _titled(what: str, curves: Curves, binary: bool) -> str:
    return (
        f"{what} of {_short(curves.roc[0].label or '')}" if binary else f"{what}, each label against the rest"
    )


def _which(curves: Curves) -> Html:
    shown = sum(line.label is not None for line in curves.roc)
    which = (
        "All labels are drawn"
        if shown == curves.labels
        else (f"Drawn are {shown} labels, the most frequent ones (a positive label first)")
    )
    mean = f", with the mean of all {curves.labels}" if curves.labels > 1 else ""
    return element("span", f"{which}{mean}. Marked: what the decisions give.")


def _named(line: Line) -> Html:
    return Html("mean of all labels") if line.label is None else name(line.label, _LONGEST_NAME)


def _draw(axes: Any, line: Line, number: int, **options: Any) -> None:
    if line.label is None:
        axes.plot(
            line.x, line.y, color=BLACK, linewidth=2.2, label=f"mean of all ({line.area:.3f})", **options
        )
        return
    look = _look(number)
    label = f"{_short(line.label)} ({line.area:.3f})"
    axes.plot(line.x, line.y, color=look.color, linestyle=look.linestyle, label=label, **options)


def _mark(axes: Any, x: float, y: float, point: Point, number: int, place: int, binary: bool) -> None:
    look = _look(number)
    marker = MARKERS[place % len(MARKERS)] if binary else look.marker
    label = f"probability {point.name}" if binary else None
    axes.plot(
        [x],
        [y],
        linestyle="none",
        marker=marker,
        markersize=8 if binary else 6,
        markerfacecolor=COLOURS[1] if binary else look.color,
        markeredgecolor="white",
        label=label,
        zorder=5,
        clip_on=False,
    )


def reliability(bins: Sequence[Bin], ece: float) -> Html:
    """Return how often the likeliest label is right, over how probable it is, with numbers of texts."""

    def draw(drawing: Figure) -> None:
        from matplotlib.ticker import StrMethodFormatter

        axes, counts = drawing.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":", label="as it should be")
        x = [of.confidence for of in bins]
        y = [of.accuracy for of in bins]
        low = [of.accuracy - of.interval[0] for of in bins]
        high = [of.interval[1] - of.accuracy for of in bins]
        axes.errorbar(
            x,
            y,
            yerr=[low, high],
            color=COLOURS[0],
            marker="o",
            markersize=4,
            capsize=2,
            elinewidth=0.9,
            label="share right, 95% interval",
        )
        from_0_to_1(axes)
        axes.set_ylabel("share right")
        axes.legend(loc="upper left")
        counts.bar(
            [(of.low + of.high) / 2 for of in bins],
            [of.texts for of in bins],
            width=[(of.high - of.low) * 0.9 for of in bins],
            color=COLOURS[5],
        )
        counts.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        counts.set_ylabel("texts")
        counts.set_xlabel("probability of the likeliest label")

    title = "Reliability"
    most = max(bins, key=lambda of: of.texts)
    return figure(
        svg("reliability", "Reliability: how often a label of some probability is right", draw, _SIZE),
        title,
        f"Expected calibration error {ece:.4f}, over 15 bins of equal width. The bin with the most texts "
        f"({most.texts:,}) is that from {most.low:.2f} to {most.high:.2f}: {percent(most.confidence)} sure, "
        f"{percent(most.accuracy)} right. Points below the dotted line: surer than right.",
    )


def coverage(curve: CoverageCurve, table: Sequence[Coverage], decided: tuple[float, float] | None) -> Html:
    """Return accuracy over the share of texts decided.

    Parameters
    ----------
    curve : CoverageCurve
    table : sequence of Coverage
        For the caption.
    decided : tuple of float, optional
        Coverage and accuracy of what the decisions give, where they leave some texts unsure.
    """

    def draw(drawing: Figure) -> None:
        axes = drawing.subplots()
        at = curve.coverage
        axes.fill_between(
            at, curve.low, curve.high, color=COLOURS[5], alpha=0.3, linewidth=0, label="95% interval"
        )
        axes.plot(at, curve.accuracy, color=COLOURS[0], label="the surest texts")
        if len(at) == 1:
            axes.plot(at, curve.accuracy, color=COLOURS[0], marker="o")
        if decided is not None:
            axes.plot(
                [decided[0]],
                [decided[1]],
                linestyle="none",
                marker="D",
                color=COLOURS[1],
                label="as decided",
                zorder=5,
            )
        axes.set_xlim(-0.02, 1.02)
        lowest = min(
            [float(curve.accuracy[len(at) // 5 :].min()), *([] if decided is None else [decided[1]])]
        )
        axes.set_ylim(max(-0.02, lowest - (1 - lowest) * 0.6 - 0.02), 1.005)
        axes.set_xlabel("share of texts decided, surest first")
        axes.set_ylabel("share right")
        axes.legend(loc="lower left")

    title = "Coverage and accuracy"
    wanted = [point for point in table if round(point["coverage"], 2) in (0.5, 0.8, 0.9, 0.95, 1.0)]
    numbers = "; ".join(
        f"{point['coverage']:.0%} of texts: {percent(point['accuracy'])} right, from probability "
        f"{point['min_confidence']:.3f} on"
        for point in wanted
    )
    as_decided = (
        f" As decided: {percent(decided[0])} of texts, {percent(decided[1])} right." if decided else ""
    )
    return figure(svg("coverage", title, draw, _SIZE), title, f"{numbers}.{as_decided}")


def learning_curves(
    epochs: Sequence[dict[str, Any]], background: Sequence[dict[str, Any]], labels: Sequence[str]
) -> Html:
    """Return the losses of the labels' language models, epoch by epoch.

    Parameters
    ----------
    epochs : sequence of dict
        Of the training record.
    background : sequence of dict
        Of the model that the labels' were adapted from; may be empty.
    labels : sequence of str
        Most important first; the first few are drawn.
    """
    known = {str(entry["label"]) for entry in epochs}
    shown = [label for label in labels if label in known][:_MOST_CURVES]
    courses: list[tuple[str, list[dict[str, Any]]]] = [
        (label, [entry for entry in epochs if str(entry["label"]) == label]) for label in shown
    ]
    if background:
        courses.insert(0, ("all labels' text", list(background)))

    def draw(drawing: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = drawing.subplots()
        for number, (label, course) in enumerate(courses):
            if background:
                number -= 1
            color = BLACK if number < 0 else COLOURS[number % len(COLOURS)]
            marker = "x" if number < 0 else MARKERS[number % len(MARKERS)]
            at = [entry["epoch"] for entry in course]
            options: dict[str, Any] = {"color": color, "marker": marker, "markersize": 4.5}
            axes.plot(
                at, [_number(entry["validation_loss"]) for entry in course], label=_short(label), **options
            )
            axes.plot(
                at,
                [_number(entry["training_loss"]) for entry in course],
                linestyle="--",
                markerfacecolor="white",
                **options,
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if all(len(course) == 1 for _, course in courses):
            axes.set_xlim(0.5, 1.5)
        axes.set_xlabel("epoch (solid: validation, dashed: training)")
        axes.set_ylabel("nats per token")
        axes.legend(loc="best")

    title = "Learning curves of the language models"
    last = joined((_ended(label, course) for label, course in courses), ", ")
    others = len(known) - len(shown)
    note = f" Not drawn: {others} labels with fewer texts." if others else ""
    return figure(
        svg("learning", title, draw, _SIZE), title, "Validation loss at its best: ", last, ".", note
    )


def _number(loss: float | None) -> float:
    return float("nan") if loss is None else loss


def _ended(label: str, course: Sequence[dict[str, Any]]) -> Html:
    known = [entry for entry in course if entry["validation_loss"] is not None]
    if not known:
        return joined([name(label, _LONGEST_NAME), " not measured"])
    best = min(known, key=lambda entry: float(entry["validation_loss"]))
    return joined([name(label, _LONGEST_NAME), f" {best['validation_loss']:.3f} (epoch {best['epoch']})"])
