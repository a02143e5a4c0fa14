"""Check that fits have not changed: fit small models with two versions and compare their scores.

``python -m benchmarks.compare_fits [REF]`` checks out REF (default: the commit of version 0.7.0) into a
temporary folder, fits every case of `CASES` with that version and with the working tree, each in a
process of its own, and prints the largest absolute difference of joint log-probabilities and of
novelties on the texts of data/emails.csv. The exit status is 1 if a difference is above 1e-6.

The code that runs under both versions uses the documented Python API only.
"""

from __future__ import annotations

import argparse
import copy
import csv
import functools
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify import LMClassifier

Array = npt.NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[1]

DEFAULT_REF = "04a9cf4"
TOLERANCE = 1e-6
SMALL: dict[str, Any] = {
    "max_epochs": 2,
    "num_lstm_units": 12,
    "embedding_dim": 8,
    "batch_size": 16,
    "random_state": 0,
    "n_jobs": 1,
}
"""Settings that fit in a moment."""


def rows(name: str, limit: int | None = None) -> tuple[list[str], list[str]]:
    """Return texts and labels of a bundled file."""
    with open(ROOT / "data" / name, newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))[:limit]
    return [row["subject"] for row in read], [row["label"] for row in read]


def made_up(labels: int, texts: int) -> tuple[list[str], list[str]]:
    """Return made-up texts of so many labels, which share some of their words."""
    rng = np.random.default_rng(labels)
    codes = [number % labels for number in range(texts)]
    words = [[f"word{code}x{place}" for place in range(6)] + ["common", "words"] for code in range(labels)]
    return (
        [" ".join(rng.choice(words[code], size=rng.integers(1, 9))) for code in codes],
        [f"label {code:02}" for code in codes],
    )


def _plain() -> LMClassifier:
    return LMClassifier(**SMALL, recipe="plain").fit(*rows("subjects.csv", 200))


def _plain_both_weighted() -> LMClassifier:
    texts, labels = rows("subjects.csv", 150)
    weights = np.random.default_rng(1).uniform(0.0, 2.0, len(texts))
    options: dict[str, Any] = {
        "recipe": "plain",
        "direction": "both",
        "tokenizer": "word",
        "fit_prior": False,
    }
    return LMClassifier(**SMALL, **options).fit(texts, labels, sample_weight=weights)


def _plain_truncated() -> LMClassifier:
    options: dict[str, Any] = {
        "recipe": "plain",
        "max_length": 8,
        "long_texts": "truncate",
        "direction": "backward",
    }
    return LMClassifier(**SMALL, **options).fit(*rows("subjects.csv", 120))


def _one_label() -> LMClassifier:
    texts, _ = rows("subjects.csv", 80)
    return LMClassifier(**SMALL).fit(texts, ["only"] * len(texts))


def _tuned() -> LMClassifier:
    return LMClassifier(**SMALL).fit(*rows("subjects.csv", 100))


def _tuned_both_weighted() -> LMClassifier:
    texts, labels = rows("subjects.csv", 80)
    weights = np.random.default_rng(2).uniform(0.0, 2.0, len(texts))
    options: dict[str, Any] = {"direction": "both", "class_weight": "balanced", "tokenizer": "subword"}
    classifier = LMClassifier(**SMALL, **options)
    return classifier.fit(texts, labels, sample_weight=weights, unlabelled=rows("subjects.csv")[0][200:250])


def _tuned_backward_prior() -> LMClassifier:
    options: dict[str, Any] = {"direction": "backward", "class_prior": {"ham": 0.8, "spam": 0.2}}
    options |= {"class_weight": {"spam": 3.0}, "disguised_label": "none"}
    return LMClassifier(**SMALL, **options).fit(*rows("subjects.csv", 100))


def _tuned_held_out() -> LMClassifier:
    """Enough texts that a part is held out instead of cross-fitting."""
    texts, labels = made_up(3, 2010)
    return LMClassifier(**{**SMALL, "max_epochs": 1}, validation_fraction=0.2).fit(texts, labels)


def _three_labels_kept() -> LMClassifier:
    return LMClassifier(**SMALL, keep_held_out=True, cell="gru").fit(*made_up(3, 90))


