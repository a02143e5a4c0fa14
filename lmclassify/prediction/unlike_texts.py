"""Says when many texts are unlike the training texts, so that their labels are less reliable.

Two signs are looked at: more nats per word than on held-out texts, as `lmclassify.evaluation.drift` compares
them over time, and texts longer than the training texts. Only sums are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmclassify.classify.thresholds import HeldOut

Array = npt.NDArray[np.float64]

MIN_TEXTS = 20
"""Fewer texts than these, held-out or new, say little about the others."""
MIN_CHANGE = 0.25
"""Relative change of the nats per word that is said: those of other texts of one kind vary by 5% to 10%."""
MIN_DEVIATIONS = 3.3
"""The same in standard errors: one alarm in a thousand is false."""
MANY_LONGER = 0.5
"""Share of texts longer than usual that is said: among texts like the training texts it is a twentieth."""


@dataclass
class TextComparison:
    """What texts so far differ in from a model's held-out texts."""

    texts: int = 0
    longer: int = 0
    """Texts that are longer than those the model was trained on usually are."""
    total: float = 0.0
    """Sum of the texts' nats per word."""
    squares: float = 0.0
    """Sum of their squares."""

    def add(self, cross_entropies: Array, longer: npt.NDArray[np.bool_]) -> None:
        """Count texts.

        Parameters
        ----------
        cross_entropies : ndarray, (n,)
            Nats per word.
        longer : ndarray of bool, (n,)
        """
        self.texts += len(cross_entropies)
        self.longer += int(longer.sum())
        self.total += float(cross_entropies.sum())
        self.squares += float(np.square(cross_entropies).sum())

    def merge(self, other: TextComparison) -> None:
        """Add what another comparison counted."""
        self.texts += other.texts
        self.longer += other.longer
        self.total += other.total
        self.squares += other.squares

    def note(self, held_out: HeldOut) -> str | None:
        """Return one line that says in what the texts are unlike the training texts; None if they are not."""
        if self.texts < MIN_TEXTS:
            return None
        signs = []
        if self.longer > MANY_LONGER * self.texts:
            signs.append(f"{self.longer / self.texts:.0%} are longer than 95% of the training texts")
        before = held_out.cross_entropies.astype(np.float64)
        if len(before) >= MIN_TEXTS and self._differ(before):
            signs.append(
                f"{self.total / self.texts:.1f} nats per word, {before.mean():.1f} on held-out training texts"
            )
        if not signs:
            return None
        return f"the texts are unlike the training texts ({'; '.join(signs)}): labels are less reliable"

    def _differ(self, before: Array) -> bool:
        mean = self.total / self.texts
        variance = max(0.0, self.squares / self.texts - mean**2) / self.texts + before.var() / len(before)
        difference = mean - float(before.mean())
        return difference > max(MIN_CHANGE * float(before.mean()), MIN_DEVIATIONS * math.sqrt(variance))
