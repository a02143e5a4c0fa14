"""Learning curves and drift as pictures (matplotlib)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmclassify.comparison.methods import METHODS
from lmclassify.comparison.results import Record
from lmclassify.comparison.tables import COLUMNS, Block, Column, summarise
from lmclassify.errors import OptionError, OutputError
from lmclassify.evaluation.drift import Drift

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ENDINGS = (".png", ".svg", ".pdf")
_OURS = ("#c1121f", "#780000")
_RIVALS = ("#1f77b4", "#2a9d8f", "#8d6cab", "#8c564b", "#7f7f7f", "#bc8f00")
_MARKERS = "osD^vPX<>h"


def check_plot(path: str) -> None:
    """Raise if a plot could not be written there: better said before the work than after it.

    Raises
    ------
    OptionError
        If the name's ending tells no format.
    OutputError
        If matplotlib is missing, or there is no such folder.
    """
    if not path.lower().endswith(_ENDINGS):
        raise OptionError(f"--plot {path}: the name must end in one of {', '.join(_ENDINGS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise OutputError("plots need matplotlib: pip install 'lmclassify[plots]'")
    folder = Path(path).resolve().parent
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: no folder {folder} to write to")


def plot_learning_curves(records: Sequence[Record], path: str) -> None:
    """Draw accuracy and log-loss over the number of texts learnt from, with bands of one standard deviation.

    Parameters
    ----------
    records : sequence of Record
        Of one data set.
    path : str
        PNG, SVG or PDF by its ending.
    """
    from matplotlib.figure import Figure

    blocks = summarise(records)
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, name in ((left, "accuracy"), (right, "log_loss")):
        column = next(column for column in COLUMNS if column.name == name)
        _draw(axes, blocks, column)
    lines = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    labels = [key for key in METHODS if key in lines]
    figure.legend([lines[key] for key in labels], labels, loc="outside right center", frameon=False)
    first = records[0]
    tried = f"{first.folds}-fold cross-validation" if first.test is None else f"tried on {_name(first.test)}"
    figure.suptitle(f"{_name(first.data)}, {first.labels} labels, {tried}", fontsize=11, parse_math=False)
    _save(figure, path)


def plot_drift(drift: Drift, path: str) -> None:
    """Draw nats per word over the chunks, of all texts and of each predicted label's.

    Parameters
    ----------
    drift : Drift
    path : str
        PNG, SVG or PDF by its ending.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.4), layout="constrained")
    axes = figure.subplots()
    whole = drift.labels[0]
    colors = (_OURS[0], *_RIVALS)
    for number, of_label in enumerate(drift.labels[: len(colors)]):
        color, name = colors[number], "all texts" if of_label.label is None else of_label.label
        chunks = of_label.chunks
        at = [chunk.number for chunk in chunks]
        values = [chunk.nats_per_word for chunk in chunks]
        width = 2.4 if of_label.label is None else 1.3
        axes.plot(at, values, color=color, linewidth=width, marker="o", markersize=4, label=name)
        axes.axhline(of_label.held_out_nats_per_word, color=color, linewidth=1.0, linestyle=":")
        drifted = [(x, y) for x, y, chunk in zip(at, values, chunks, strict=True) if chunk.drifted]
        axes.scatter([x for x, _ in drifted], [y for _, y in drifted], s=90, color=color, zorder=3)
    begins = {chunk.number: chunk.first for chunk in whole.chunks}
    axes.set_xticks(list(begins), list(begins.values()), rotation=30, ha="right")
    axes.set_xlabel("where a chunk begins")
    axes.set_ylabel("nats per word")
    axes.set_title("dotted: held-out texts; large points: drifted", fontsize=10)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    _save(figure, path)


def _save(figure: Figure, path: str) -> None:
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _draw(axes: Axes, blocks: Sequence[Block], column: Column) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    keys = [key for key in METHODS if any(row.method == key for block in blocks for row in block.rows)]
    rivals = [key for key in keys if not METHODS[key].ours]
    ours = [key for key in keys if METHODS[key].ours]
    for key in [*rivals, *ours]:  # ours on top
        points = [
            (block.training_texts, row.figures[column.name])
            for block in blocks
            for row in block.rows
            if row.method == key and column.name in row.figures
        ]
        if not points:
            continue
        is_ours = METHODS[key].ours
        color = _OURS[ours.index(key) % 2] if is_ours else _RIVALS[rivals.index(key) % len(_RIVALS)]
        texts = [place for place, _ in points]
        means = [spread.mean for _, spread in points]
        low = [spread.mean - (spread.std or 0.0) for _, spread in points]
        high = [spread.mean + (spread.std or 0.0) for _, spread in points]
        axes.plot(
            texts,
            means,
            color=color,
            marker=_MARKERS[keys.index(key) % len(_MARKERS)],
            markersize=5,
            linewidth=2.4 if is_ours else 1.3,
            label=key,
        )
        if len(points) > 1:
            axes.fill_between(texts, low, high, color=color, alpha=0.15 if is_ours else 0.06, linewidth=0)
        else:
            axes.vlines(texts, low, high, color=color, linewidth=1.3)
    places = sorted({block.training_texts for block in blocks})
    if len(places) > 1:
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.set_xlabel("texts to learn from")
    better = "higher" if column.higher_is_better else "lower"
    axes.set_title(f"{column.title} ({better} is better)", fontsize=10)
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _name(path: str) -> str:
    return os.path.basename(path)
