"""What adding a label and correcting texts one by one cost, beside fitting again.

``python -m benchmarks.incremental label TRAIN TEST`` leaves the last label out, fits, adds it (beside
kept held-out texts, and beside sampled ones) and compares with a fit on everything.
``python -m benchmarks.incremental corrections TRAIN TEST`` fits without a reserve of 9,000 texts, feeds
the first 500 of these that are labelled wrongly one by one, and compares with a fit on all but the rest.
Models are kept in the folder ``--models`` names, and not fitted again.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmclassify.classify.estimator import LMClassifier
from lmclassify.classify.model import TunedModel
from lmclassify.datasets.labelled import LabelledTexts, read_tables

_RESERVE, _CORRECTIONS = 9000, 500


def fitted(
    folder: Path,
    texts: Sequence[str],
    labels: Sequence[str],
    threads: int | None,
    *,
    keep_held_out: bool = False,
) -> tuple[LMClassifier, float]:
    """Return a classifier, from the folder where it is there already, and the seconds that its fit took."""
    if folder.exists():
        classifier = LMClassifier.load(folder).set_params(n_jobs=threads)
    else:
        classifier = LMClassifier(random_state=0, n_jobs=threads, keep_held_out=keep_held_out).fit(
            texts, labels
        )
        classifier.save(folder)
    return classifier, float(classifier.model_.training_entries("fit")[0]["seconds"])


def measure_label(
    training: LabelledTexts, test: LabelledTexts, models: Path, threads: int | None
) -> list[str]:
    """Return lines of a Markdown table on adding the last label."""
    label = sorted(set(training.labels))[-1]
    others = [index for index, of_text in enumerate(training.labels) if of_text != label]
    own = [text for text, of_text in zip(training.texts, training.labels, strict=True) if of_text == label]
    without, _ = fitted(
        models / "without",
        [training.texts[index] for index in others],
        [training.labels[index] for index in others],
        threads,
        keep_held_out=True,
    )
    whole, seconds = fitted(models / "whole", training.texts, training.labels, threads)
    true = np.array(test.labels)
    is_own = true == label
    lines = [
        f"| {label}, from {len(own)} texts | seconds | its recall | its precision | the others' accuracy |",
        "|---|---|---|---|---|",
    ]

    def line(name: str, classifier: LMClassifier, took: float | None) -> str:
        predicted = classifier.predict(test.texts)
        called = predicted == label
        precision = (true[called] == label).mean() if called.any() else 0.0
        recall, accuracy = called[is_own].mean(), (predicted == true)[~is_own].mean()
        shown = "" if took is None else f"{took:.0f}"
        return f"| {name} | {shown} | {recall:.3f} | {precision:.3f} | {accuracy:.4f} |"

    lines.append(line("not there", without, None))
    for name, kept in (("added beside kept texts", True), ("added beside sampled texts", False)):
        changed = copy.copy(without)
        if not kept:
            assert isinstance(without.model_, TunedModel)
            changed.model_ = replace(without.model_, held_out_texts=None)
        started = time.perf_counter()
        changed.add_label(label, own)
        lines.append(line(name, changed, time.perf_counter() - started))
    return [*lines, line("all fitted again", whole, seconds)]


def measure_corrections(
    training: LabelledTexts, test: LabelledTexts, models: Path, threads: int | None
) -> list[str]:
    """Return lines of a Markdown table on corrections one by one."""
    shuffled = np.random.default_rng(0).permutation(len(training.texts)).tolist()
    reserve, base = shuffled[:_RESERVE], shuffled[_RESERVE:]

    def of(indices: Sequence[int]) -> tuple[list[str], list[str]]:
        return [training.texts[index] for index in indices], [training.labels[index] for index in indices]

    before, _ = fitted(models / "base", *of(base), threads)
    texts, labels = of(reserve)
    wrong = np.flatnonzero(before.predict(texts) != np.array(labels))[:_CORRECTIONS].tolist()
    chosen = [reserve[index] for index in wrong]
    again, _ = fitted(models / "again", *of([*base, *chosen]), threads)
    corrected = copy.copy(before)
    started = time.perf_counter()
    for text, label in zip(*of(chosen), strict=True):
        corrected.update([text], [label])
    each = (time.perf_counter() - started) / max(1, len(chosen))
    true, (corrections, right) = np.array(test.labels), of(chosen)
    lines = [
        f"| {len(chosen)} corrections, {each:.2f} s each | accuracy, test part | corrected texts right |",
        "|---|---|---|",
    ]
    for name, classifier in (
        ("before", before),
        ("one by one", corrected),
        ("fitted again with them", again),
    ):
        accuracy = (classifier.predict(test.texts) == true).mean()
        learnt = (classifier.predict(corrections) == np.array(right)).mean()
        lines.append(f"| {name} | {accuracy:.4f} | {learnt:.3f} |")
    return lines


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description="What changing a model costs, beside fitting it again.")
    parser.add_argument("what", choices=("label", "corrections"))
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--models", type=Path, required=True, help="A folder to keep models in.")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    training, test = (read_tables([path], say=lambda line: None) for path in (options.train, options.test))
    options.models.mkdir(parents=True, exist_ok=True)
    measure = measure_label if options.what == "label" else measure_corrections
    print("\n".join(measure(training, test, options.models, options.threads)))


if __name__ == "__main__":
    main()
