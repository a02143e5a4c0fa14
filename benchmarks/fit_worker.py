"""Fit one classifier in this process and measure it: the part of `fit_speed` that runs under every version.

``python -P benchmarks/fit_worker.py`` with PYTHONPATH set to a checkout fits that version. So this module
imports nothing of `benchmarks`, and of lmclassify only the public API (and the SVM that this version compares
with). It prints one line of JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

csv.field_size_limit(2**31 - 1)


def read(path: str) -> tuple[list[str], list[str]]:
    """Return texts and labels of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def own_cpu() -> float:
    """Return the CPU seconds of this process and of its ended children."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def busy_cpu() -> float:
    """Return the CPU seconds of all processes of the machine (Linux)."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, fields)
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def peak_megabytes() -> float:
    """Return this process's peak resident memory. Unlike getrusage's, it does not include the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def build(recipe: str, seed: int, threads: int) -> Any:
    """Return an unfitted classifier."""
    if recipe == "svm":
        from lmclassify.comparison.baselines import svm

        return svm()
    from lmclassify import LMClassifier

    options: dict[str, Any] = {} if recipe == "default" else {"recipe": recipe}
    return LMClassifier(**options, random_state=seed, n_jobs=threads)


def main() -> None:
    """Fit, predict and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("output", help="compressed numpy file for the log-probabilities of the test texts")
    parser.add_argument("--recipe", default="default", choices=("default", "ngram", "svm"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    texts, labels = read(options.train)
    test_texts, test_labels = read(options.test)
    classifier = build(options.recipe, options.seed, options.threads)
    started, own, busy = time.perf_counter(), own_cpu(), busy_cpu()
    classifier.fit(texts, labels)
    wall, own, busy = time.perf_counter() - started, own_cpu() - own, busy_cpu() - busy
    record = {
        "fit_seconds": wall,
        "fit_cpu_seconds": own,
        "others_share": max(busy - own, 0.0) / (wall * (os.cpu_count() or 1)),
        "peak_megabytes": peak_megabytes(),
    }
    started, own = time.perf_counter(), own_cpu()
    if options.recipe == "svm":
        from lmclassify.comparison.baselines import class_scores

        log_probabilities = log_softmax(class_scores(classifier, test_texts), axis=1)  # not calibrated
    else:
        log_probabilities = classifier.predict_log_proba(test_texts)
    record |= {"predict_seconds": time.perf_counter() - started, "predict_cpu_seconds": own_cpu() - own}
    classes = [str(label) for label in classifier.classes_]
    truth = np.array([classes.index(label) for label in test_labels])
    np.savez_compressed(options.output, log_probabilities=log_probabilities.astype(np.float32), truth=truth)
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
