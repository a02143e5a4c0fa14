"""A model in service: what it answers, and how another one takes its place."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from lmclassify.classify.calibration import log_softmax
from lmclassify.classify.decisions import Decisions
from lmclassify.classify.explain import Explanation
from lmclassify.classify.fitted import FittedModel, Suggestion, load
from lmclassify.classify.persistence import checksum_of
from lmclassify.errors import DataError, LMClassifyError
from lmclassify.report.facts import model_facts

_log = logging.getLogger("lmclassify.service")

UNKNOWN_RATE = 0.05
"""Share of held-out texts above whose novelty a text is said to fit none of the labels."""


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
    """

    def __init__(self, fitted: FittedModel, decisions: Decisions, name: str, checksum: str) -> None:
        self.fitted = fitted
        self.name = name
        self.checksum = checksum
        self._decisions = decisions
        self._labels = fitted.label_names
        try:
            self.unknown_threshold: float | None = fitted.unknown_threshold(UNKNOWN_RATE)
        except DataError:  # fitted without held-out text
            self.unknown_threshold = None
        self.can_suggest = fitted.settings.direction != "backward"
        self._warm_up()

    def _warm_up(self) -> None:
        """Make what the first use makes, so that no request waits for it."""
        self.predict(["warm up", ""])
        self.explain("warm up")
        if self.can_suggest:
            self.suggest("warm up")

    def predict(self, texts: list[str]) -> list[Prediction]:
        """Return what there is to say about each text; see `FittedModel.score_texts`."""
        joint, novelty, _ = self.fitted.score_texts(texts)
        log_posteriors = log_softmax(joint)
        labels = self._decisions.decide(log_posteriors, novelty).tolist()
        threshold = self.unknown_threshold
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
        """See `FittedModel.explain`; labels by name."""
        return self.fitted.explain(text, self._named(label), self._named(against))

    def suggest(self, prefix: str, label: str | None = None, n: int = 5) -> list[Suggestion]:
        """See `FittedModel.suggest`; the label by name."""
        return self.fitted.suggest(prefix, self._named(label), n)

    def _named(self, label: str | None) -> Any:
        return None if label is None else self.fitted.label_named(label)

    def facts(self) -> dict[str, Any]:
        """Return what the model is; see `lmclassify.report.facts`."""
        return {
            "model": self.name,
            "checksum": self.checksum,
            "can_suggest": self.can_suggest,
            "unknown_threshold": self.unknown_threshold,
            **model_facts(self.fitted),
        }


class ModelSource:
    """The saved model of a folder, loaded, and loaded again when asked.

    Parameters
    ----------
    folder : path
    prepare : callable
        Sets options of a fitted model and returns how labels are decided.

    Raises
    ------
    LMClassifyError
        If there is no usable model, or the options do not fit it.
    """

    def __init__(self, folder: str | os.PathLike[str], prepare: Callable[[FittedModel], Decisions]) -> None:
        self.folder = Path(folder)
        self._prepare = prepare
        self._reloading = threading.Lock()
        self._seen = self._state_of_files()
        self.current = self._load()

    def _load(self) -> ServedModel:
        checksum = checksum_of(self.folder)
        fitted = load(self.folder)
        return ServedModel(fitted, self._prepare(fitted), self.folder.resolve().name, checksum)

    def reload(self) -> bool:
        """Put the folder's model into service and return True; if it cannot be used, keep the old one."""
        with self._reloading:
            self._seen = self._state_of_files()
            try:
                self.current = self._load()
            except (LMClassifyError, OSError) as error:
                _log.error("the model was not loaded again, the old one stays in service: %s", error)
                return False
            _log.info("model %s loaded again", self.current.name)
            return True

    def has_changed(self) -> bool:
        """Return whether another model may lie in the folder than when it was last read."""
        return self._state_of_files() != self._seen

    def _state_of_files(self) -> tuple[int, int, int] | None:
        try:
            status = (self.folder / "config.json").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
