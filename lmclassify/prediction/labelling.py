"""Labels beside the rows of a table, and the truth where rows tell it; without scikit-learn."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.classify.decisions import Decisions
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.model import FittedModel
from lmclassify.errors import DataError, listing
from lmclassify.tables.rows import Column, Rows

Array = npt.NDArray[np.float64]


class TableLabeller:
    """Labels the rows of a table chunk by chunk.

    Parameters
    ----------
    model : FittedModel
    text_at : int
        Position of the text column.
    label_at : int, optional
        Position of a column of true labels.
    decisions : Decisions, optional
        How labels are decided; by default the likeliest. With an unknown label there is novelty too.
    keep_known : bool, default=False
        Keep what is known of rows with a true label: `true`, `texts`, `log_posteriors` and `novelty`.
        Without it a labeller needs no more memory for more rows.
    keep_cross_entropies : bool, default=False
        Keep `rows`, `predicted` and `cross_entropies`, for `lmclassify.evaluation.drift`.

    Attributes
    ----------
    labels : list of str
        The model's labels.
    new_columns : list of str
        What `label` adds: ``predicted_label``, per label ``p_<label>``, and with an unknown label
        ``novelty``.
    counts : Counter of (str, str)
        Rows so far that have both text and label, by true and by predicted label.
    true : list of str
        Their true labels, where these are kept.
    texts : list of str
        Their texts, likewise.
    without_text : int
        Rows so far that have no text, and get no label.
    rows : list of int
        Those that have, from 1 up, where cross-entropies are kept.
    predicted : list of str
        Their likeliest labels.
    """

    def __init__(
        self,
        model: FittedModel,
        text_at: int,
        label_at: int | None = None,
        *,
        decisions: Decisions | None = None,
        keep_known: bool = False,
        keep_cross_entropies: bool = False,
    ) -> None:
        self._model = model
        self._text_at = text_at
        self._label_at = label_at
        self._keep_known, self._keep_cross_entropies = keep_known, keep_cross_entropies
        self._cross_entropies: list[Array] = []
        self.rows: list[int] = []
        self.predicted: list[str] = []
        self.texts: list[str] = []
        self._log_posteriors: list[Array] = []
        self._novelty: list[Array] = []
        self.labels = model.label_names
        self.decisions = decisions or Decisions(self.labels)
        self.new_columns = ["predicted_label", *(f"p_{label}" for label in self.labels)]
        if self._has_novelty:
            self.new_columns.append("novelty")
        self.counts: Counter[tuple[str, str]] = Counter()
        self.true: list[str] = []
        self.without_text = 0

    def check_columns(self, columns: Sequence[str], name: str) -> None:
        """Raise DataError if one of the new columns is already there."""
        taken = [column for column in self.new_columns if column in columns]
        if taken:
            raise DataError(
                f"{name} already has {listing(taken)}; rename them, or replace them with --overwrite-columns"
            )

    @property
    def _has_novelty(self) -> bool:
        return self.decisions.unknown_label is not None

    def label(self, rows: Rows) -> Rows:
        """Return rows with the new columns at their end, and take note of their true labels.

        Columns that are named like the new ones are replaced.
        """
        texts = rows.column(self._text_at)
        with_text = np.flatnonzero([bool(text.strip()) for text in texts])
        scored = [texts[place] for place in with_text]
        self.without_text += len(texts) - len(scored)
        novelty = None
        if self._has_novelty or self._keep_cross_entropies:
            joint, novelty, cross_entropies = self._model.score_texts(scored)
            log_posteriors = log_softmax(joint)
            if self._keep_cross_entropies:
                self._cross_entropies.append(cross_entropies)
                self.rows += (rows.first + with_text).tolist()
                self.predicted += [self.labels[code] for code in log_posteriors.argmax(axis=1)]
        else:
            log_posteriors = self._model.predict_log_proba(scored)
        if not self._has_novelty:
            novelty = None
        decided = self.decisions.decide(log_posteriors, novelty).tolist()
        if self._label_at is not None:
            true = [rows.cells[place][self._label_at] for place in with_text]
            self._note(true, decided, scored, log_posteriors, novelty)
        predicted = [""] * len(texts)
        for place, label in zip(with_text, decided, strict=True):
            predicted[place] = label
        numbers = np.full((len(self.new_columns) - 1, len(texts)), np.nan)
        numbers[: len(self.labels), with_text] = np.exp(log_posteriors).T
        if novelty is not None:
            numbers[-1, with_text] = novelty
        added: list[Column] = [predicted, *numbers]
        return rows.with_columns(dict(zip(self.new_columns, added, strict=True)))

    def _note(
        self,
        true: list[str],
        decided: list[str],
        texts: list[str],
        log_posteriors: Array,
        novelty: Array | None,
    ) -> None:
        known = np.flatnonzero([bool(label.strip()) for label in true])
        labels = [sys.intern(true[place]) for place in known]  # one str a label, not one a row
        self.counts.update(zip(labels, [decided[place] for place in known], strict=True))
        if self._keep_known:
            self.true += labels
            self.texts += [texts[place] for place in known]
            self._log_posteriors.append(log_posteriors[known])
            if novelty is not None:
                self._novelty.append(novelty[known])

    @property
    def log_posteriors(self) -> Array:
        """(n, K) of the rows that `true` tells."""
        return np.concatenate([np.empty((0, len(self.labels))), *self._log_posteriors])

    @property
    def novelty(self) -> Array | None:
        """(n,) of the rows that `true` tells, where there is an unknown label."""
        return np.concatenate([np.empty(0), *self._novelty]) if self._has_novelty else None

    @property
    def cross_entropies(self) -> Array:
        """(len(rows),) nats per word."""
        return np.concatenate([np.empty(0), *self._cross_entropies])

    def perplexity(self, progress: Callable[[int, int], object] | None = None) -> dict[str, float]:
        """Return the perplexity of each label's texts under its own model, where texts were kept.

        `progress` is told how many texts are done, and of how many.
        """
        result, done = {}, 0
        for label, name in zip(self._model.classes_, self.labels, strict=True):
            own = [text for text, true in zip(self.texts, self.true, strict=False) if true == name]
            if own:
                result[name] = self._model.perplexity(own, label)
                done += len(own)
                if progress is not None:
                    progress(done, len(self.true))
        return result
