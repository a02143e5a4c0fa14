"""Same seed, data and settings: same model bytes. Predictions do not depend on other rows, order or threads."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

import lmclassify
from lmclassify.classify.online.stored_lessons import ROLE as LESSONS
from lmclassify.persistence.layout import CONFIG, TRAINING
from tests.conftest import ROOT, bundled, run_cli

pytestmark = pytest.mark.long

ENVIRONMENTS = [("0", "1"), ("1", "2"), ("random", "2")]
"""Values of PYTHONHASHSEED, and numbers of threads."""


def run(folder, hash_seed, threads, *arguments):
    subprocess.run(
        [sys.executable, "-m", "lmclassify", *arguments, "-q", "--threads", threads],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        check=True,
    )


def contents(folder):
    """Return the files of a model without the training record, which contains times."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != TRAINING}
    assert CONFIG in files
    return files


def fitted_files(folder):
    """Return the SHA-256 of each file of a model, except that of lessons, which contains times."""
    files = json.loads((folder / CONFIG).read_text())["files"]
    return {(file["role"], file.get("label")): file["sha256"] for file in files if file["role"] != LESSONS}


def write(path, texts, labels=None):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["subject"] if labels is None else ["subject", "label"])
        writer.writerows(
            [text] if labels is None else [text, label]
            for text, label in zip(texts, labels or texts, strict=True)
        )
    return path


@pytest.mark.parametrize("recipe", ["plain", "tuned"])
def test_model_bytes_do_not_depend_on_hash_seed_and_threads(tmp_path, recipe):
    texts, labels = bundled(limit=200)
    data = write(tmp_path / "data.csv", texts, labels)
    more = write(tmp_path / "more.csv", texts[:20], labels[:20])
    seen = []
    for number, environment in enumerate(ENVIRONMENTS):
        name = f"model{number}"
        run(tmp_path, *environment, "fit", data.name, "-o", name, "--recipe", recipe, "--max-epochs", "3")
        seen.append(contents(tmp_path / name))
    assert seen[0] == seen[1] == seen[2]
    for name, environment in zip(["model0", "model2"], ENVIRONMENTS[::2], strict=True):
        run(tmp_path, *environment, "update", more.name, "-m", name)
        run(tmp_path, *environment, "add-label", "other", more.name, "-m", name)
    models = [lmclassify.load(tmp_path / name) for name in ("model0", "model2")]
    for name in ("buckets", "weights", "lessons"):
        first, second = (getattr(model.lessons.weights, name) for model in models)
        np.testing.assert_array_equal(first, second)
    first, second = (fitted_files(tmp_path / name) for name in ("model0", "model2"))
    assert first == second


def test_predictions_do_not_depend_on_other_rows_order_or_threads(tmp_path):
    texts, labels = bundled(limit=300)
    texts += [" ".join(texts[at : at + 40]) for at in range(0, 240, 60)]  # some long texts
    run(tmp_path, "0", "2", "fit", str(write(tmp_path / "data.csv", texts[:300], labels)), "-o", "model")
    shuffled = random.Random(0).sample(range(len(texts)), len(texts))
    write(tmp_path / "rows.csv", texts)
    write(tmp_path / "shuffled.csv", [texts[index] for index in shuffled])
    for number, start in enumerate(range(0, len(texts), 101)):
        write(tmp_path / f"part{number}.csv", texts[start : start + 101])
    usual = probabilities(tmp_path, "rows.csv", "--threads", "2")
    assert usual.shape == (len(texts), 2)
    for other in (
        probabilities(tmp_path, "rows.csv", "--threads", "1"),
        probabilities(tmp_path, "shuffled.csv")[np.argsort(shuffled)],
        probabilities(tmp_path, "part*.csv"),
        probabilities(tmp_path, "rows.csv", "--stream"),  # row by row
    ):
        np.testing.assert_allclose(other, usual, rtol=0, atol=1e-5)


def probabilities(folder, *arguments):
    found = run_cli("predict", *arguments, "-q", "-m", "model", cwd=folder)
    assert found.returncode == 0, found.stderr
    rows = list(csv.DictReader(found.stdout.decode().splitlines()))
    return np.array([[float(row["p_ham"]), float(row["p_spam"])] for row in rows])
