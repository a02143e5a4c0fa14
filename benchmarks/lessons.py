"""Effects of single lessons on their text, on near copies of it and on all other texts, and their times.

``python -m benchmarks.lessons FOLDER NAME... [--lessons 300]`` fits recipe ngram on each set's training file
and takes its test file. Each lesson is taught to a fresh copy of the model: texts that the model gets wrong,
with their true label (hard corrections); texts that it gets right, with their label; and texts that it gets
right, with the likeliest wrong label (mistakes of a person). The accuracy on all other test texts is compared
before and after. A near copy has a fifth of its words replaced by words of other texts. Then all wrong texts
of the first half are taught one after the other, and the second half is measured.

``--time LESSONS`` teaches so many different texts to one model in a folder, with its journal on the disk, and
prints milliseconds per lesson by parts of the stream.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import errors_in_one_line, print_progress, read_set, table_head
from lmclassify import FittedModel, LMClassifier
from lmclassify.classify.online.folder import LearningFolder

COPIES = 3
Codes = npt.NDArray[np.intp]


def near_copy(text: str, words: Sequence[str], generator: random.Random) -> str:
    """Return a text with a fifth of its words replaced."""
    found = text.split()
    for index in generator.sample(range(len(found)), -(-len(found) // 5)):
        found[index] = generator.choice(words)
    return " ".join(found)


def measure(model: FittedModel, texts: Sequence[str], labels: Sequence[str], lessons: int) -> Iterator[str]:
    """Yield the rows of the table of one set."""
    generator = random.Random(0)
    names = model.label_names
    truth = np.array([names.index(label) for label in labels])
    joint = model.predict_joint_log_proba(texts)
    predicted = joint.argmax(axis=1)
    runner_up = np.argsort(joint, axis=1)[:, -2]
    words = [word for text in texts[:1000] for word in text.split()]
    right = predicted == truth
    kinds = {
        "true label of wrong texts": (np.flatnonzero(~right), truth),
        "true label of right texts": (np.flatnonzero(right), truth),
        "wrong label of right texts": (np.flatnonzero(right), runner_up),
    }
    for kind, (chosen, targets) in kinds.items():
        indices = generator.sample(chosen.tolist(), min(lessons, len(chosen)))
        found = [
            _lesson(model, texts, joint, truth, index, int(targets[index]), words, generator)
            for index in indices
        ]
        own, copies, changes = (np.array(part) for part in zip(*found, strict=True))
        points = [100 * changes.mean(), 100 * changes.min(), 100 * np.quantile(changes, 0.01)]
        cells = [kind, str(len(indices)), f"{own.mean():.3f}", f"{copies.mean():.3f}"]
        yield f"| {' | '.join([*cells, *(f'{point:+.3f}' for point in points)])} |"


def _lesson(
    model: FittedModel,
    texts: Sequence[str],
    joint: npt.NDArray[np.float64],
    truth: Codes,
    index: int,
    target: int,
    words: Sequence[str],
    generator: random.Random,
) -> tuple[bool, float, float]:
    """Return whether the text, and what share of its copies, got the label; and the change of accuracy."""
    taught = replace(model, lessons=None)
    label = model.classes_[target].item()
    taught.learn(texts[index], label)
    copies = [near_copy(texts[index], words, generator) for _ in range(COPIES)]
    others = np.arange(len(texts)) != index
    after = (joint + taught.lesson_scores(texts)).argmax(axis=1)
    change = (after == truth)[others].mean() - (joint.argmax(axis=1) == truth)[others].mean()
    return (
        taught.predict([texts[index]])[0] == label,
        float((taught.predict(copies) == label).mean()),
        float(change),
    )


def one_after_the_other(model: FittedModel, texts: Sequence[str], labels: Sequence[str]) -> str:
    """Return what corrections of the first half do to the second."""
    half = len(texts) // 2
    taught, truth = replace(model, lessons=None), np.array(labels)
    before = model.predict(texts).astype(str)
    wrong = np.flatnonzero(before[:half] != truth[:half])
    for index in wrong.tolist():
        taught.learn(texts[index], model.label_named(labels[index]))
    after = taught.predict(texts).astype(str)
    kept = (after == truth)[:half][wrong].mean()
    accuracies = [100 * (found == truth)[half:].mean() for found in (before, after)]
    return (
        f"{len(wrong)} corrections: {100 * kept:.1f}% of them right afterwards; "
        f"other half {accuracies[0]:.2f} -> {accuracies[1]:.2f}"
    )


def time_lessons(model: FittedModel, texts: Sequence[str], lessons: int) -> Iterator[str]:
    """Yield milliseconds per lesson, by tenths of the stream; every second lesson is a correction."""
    generator, words = random.Random(0), [word for text in texts for word in text.split()]
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        learning = LearningFolder(folder)
        learning.model.n_jobs = 1
        times: list[float] = []
        for number in range(lessons):
            text = " ".join(generator.choices(words, k=generator.randint(5, 15)))
            predicted = learning.model.predict([text])[0]
            label = generator.choice(model.classes_.tolist()) if number % 2 else predicted
            started = time.perf_counter()
            learning.learn(text, label)
            times.append(1000 * (time.perf_counter() - started))
        for part in np.array_split(np.array(times), 10):
            yield f"{np.median(part):.1f} ({np.quantile(part, 0.99):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--lessons", type=int, default=300)
    parser.add_argument("--time", type=int, metavar="LESSONS")
    options = parser.parse_args()
    for name in options.names:
        training, test = read_set(options.folder, name)
        model = (
            LMClassifier(recipe="ngram", vectors="none", random_state=0)
            .fit(training.texts, training.labels)
            .model_
        )
        if options.time:
            print(f"{name}: ms per lesson, median (99%), by tenths of {options.time:,} lessons: ", end="")
            print(", ".join(time_lessons(model, training.texts, options.time)), flush=True)
            continue
        print_progress(f"{name}: fitted on {len(training.texts):,} texts")
        print(f"\n{name}: {len(training.texts):,} training texts, {len(test.texts):,} test texts\n")
        print(
            *table_head(
                "lesson", "lessons", "right", "near copies right", "others, mean", "worst", "1% quantile"
            ),
            sep="\n",
        )
        for row in measure(model, test.texts, test.labels, options.lessons):
            print(row, flush=True)
        print(f"\n{one_after_the_other(model, test.texts, test.labels)}", flush=True)


if __name__ == "__main__":
    with errors_in_one_line():
        main()
