"""Adding a label and correcting texts one by one, compared with fitting again.

``python -m benchmarks.incremental label TRAIN TEST`` fits without the last label, adds it (beside kept
held-out texts, and beside sampled ones) and compares with a fit on everything. ``python -m
benchmarks.incremental corrections TRAIN TEST`` fits without a reserve of 9,000 texts, passes the first 500
of these that are labelled wrongly to `update`, one by one, and compares with a fit on all but the rest.
``python -m benchmarks.incremental single TRAIN TEST`` passes each of 50 wrongly labelled test texts to a
model of its own, with the label that it had got as ``learned_as``: are the text and near copies of it (a
fifth of the words replaced) labelled as corrected, and is the rest of the test data labelled as before?
``python -m benchmarks.incremental growth TRAIN TEST`` fits 500 texts with recipe ngram, passes 100, 500 and
2,000 more to `update`, and compares with a fit on all.
Models are kept in the folder that ``--models`` names and are not fitted again.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss

from benchmarks.common import fit_or_load, read_table, select, table_head, texts_of
from lmclassify.classify.estimator import LMClassifier
from lmclassify.classify.model import TunedModel
from lmclassify.datasets.labelled import LabelledTexts

Fit = Callable[..., LMClassifier]
"""Like `fit_or_load`: folder, labelled texts and parameters to a fitted classifier."""


def measure_label(
    training: LabelledTexts,
    test: LabelledTexts,
    models: Path,
    threads: int | None = None,
    fit: Fit = fit_or_load,
) -> list[str]:
    """Return the lines of a Markdown table about adding the last label."""
    label = sorted(set(training.labels))[-1]
    own = texts_of(training, label)
    others = select(
        training, [index for index, its_label in enumerate(training.labels) if its_label != label]
    )
    parameters = {"random_state": 0, "n_jobs": threads}
    without = fit(models / "without", others, keep_held_out=True, **parameters)
    whole = fit(models / "whole", training, **parameters)
    seconds = float(whole.model_.training_entries("fit")[0]["seconds"])
    true = np.array(test.labels)
    is_own = true == label
    columns = ("seconds", "its recall", "its precision", "accuracy on other labels")
    lines = table_head(f"{label}, {len(own)} training texts", *columns)

    def line(name: str, classifier: LMClassifier, seconds: float | None) -> str:
        predicted = classifier.predict(test.texts)
        called = predicted == label
        precision = (true[called] == label).mean() if called.any() else 0.0
        recall, accuracy = called[is_own].mean(), (predicted == true)[~is_own].mean()
        shown = "" if seconds is None else f"{seconds:.0f}"
        return f"| {name} | {shown} | {recall:.3f} | {precision:.3f} | {accuracy:.4f} |"

    lines.append(line("before", without, None))
    for how in ("kept", "sampled"):
        changed = copy.copy(without)
        if how == "sampled":
            assert isinstance(without.model_, TunedModel)
            changed.model_ = replace(without.model_, held_out_texts=None)
        started = time.perf_counter()
        changed.add_label(label, own)
        lines.append(line(f"added, with {how} texts of the others", changed, time.perf_counter() - started))
    return [*lines, line("fitted again", whole, seconds)]


def measure_corrections(
    training: LabelledTexts,
    test: LabelledTexts,
    models: Path,
    threads: int | None = None,
    fit: Fit = fit_or_load,
    *,
    num_reserve: int = 9000,
    max_corrections: int = 500,
) -> list[str]:
    """Return the lines of a Markdown table about corrections one by one."""
    shuffled = np.random.default_rng(0).permutation(len(training.texts)).tolist()
    reserve, base = shuffled[:num_reserve], shuffled[num_reserve:]
    parameters = {"random_state": 0, "n_jobs": threads}
    before = fit(models / "base", select(training, base), **parameters)
    reserved = select(training, reserve)
    wrong = np.flatnonzero(before.predict(reserved.texts) != np.array(reserved.labels))[:max_corrections]
    chosen = [reserve[index] for index in wrong.tolist()]
    again = fit(models / "again", select(training, [*base, *chosen]), **parameters)
    corrections = select(training, chosen)
    corrected = copy.copy(before)
    started = time.perf_counter()
    for text, label in zip(corrections.texts, corrections.labels, strict=True):
        corrected.update([text], [label])
    each = (time.perf_counter() - started) / max(1, len(chosen))
    head = f"{len(chosen)} corrections, {each:.2f} s each"
    lines = table_head(head, "accuracy on test data", "accuracy on corrected texts")
    for name, classifier in (
        ("before", before),
        ("one by one", corrected),
        ("fitted again with them", again),
    ):
        accuracy = classifier.score(test.texts, test.labels)
        on_corrected = classifier.score(corrections.texts, corrections.labels)
        lines.append(f"| {name} | {accuracy:.4f} | {on_corrected:.3f} |")
    return lines


def measure_single_corrections(
    training: LabelledTexts,
    test: LabelledTexts,
    models: Path,
    threads: int | None = None,
    fit: Fit = fit_or_load,
    *,
    max_corrections: int = 50,
    copies: int = 5,
) -> list[str]:
    """Return the lines of a Markdown table about single corrections of a model."""
    before = fit(models / "all", training, random_state=0, n_jobs=threads)
    true, found = np.array(test.labels), before.predict(test.texts)
    rng = np.random.default_rng(0)
    words = [word for text in test.texts for word in text.split()]
    wrong = rng.permutation(np.flatnonzero(found != true))[:max_corrections].tolist()
    right, near, changes = [], [], []
    for row in wrong:
        text, label = test.texts[row], test.labels[row]
        corrected = copy.copy(before)
        corrected.update([text], [label], [found[row]])
        near_copies = [_near_copy(text, words, rng) for _ in range(copies)]
        after, others = corrected.predict(test.texts), np.arange(len(true)) != row
        right.append(after[row] == label)
        near.append((corrected.predict(near_copies) == label).mean())
        changes.append(100 * ((after == true)[others].mean() - (found == true)[others].mean()))
    columns = ("corrected text right", "near copies right", "other texts: accuracy, mean", "worst")
    line = f"| {len(wrong)} | {np.mean(right):.3f} | {np.mean(near):.3f}"
    return [
        *table_head("single corrections", *columns),
        f"{line} | {np.mean(changes):+.3f} points | {min(changes):+.3f} |",
    ]


def measure_growth(
    training: LabelledTexts,
    test: LabelledTexts,
    models: Path,
    threads: int | None = None,
    fit: Fit = fit_or_load,
    *,
    first: int = 500,
    sizes: Sequence[int] = (100, 500, 2000),
) -> list[str]:
    """Return the lines of a Markdown table about a model of few texts that is taught more."""
    shuffled = np.random.default_rng(0).permutation(len(training.texts)).tolist()
    parameters = {"recipe": "ngram", "vectors": "none", "random_state": 0, "n_jobs": threads}
    before = fit(models / "first", select(training, shuffled[:first]), **parameters)
    columns = np.unique(test.labels).tolist()
    lines = table_head(f"{first} texts, then", "accuracy", "log-loss", "seconds")

    def line(name: str, classifier: LMClassifier, seconds: float) -> str:
        accuracy = classifier.score(test.texts, test.labels)
        loss = log_loss(test.labels, classifier.predict_proba(test.texts), labels=columns)
        return f"| {name} | {accuracy:.4f} | {loss:.4f} | {seconds:.1f} |"

    lines.append(line("none", before, 0.0))
    for size in sizes:
        more = select(training, shuffled[first : first + size])
        taught = copy.copy(before)
        started = time.perf_counter()
        taught.update(more.texts, more.labels)
        lines.append(line(f"{size} taught", taught, time.perf_counter() - started))
        again = fit(models / f"again-{size}", select(training, shuffled[: first + size]), **parameters)
        seconds = float(again.model_.training_entries("fit")[0]["seconds"])
        lines.append(line(f"{size}, fitted again", again, seconds))
    return lines


def _near_copy(text: str, words: list[str], rng: np.random.Generator) -> str:
    """Return a text with a fifth of its words replaced, at least one of three or more."""
    result = text.split()
    replaced = max(1, round(len(result) / 5)) if len(result) > 2 else 0
    for index in rng.permutation(len(result))[:replaced].tolist():
        result[index] = words[rng.integers(len(words))]
    return " ".join(result)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Changing a model, compared with fitting it again.")
    measures = {
        "label": measure_label,
        "corrections": measure_corrections,
        "single": measure_single_corrections,
        "growth": measure_growth,
    }
    parser.add_argument(
        "what", choices=measures, help="add a label, correct texts one by one or singly, or teach many"
    )
    parser.add_argument("train", help="labelled texts to fit on, CSV")
    parser.add_argument("test", help="labelled texts to measure accuracy on, CSV")
    parser.add_argument("--models", type=Path, required=True, help="folder to keep models in")
    parser.add_argument("--threads", type=int, help="number of threads (default: one per processor)")
    options = parser.parse_args()
    lines = measures[options.what](
        read_table(options.train), read_table(options.test), options.models, options.threads
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
