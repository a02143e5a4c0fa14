"""A model in service: what it answers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from lmclassify.classify.decisions import UNKNOWN_RATE, Decisions, decisions_of
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.explain import Explanation
from lmclassify.classify.model import FittedModel, load
from lmclassify.classify.next_words import Suggestion
from lmclassify.errors import DataError
from lmclassify.evaluation.model_info import model_info
from lmclassify.persistence.model_folder import checksum_of


class Prediction(TypedDict):
    """What is answered about one text."""

    label: str
    """As decided: a label, ``unsure`` or the name for what fits none."""
    probabilities: dict[str, float]
    joint_log_probabilities: dict[str, float]
    novelty: float
    unknown: bool | None
    """Whether the novelty is above what all but `UNKNOWN_RATE` of held-out texts have; None without these."""


class ServedModel:
    """A fitted model and how labels are decided.

    Parameters
    ----------
    fitted : FittedModel
    decisions : Decisions
    name : str
        What the page calls it.
    checksum : str
        Tells saved models from each other.
    notes : sequence of str, optional
        Lines for whoever runs the service.
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
        except DataError:  # fitted without held-out text
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
    ) -> ServedModel:
        """Load a saved model; see `lmclassify.classify.decisions.decisions_of` for `deciding`.

        Raises
        ------
        LMClassifyError
            If there is no usable model, or the options do not fit it.
        """
        fitted, checksum, after = None, "", checksum_of(folder)
        while fitted is None or checksum != after:  # another process may replace it meanwhile
            checksum = after
            fitted = load(folder)
            after = checksum_of(folder)
        fitted.exact, fitted.n_jobs = exact, threads
        notes: list[str] = []
        decisions = decisions_of(fitted, deciding, notes.append)
        return cls(fitted, decisions, Path(folder).resolve().name, checksum, notes)

    def _warm_up(self) -> None:
        """Make what the first use makes, so that no request waits for it."""
        self.predict(["warm up", ""])
        self.explain("warm up")
        if self._can_suggest:
            self.suggest("warm up")

    def predict(self, texts: list[str]) -> list[Prediction]:
        """Return what there is to say about each text; see `FittedModel.score_texts`."""
        joint, novelty, _ = self._fitted.score_texts(texts)
        log_posteriors = log_softmax(joint)
        labels = self._decisions.decide(log_posteriors, novelty).tolist()
        threshold = self._unknown_threshold
        return [
            Prediction(
                label=label,
                probabilities=dict(zip(self._labels, probabilities, strict=True)),
                joint_log_probabilities=dict(zip(self._labels, nats, strict=True)),
                novelty=value,
                unknown=None if threshold is None else value > threshold,
            )
            for label, probabilities, nats, value in zip(
                labels, np.exp(log_posteriors).tolist(), joint.tolist(), novelty.tolist(), strict=True
            )
        ]

    def explain(self, text: str, label: str | None = None, against: str | None = None) -> Explanation:
        """See `FittedModel.explain`; labels by name, by default the one that `predict` gives, if any."""
        if label is None and self._decisions.positive is not None:  # it need not be the likeliest
            decided = self.predict([text])[0]["label"]
            label = decided if decided in self._labels and decided != against else None
        return self._fitted.explain(text, self._named(label), self._named(against))

    def suggest(self, prefix: str, label: str | None = None, n: int = 5) -> list[Suggestion]:
        """See `FittedModel.suggest`; the label by name."""
        return self._fitted.suggest(prefix, self._named(label), n)

    def _named(self, label: str | None) -> Any:
        return None if label is None else self._fitted.label_named(label)

    def facts(self) -> dict[str, Any]:
        """Return what the model is; see `lmclassify.evaluation.model_info`."""
        return {
            "model": self._name,
            "checksum": self._checksum,
            "can_suggest": self._can_suggest,
            "unknown_threshold": self._unknown_threshold,
            **model_info(self._fitted),
        }
