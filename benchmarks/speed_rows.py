"""Rows labelled per second, from CSV to CSV, by `lmclassify predict` and by a linear SVM."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from lmclassify.classify.model import load
from lmclassify.comparison.baselines import svm
from lmclassify.datasets.labelled import LabelledTexts
from lmclassify.errors import LMClassifyError
from lmclassify.tables.columns import named_column
from lmclassify.tables.delimited import DelimitedReader
from lmclassify.text.sequences import Ids

_COLUMN = "text"


def measure_rows(
    data: LabelledTexts,
    rows: Path,
    models: Mapping[str, Sequence[str]],
    repeats: int,
    say: Callable[[str], object],
) -> tuple[dict[str, list[float]], dict[str, list[str]]]:
    """Return the texts per second of "svm" and of each model, and the labels that the models give.

    The SVM's rate excludes start-up and loading; the models' rates include them.

    Parameters
    ----------
    data : LabelledTexts
        Labelled texts that the SVM is fitted on.
    rows : Path
        CSV file to label.
    models : mapping of str to sequence of str
        Folder of a fitted model, and further arguments of `lmclassify predict`.
    repeats : int
    say : callable
        Receives lines about the progress.
    """
    texts = read_texts(rows)
    say("fitting the SVM")
    baseline = svm().fit(data.texts, data.labels)
    speeds: dict[str, list[float]] = {name: [] for name in ("svm", *models)}
    labels: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "out.csv")

        def run_svm() -> None:
            table = pd.read_csv(rows, dtype=str, keep_default_na=False)
            table["predicted_label"] = baseline.predict(table[_COLUMN])
            table.to_csv(out, index=False)

        def run_lmclassify(arguments: Sequence[str]) -> None:
            command = [sys.executable, "-m", "lmclassify", "predict", str(rows), "-o", out, "-q"]
            command += ["-m", *arguments]
            if subprocess.run(command, check=False).returncode:
                raise LMClassifyError(f"failed: {' '.join(command)}")

        for _ in range(repeats):
            for name, values in speeds.items():
                started = time.perf_counter()
                run_svm() if name == "svm" else run_lmclassify(models[name])
                values.append(len(texts) / (time.perf_counter() - started))
                say(f"{name}: {values[-1]:,.0f} texts/s")
                if name not in labels and name != "svm":
                    labels[name] = _column(out, "predicted_label")
    return speeds, labels


def read_texts(path: Path) -> list[str]:
    """Return the texts of a CSV file.

    Raises
    ------
    DataError
        If there are none.
    """
    return _column(path, _COLUMN)


def _column(path: str | Path, name: str) -> list[str]:
    with DelimitedReader(str(path)) as table:
        column = named_column(table, name)
        return [cell for rows in table.chunks() for cell in rows.column(column)]


def prefix_share(rows: Path, model: str) -> float:
    """Return the share of distinct prefixes among those of all texts, in a model's tokens."""
    return distinct_share(load(model).tokenizer.sequences(read_texts(rows)))


def distinct_share(sequences: Sequence[Ids]) -> float:
    """Return the share of distinct prefixes among all. A sequence's last token ends no prefix.

    >>> import numpy as np
    >>> distinct_share([np.array([1, 5, 6, 2]), np.array([1, 5, 7, 2])])  # 1, 1 5, 1 5 6, 1 5 7
    0.6666666666666666
    """
    nodes: dict[tuple[int, int], int] = {}
    num_prefixes = 0
    for sequence in sequences:
        node = 0
        for token in sequence[:-1].tolist():
            node = nodes.setdefault((node, token), len(nodes) + 1)
            num_prefixes += 1
    return len(nodes) / num_prefixes
