"""Tables of `fit_speed`: costs, and quality with bootstrap intervals of the differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score

from benchmarks.common import table_head
from lmclassify.evaluation.metrics import expected_calibration_error

Array = npt.NDArray[np.float64]
Record = dict[str, Any]
REFERENCE, NEW, NGRAM, SVM = "reference", "new", "n-gram experts only", "LinearSVC"
_ALONE = 0.05
_RESAMPLES = 2000
_COSTS = (
    ("fit, seconds", "fit_seconds", ".1f"),
    ("fit, CPU seconds", "fit_cpu_seconds", ".1f"),
    ("fit, peak MB", "peak_megabytes", ",.0f"),
    ("predict_log_proba of the test texts, texts per second", "predict_rate", ",.0f"),
)
_QUALITIES = (("accuracy", "accuracy"), ("log-loss", "log_loss"), ("macro F1", "macro_f1"), ("ECE", "ece"))
_BASELINES = ("svm", "logreg", "nb", "cnb", "nbsvm", "fasttext")


class Scores(NamedTuple):
    """How well the test texts of one run were predicted."""

    correct: Array
    """1 or 0 for each text, (n,)."""
    loss: Array
    """Negative log-probability of the true label, (n,)."""
    macro_f1: float
    ece: float


def read_scores(path: Path) -> Scores:
    """Read the predictions that `fit_worker` wrote."""
    with np.load(path) as saved:
        log_probabilities, truth = saved["log_probabilities"].astype(np.float64), saved["truth"]
    predicted = log_probabilities.argmax(axis=1)
    correct = predicted == truth
    return Scores(
        correct.astype(np.float64),
        -log_probabilities[np.arange(len(truth)), truth],
        float(f1_score(truth, predicted, average="macro")),
        expected_calibration_error(np.exp(log_probabilities.max(axis=1)), correct),
    )


def is_alone(record: Record) -> bool:
    """Return whether nothing else kept the machine busy during the fit."""
    return float(record["others_share"]) < _ALONE


class Report:
    """The tables of the latest code of each row.

    Parameters
    ----------
    records : list of dict
        Runs; of each row, the runs of its latest code count.
    predictions : Path
        The folder of their predictions.
    sets : sequence of str
        Sets without runs are left out.
    baselines : list of dict, optional
        Runs of `lmclassify benchmark`, for rows of other classifiers.
    """

    def __init__(
        self,
        records: list[Record],
        predictions: Path,
        sets: Sequence[str],
        baselines: Sequence[Record] = (),
    ) -> None:
        latest = {record["row"]: record["code"] for record in records}
        self._records = [record for record in records if latest[record["row"]] == record["code"]]
        self._rows = [row for row in (REFERENCE, NEW, NGRAM, SVM) if row in latest]
        self._sets = [name for name in sets if any(record["data"] == name for record in self._records)]
        self._predictions, self._baselines = predictions, baselines

    def lines(self) -> list[str]:
        """Return all tables."""
        seeds = [
            f"{row} {', '.join(f'{name} {len(self._seeds(row, name))}' for name in self._sets)}"
            for row in self._rows
        ]
        costs = [line for cost in _COSTS for line in self._costs(*cost)]
        quality = [line for title, key in _QUALITIES for line in self._quality(title, key)]
        return [*costs, "\\* measured beside other work.", "", *quality, f"Seeds: {'; '.join(seeds)}."]

    def _of(self, row: str, name: str) -> list[Record]:
        """Return the runs of a row on a set, the last one of each seed."""
        found = {r["seed"]: r for r in self._records if (r["row"], r["data"]) == (row, name)}
        return list(found.values())

    def _seeds(self, row: str, name: str) -> set[int]:
        return {record["seed"] for record in self._of(row, name)}

    def _cost(self, row: str, name: str, key: str) -> tuple[float, bool] | None:
        """Return the median over the runs that were alone, else over all; and whether they were alone."""
        records = [r for r in self._records if (r["row"], r["data"]) == (row, name)]
        alone = list(filter(is_alone, records))
        if not records:
            return None
        return float(np.median([record[key] for record in alone or records])), bool(alone)

    def _costs(self, title: str, key: str, form: str) -> list[str]:
        lines = _head(title, self._sets)
        found = {row: [self._cost(row, name, key) for name in self._sets] for row in self._rows}
        stars = {True: "", False: "" if key == "peak_megabytes" else " *"}
        for row, costs in found.items():
            lines.append(_row(row, [f"{cost[0]:{form}}{stars[cost[1]]}" if cost else "" for cost in costs]))
        if REFERENCE in found and NEW in found:
            pairs = zip(found[NEW], found[REFERENCE], strict=True)
            ratios = [f"{new[0] / old[0]:.2f}" if new and old else "" for new, old in pairs]
            lines.append(_row(f"*{NEW} / {REFERENCE}*", ratios))
        return [*lines, ""]

    def _quality(self, title: str, key: str) -> list[str]:
        lines = _head(title, [*self._sets, "mean"])
        for row in self._rows:
            values = [[r[key] for r in self._of(row, name) if r[key] is not None] for name in self._sets]
            if any(values):
                lines.append(_quality_row(row, values))
        if key in ("accuracy", "log_loss") and REFERENCE in self._rows:
            lines += [self._compared(row, key) for row in (NEW, NGRAM) if row in self._rows]
        for method in _BASELINES if self._baselines else ():
            figures = [
                [
                    record["figures"][key]
                    for record in self._baselines
                    if record["method"] == method and record["size"] == "all" and record["figures"]
                    if record["data"] == f"{name}.train.csv"
                ]
                for name in self._sets
            ]
            lines.append(_quality_row(method, figures))
        return [*lines, ""]

    def _compared(self, row: str, key: str) -> str:
        """Compare a row with the reference over the seeds that both have: points, or percent of log-loss."""
        relative = key == "log_loss"
        cells, found = [], []
        for name in self._sets:
            seeds = self._seeds(row, name) & self._seeds(REFERENCE, name)
            if not seeds:
                cells.append("")
                continue
            new, old = (self._per_text(version, name, seeds, relative) for version in (row, REFERENCE))
            found.append(bootstrap(new, old, relative=relative))
            cells.append(_interval(*found[-1]))
        complete = len(found) == len(self._sets)
        mean = np.mean([samples for samples, _ in found], axis=0) if complete else np.empty(0)
        observed = float(np.mean([value for _, value in found])) if complete else 0.0
        cells.append(_interval(mean, observed) if complete else "")
        return _row(f"*{row} - {REFERENCE}, {'percent' if relative else 'points'}*", cells)

    def _per_text(self, row: str, name: str, seeds: set[int], loss: bool) -> Array:
        """Return each text's mean correctness or log-loss over some seeds, (n,)."""
        runs = [record for record in self._of(row, name) if record["seed"] in seeds]
        scores = [read_scores(self._predictions / record["predictions"]) for record in runs]
        return np.asarray(np.mean([found.loss if loss else found.correct for found in scores], axis=0))


