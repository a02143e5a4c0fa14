"""How well texts that have none of the labels are told from those that have: novelty beside the usual scores.

``python -m benchmarks.novelty TRAIN KNOWN UNKNOWN`` fits on the texts of TRAIN and prints a Markdown
table of what each score makes of KNOWN texts and of UNKNOWN ones. No unknown text is learnt from.
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

from lmclassify.classify.estimator import LMClassifier
from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.classify.scoring import ngram_scores
from lmclassify.comparison.baselines import class_scores, logistic_regression, svm
from lmclassify.datasets.labelled import read_tables, read_unlabelled
from lmclassify.errors import LMClassifyError

Array = npt.NDArray[np.float64]
Score = Callable[[Sequence[str]], Array]
"""Texts to numbers, larger for newer ones."""

_UNKNOWN_RATE = 0.05


def figures(known: Array, unknown: Array) -> tuple[float, float]:
    """Return the AUROC of novelty scores, and the share of unknown texts that pass where 95% of known do."""
    is_unknown = np.repeat([False, True], [len(known), len(unknown)])
    passed = unknown <= np.quantile(known, 0.95)
    return float(roc_auc_score(is_unknown, np.concatenate([known, unknown]))), float(passed.mean())


def scores_of(model: FittedModel) -> dict[str, Score]:
    """Return what a model of recipe "tuned" could go by."""
    if not isinstance(model, TunedModel):
        raise LMClassifyError("a model of recipe tuned is needed")
    ngrams, subwords = model.ngrams[:1], model.subwords

    def per_character(texts: Sequence[str]) -> Array:
        of_labels = ngram_scores(ngrams, texts, subwords.sequences(texts), threads=model.n_jobs or 1)[1]
        lengths = np.array([len(" ".join(text.split())) + 1 for text in texts])
        return -np.asarray(np.logaddexp.reduce(of_labels + model.log_priors, axis=1) / lengths)

    return {
        "lmclassify: novelty": model.novelty,
        "lmclassify: largest probability": lambda texts: -model.predict_proba(texts).max(axis=1),
        "lmclassify: likelihood per character, labels mixed": per_character,
    }


def rival_scores(texts: Sequence[str], labels: Sequence[str]) -> dict[str, Score]:
    """Fit the usual scores on labelled texts."""
    logistic, machine = logistic_regression().fit(texts, labels), svm().fit(texts, labels)
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    components = make_pipeline(words, TruncatedSVD(200, random_state=0), Normalizer())
    one_class = make_pipeline(components, OneClassSVM(nu=_UNKNOWN_RATE)).fit(texts)
    return {
        "LinearSVC, largest margin": lambda new: -class_scores(machine, new).max(axis=1),
        "LogisticRegression, largest probability": lambda new: -logistic.predict_proba(new).max(axis=1),
        "one-class SVM on 200 components of TF-IDF": lambda new: (
            -np.asarray(one_class.decision_function(new))
        ),
    }


def main() -> None:
    """Fit, score and print the table."""
    parser = argparse.ArgumentParser(description="How well texts of no label are found.")
    parser.add_argument("train")
    parser.add_argument("known")
    parser.add_argument("unknown")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--model", type=Path, help="Where the fitted model is, or is to be kept.")
    options = parser.parse_args()
    training = read_tables([options.train], say=lambda line: None)
    known, unknown = (
        read_unlabelled([path], say=lambda line: None) for path in (options.known, options.unknown)
    )
    if options.model and options.model.exists():
        model = FittedModel.load(options.model)
    else:
        classifier = LMClassifier(random_state=options.seed, n_jobs=options.threads)
        model = classifier.fit(training.texts, training.labels).model_
        if options.model:
            model.save(options.model)
    model.n_jobs = options.threads
    print("| score | AUROC | FPR at 95% TPR |\n|---|---|---|")
    for name, score in {**scores_of(model), **rival_scores(training.texts, training.labels)}.items():
        auroc, passed = figures(score(known), score(unknown))
        print(f"| {name} | {auroc:.4f} | {passed:.3f} |")
    threshold = model.unknown_threshold(_UNKNOWN_RATE)
    alarms, found = ((model.novelty(texts) > threshold).mean() for texts in (known, unknown))
    print(f"\n--unknown-rate {_UNKNOWN_RATE}: {found:.1%} of unknown texts found, {alarms:.1%} false alarms")


if __name__ == "__main__":
    main()
