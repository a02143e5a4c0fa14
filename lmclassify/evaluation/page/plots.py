"""The plots of the HTML report, as inline SVG. Their captions are in the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lmclassify.classify import label_colours
from lmclassify.evaluation.curves import Bin, CoverageCurve, Curves, Line, Point
from lmclassify.evaluation.drift import Drift
from lmclassify.evaluation.page.svg import BLACK, GREY, LINE_STYLES, MARKERS, render_svg, unit_axes
from lmclassify.evaluation.plots import draw_drift, legend_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Epochs = Sequence[Mapping[str, Any]]
"""Entries of the training record: ``epoch``, ``training_loss`` and ``validation_loss``."""

ColourNumbers = Mapping[str, int]
"""Number of the colour of each label; see `lmclassify.classify.label_colours`. Other lines are black or
grey."""

_SIZE = (4.3, 3.6)  # inches
MAX_LEARNING_CURVES = 5
"""Labels in the plot of learning curves: there are six colours, one for the background model."""


@dataclass(frozen=True)
class Plot:
    """A plot and its title."""

    title: str
    svg: Markup


def roc(curves: Curves, colours: ColourNumbers, *, binary: bool) -> Plot:
    """Return the ROC curves.

    Parameters
    ----------
    colours : mapping
        Number of the colour of each label.
    binary : bool
        Whether there are two labels: then the positive label's curve has marked thresholds.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":")
        for number, line in enumerate(curves.roc):
            colour = _line_colour(line, colours)
            _draw_line(axes, line, number, color=colour)
            for position, point in enumerate(line.points):
                at = (point.false_positive_rate, point.recall)
                _mark(axes, at, point, None if binary else colour, position if binary else number)
        unit_axes(axes)
        axes.set_xlabel("false-positive rate")
        axes.set_ylabel("true-positive rate (recall)")
        axes.legend(loc="lower right")

    title = _curves_title("ROC", curves, binary)
    return Plot(title, render_svg("roc", title, draw, _SIZE))


