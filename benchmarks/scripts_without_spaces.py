"""Accuracy in scripts without spaces and in others, beside linear SVMs.

``python -m benchmarks.scripts_without_spaces FOLDER`` reads sets that `other_sets` writes: Chinese, Japanese
and Thai texts, and for comparison Hindi and German ones. It prints a Markdown table of accuracy: recipes
"ngram" (stage 1 of the default) and "tuned" (the default) beside linear SVMs on tf-idf of character 1-4-grams
and of word 1-2-grams. The SVMs' C is chosen on a fifth of the training part; the test part is for the table
only.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from benchmarks.common import print_progress, read_set, table_head
from lmclassify.classify.estimator import LMClassifier
from lmclassify.datasets.labelled import LabelledTexts

SETS = ("chinese_reviews", "emoji_japanese", "emoji_thai", "emoji_hindi", "emoji_german")
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Values of C tried: a factor of three apart, around scikit-learn's default."""
BASELINES = {
    "SVM, characters 1-4": {"analyzer": "char", "ngram_range": (1, 4)},
    "SVM, words 1-2": {"analyzer": "word", "ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
}
"""Options of the features of each baseline."""


def svm_accuracy(train: LabelledTexts, test: LabelledTexts, features: Mapping[str, object]) -> float:
    """Return the test accuracy of a linear SVM whose C is chosen on a fifth of the training texts."""

    def pipeline(strength: float) -> object:
        return make_pipeline(TfidfVectorizer(sublinear_tf=True, **features), LinearSVC(C=strength))

    texts, held_out, labels, true = train_test_split(
        train.texts, train.labels, test_size=0.2, random_state=0, stratify=train.labels
    )
    best = max(STRENGTHS, key=lambda c: pipeline(c).fit(texts, labels).score(held_out, true))  # type: ignore[attr-defined]
    return float(pipeline(best).fit(train.texts, train.labels).score(test.texts, test.labels))  # type: ignore[attr-defined]


def accuracy(recipe: str, train: LabelledTexts, test: LabelledTexts) -> float:
    """Return the test accuracy of a recipe with default settings."""
    classifier = LMClassifier(recipe=recipe, random_state=0, n_jobs=1).fit(train.texts, train.labels)
    return float(np.mean(np.array(classifier.predict(test.texts)) == np.array(test.labels)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Accuracy in scripts without spaces.")
    parser.add_argument("folder", type=Path, help="folder that benchmarks.other_sets has written")
    parser.add_argument("--sets", nargs="+", default=SETS, help=f"default: {' '.join(SETS)}")
    parser.add_argument("--recipes", nargs="+", default=["ngram", "tuned"], help="default: ngram tuned")
    options = parser.parse_args()
    columns = [*options.recipes, *BASELINES]
    print("\n".join(table_head("set", "training texts", "test texts", *columns)), flush=True)
    for name in options.sets:
        train, test = read_set(options.folder, name)
        figures = []
        for column in columns:
            if column in BASELINES:
                figures.append(svm_accuracy(train, test, BASELINES[column]))
            else:
                figures.append(accuracy(column, train, test))
            print_progress(f"{name}, {column}: {figures[-1]:.4f}")
        cells = [f"{figure:.1%}" for figure in figures]
        print(f"| {name} | {len(train.texts):,} | {len(test.texts):,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
