"""Rows in, rows with labels out: adds predictions to tables and counts them against true labels.

Needs neither torch nor scikit-learn. Shapes: n rows, K labels.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.classify.decisions import Decisions
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.model import FittedModel
from lmclassify.datasets.label_forms import LabelMatcher
from lmclassify.errors import DataError, listing
from lmclassify.prediction.unlike_texts import TextComparison
from lmclassify.tables.rows import Column, Rows

Array = npt.NDArray[np.float64]


class TableLabeller:
    """Labels the rows of a table, chunk by chunk.

    By default it keeps only counts, so memory does not grow with the number of rows.

    Parameters
    ----------
    text_at : sequence of int
        Indices of the columns that make a text.
    label_at : int, optional
        Index of a column of true labels.
    decisions : Decisions, optional
        Decision rule; by default the most probable label. With an unknown label, `label` adds novelty.
    data_name : str, optional
        Name of the data. If given, several labels for one text are an error; else they are no label.
    keep_known : bool, default=False
        Whether to keep `true`, `true_rows`, `texts`, `log_posteriors` and `novelty` of rows that have a true
        label.
    keep_cross_entropies : bool, default=False
        Whether to keep `rows`, `predicted` and `cross_entropies` of rows that have a text, for
        `lmclassify.evaluation.drift`.

    Attributes
    ----------
    labels : list of str
        Labels of the model.
    new_columns : list of str
        Names of the columns that `label` adds: ``predicted_label``, ``p_<label>`` for each label and, with
        an unknown label, ``novelty``.
    counts : Counter of (str, str)
        Number of rows so far with text and label, by true and by predicted label.
    renamed : Counter of (str, str)
        Number of rows whose label differs from a label of the model in form only, and counts as it: by label
        of the row and of the model.
    true : list of str
        True labels of the rows kept.
    true_rows : list of int
        Row numbers, from 1, of the rows kept.
    texts : list of str
        Texts of the rows kept.
    without_text : int
        Number of rows so far without text; they get no label.
    without_one_label : int
        Number of rows so far with several labels or an object as label; they are not counted.
    rows : list of int
        Row numbers, from 1, of the rows with cross-entropies.
    predicted : list of str
        Most probable labels of these rows.
    comparison : TextComparison
        What the texts so far differ in from the training texts.
    """

    def __init__(
        self,
        model: FittedModel,
        text_at: Sequence[int],
        label_at: int | None = None,
        *,
        decisions: Decisions | None = None,
        data_name: str | None = None,
        keep_known: bool = False,
        keep_cross_entropies: bool = False,
    ) -> None:
        self._model = model
        self._text_at = text_at
        self._label_at, self._data_name = label_at, data_name
        self._keep_known, self._keep_cross_entropies = keep_known, keep_cross_entropies
        self.labels = model.label_names
        self.decisions = decisions or Decisions(self.labels)
        self.new_columns = ["predicted_label", *(f"p_{label}" for label in self.labels)]
        if self._has_novelty:
            self.new_columns.append("novelty")
        self.counts: Counter[tuple[str, str]] = Counter()
        self.renamed: Counter[tuple[str, str]] = Counter()
        self._matcher = LabelMatcher(self.labels)
        self.without_text = 0
        self.without_one_label = 0
        self.comparison = TextComparison()
        self.true: list[str] = []
        self.true_rows: list[int] = []
        self.texts: list[str] = []
        self.rows: list[int] = []
        self.predicted: list[str] = []
        self._log_posteriors: list[Array] = []
        self._novelty: list[Array] = []
        self._cross_entropies: list[Array] = []

    def check_columns(self, columns: Sequence[str], name: str) -> None:
        """Raise DataError if a table, called `name`, already has one of the new columns."""
        check_new_columns(self.new_columns, columns, name)

    @property
    def _has_novelty(self) -> bool:
        return self.decisions.unknown_label is not None

    def label(self, rows: Rows) -> Rows:
        """Return rows with the new columns at their end, and count them.

        Existing columns with the names of new columns are replaced.
        """
        texts = rows.texts(self._text_at)
        with_text = np.flatnonzero([bool(text.strip()) for text in texts])
        self.without_text += len(texts) - len(with_text)
        scored = [texts[row] for row in with_text]
        log_posteriors, novelty = self._score(scored, rows.first + with_text)
        labels = self.decisions.decide(log_posteriors, novelty).tolist()
        if self._label_at is not None:
            given = rows.labels(self._label_at, self._data_name)
            self.without_one_label += rows.without_one_label(self._label_at)
            true = [self._model_label(given[row]) for row in with_text]
            self._note(true, labels, scored, rows.first + with_text, log_posteriors, novelty)
        predicted = [""] * len(texts)
        for row, label in zip(with_text, labels, strict=True):
            predicted[row] = label
        numbers = np.full((len(self.new_columns) - 1, len(texts)), np.nan)
        numbers[: len(self.labels), with_text] = np.exp(log_posteriors).T
        if novelty is not None:
            numbers[-1, with_text] = novelty
        columns: list[Column] = [predicted, *numbers]
        return rows.with_columns(dict(zip(self.new_columns, columns, strict=True)))

    def _score(self, texts: list[str], row_numbers: npt.NDArray[np.intp]) -> tuple[Array, Array | None]:
        """Return log posteriors, (n, K), and, with an unknown label, novelty, (n,)."""
        if not self._has_novelty and not self._keep_cross_entropies:
            scored = self._model.score(texts)
            log_posteriors = log_softmax(scored.joint)
            nats = self._model.cross_entropies(scored, log_posteriors)
            self.comparison.add(nats, scored.longer)
            return log_posteriors, None
        joint, novelty, nats = self._model.score_texts(texts)
        log_posteriors = log_softmax(joint)
        self.comparison.add(nats, np.zeros(len(nats), dtype=bool))
        if self._keep_cross_entropies:
            self._cross_entropies.append(nats)
            self.rows += row_numbers.tolist()
            self.predicted += [self.labels[code] for code in log_posteriors.argmax(axis=1)]
        return log_posteriors, novelty if self._has_novelty else None

    def _model_label(self, given: str) -> str:
        """Return the label of the model that a true label stands for; others unchanged."""
        label = None if given == self.decisions.unknown_label else self._matcher.match(given)
        if label is None:
            return given
        self.renamed[given, label] += 1
        return label

    def _note(
        self,
        true: list[str],
        predicted: list[str],
        texts: list[str],
        row_numbers: npt.NDArray[np.intp],
        log_posteriors: Array,
        novelty: Array | None,
    ) -> None:
        """Count and, if asked for, keep the rows that have a true label."""
        known = np.flatnonzero([bool(label) for label in true])
        labels = [sys.intern(true[row]) for row in known]  # one string per label instead of one per row
        self.counts.update(zip(labels, [predicted[row] for row in known], strict=True))
        if self._keep_known:
            self.true += labels
            self.true_rows += row_numbers[known].tolist()
            self.texts += [texts[row] for row in known]
            self._log_posteriors.append(log_posteriors[known])
            if novelty is not None:
                self._novelty.append(novelty[known])

    @property
    def log_posteriors(self) -> Array:
        """Log posteriors of the rows in `true`, (len(true), K)."""
        return np.concatenate([np.empty((0, len(self.labels))), *self._log_posteriors])

    @property
    def novelty(self) -> Array | None:
        """Novelty of the rows in `true`, (len(true),); None without an unknown label."""
        return np.concatenate([np.empty(0), *self._novelty]) if self._has_novelty else None

    @property
    def cross_entropies(self) -> Array:
        """Nats per word of the rows in `rows`, (len(rows),)."""
        return np.concatenate([np.empty(0), *self._cross_entropies])

    def perplexity(self, progress: Callable[[int, int], object] | None = None) -> dict[str, float]:
        """Return the perplexity of each label's kept texts under the label's language model.

        `progress` is called with the number of texts done and the number of all texts.
        """
        result, done = {}, 0
        for label, name in zip(self._model.classes_, self.labels, strict=True):
            texts = [text for text, true in zip(self.texts, self.true, strict=False) if true == name]
            if texts:
                result[name] = self._model.perplexity(texts, label)
                done += len(texts)
                if progress is not None:
                    progress(done, len(self.true))
        return result


def check_new_columns(new: Sequence[str], columns: Sequence[str], name: str) -> None:
    """Raise DataError if a table, called `name`, already has one of the columns to be added."""
    taken = [column for column in new if column in columns]
    if taken:
        raise DataError(
            f"{name} already has {listing(taken)}; rename them, or replace them with --overwrite-columns"
        )
