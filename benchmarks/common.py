"""Helpers that several benchmark scripts use: reading data, keeping fitted models and finished runs."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.estimator import LMClassifier
from lmclassify.datasets.labelled import LabelledTexts, read_tables
from lmclassify.errors import LMClassifyError

LEAST = 1e-9
"""Lowest probability in a log-loss."""


def print_progress(line: str) -> None:
    """Print a line on standard error: standard output is for the table."""
    print(line, file=sys.stderr, flush=True)


def read_table(path: str | Path) -> LabelledTexts:
    """Read labelled texts from a table, without notes about its columns."""
    return read_tables([str(path)], say=lambda line: None)


def read_set(folder: Path, name: str) -> tuple[LabelledTexts, LabelledTexts]:
    """Read ``<name>.train.csv`` and ``<name>.test.csv`` of a folder."""
    return read_table(folder / f"{name}.train.csv"), read_table(folder / f"{name}.test.csv")


def select(data: LabelledTexts, indices: Sequence[int]) -> LabelledTexts:
    """Return some of the texts with their labels, in the order of `indices`."""
    return LabelledTexts([data.texts[index] for index in indices], [data.labels[index] for index in indices])


def texts_of(data: LabelledTexts, label: str) -> list[str]:
    """Return the texts of one label."""
    return [text for text, own in zip(data.texts, data.labels, strict=True) if own == label]


def fit_or_load(folder: Path | None, data: LabelledTexts, **parameters: Any) -> LMClassifier:
    """Load the classifier from a folder if it is there; else fit it and save it there.

    Parameters
    ----------
    folder : Path or None
        None: fit it, and do not save it.
    data : LabelledTexts
    **parameters
        Of `LMClassifier`. ``n_jobs`` also holds for a classifier that is loaded.
    """
    if folder is not None and folder.exists():
        loaded = LMClassifier.load(folder)
        loaded.set_params(n_jobs=parameters.get("n_jobs"))
        return loaded
    classifier = LMClassifier(**parameters).fit(data.texts, data.labels)
    if folder is not None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        classifier.save(folder)
    return classifier


def accuracy_and_log_loss(
    classes: npt.NDArray[Any], probabilities: npt.NDArray[np.float64], labels: Sequence[str]
) -> dict[str, float]:
    """Return ``accuracy`` and ``log_loss``, in nats per text.

    Probabilities below `LEAST` count as `LEAST` in the log-loss; so do those of labels that the model lacks.

    Parameters
    ----------
    classes : ndarray, (K,)
        Labels of the model.
    probabilities : ndarray of float, (n, K)
    labels : sequence of str, (n,)
        True labels.
    """
    code_of = {label: code for code, label in enumerate(classes.tolist())}
    codes = np.array([code_of.get(label, -1) for label in labels])
    own = np.where(codes < 0, LEAST, probabilities[np.arange(len(codes)), codes])
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == codes)),
        "log_loss": float(-np.log(np.maximum(own, LEAST)).mean()),
    }


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the finished runs of a JSON Lines file; none if the file does not exist."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Append a finished run to a JSON Lines file."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def mean_and_spread(values: Sequence[float], digits: int) -> str:
    """Return mean and standard deviation, such as ``92.0 ± 0.4``; the mean only of a single value."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def table_head(*columns: str) -> list[str]:
    """Return the first two lines of a Markdown table."""
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def write_section(name: str, lines: Sequence[str], path: Path | None) -> None:
    """Replace what stands between ``<!-- NAME -->`` and ``<!-- end -->`` in a file; without a file, print.

    Raises
    ------
    ValueError
        If the file has no such lines.
    """
    if path is None:
        print(*lines, sep="\n")
        return
    before, begin, rest = path.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not begin or not end:
        raise ValueError(f"{path} has no section {name}")
    path.write_text(before + begin + "\n".join(["", *lines, "", ""]) + end + after, encoding="utf-8")


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the program with one line on standard error if an expected error is raised."""
    try:
        yield
    except (LMClassifyError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
