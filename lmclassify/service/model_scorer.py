"""The scorer of a fitted model: ``python -m lmclassify.service.model_scorer`` is the worker process."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lmclassify.classify.decisions import UNKNOWN_RATE, decisions_of
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.explain import Explanation, deciding_words
from lmclassify.classify.next_words import Suggestion
from lmclassify.classify.online.folder import LearningFolder
from lmclassify.errors import DataError, LMClassifyError
from lmclassify.evaluation.model_info import model_info
from lmclassify.logs import log_formatter
from lmclassify.mail.verdicts import UNSURE_LABEL
from lmclassify.service.user_models import UserModels
from lmclassify.service.worker import run_worker

_log = logging.getLogger("lmclassify.service")

RETRY_SECONDS = 10.0
"""Time between attempts to use a model that has replaced the one in use: it may still be being copied."""


class ModelScorer:
    """The model in a folder, which learns, and the options that decide labels.

    Raises LMClassifyError if there is no usable model, or the options do not fit it.

    Parameters
    ----------
    folder : path
    exact : bool, default=False
        Whether all LSTM scores are computed; otherwise those of ruled-out labels are approximated.
    threads : int, optional
        Maximum number of threads.
    deciding : mapping
        Options that decide labels; see `lmclassify.classify.decisions.decisions_of`.

    Attributes
    ----------
    notes : sequence of str
        Messages about the model for the log of the service.
    checksum : str
        Checksum of the saved model. Lessons do not change it.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        exact: bool = False,
        threads: int | None = None,
        deciding: Mapping[str, Any],
    ) -> None:
        self._name = Path(folder).resolve().name
        self._exact, self._threads, self._deciding = exact, threads, deciding
        self._folder = LearningFolder(folder)
        self._next_refresh = 0.0
        self._take_over()
        self._warm_up()

    def _take_over(self) -> None:
        """Use the model that the folder has loaded. Raises OptionError if the options do not fit it."""
        fitted = self._folder.model
        fitted.exact, fitted.n_jobs = self._exact, self._threads
        notes: list[str] = []
        self._decisions = decisions_of(fitted, self._deciding, notes.append)
        self.notes: Sequence[str] = notes
        try:
            self._unknown_threshold: float | None = fitted.unknown_threshold(UNKNOWN_RATE)
        except DataError:  # the model was fitted without held-out texts
            self._unknown_threshold = None
        self._fitted, self._labels = fitted, fitted.label_names
        settings = fitted.settings
        self._can_suggest = settings.direction != "backward" and settings.recipe != "online"
        self.checksum = self._folder.checksum

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
        if self._fitted.needs_lessons:
            labels = [UNSURE_LABEL] * len(texts)
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

    def explain(
        self, text: str, label: str | None = None, against: str | None = None, brief: bool = False
    ) -> Explanation:
        """Explain a prediction; see `FittedModel.explain`.

        The default of `label` is the label that `predict` gives, unless that is a name for uncertain texts.
        """
        if label is None and self._decisions.positive is not None:  # it may not be the likeliest one
            decided = self.predict([text])[0]["label"]
            label = decided if decided in self._labels and decided != against else None
        return self._fitted.explain(text, self._parse_label(label), self._parse_label(against), brief=brief)

    def suggest(self, prefix: str, label: str | None = None, n: int = 5) -> list[Suggestion]:
        """Return likely next words; see `FittedModel.suggest`."""
        return self._fitted.suggest(prefix, self._parse_label(label), n)

    def learn(self, text: str, label: str, from_label: str | None = None, undo: bool = False) -> Any:
        """Learn a lesson, or forget it; see `lmclassify.classify.online.folder.LearningFolder.learn`."""
        learned = self._folder.learn(
            text, self._parse_label(label), undo=undo, from_label=self._parse_label(from_label)
        )
        if self._folder.model is not self._fitted:
            self._follow()
        return learned

    def lesson_counts(self) -> dict[str, Any] | None:
        """Return how many lessons the model has learned; see `lmclassify.service.metrics`."""
        if self._fitted.lessons is None:
            return None
        found = asdict(self._fitted.lessons.statistics())
        return {**found, "per_label": dict(zip(self._labels, found["per_label"], strict=True))}

    def refresh(self) -> None:
        """Take over what other processes have taught the model, or the model that has replaced it.

        If that cannot be used, the old one stays in use, and the next attempt comes some seconds later.
        """
        if time.monotonic() < self._next_refresh:
            return
        try:
            self._folder.refresh()
        except LMClassifyError as error:
            self._keep(error)
            return
        if self._folder.model is not self._fitted:
            self._follow()

    def _follow(self) -> None:
        """Take over the model that the folder has loaded again, if the options fit it."""
        try:
            self._take_over()
        except LMClassifyError as error:
            self._keep(error)

    def _keep(self, error: LMClassifyError) -> None:
        self._next_refresh = time.monotonic() + RETRY_SECONDS
        _log.error("cannot use the new model, so the old one stays in use: %s", error)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model into another folder."""
        self._fitted.save(folder)

    def _parse_label(self, name: str | None) -> Any:
        """Return the label with this name, in its original type."""
        return None if name is None else self._fitted.label_named(name)

    def model_info(self) -> dict[str, Any]:
        """Return a description of the model; see `lmclassify.evaluation.model_info`."""
        return {
            "model": self._name,
            "checksum": self.checksum,
            "can_suggest": self._can_suggest,
            "unknown_threshold": self._unknown_threshold,
            **model_info(self._fitted),
        }


def load_models(options: dict[str, Any]) -> UserModels:
    """Load the shared model and prepare those of users; see `lmclassify.cli.serve` for the options."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(log_formatter(options.pop("log_format", "text")))
    logging.getLogger("lmclassify.service").addHandler(handler)
    shared, users = options.pop("folder", None), options.pop("users", None)
    max_models = options.pop("max_models", 1)
    return UserModels(
        None if shared is None else ModelScorer(shared, **options),
        None if users is None else Path(users),
        lambda folder: ModelScorer(folder, **options),
        max_models,
    )


if __name__ == "__main__":
    run_worker(load_models)