def precision_recall(curves: Curves, colours: ColourNumbers, *, binary: bool) -> Plot:
    """Return the precision-recall curves; for the parameters see `roc`."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, line in enumerate(curves.precision_recall):
            colour = _line_colour(line, colours)
            _draw_line(axes, line, number, color=colour, drawstyle="steps-post")
            for position, point in enumerate(line.points):
                if point.precision is not None:
                    at = (point.recall, point.precision)
                    _mark(axes, at, point, None if binary else colour, position if binary else number)
        unit_axes(axes)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        axes.legend(loc="lower left")

    title = _curves_title("Precision and recall", curves, binary)
    return Plot(title, render_svg("pr", title, draw, _SIZE))


def _curves_title(what: str, curves: Curves, binary: bool) -> str:
    if binary:
        return f"{what} of {legend_name(curves.roc[0].label or '')}"
    return f"{what}, each label against the rest"


def _line_colour(line: Line, colours: ColourNumbers) -> str:
    return BLACK if line.label is None else label_colours.COLOURS[colours[line.label]].light


def _draw_line(axes: Axes, line: Line, number: int, **options: Any) -> None:
    if line.label is None:
        axes.plot(line.x, line.y, linewidth=2.2, label=f"mean of all ({line.area:.3f})", **options)
        return
    options |= {
        "linestyle": LINE_STYLES[number % len(LINE_STYLES)],
        "label": f"{legend_name(line.label)} ({line.area:.3f})",
    }
    axes.plot(line.x, line.y, **options)


def _mark(axes: Axes, at: tuple[float, float], point: Point, colour: str | None, number: int) -> None:
    """Mark a decision: in the colour of its line or, where there is one line, larger, in black and named."""
    axes.plot(
        [at[0]],
        [at[1]],
        linestyle="none",
        marker=MARKERS[number % len(MARKERS)],
        markersize=8 if colour is None else 6,
        markerfacecolor=colour or BLACK,
        markeredgecolor="white",
        label=f"probability {point.name}" if colour is None else None,
        zorder=5,
        clip_on=False,
    )


def reliability(bins: Sequence[Bin]) -> Plot:
    """Return the reliability diagram, with the number of texts in each bin below it."""

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import StrMethodFormatter

        axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":", label="perfectly calibrated")
        low = [part.accuracy - part.interval[0] for part in bins]
        high = [part.interval[1] - part.accuracy for part in bins]
        axes.errorbar(
            [part.confidence for part in bins],
            [part.accuracy for part in bins],
            yerr=[low, high],
            color=BLACK,
            marker="o",
            markersize=4,
            capsize=2,
            elinewidth=0.9,
            label="accuracy, 95% interval",
        )
        unit_axes(axes)
        axes.set_ylabel("accuracy")
        axes.legend(loc="upper left")
        counts.bar(
            [(part.low + part.high) / 2 for part in bins],
            [part.texts for part in bins],
            width=[(part.high - part.low) * 0.9 for part in bins],
            color=GREY,
        )
        counts.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        counts.set_ylabel("texts")
        counts.set_xlabel("probability of the most probable label")

    alternative = "Reliability: accuracy by probability of the most probable label"
    return Plot("Reliability", render_svg("reliability", alternative, draw, _SIZE))


def coverage(curve: CoverageCurve, decided: tuple[float, float] | None) -> Plot:
    """Return accuracy over the share of texts decided.

    Parameters
    ----------
    decided : tuple of float, optional
        Coverage and accuracy of the actual decisions, where they leave some texts unsure.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        x, y = curve.coverage, curve.accuracy
        axes.fill_between(x, curve.low, curve.high, color=GREY, alpha=0.3, linewidth=0, label="95% interval")
        axes.plot(x, y, color=BLACK, label="most confident texts")
        if len(x) == 1:
            axes.plot(x, y, color=BLACK, marker="o")
        lowest = float(y[len(x) // 5 :].min())
        if decided is not None:
            point: dict[str, Any] = {"marker": "D", "color": BLACK, "label": "as decided"}
            axes.plot([decided[0]], [decided[1]], linestyle="none", zorder=5, **point)
            lowest = min(lowest, decided[1])
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(max(-0.02, lowest - (1 - lowest) * 0.6 - 0.02), 1.005)
        axes.set_xlabel("share of texts decided, most confident first")
        axes.set_ylabel("accuracy")
        axes.legend(loc="lower left")

    title = "Coverage and accuracy"
    return Plot(title, render_svg("coverage", title, draw, _SIZE))


def learning_curves(curves: Sequence[tuple[str | None, Epochs]], colours: ColourNumbers) -> Plot:
    """Return the losses of the language models by epoch.

    Parameters
    ----------
    curves : sequence of (str or None, sequence of mapping)
        Label and epochs of each model; None is the background model, which is first if there is one.
    colours : mapping
        Number of the colour of each label.
    """

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        markers = list(MARKERS)
        for label, epochs in curves:
            options: dict[str, Any] = {"color": BLACK, "marker": "x", "markersize": 4.5}
            if label is not None:
                colour = label_colours.COLOURS[colours[label]].light
                options |= {"color": colour, "marker": markers.pop(0)}
            x = [entry["epoch"] for entry in epochs]
            validation, training = (
                [float("nan") if entry[key] is None else entry[key] for entry in epochs]
                for key in ("validation_loss", "training_loss")
            )
            name = "background model" if label is None else legend_name(label)
            axes.plot(x, validation, label=name, **options)
            axes.plot(x, training, linestyle="--", markerfacecolor="white", **options)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if all(len(epochs) == 1 for _, epochs in curves):
            axes.set_xlim(0.5, 1.5)
        axes.set_xlabel("epoch (solid: validation, dashed: training)")
        axes.set_ylabel("nats per token")
        axes.legend(loc="best")

    title = "Learning curves of the language models"
    return Plot(title, render_svg("learning", title, draw, _SIZE))


def drift(found: Drift, labels: Sequence[str]) -> Plot:
    """Return the change of nats per word over the chunks.

    Parameters
    ----------
    labels : sequence of str
        All labels of the model.
    """

    def draw(figure: Figure) -> None:
        draw_drift(figure.subplots(), found, labels)

    alternative = "Drift: change of nats per word compared with held-out texts, by chunk"
    size = (1.4 * _SIZE[0], _SIZE[1])
    return Plot("Drift over the texts", render_svg("drift", alternative, draw, size))
