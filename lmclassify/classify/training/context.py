"""The context of a fit: settings, where training runs, who hears about it, and how it is interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from lmclassify.classify.settings import Settings
from lmclassify.classify.training.checkpoints import Checkpoints
from lmclassify.cluster.tasks import RayTasks
from lmclassify.lm.neural.trainer import EpochRecord

ProgressCallback = Callable[[Any, EpochRecord], object]


@dataclass(frozen=True)
class SizeLimits:
    """Sizes from which on fitting works differently, so that time and memory stay bounded."""

    max_texts: int = 100_000
    """Everything but the n-gram counts is fitted on at most so many texts: more take too long."""
    min_texts_to_hold_out: int = 2000
    """With fewer texts, language models are cross-fitted, so that no text is lost to validation."""
    min_labels_to_share: int = 50
    """From so many labels on, all share one embedding (one each takes too much space), and n-gram models
    are cross-fitted in fewer folds (more take too long)."""

    sampled_texts: int = 1000
    """`add_label` samples so many texts of all other labels together if the model has kept none."""

    def share_embedding(self, labels: int) -> bool:
        """Return whether so many labels share one embedding."""
        return labels >= self.min_labels_to_share


@dataclass
class FitContext:
    """What all steps of a fit share."""

    settings: Settings
    device: str
    threads: int
    callback: ProgressCallback | None = None
    stop: Event = field(default_factory=Event)
    """Set by an interrupt: training ends early and keeps the best weights so far."""
    checkpoints: Checkpoints | None = None
    """Checkpoint store; an interrupted fit resumes from it."""
    cluster: RayTasks | None = None
    """The Ray cluster that trains language models and counts n-grams; None: threads of this process."""
    limits: SizeLimits = SizeLimits()
