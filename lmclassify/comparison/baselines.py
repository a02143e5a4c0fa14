"""What a user would take instead: scikit-learn's usual text classifiers and fastText, calibrated."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.svm import LinearSVC

from lmclassify.comparison.splits import stratified_folds

Array = npt.NDArray[np.float64]

_WORDS = r"(?u)\w+|[^\w\s]"  # words of one letter and punctuation count: "?" tells much in a question
_WORD_PAIRS: dict[str, Any] = {"ngram_range": (1, 2), "token_pattern": _WORDS}
_CALIBRATION_FOLDS = 5


class Baseline:
    """A classifier with one temperature, fitted on held-out scores, for its probabilities.

    The classifier itself learns from all texts; its predictions are those that it has without calibration.

    Parameters
    ----------
    make : callable
        Returns an unfitted classifier with `decision_function` or `predict_log_proba`.

    Attributes
    ----------
    classes_ : ndarray, (K,)
    temperature_ : float
        1 before `calibrate`.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> Baseline:
        """Learn from all texts, without calibration."""
        self._classifier = self._make().fit(texts, labels)
        self.classes_ = self._classifier.classes_
        self.temperature_ = 1.0
        return self

    def calibrate(self, texts: Sequence[str], labels: Sequence[str]) -> Baseline:
        """Fit the temperature on scores that classifiers give to texts they have not seen.

        Parameters
        ----------
        texts, labels : sequence of str, (n,)
            What the classifier was fitted on. They are scored in 5 folds, fewer with fewer texts. A text
            whose label has no other text is left out: nothing could have been known of it.
        """
        true = np.searchsorted(self.classes_, labels)
        fold_of = stratified_folds(labels, _CALIBRATION_FOLDS, np.random.default_rng(0))
        scores = np.full((len(texts), len(self.classes_)), -np.inf)
        for fold in np.unique(fold_of):
            inside = np.flatnonzero(fold_of != fold).tolist()
            held_out = np.flatnonzero(fold_of == fold).tolist()
            known = np.unique(true[inside])
            if len(known) > 1:
                part = self._make().fit([texts[i] for i in inside], [labels[i] for i in inside])
                found = class_scores(part, [texts[i] for i in held_out])
                scores[np.array(held_out)[:, None], known] = found
        usable = np.isfinite(scores[np.arange(len(texts)), true])
        self.temperature_ = best_temperature(scores[usable], true[usable])
        return self

    def predict_proba(self, texts: Sequence[str]) -> Array:
        """Return probabilities, (n, K)."""
        return np.asarray(softmax(class_scores(self._classifier, texts) / self.temperature_, axis=1))


def class_scores(classifier: Any, texts: Sequence[str]) -> Array:
    """Return a classifier's scores, (n, K), whose arg max is its prediction.

    With two labels they are 0 and the decision function.
    """
    if not hasattr(classifier, "decision_function"):
        return np.asarray(classifier.predict_log_proba(texts))
    decision = np.asarray(classifier.decision_function(texts))
    return np.column_stack([np.zeros(len(texts)), decision]) if decision.ndim == 1 else decision


