"""The context of a fit: settings, where training runs, who hears about it, and how it is interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmclassify.classify.settings import Settings
from lmclassify.classify.training.checkpoints import Checkpoints
from lmclassify.classify.training.progress import FitProgress
from lmclassify.classify.training.time_limit import OutOfTime, StopSignal, TimeLimit
from lmclassify.cluster.tasks import RayTasks
from lmclassify.text.word_vectors import WordVectors

if TYPE_CHECKING:
    from lmclassify.classify.model import FittedModel
    from lmclassify.lm.neural.trainer import EpochRecord

ProgressCallback = Callable[[Any, "EpochRecord"], object]


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


@dataclass(frozen=True)
class FitResult:
    """A fitted model, and how many texts its language models were fitted on."""

    model: FittedModel
    texts: int
    """Training and validation texts together."""
    texts_cut: int = 0
    """Of these, the texts longer than max_length: training reads a part of them only."""


@dataclass
class FitContext:
    """What all steps of a fit share."""

    settings: Settings
    device: str
    """``auto``, ``cpu`` or ``cuda``; where LSTMs are trained, never ``auto``."""
    threads: int
    callback: ProgressCallback | None = None
    stop: StopSignal = field(default_factory=StopSignal)
    """Set by an interrupt, or when the time is over: training keeps the best weights so far."""
    checkpoints: Checkpoints | None = None
    """Checkpoint store; an interrupted fit resumes from it."""
    cluster: RayTasks | None = None
    """The Ray cluster that trains language models and counts n-grams; None: threads of this process."""
    limits: SizeLimits = SizeLimits()
    time_limit: TimeLimit | None = None
    """The wall time that the fit may take. Only with it, results depend on the clock."""
    progress: FitProgress = field(default_factory=FitProgress)
    on_stage: Callable[[FitResult], object] = lambda result: None
    """Gets the complete model after each stage."""
    vectors: WordVectors | None = None
    """Of the n-gram experts."""
    committed: FitResult | None = None
    """The last one."""
    commit_seconds: float = 0.0
    """How long it took."""

    def commit(self, result: FitResult) -> None:
        """Hand over the model of a stage that has ended."""
        if result is self.committed:
            return
        started = time.monotonic()
        self.on_stage(result)
        self.committed, self.commit_seconds = result, time.monotonic() - started

    def step_done(self) -> None:
        """Count one step of a stage, and end the stage if the time is over.

        Raises
        ------
        OutOfTime
            If it is.
        """
        self.progress.advance()
        if self.stop.is_set():
            raise OutOfTime
