"""Plots written to files (matplotlib): the check before the work, the drift plot, saving."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from lmclassify.errors import OptionError, OutputError
from lmclassify.evaluation.drift import Drift
from lmclassify.extras import install_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EMPHASIS_COLOURS = ("#c1121f", "#780000")
"""Reds, for what the plot is about."""
COLOURS = ("#1f77b4", "#2a9d8f", "#8d6cab", "#8c564b", "#7f7f7f", "#bc8f00")
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


def plot_drift(drift: Drift, path: str) -> None:
    """Plot nats per word over the chunks, of all texts and of each predicted label.

    Parameters
    ----------
    path : str
        PNG, SVG or PDF by its suffix.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.4), layout="constrained")
    axes = figure.subplots()
    for part, color in zip(drift.labels, (EMPHASIS_COLOURS[0], *COLOURS), strict=False):
        x = [chunk.number for chunk in part.chunks]
        y = [chunk.nats_per_word for chunk in part.chunks]
        name, width = ("all texts", 2.4) if part.label is None else (part.label, 1.3)
        axes.plot(x, y, color=color, linewidth=width, marker="o", markersize=4, label=name)
        axes.axhline(part.held_out_nats_per_word, color=color, linewidth=1.0, linestyle=":")
        drifted = [chunk for chunk in part.chunks if chunk.drifted]
        axes.scatter(
            [chunk.number for chunk in drifted],
            [chunk.nats_per_word for chunk in drifted],
            s=90,
            color=color,
            zorder=3,
        )
    first_texts = {chunk.number: chunk.first for chunk in drift.labels[0].chunks}
    axes.set_xticks(list(first_texts), list(first_texts.values()), rotation=30, ha="right")
    axes.set_xlabel("first text of the chunk")
    axes.set_ylabel("nats per word")
    axes.set_title("dotted lines: held-out texts; large points: drifted chunks", fontsize=10)
    axes.legend(frameon=False)
    finish_axes(axes)
    save(figure, path)


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