def best_temperature(scores: Array, true: npt.NDArray[np.intp]) -> float:
    """Return the T for which softmax(scores / T) has the least log-loss.

    As in Platt (1999), the true label's target is a little less than 1, (n + 1) / (n + 2): on few texts
    that are all right, T would else fall to nothing.

    Parameters
    ----------
    scores : ndarray, (n, K)
        -inf for a label that was unknown; finite for true labels.
    true : ndarray of int, (n,)

    Returns
    -------
    float
        1 where n = 0.
    """
    if len(true) == 0:
        return 1.0
    smoothing = 1 / (len(true) + 2)
    known = np.isfinite(scores)
    rows = np.arange(len(true))

    def loss(log_temperature: float) -> float:
        log_p = log_softmax(scores / np.exp(log_temperature), axis=1)
        spread = np.where(known, log_p, 0.0).sum(axis=1) / known.sum(axis=1)
        return -float(np.mean((1 - smoothing) * log_p[rows, true] + smoothing * spread))

    found = minimize_scalar(loss, bounds=(-12.0, 12.0), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def svm() -> Pipeline:
    """Return a linear SVM on TF-IDF of words, pairs of them, and 2 to 5 characters within words."""
    words = TfidfVectorizer(sublinear_tf=True, **_WORD_PAIRS)
    characters = _SharedCharacters(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=2)
    return make_pipeline(make_union(words, characters), LinearSVC(random_state=0))


def logistic_regression() -> Pipeline:
    """Return logistic regression on TF-IDF of words and pairs of them."""
    return make_pipeline(
        TfidfVectorizer(sublinear_tf=True, **_WORD_PAIRS), LogisticRegression(C=10, max_iter=5000)
    )


def naive_bayes() -> Pipeline:
    """Return multinomial naive Bayes on counts of words and pairs of them."""
    return make_pipeline(CountVectorizer(**_WORD_PAIRS), MultinomialNB(alpha=0.3))


def complement_naive_bayes() -> Pipeline:
    """Return complement naive Bayes on TF-IDF of words and pairs of them."""
    return make_pipeline(TfidfVectorizer(sublinear_tf=True, **_WORD_PAIRS), ComplementNB(alpha=0.3))


def nb_svm() -> Pipeline:
    """Return an NB-SVM on the presence of words and pairs of them."""
    return make_pipeline(CountVectorizer(binary=True, **_WORD_PAIRS), NBSVM())


def fast_text(threads: int, seed: int) -> FastText:
    """Return fastText on words and pairs of them."""
    return FastText(threads, seed)


class _SharedCharacters(TfidfVectorizer):  # type: ignore[misc]
    """Leaves out what only one text has, unless that is all there is."""

    def fit_transform(self, raw_documents: Iterable[str], y: object = None) -> sparse.csr_matrix:
        try:
            return super().fit_transform(raw_documents, y)
        except ValueError:
            self.min_df = 1
            return super().fit_transform(raw_documents, y)


class NBSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear model on features scaled by their naive Bayes log-count ratio (Wang & Manning 2012).

    One label against the rest, for each label. The linear part is logistic regression, and there is no
    interpolation with the mean weight: at the paper's 0.25, labels of unequal size lose much (sms_spam:
    accuracy .90 instead of .99).

    Parameters
    ----------
    alpha : float, default=1.0
        Added to every count.
    cost : float, default=4.0
        Inverse strength of regularisation.

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
        """Learn from binary features, (n, features)."""
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
        """Return scores, (n, K), or (n,) of the second label where there are two."""
        scores = np.asarray(counts @ self.coef_.T) + self.intercept_
        return np.asarray(scores if len(self.classes_) > 2 else scores[:, 0])

    def predict(self, counts: sparse.csr_matrix) -> npt.NDArray[Any]:
        """Return labels, (n,)."""
        scores = self.decision_function(counts)
        places = scores.argmax(axis=1) if scores.ndim > 1 else (scores > 0).astype(int)
        return np.asarray(self.classes_[places])


def log_count_ratio(counts: sparse.csr_matrix, positive: npt.NDArray[np.bool_], alpha: float) -> Array:
    """Return log((p / |p|) / (q / |q|)), (features,); p and q: alpha + the counts in and outside a label."""
    p = alpha + np.asarray(counts[positive].sum(axis=0)).ravel()
    q = alpha + np.asarray(counts[~positive].sum(axis=0)).ravel()
    return np.asarray(np.log(p / p.sum()) - np.log(q / q.sum()))


class FastText:
    """fastText's supervised classifier, for any labels and texts.

    Parameters
    ----------
    threads : int
        With more than one, results differ a little from run to run.
    seed : int

    Attributes
    ----------
    classes_ : ndarray, (K,)
    """

    _PREFIX = "#label#"  # no token: those are words or single other characters

    def __init__(self, threads: int, seed: int) -> None:
        self._threads = threads
        self._seed = seed

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> FastText:
        """Learn; where the learning rate makes it diverge, again with half of it."""
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
                        thread=self._threads,
                        seed=self._seed,
                        verbose=0,
                    )
                    return self
                except RuntimeError as error:
                    learning_rate /= 2
                    if "NaN" not in str(error) or learning_rate < 0.001:
                        raise
        finally:
            os.remove(path)

    def predict_log_proba(self, texts: Sequence[str]) -> Array:
        """Return log-probabilities, (n, K), cut at fastText's smallest."""
        lines = [_tokens(text).encode("utf-8", "replace").decode() for text in texts]
        result = np.full((len(texts), len(self.classes_)), 1e-6)
        # A list: for a single text the official package fails with numpy 2.
        for row, names, found in zip(result, *self._model.predict(lines, k=-1), strict=True):
            row[[int(name.removeprefix(self._PREFIX)) for name in names]] = found
        return np.asarray(np.log(np.maximum(result, 1e-6)))


def _tokens(text: str) -> str:
    return " ".join(re.findall(_WORDS, text.lower()))
