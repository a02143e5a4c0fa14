"""Finds rows whose label is probably wrong, by confident learning (Northcutt, Jiang & Chuang 2021).

The n-gram experts of recipe ngram are cross-fitted: each row is scored by experts fitted on other rows. The
smaller the probability of its label ("self-confidence"), the more suspicious a row is. As many rows are
listed as labels are estimated to be wrong.

Shapes: n rows, K labels, w words of a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import punctuation

import numpy as np
import numpy.typing as npt

from lmclassify.check.findings import CheckedRows, Finding
from lmclassify.classify.attribution import attribute
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.settings import Settings
from lmclassify.classify.training.context import FitContext, SizeLimits
from lmclassify.classify.training.data import TrainingData, stratified_folds, stratified_sample
from lmclassify.classify.training.groups import repeated_text_groups
from lmclassify.classify.training.linear_svm import MAX_TEXTS_TO_SOLVE
from lmclassify.classify.training.ngram_stage import fit_ngram_stage
from lmclassify.classify.training.plan import NGRAM_STAGE, planned_stages
from lmclassify.classify.training.progress import FitProgress
from lmclassify.classify.tuned_predictor import TunedPredictor
from lmclassify.errors import cut
from lmclassify.text.display import percent
from lmclassify.text.word_vectors import load_word_vectors

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

MIN_ROWS = 5
"""Rows of a label with fewer rows are not judged: models without a fifth of them hardly know the label."""

MAX_ROWS, MAX_CELLS = 100_000, 1_000_000
"""Maximum number of rows, and of rows times labels, that are cross-fitted together. More rows are divided
into parts that are cross-fitted separately, which limits memory and, with many labels, time."""

MAX_WORDS = 3
"""Words named in a reason."""

MIN_SHARE = 0.2
"""Words with less than this share of the strongest word's contribution are not named."""

MAX_EXPLAINED = 2000
"""Most suspicious rows whose words are named. With 150 labels, a row takes some milliseconds."""

MAX_LEARNED = 20_000
"""Maximum number of rows for the model that names the words: with more, it names the same words."""

MANY_TEXTS = 1000
"""Probabilities are shown with one decimal, as shares of this number of texts are."""


@dataclass(frozen=True)
class CrossFit:
    """Probabilities of the labels of rows, by experts that were not fitted on them."""

    classes: list[str]
    """(K,)"""
    codes: Codes
    """(n,) the given labels."""
    log_posteriors: Array
    """(n, K)"""

    def suspicion(self) -> Array:
        """Return how suspicious each given label is, (n,): 1 minus its probability."""
        suspicion: Array = 1.0 - np.exp(self.log_posteriors[np.arange(len(self.codes)), self.codes])
        return suspicion

    def other(self) -> Codes:
        """Return the most probable label besides the given one, (n,)."""
        others = self.log_posteriors.copy()
        others[np.arange(len(self.codes)), self.codes] = -np.inf
        other: Codes = others.argmax(axis=1)
        return other

    def number_of_errors(self) -> int:
        """Estimate how many labels are wrong: the rows beside the diagonal of the confident joint.

        A row counts for the label that is most probable of those whose probability is at least the mean that
        rows given this label have.
        """
        posteriors = np.exp(self.log_posteriors)
        given = posteriors[np.arange(len(self.codes)), self.codes]
        sizes = np.bincount(self.codes, minlength=len(self.classes))
        thresholds = np.bincount(self.codes, given, minlength=len(self.classes)) / np.maximum(1, sizes)
        confident = np.where(posteriors >= thresholds, posteriors, -1.0)
        wrong = (confident.argmax(axis=1) != self.codes) & (confident.max(axis=1) > given)
        return int(np.count_nonzero(wrong))

    def suspects(self) -> Codes:
        """Return the rows whose label is probably wrong, the most suspicious ones first.

        They are as many as labels are estimated to be wrong, or fewer: another label must be more probable.
        """
        suspicion = self.suspicion()
        first = np.argsort(-suspicion, kind="stable")[: self.number_of_errors()]
        suspects: Codes = first[self.log_posteriors[first].argmax(axis=1) != self.codes[first]]
        return suspects


