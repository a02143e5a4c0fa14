"""Detection of texts that have none of the labels: `novelty` compared with the usual scores.

``python -m benchmarks.novelty TRAIN KNOWN UNKNOWN`` fits on the texts of TRAIN and prints a Markdown
table: how well each score separates KNOWN texts from UNKNOWN ones. Nothing is fitted on unknown texts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import OneClassSVM

from benchmarks.common import fit_or_load, read_table, table_head
from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.classify.scoring import ngram_scores
from lmclassify.comparison.baselines import class_scores, logistic_regression, svm
from lmclassify.datasets.texts import read_unlabelled
from lmclassify.errors import LMClassifyError

Array = npt.NDArray[np.float64]
Score = Callable[[Sequence[str]], Array]
"""Maps texts to numbers; larger for texts less like the training texts."""

_UNKNOWN_RATE = 0.05  # share of known texts that may be called unknown, the default of --unknown-rate


def figures(known: Array, unknown: Array) -> tuple[float, float]:
    """Return the AUROC, and the share of unknown texts below the 95% quantile of known texts."""
    is_unknown = np.repeat([False, True], [len(known), len(unknown)])
    passed = unknown <= np.quantile(known, 0.95)
    return float(roc_auc_score(is_unknown, np.concatenate([known, unknown]))), float(passed.mean())


def model_scores(model: FittedModel) -> dict[str, Score]:
    """Return scores of a model of recipe "tuned"."""
    if not isinstance(model, TunedModel):
        raise LMClassifyError("a model of recipe tuned is needed")
    ngrams, subwords = model.ngrams[:1], model.subwords

    def per_character(texts: Sequence[str]) -> Array:
        log_likelihoods = ngram_scores(ngrams, texts, subwords, threads=model.n_jobs or 1)[0][1]
        lengths = np.array([len(" ".join(text.split())) + 1 for text in texts])
        return -np.asarray(np.logaddexp.reduce(log_likelihoods + model.log_priors, axis=1) / lengths)

    return {
        "lmclassify: novelty": model.novelty,
        "lmclassify: largest probability": lambda texts: -model.predict_proba(texts).max(axis=1),
        "lmclassify: likelihood per character, labels mixed": per_character,
    }


def baseline_scores(texts: Sequence[str], labels: Sequence[str]) -> dict[str, Score]:
    """Fit scikit-learn classifiers on labelled texts and return their scores."""
    logistic, linear_svm = logistic_regression().fit(texts, labels), svm().fit(texts, labels)
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    components = make_pipeline(words, TruncatedSVD(200, random_state=0), Normalizer())
    one_class = make_pipeline(components, OneClassSVM(nu=_UNKNOWN_RATE)).fit(texts)
    return {
        "LinearSVC, largest margin": lambda new: -class_scores(linear_svm, new).max(axis=1),
        "LogisticRegression, largest probability": lambda new: -logistic.predict_proba(new).max(axis=1),
        "one-class SVM on 200 components of TF-IDF": lambda new: (
            -np.asarray(one_class.decision_function(new))
        ),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Detection of texts that have none of the labels.")
    parser.add_argument("train", help="labelled texts to fit on")
    parser.add_argument("known", help="texts that have one of the labels")
    parser.add_argument("unknown", help="texts that have none of them")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the fit (default: 0)")
    parser.add_argument("--threads", type=int, help="number of threads (default: one per processor)")
    parser.add_argument("--model", type=Path, help="folder to load the fitted model from, or to save it to")
    options = parser.parse_args()
    training = read_table(options.train)
    known, unknown = (
        read_unlabelled([path], say=lambda line: None) for path in (options.known, options.unknown)
    )
    classifier = fit_or_load(options.model, training, random_state=options.seed, n_jobs=options.threads)
    model = classifier.model_
    model.n_jobs = options.threads
    print(*table_head("score", "AUROC", "FPR at 95% TPR"), sep="\n")
    for name, score in {**model_scores(model), **baseline_scores(training.texts, training.labels)}.items():
        auroc, passed = figures(score(known), score(unknown))
        print(f"| {name} | {auroc:.4f} | {passed:.3f} |")
    threshold = model.unknown_threshold(_UNKNOWN_RATE)
    alarms, found = ((model.novelty(texts) > threshold).mean() for texts in (known, unknown))
    print(f"\n--unknown-rate {_UNKNOWN_RATE}: {found:.1%} of unknown texts found, {alarms:.1%} false alarms")


if __name__ == "__main__":
    main()
