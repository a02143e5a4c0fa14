"""The scorer of a fitted model: ``python -m lmclassify.service.model_scorer`` is the worker process."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmclassify.classify.decisions import UNKNOWN_RATE, Decisions, decisions_of
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.explain import Explanation, deciding_words
from lmclassify.classify.model import FittedModel, load
from lmclassify.classify.next_words import Suggestion
from lmclassify.errors import DataError
from lmclassify.evaluation.model_info import model_info
from lmclassify.logs import log_formatter
from lmclassify.persistence.reading import model_checksum
from lmclassify.service.worker import run_worker


class ModelScorer:
    """A fitted model and the options that decide labels.

    Parameters
    ----------
    name : str
        Name of the model, shown on the page.
    checksum : str
        Checksum of the saved model.
    notes : sequence of str, optional
        Messages about the model for the log of the service.
    """

    def __init__(
        self,
        fitted: FittedModel,
        decisions: Decisions,
        name: str,
        checksum: str,
        notes: Sequence[str] = (),
    ) -> None:
        self.notes = notes
        self._fitted = fitted
        self._name = name
        self._checksum = checksum
        self._decisions = decisions
        self._labels = fitted.label_names
        try:
            self._unknown_threshold: float | None = fitted.unknown_threshold(UNKNOWN_RATE)
        except DataError:  # the model was fitted without held-out texts
            self._unknown_threshold = None
        self._can_suggest = fitted.settings.direction != "backward"
        self._warm_up()

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        *,
        exact: bool = False,
        threads: int | None = None,
        deciding: Mapping[str, Any],
    ) -> ModelScorer:
        """Load a saved model.

        Raises LMClassifyError if there is no usable model, or the options do not fit it.

        Parameters
        ----------
        exact : bool, default=False
            Whether all LSTM scores are computed; otherwise those of ruled-out labels are approximated.
        deciding : mapping
            Options that decide labels; see `lmclassify.classify.decisions.decisions_of`.
        """
        fitted, checksum, after = None, "", model_checksum(folder)
        while fitted is None or checksum != after:  # another process may replace the model during loading
            checksum = after
            fitted = load(folder)
            after = model_checksum(folder)
        fitted.exact, fitted.n_jobs = exact, threads
        notes: list[str] = []
        decisions = decisions_of(fitted, deciding, notes.append)
        return cls(fitted, decisions, Path(folder).resolve().name, checksum, notes)

    def _warm_up(self) -> None:
        """Fill caches, so that no request has to wait for that."""
        self.predict(["warm up", ""])
        self.explain("warm up")
        if self._can_suggest:
            self.suggest("warm up")

    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        """Return one dictionary per text; see `lmclassify.service.schemas.PredictedText`."""
        joint, novelty, _ = self._fitted.score_texts(texts)
        log_posteriors = log_softmax(joint)
        labels = self._decisions.decide(log_posteriors, novelty).tolist()
        threshold = self._unknown_threshold
        return [
            {
                "label": label,
                "probabilities": dict(zip(self._labels, probabilities, strict=True)),
                "joint_log_probabilities": dict(zip(self._labels, nats, strict=True)),
                "novelty": value,
                "unknown": None if threshold is None else value > threshold,
            }
            for label, probabilities, nats, value in zip(
                labels, np.exp(log_posteriors).tolist(), joint.tolist(), novelty.tolist(), strict=True
            )
        ]

    def predict_with_reason(self, text: str) -> dict[str, Any]:
        """Return the prediction for a text, and in ``reason`` the words that speak most for its label.

        For a text that is unsure or unknown, they speak for the likeliest label.
        """
        (prediction,) = self.predict([text])
        label = prediction["label"] if prediction["label"] in self._labels else None
        return {**prediction, "reason": deciding_words(self._fitted, text, self._parse_label(label))}

    def explain(self, text: str, label: str | None = None, against: str | None = None) -> Explanation:
        """Explain a prediction; see `FittedModel.explain`.

        The default of `label` is the label that `predict` gives, unless that is a name for uncertain texts.
        """
        if label is None and self._decisions.positive is not None:  # it may not be the likeliest one
            decided = self.predict([text])[0]["label"]
            label = decided if decided in self._labels and decided != against else None
        return self._fitted.explain(text, self._parse_label(label), self._parse_label(against))

    def suggest(self, prefix: str, label: str | None = None, n: int = 5) -> list[Suggestion]:
        """Return likely next words; see `FittedModel.suggest`."""
        return self._fitted.suggest(prefix, self._parse_label(label), n)

    def _parse_label(self, name: str | None) -> Any:
        """Return the label with this name, in its original type."""
        return None if name is None else self._fitted.label_named(name)

    def model_info(self) -> dict[str, Any]:
        """Return a description of the model; see `lmclassify.evaluation.model_info`."""
        return {
            "model": self._name,
            "checksum": self._checksum,
            "can_suggest": self._can_suggest,
            "unknown_threshold": self._unknown_threshold,
            **model_info(self._fitted),
        }


def _load(options: dict[str, Any]) -> ModelScorer:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(log_formatter(options.pop("log_format", "text")))
    logging.getLogger("lmclassify.service").addHandler(handler)
    return ModelScorer.load(options.pop("folder"), **options)


if __name__ == "__main__":
    run_worker(_load)
