"""Plots written to files (matplotlib): the check before the work, the drift plot, saving."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmclassify.classify import label_colours
from lmclassify.errors import OptionError, OutputError, counted, cut
from lmclassify.evaluation.drift import MIN_CHANGE, Drift
from lmclassify.extras import install_extra
from lmclassify.text.markup import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EMPHASIS_COLOURS = ("#c1121f", "#780000")
"""Reds, for what the plot is about."""
COLOURS = ("#1f77b4", "#2a9d8f", "#8d6cab", "#8c564b", "#7f7f7f", "#bc8f00")
_BLACK = "#222222"
MAX_NAME = 22
"""Characters of a label in a legend: longer ones would cover the plot."""
_SUFFIXES = (".png", ".svg", ".pdf")


def check_plot(path: str) -> None:
    """Check that a plot can be written, so that a mistake is found before the work and not after it.

    Raises OptionError if the suffix names no known format. Raises OutputError if matplotlib is missing, or
    the folder does not exist or is not writable.
    """
    if not path.lower().endswith(_SUFFIXES):
        raise OptionError(f"--plot {path}: the name must end in one of {', '.join(_SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise OutputError(f"plots need matplotlib: {install_extra('plots')}")
    folder = Path(path).resolve().parent
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: folder {folder} does not exist or is not writable")


def legend_name(label: str) -> str:
    """Return a label as matplotlib can write it in a legend."""
    shown = visible(label)
    if shown.startswith("_"):
        shown = "\N{ZERO WIDTH SPACE}" + shown  # matplotlib leaves out names that begin with "_"
    return cut(shown, MAX_NAME)


def plot_drift(drift: Drift, labels: Sequence[str], path: str) -> None:
    """Plot the change of the nats per word over the chunks, of all texts and of predicted labels.

    Parameters
    ----------
    labels : sequence of str
        All labels of the model; they give each label its colour.
    path : str
        PNG, SVG or PDF by its suffix.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    axes = figure.subplots()
    draw_drift(axes, drift, labels)
    finish_axes(axes)
    save(figure, path)


def draw_drift(axes: Axes, drift: Drift, labels: Sequence[str]) -> None:
    """Draw the change of nats per word over the chunks, of all texts and of the labels with most texts."""
    from matplotlib.ticker import PercentFormatter

    axes.axhspan(
        -MIN_CHANGE, MIN_CHANGE, color="#999999", alpha=0.2, linewidth=0, label="too small to matter"
    )
    axes.axhline(0.0, color="#555555", linewidth=0.8)
    whole = drift.labels[0].chunks
    lows = [chunk.interval[0] for chunk in whole]
    highs = [chunk.change if chunk.interval[1] is None else chunk.interval[1] for chunk in whole]
    axes.vlines([chunk.number for chunk in whole], lows, highs, color=_BLACK, linewidth=1.2)
    parts = [drift.labels[0], *drift.shown_labels()[: len(label_colours.COLOURS)]]
    numbers = label_colours.colour_numbers(labels, [str(part.label) for part in parts[1:]])
    for part in parts:
        color = _BLACK if part.label is None else label_colours.COLOURS[numbers[part.label]].light
        x = [chunk.number for chunk in part.chunks]
        y = [chunk.change for chunk in part.chunks]
        name, width = ("all texts, interval", 2.0) if part.label is None else (part.label, 1.0)
        axes.plot(x, y, color=color, linewidth=width, marker="o", markersize=3.5, label=legend_name(name))
        drifted = [chunk for chunk in part.chunks if chunk.drifted]
        axes.scatter(
            [chunk.number for chunk in drifted],
            [chunk.change for chunk in drifted],
            s=80,
            color=color,
            zorder=3,
        )
    left_out = len(drift.labels) - len(parts)
    axes.set_xticks(
        [chunk.number for chunk in whole], [chunk.first for chunk in whole], rotation=30, ha="right"
    )
    axes.set_xlabel(
        "first text of the chunk" + (f" ({counted(left_out, 'more label')} not drawn)" if left_out else "")
    )
    axes.set_ylabel("change of nats per word")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title("Higher: less like the training texts. Large points: drifted chunks.", fontsize=9)
    axes.legend(loc="best", fontsize=8, framealpha=0.85, edgecolor="none")


def finish_axes(axes: Axes) -> None:
    """Give axes a light grid and no frame at the top and right."""
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def save(figure: Figure, path: str) -> None:
    """Write a figure; raise OutputError if that fails."""
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