def number_of_parts(rows: int, labels: int) -> int:
    """Return in how many parts rows are cross-fitted."""
    size = min(MAX_ROWS, max(MAX_TEXTS_TO_SOLVE * labels, MAX_CELLS // labels))
    return -(-rows // size)


def cross_fit(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[float], object] = lambda share: None,
) -> CrossFit:
    """Cross-fit the experts.

    Parameters
    ----------
    texts, labels : sequence of str, (n,)
        At least two labels.
    progress : callable, optional
        Gets the share of the work that is done, from the threads that fit.
    """
    data = TrainingData.from_labels(texts, labels, seed)
    k = len(data.classes)
    parts = number_of_parts(len(texts), k)
    part = stratified_folds(data.codes, parts, np.random.default_rng([seed, parts]))
    log_posteriors = np.full((len(texts), k), -np.inf)

    def fit(number: int, inside: TrainingData) -> Array:
        _, joint = _fit(inside, threads, lambda share: progress((number + share) / parts))
        return log_softmax(joint)

    for number in range(parts):
        rows = np.flatnonzero(part == number)
        present = np.unique(data.codes[rows])
        if len(present) == 1:
            log_posteriors[rows, present] = 0.0
            continue
        inside = TrainingData.from_labels(
            [data.texts[row] for row in rows], data.classes[data.codes[rows]].tolist(), seed
        )
        log_posteriors[np.ix_(rows, present)] = fit(number, inside)
    return CrossFit([str(label) for label in data.classes], data.codes, log_posteriors)


def _fit(
    data: TrainingData, threads: int, progress: Callable[[float], object]
) -> tuple[TunedPredictor, Array]:
    """Return a model of all texts, and held-out joint log-probabilities (n, K)."""
    context = FitContext(
        Settings(recipe="ngram"),
        "cpu",
        threads,
        limits=SizeLimits(max_texts=max(1, len(data.texts))),
        progress=FitProgress(_ShareOfSteps(progress)),
        vectors=load_word_vectors("auto"),
    )
    data.groups = repeated_text_groups(data.texts)
    context.progress.stages = planned_stages(data, context, NGRAM_STAGE)
    stage = fit_ngram_stage(data, context, np.random.default_rng([data.seed, len(data.classes)]))
    return stage.model, stage.joint


class _ShareOfSteps:
    """Passes the share of a fit's steps on; see `lmclassify.classify.training.progress.Display`."""

    def __init__(self, progress: Callable[[float], object]) -> None:
        self._progress = progress

    def say(self, line: str) -> None:
        """Print nothing."""

    def update(self, progress: FitProgress) -> None:
        """Pass the share on."""
        self._progress(progress.stage.share)


def find_label_errors(
    rows: CheckedRows,
    *,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[float], object] = lambda share: None,
) -> list[Finding]:
    """Return the rows whose label is probably wrong; none if fewer than two labels have enough rows."""
    usable = rows.usable()
    counts = Counter(rows.labels[row] for row in usable)
    judged = np.array([row for row in usable if counts[rows.labels[row]] >= MIN_ROWS], dtype=np.intp)
    if sum(count >= MIN_ROWS for count in counts.values()) < 2:
        return []
    texts, labels = ([column[row] for row in judged] for column in (rows.texts, rows.labels))
    parts = number_of_parts(len(texts), len(set(labels)))
    fitting = parts / (parts + 1)  # naming words takes one more fit
    fitted = cross_fit(
        texts, labels, seed=seed, threads=threads, progress=lambda share: progress(fitting * share)
    )
    suspicion, other, suspects = fitted.suspicion(), fitted.other(), fitted.suspects()
    words = _words(
        fitted,
        texts,
        suspects,
        seed=seed,
        threads=threads,
        progress=lambda share: progress(fitting + (1 - fitting) * share),
    )
    progress(1.0)
    return [
        Finding(
            int(judged[at]),
            "label_error",
            _reason(fitted, texts[at], at, int(other[at]), words.get(at, [])),
            float(suspicion[at]),
            fitted.classes[other[at]],
            tuple(sorted(words.get(at, []))),
        )
        for at in suspects.tolist()
    ]


def _words(
    fitted: CrossFit,
    texts: Sequence[str],
    suspects: Codes,
    *,
    seed: int,
    threads: int,
    progress: Callable[[float], object],
) -> dict[int, list[tuple[int, int]]]:
    """Return the spans of the words that speak most for the other label, against the given one.

    The model that tells them has not learned the suspects: it would have learned their words with the labels
    given. Rows whose labels it does not have get no words.
    """
    rest = np.setdiff1d(np.arange(len(texts)), suspects, assume_unique=True)
    codes = fitted.codes[rest]
    if not len(suspects) or len(np.unique(codes)) < 2:
        return {}
    learned = rest[stratified_sample(codes, MAX_LEARNED, np.random.default_rng(seed))]
    labels = [fitted.classes[code] for code in fitted.codes[learned]]
    data = TrainingData.from_labels([texts[row] for row in learned], labels, seed)
    model, _ = _fit(data, threads, lambda share: progress(0.9 * share))
    code_of = {str(label): index for index, label in enumerate(model.classes_)}
    other, result = fitted.other(), {}
    chosen = suspects[:MAX_EXPLAINED].tolist()
    for row, attributions in zip(
        chosen, attribute(model, [texts[row] for row in chosen], language_models=False), strict=True
    ):
        new, old = (code_of.get(fitted.classes[code]) for code in (other[row], fitted.codes[row]))
        if new is not None and old is not None:
            gain = attributions.parts[:-1, new] - attributions.parts[:-1, old]
            result[row] = _strongest(attributions.text, attributions.spans, gain)
        progress(0.9 + 0.1 * len(result) / len(chosen))
    return result


def _strongest(text: str, spans: Sequence[tuple[int, int]], gain: Array) -> list[tuple[int, int]]:
    """Return the spans of the different words with the largest gains, (w,); small ones are left out."""
    least = MIN_SHARE * max(0.0, gain.max(initial=0.0))
    found: dict[str, tuple[int, int]] = {}
    for index in np.argsort(-gain, kind="stable").tolist():
        if gain[index] <= least or len(found) == MAX_WORDS:
            break
        start, end = spans[index]
        found.setdefault(text[start:end].casefold(), (start, end))
    return list(found.values())


def _reason(fitted: CrossFit, text: str, at: int, other: int, words: list[tuple[int, int]]) -> str:
    new, old = fitted.classes[other], fitted.classes[fitted.codes[at]]
    p_new, p_old = np.exp(fitted.log_posteriors[at, [other, fitted.codes[at]]]).tolist()
    reason = f"{new} {percent(p_new, MANY_TEXTS)}, {old} {percent(p_old, MANY_TEXTS)}"
    named = [text[start:end].strip(punctuation) or text[start:end] for start, end in words]
    return f"{reason}; words for {new}: {', '.join(cut(word, 30) for word in named)}" if named else reason
