"""What word vectors bring where labelled texts are few, beside classifiers that have the same vectors.

``python -m benchmarks.few_texts TRAIN.csv... [--sizes 50,200,1000] [--draws 5] [--vectors wordllama]`` draws
training texts from each file (at least one of every label) and tests on up to 2,000 of its other texts, so
test parts stay unused. ``--test`` tests on ``NAME.test.csv`` beside ``NAME.train.csv``. It prints mean
accuracy and log-loss over the draws as a table for each size.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from benchmarks.common import errors_in_one_line, print_progress, read_table, select, table_head
from lmclassify import LMClassifier
from lmclassify.classify.training.data import stratified_sample
from lmclassify.classify.training.vector_words import VECTOR_WORDS
from lmclassify.comparison.baselines import Baseline, naive_bayes, svm
from lmclassify.datasets.labelled import LabelledTexts
from lmclassify.text.word_vectors import load_word_vectors

MAX_TEST_TEXTS = 2000
SMALLEST = 1e-15  # probabilities are clipped there, as scikit-learn's log-loss does


class MeanVectors(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Mean word vectors of texts, scaled to a mean squared norm of 1 on the training texts."""

    def __init__(self, source: str = "wordllama") -> None:
        self.source = source

    def fit(self, X: Sequence[str], y: object = None) -> MeanVectors:
        vectors = load_word_vectors(self.source)
        assert vectors is not None
        self.vectors_ = dict(zip(vectors.words, vectors.array, strict=True))
        self.tokens_ = vectors.tokens
        self.zero_ = np.zeros(vectors.array.shape[1], np.float32)
        self.scale_ = 1.0
        self.scale_ = float(np.sqrt(np.square(self.transform(X).toarray()).sum(axis=1).mean())) or 1.0
        return self

    def transform(self, X: Sequence[str]) -> sparse.csr_matrix:
        return sparse.csr_matrix(np.array([self._mean(text) for text in X]) / self.scale_)

    def _mean(self, text: str) -> npt.NDArray[np.float32]:
        words = VECTOR_WORDS.words_of_texts([text])
        found = [self.vectors_.get(word) for word in words]
        if self.tokens_ is not None:
            found = [
                self.tokens_.word(word) if vector is None else vector
                for word, vector in zip(words, found, strict=True)
            ]
        known = [vector for vector in found if vector is not None]
        mean: npt.NDArray[np.float32] = np.mean(known, axis=0) if known else self.zero_
        return mean


def methods(source: str, seed: int) -> dict[str, Callable[[], Any]]:
    """Return the classifiers to compare, by name."""
    ours = partial(LMClassifier, recipe="ngram", random_state=seed)

    def vectors_only() -> Any:
        return make_pipeline(MeanVectors(source), LogisticRegression(C=10, max_iter=1000))

    def svm_with_vectors() -> Any:
        features = svm()[:-1]
        return make_pipeline(make_union(features, MeanVectors(source)), LinearSVC(random_state=0))

    return {
        "n-gram experts": partial(ours, vectors="none"),
        "n-gram experts, vectors": partial(ours, vectors=source),
        "LinearSVC": lambda: Baseline(svm),
        "MultinomialNB": lambda: Baseline(naive_bayes),
        "vectors, logistic regression": vectors_only,
        "LinearSVC, vectors added": lambda: Baseline(svm_with_vectors),
    }


def quality(classifier: Any, data: LabelledTexts) -> tuple[float, float]:
    """Return accuracy and log-loss in nats; labels unknown to the classifier count as wrong."""
    probabilities = np.clip(classifier.predict_proba(data.texts), SMALLEST, 1)
    classes = classifier.classes_.tolist()
    true = np.array([classes.index(label) for label in data.labels])
    right = probabilities.argmax(axis=1) == true
    return float(right.mean()), float(-np.log(probabilities[np.arange(len(true)), true]).mean())


def draw(
    data: LabelledTexts, test: LabelledTexts | None, size: int, seed: int
) -> tuple[LabelledTexts, LabelledTexts]:
    """Return training and test texts."""
    rng = np.random.default_rng([seed, size])
    codes = np.unique(data.labels, return_inverse=True)[1]
    chosen = stratified_sample(codes, size, rng, min_per_label=1)
    if test is None:
        others = np.setdiff1d(np.arange(len(codes)), chosen)
        test = select(data, rng.permutation(others)[:MAX_TEST_TEXTS].tolist())
    return select(data, chosen.tolist()), test


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", nargs="+", type=Path)
    parser.add_argument("--sizes", default="50,200,1000")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--vectors", default="wordllama")
    parser.add_argument("--test", action="store_true", help="test on NAME.test.csv")
    options = parser.parse_args()
    with errors_in_one_line():
        sets = {path.name.split(".")[0]: read_table(path) for path in options.train}
        tests: dict[str, LabelledTexts | None] = dict.fromkeys(sets)
        if options.test:
            names = (path.name.replace(".train.", ".test.") for path in options.train)
            tests = {
                name.split(".")[0]: read_table(path.with_name(name))
                for path, name in zip(options.train, names, strict=True)
            }
        for size in map(int, options.sizes.split(",")):
            print(*table(sets, tests, size, options.draws, options.vectors), "", sep="\n", flush=True)


def table(
    sets: dict[str, LabelledTexts],
    tests: dict[str, LabelledTexts | None],
    size: int,
    draws: int,
    source: str,
) -> list[str]:
    """Return the table of one size: each method's mean accuracy and log-loss on each set, and over all."""
    lines = [f"**{size:,} training texts**", "", *table_head("", *sets, "mean")]
    found: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in methods(source, 0)}
    for name, data in sets.items():
        results: dict[str, list[tuple[float, float]]] = {method: [] for method in found}
        for seed in range(draws):
            train, test = draw(data, tests[name], size, seed)
            for method, build in methods(source, seed).items():
                results[method].append(quality(build().fit(train.texts, train.labels), test))
        print_progress(f"{name}, {size} texts: done")
        for method, values in results.items():
            found[method].append(values)
    for method, by_set in found.items():
        means = [*np.mean(by_set, axis=1), np.mean(by_set, axis=(0, 1))]
        cells = [f"{accuracy:.4f} ({loss:.3f})" for accuracy, loss in means]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
