"""Baselines: scikit-learn's usual text classifiers and fastText, with calibrated probabilities."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC

from lmclassify.comparison.splits import stratified_folds

Array = npt.NDArray[np.float64]

_WORDS = r"(?u)\w+|[^\w\s]"  # includes words of one letter and punctuation: "?" says much in a question
_WORD_PAIRS: dict[str, Any] = {"ngram_range": (1, 2), "token_pattern": _WORDS}
_CALIBRATION_FOLDS = 5
"""As in scikit-learn's `CalibratedClassifierCV`."""


class Baseline:
    """A classifier whose probabilities are calibrated by one temperature (Guo et al. 2017).

    The classifier is trained on all texts; calibration does not change its predictions.

    Parameters
    ----------
    make : callable
        Returns an unfitted scikit-learn classifier with `decision_function`.

    Attributes
    ----------
    classes_ : ndarray, (K,)
    temperature_ : float
        1 before `calibrate`.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> Baseline:
        """Train on all texts, without calibration."""
        self._classifier = self._make().fit(texts, labels)
        self.classes_ = self._classifier.classes_
        self.temperature_ = 1.0
        self._uniform_share = 0.0
        return self

    def calibrate(self, texts: Sequence[str], labels: Sequence[str]) -> Baseline:
        """Fit the temperature to scores of a 5-fold cross-validation.

        The probabilities get a share of 1 / (n + 2) of the uniform distribution, as large as the smoothing of
        Platt (1999): where all held-out texts are right, the best temperature is 0, and n texts do not
        justify certainty. If no label has two texts, the temperature stays 1.

        Parameters
        ----------
        texts, labels : sequence of str, (n,)
            The training texts.
        """
        self._uniform_share = 1 / (len(texts) + 2)
        counts = Counter(labels)
        # Every training part needs all labels: a label's only text is repeated, and not used for calibration.
        rows = [*range(len(labels)), *(row for row, label in enumerate(labels) if counts[label] == 1)]
        weights = [float(counts[labels[row]] > 1) for row in rows]
        texts, labels = [texts[row] for row in rows], [labels[row] for row in rows]
        if not any(weights):
            return self
        fold_of_text = stratified_folds(labels, _CALIBRATION_FOLDS, np.random.default_rng(0))
        folds = [
            (np.flatnonzero(fold_of_text != fold), np.flatnonzero(fold_of_text == fold))
            for fold in np.unique(fold_of_text)
        ]
        calibrated = CalibratedClassifierCV(self._make(), method="temperature", ensemble=False, cv=folds)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* does not appear to accept sample_weight")  # as intended
            (fitted,) = calibrated.fit(texts, labels, sample_weight=weights).calibrated_classifiers_
        scale = 2 if len(self.classes_) == 2 else 1  # of two labels, scikit-learn's scores are -x and x
        self.temperature_ = 1 / (scale * float(fitted.calibrators[0].beta_))
        return self

    def predict_proba(self, texts: Sequence[str]) -> Array:
        """Return probabilities, (n, K)."""
        probabilities = softmax(class_scores(self._classifier, texts) / self.temperature_, axis=1)
        uniform = 1 / len(self.classes_)
        return np.asarray((1 - self._uniform_share) * probabilities + self._uniform_share * uniform)


def class_scores(classifier: Any, texts: Sequence[str]) -> Array:
    """Return a classifier's scores, (n, K), whose arg max is its prediction.

    For two labels they are 0 and the decision function.
    """
    decision = np.asarray(classifier.decision_function(texts))
    return np.column_stack([np.zeros(len(texts)), decision]) if decision.ndim == 1 else decision


def _as_decision(log_probabilities: Array) -> Array:
    """Return log-probabilities, (n, K), in the form of a decision function: (n,) for two labels."""
    if log_probabilities.shape[1] == 2:
        return log_probabilities[:, 1] - log_probabilities[:, 0]
    return log_probabilities


class _MultinomialNB(MultinomialNB):  # type: ignore[misc]
    """Calibrated by log-probabilities: probabilities of long texts are rounded to 0 and 1."""

    def decision_function(self, counts: sparse.csr_matrix) -> Array:
        return _as_decision(self.predict_joint_log_proba(counts))


class _ComplementNB(ComplementNB):  # type: ignore[misc]
    """See `_MultinomialNB`."""

    def decision_function(self, counts: sparse.csr_matrix) -> Array:
        return _as_decision(self.predict_joint_log_proba(counts))


def svm() -> Pipeline:
    """Return a linear SVM on TF-IDF of words, word pairs, and 2 to 5 characters within words."""
    words = TfidfVectorizer(sublinear_tf=True, **_WORD_PAIRS)
    characters = _FrequentCharacters(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=2)
    return make_pipeline(make_union(words, characters), LinearSVC(random_state=0))


def logistic_regression() -> Pipeline:
    """Return logistic regression on TF-IDF of words and word pairs."""
    return make_pipeline(
        TfidfVectorizer(sublinear_tf=True, **_WORD_PAIRS), LogisticRegression(C=10, max_iter=5000)
    )


def naive_bayes() -> Pipeline:
    """Return multinomial naive Bayes on counts of words and word pairs."""
    return make_pipeline(CountVectorizer(**_WORD_PAIRS), _MultinomialNB(alpha=0.3))


def complement_naive_bayes() -> Pipeline:
    """Return complement naive Bayes on TF-IDF of words and word pairs."""
    return make_pipeline(TfidfVectorizer(sublinear_tf=True, **_WORD_PAIRS), _ComplementNB(alpha=0.3))


def nb_svm() -> Pipeline:
    """Return an NB-SVM on the presence of words and word pairs."""
    return make_pipeline(CountVectorizer(binary=True, **_WORD_PAIRS), NBSVM())


class _FrequentCharacters(TfidfVectorizer):  # type: ignore[misc]
    """TF-IDF without n-grams that only one text has, unless there are no others."""

    def fit_transform(self, raw_documents: Iterable[str], y: object = None) -> sparse.csr_matrix:
        try:
            return super().fit_transform(raw_documents, y)
        except ValueError:
            self.min_df = 1
            return super().fit_transform(raw_documents, y)


class NBSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear model on features scaled by their naive Bayes log-count ratio (Wang & Manning 2012).

    One binary model per label. The linear part is logistic regression. Weights are not interpolated with
    their mean: with the paper's 0.25, labels of unequal size lose much accuracy (sms_spam: .90, not .99).

    Parameters
    ----------
    alpha : float, default=1.0
        Smoothing: added to every count.
    cost : float, default=4.0
        Inverse regularization strength of the logistic regression.

    Attributes
    ----------
    classes_ : ndarray, (K,)
    coef_ : ndarray, (K or 1, features)
        Log-count ratio times weight.
    intercept_ : ndarray, (K or 1,)
    """

    def __init__(self, *, alpha: float = 1.0, cost: float = 4.0) -> None:
        self.alpha = alpha
        self.cost = cost

    def fit(self, counts: sparse.csr_matrix, labels: npt.ArrayLike) -> NBSVM:
        """Train on binary features, (n, features)."""
        counts = sparse.csr_matrix(counts, dtype=float)
        self.classes_, true = np.unique(np.asarray(labels), return_inverse=True)
        positives = range(len(self.classes_)) if len(self.classes_) > 2 else [1]
        weights, intercepts = [], []
        for label in positives:
            ratio = log_count_ratio(counts, true == label, self.alpha)
            scaled = counts.copy()
            scaled.data *= ratio[scaled.indices]
            linear = LogisticRegression(C=self.cost, max_iter=5000).fit(scaled, true == label)
            weights.append(ratio * linear.coef_[0])
            intercepts.append(linear.intercept_[0])
        self.coef_, self.intercept_ = np.array(weights), np.array(intercepts)
        return self

    def decision_function(self, counts: sparse.csr_matrix) -> Array:
        """Return scores, (n, K); for two labels (n,), of the second label."""
        scores = np.asarray(counts @ self.coef_.T) + self.intercept_
        return np.asarray(scores if len(self.classes_) > 2 else scores[:, 0])

    def predict(self, counts: sparse.csr_matrix) -> npt.NDArray[Any]:
        """Return labels, (n,)."""
        scores = self.decision_function(counts)
        codes = scores.argmax(axis=1) if scores.ndim > 1 else (scores > 0).astype(int)
        return np.asarray(self.classes_[codes])


