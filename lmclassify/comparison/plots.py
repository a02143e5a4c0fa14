"""Learning curves of the compared classifiers (matplotlib)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmclassify.comparison.methods import METHODS
from lmclassify.comparison.results import Record
from lmclassify.comparison.tables import COLUMNS, FigureColumn, SizeSummary, summarise
from lmclassify.errors import counted
from lmclassify.evaluation.plots import COLOURS, EMPHASIS_COLOURS, finish_axes, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "osD^vPX<>h"


def plot_learning_curves(records: Sequence[Record], path: str) -> None:
    """Plot accuracy and log-loss over the number of training texts, with bands of one standard deviation.

    Parameters
    ----------
    records : sequence of Record
        Of one data set.
    path : str
        PNG, SVG or PDF by its suffix.
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
    how = f"{first.folds}-fold cross-validation" if first.test is None else f"tested on {_name(first.test)}"
    figure.suptitle(
        f"{_name(first.data)}, {counted(first.labels, 'label')}, {how}", fontsize=11, parse_math=False
    )
    save(figure, path)


def _draw(axes: Axes, blocks: Sequence[SizeSummary], column: FigureColumn) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    keys = [key for key in METHODS if any(row.method == key for block in blocks for row in block.rows)]
    baselines = [key for key in keys if not METHODS[key].ours]
    ours = [key for key in keys if METHODS[key].ours]
    for key in [*baselines, *ours]:  # ours on top
        points = [
            (block.training_texts, row.figures[column.name])
            for block in blocks
            for row in block.rows
            if row.method == key and column.name in row.figures
        ]
        if not points:
            continue
        is_ours = METHODS[key].ours
        palette, group = (EMPHASIS_COLOURS, ours) if is_ours else (COLOURS, baselines)
        color = palette[group.index(key) % len(palette)]
        texts = [size for size, _ in points]
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
    sizes = sorted({block.training_texts for block in blocks})
    if len(sizes) > 1:
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_xlabel("training texts")
    better = "higher" if column.higher_is_better else "lower"
    axes.set_title(f"{column.title} ({better} is better)", fontsize=10)
    finish_axes(axes)


def _name(path: str) -> str:
    return os.path.basename(path)