def bootstrap(new: Array, old: Array, *, relative: bool) -> tuple[Array, float]:
    """Resample texts; return the differences of the means, or their ratios - 1, and the observed one.

    Parameters
    ----------
    new, old : ndarray, (n,)
        A figure of the same texts.
    relative : bool
        Whether to return ratios - 1 instead of differences.

    Returns
    -------
    samples : ndarray, (resamples,)
    observed : float
    """
    rng = np.random.default_rng(0)
    chosen = (rng.integers(len(new), size=len(new)) for _ in range(_RESAMPLES))
    samples = [_compare(new[index], old[index], relative) for index in chosen]
    return np.array(samples), _compare(new, old, relative)


def _compare(new: Array, old: Array, relative: bool) -> float:
    return float(new.mean() / old.mean() - 1 if relative else new.mean() - old.mean())


def _interval(samples: Array, observed: float) -> str:
    low, high = np.percentile(samples, [2.5, 97.5])
    return f"{100 * observed:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _head(title: str, columns: Sequence[str]) -> list[str]:
    return [f"**{title}**", "", *table_head("", *columns)]


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _quality_row(name: str, values: Sequence[Sequence[float]]) -> str:
    """Return a row of means over the seeds, with standard deviations, and the mean over the sets."""
    cells = [
        f"{np.mean(own):.4f}{f' ± {np.std(own, ddof=1):.4f}' if len(own) > 1 else ''}" if own else ""
        for own in values
    ]
    mean = f"{np.mean([np.mean(own) for own in values]):.4f}" if all(values) else ""
    return _row(name, [*cells, mean])