def log_count_ratio(counts: sparse.csr_matrix, positive: npt.NDArray[np.bool_], alpha: float) -> Array:
    """Return log((p / |p|) / (q / |q|)), (features,); p and q are alpha + counts in and outside a label."""
    p = alpha + np.asarray(counts[positive].sum(axis=0)).ravel()
    q = alpha + np.asarray(counts[~positive].sum(axis=0)).ravel()
    return np.asarray(np.log(p / p.sum()) - np.log(q / q.sum()))


class FastText(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """fastText's supervised classifier, for arbitrary labels and texts.

    Parameters
    ----------
    threads : int
        With more than one, results vary slightly between runs.
    seed : int
        Random seed.

    Attributes
    ----------
    classes_ : ndarray, (K,)
    """

    _PREFIX = "#label#"  # never a token: tokens are words or single other characters

    def __init__(self, threads: int, seed: int) -> None:
        self.threads = threads
        self.seed = seed

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> FastText:
        """Train; if training diverges, retry with half the learning rate."""
        import fasttext

        self.classes_, true = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
        handle, path = tempfile.mkstemp(suffix=".txt")
        try:
            with open(handle, "w", encoding="utf-8", errors="replace") as file:
                for text, label in zip(texts, true, strict=True):
                    file.write(f"{self._PREFIX}{label} {_tokens(text)}\n")
            learning_rate = 0.3
            while True:
                try:
                    self._model = fasttext.train_supervised(
                        path,
                        label=self._PREFIX,
                        lr=learning_rate,
                        epoch=25,
                        wordNgrams=2,
                        minCount=1,
                        thread=self.threads,
                        seed=self.seed,
                        verbose=0,
                    )
                    return self
                except RuntimeError as error:
                    learning_rate /= 2
                    if "NaN" not in str(error) or learning_rate < 0.001:
                        raise
        finally:
            os.remove(path)

    def predict(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """Return labels, (n,)."""
        return np.asarray(self.classes_[self.predict_log_proba(texts).argmax(axis=1)])

    def decision_function(self, texts: Sequence[str]) -> Array:
        """Return log-probabilities, (n, K); for two labels their difference, (n,)."""
        return _as_decision(self.predict_log_proba(texts))

    def predict_log_proba(self, texts: Sequence[str]) -> Array:
        """Return log-probabilities, (n, K), not below log(1e-6), fastText's smallest."""
        lines = [_tokens(text).encode("utf-8", "replace").decode() for text in texts]
        result = np.full((len(texts), len(self.classes_)), 1e-6)
        # A list even for one text: the official package fails with numpy 2 on a single string.
        for row, names, found in zip(result, *self._model.predict(lines, k=-1), strict=True):
            row[[int(name.removeprefix(self._PREFIX)) for name in names]] = found
        return np.asarray(np.log(np.maximum(result, 1e-6)))


def _tokens(text: str) -> str:
    return " ".join(re.findall(_WORDS, text.lower()))
