"""Labels beside the rows of a table, and the truth where rows tell it; without scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from lmclassify.classify.calibration import log_softmax
from lmclassify.classify.decisions import Decisions
from lmclassify.classify.fitted import FittedModel
from lmclassify.errors import DataError, listing

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
    keep_texts : bool, default=False
        Keep the texts with a true label, for `perplexity`.
    keep_cross_entropies : bool, default=False
        Keep `rows`, `predicted` and `cross_entropies`, for `lmclassify.report.drift`.

    Attributes
    ----------
    labels : list of str
        The model's labels.
    new_columns : list of str
        What `label` adds: ``predicted_label``, per label ``p_<label>``, and with an unknown label
        ``novelty``.
    true : list of str
        True labels so far, of rows that have both text and label.
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
        keep_texts: bool = False,
        keep_cross_entropies: bool = False,
    ) -> None:
        self._model = model
        self._text_at = text_at
        self._label_at = label_at
        self._keep_texts, self._keep_cross_entropies = keep_texts, keep_cross_entropies
        self._cross_entropies: list[Array] = []
        self._seen = 0
        self.rows: list[int] = []
        self.predicted: list[str] = []
        self._texts: list[str] = []
        self._log_posteriors: list[Array] = []
        self._novelty: list[Array] = []
        self.labels = model.label_names
        self.decisions = decisions or Decisions(self.labels)
        self.new_columns = ["predicted_label", *(f"p_{label}" for label in self.labels)]
        if self._has_novelty:
            self.new_columns.append("novelty")
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

    def score(self, chunk: pd.DataFrame) -> tuple[npt.NDArray[np.bool_], Array, Array | None]:
        """Score the rows of a chunk and take note of their true labels.

        Returns
        -------
        has_text : ndarray of bool, (rows,)
        log_posteriors : ndarray, (rows with text, K)
        novelty : ndarray, (rows with text,), or None
        """
        texts = chunk.iloc[:, self._text_at]
        has_text = (texts.str.strip() != "").to_numpy()
        scored = texts[has_text].tolist()
        self.without_text += len(chunk) - len(scored)
        novelty = None
        if self._has_novelty or self._keep_cross_entropies:
            joint, novelty, cross_entropies = self._model.score_texts(scored)
            log_posteriors = log_softmax(joint)
            if self._keep_cross_entropies:
                self._cross_entropies.append(cross_entropies)
                self.rows += (self._seen + 1 + np.flatnonzero(has_text)).tolist()
                self.predicted += [self.labels[code] for code in log_posteriors.argmax(axis=1)]
        else:
            log_posteriors = self._model.predict_log_proba(scored)
        if not self._has_novelty:
            novelty = None
        if self._label_at is not None:
            true = chunk.iloc[:, self._label_at][has_text]
            known = (true.str.strip() != "").to_numpy()
            self.true += true[known].tolist()
            self._log_posteriors.append(log_posteriors[known])
            if novelty is not None:
                self._novelty.append(novelty[known])
            if self._keep_texts:
                self._texts += [text for text, is_known in zip(scored, known, strict=True) if is_known]
        self._seen += len(chunk)
        return has_text, log_posteriors, novelty

    def label(self, chunk: pd.DataFrame) -> pd.DataFrame:
        """Return a chunk with the new columns at its end; columns of their names are replaced."""
        has_text, log_posteriors, novelty = self.score(chunk)
        probabilities = np.full((len(chunk), len(self.labels)), np.nan)
        probabilities[has_text] = np.exp(log_posteriors)
        predicted = np.full(len(chunk), "", dtype=object)
        predicted[has_text] = self.decisions.decide(log_posteriors, novelty)
        added = pd.DataFrame(
            probabilities, index=chunk.index, columns=self.new_columns[1 : len(self.labels) + 1]
        )
        added.insert(0, self.new_columns[0], predicted)
        if novelty is not None:
            of_rows = np.full(len(chunk), np.nan)
            of_rows[has_text] = novelty
            added["novelty"] = of_rows
        kept = chunk.loc[:, [column not in self.new_columns for column in chunk.columns]]
        return pd.concat([kept, added], axis=1)

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

    def perplexity(self) -> dict[str, float]:
        """Return the perplexity of each label's texts under its own model, where texts were kept."""
        result = {}
        for label, name in zip(self._model.classes_, self.labels, strict=True):
            own = [text for text, true in zip(self._texts, self.true, strict=False) if true == name]
            if own:
                result[name] = self._model.perplexity(own, label)
        return result