def _many_labels() -> LMClassifier:
    """As many labels as share one embedding."""
    options = {**SMALL, "max_epochs": 1, "num_lstm_units": 4, "embedding_dim": 4}
    return LMClassifier(**options).fit(*made_up(50, 60))


def _copy_of(case: str) -> LMClassifier:
    """Return a copy of a case's classifier, which is fitted once."""
    return copy.deepcopy(_fitted(case))


@functools.cache
def _fitted(case: str) -> LMClassifier:
    return CASES[case]()


def _add_label() -> LMClassifier:
    return _copy_of("tuned, three labels, GRU, keep_held_out").add_label("label 1b", made_up(5, 100)[0][:20])


def _add_label_without_kept_texts() -> LMClassifier:
    return _copy_of("tuned, cross-fitted").add_label("notice", made_up(5, 100)[0][:12])


def _add_label_to_plain() -> LMClassifier:
    return _copy_of("plain").add_label("notice", made_up(5, 100)[0][:12])


def _update() -> LMClassifier:
    texts, labels = rows("emails.csv", 6)
    wrong = ["spam" if label == "ham" else None for label in labels]
    return _copy_of("tuned, cross-fitted").update(texts, labels, wrong)


def _remove_label() -> LMClassifier:
    return _copy_of("tuned, three labels, GRU, keep_held_out").remove_label("label 01")


CASES: dict[str, Callable[[], LMClassifier]] = {
    "plain": _plain,
    "plain, both directions, weighted, equal priors": _plain_both_weighted,
    "plain, backward, truncated": _plain_truncated,
    "tuned, one label": _one_label,
    "tuned, cross-fitted": _tuned,
    "tuned, both directions, weighted, unlabelled": _tuned_both_weighted,
    "tuned, backward, class_prior, class_weight": _tuned_backward_prior,
    "tuned, held out": _tuned_held_out,
    "tuned, three labels, GRU, keep_held_out": _three_labels_kept,
    "tuned, 50 labels": _many_labels,
    "add_label beside kept texts": _add_label,
    "add_label beside sampled texts": _add_label_without_kept_texts,
    "add_label, plain": _add_label_to_plain,
    "update": _update,
    "remove_label": _remove_label,
}
"""What is fitted, by name."""


def fit_cases(names: list[str], output: str) -> None:
    """Fit cases and write their scores of data/emails.csv, (n, K + 1): joint ones, then novelty."""
    warnings.simplefilter("ignore")
    texts, _ = rows("emails.csv")
    found: dict[str, Any] = {}
    for name in names:
        classifier = _fitted(name)
        joint = classifier.predict_joint_log_proba(texts)
        found[name] = np.column_stack([joint, classifier.novelty(texts)])
    np.savez(output, **found)


def _start(tree: Path, names: list[str], output: Path) -> subprocess.Popen[bytes]:
    """Start fitting cases with the package in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", __file__, "--cases", *names, "--output", str(output)]
    return subprocess.Popen(command, env=environment)


def compare(ref: str, names: list[str]) -> dict[str, float]:
    """Return the largest absolute difference of each case between a commit and the working tree."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(folder / "ref"), ref], check=True)
        try:
            fits = [_start(tree, names, folder / f"{tree.name}.npz") for tree in (folder / "ref", ROOT)]
            statuses = [fit.wait() for fit in fits]
            if any(statuses):
                sys.exit("a version failed to fit; see above")
            before, after = (np.load(folder / f"{tree}.npz") for tree in ("ref", ROOT.name))
            return {case: float(np.abs(before[case] - after[case]).max()) for case in names}
        finally:
            subprocess.run([*git, "remove", "--force", str(folder / "ref")], check=True)


def main() -> None:
    """Compare and print a line per case."""
    parser = argparse.ArgumentParser(description="Compare fits of two versions of lmclassify.")
    parser.add_argument("ref", nargs="?", default=DEFAULT_REF, help="commit to compare the working tree with")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--output", help="only fit the version that is imported, and write its scores here")
    options = parser.parse_args()
    if options.output:
        fit_cases(options.cases, options.output)
        return
    differences = compare(options.ref, options.cases)
    for name, difference in differences.items():
        print(f"{name}: {difference:.1e}")
    if not all(difference <= TOLERANCE for difference in differences.values()):
        sys.exit(f"scores differ by more than {TOLERANCE:g} from {options.ref}")


if __name__ == "__main__":
    main()
