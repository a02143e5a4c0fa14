"""Decide labels from posteriors and novelty: thresholds, unsure and unknown texts (numpy).

Shapes: n texts, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.predictor import Predictor
from lmclassify.classify.thresholds import MIN_POSITIVES, log_odds
from lmclassify.errors import OptionError, counted, plural
from lmclassify.mail.verdicts import parse_unsure_zone

Array = npt.NDArray[np.float64]

UNSURE = "unsure"
UNKNOWN_RATE = 0.05
"""Default share of held-out texts that count as unknown: one text in twenty is little to lose."""


@dataclass(frozen=True)
class Decisions:
    """How labels are decided. By default the likeliest label is chosen."""

    labels: Sequence[str]
    """(K,) the names of the labels."""
    positive: int | None = None
    """Index of the label that `positive_log_odds` and `unsure` refer to."""
    positive_log_odds: float | None = None
    """The positive label is chosen if it has at least these log-odds, even if another one is likelier; else
    the likeliest of the others."""
    unsure: tuple[float, float] | None = None
    """For two labels: the positive one if its probability is at least the upper number, the other one if it
    is at most the lower number, `UNSURE` between them."""
    min_confidence: float | None = None
    """`UNSURE` if the likeliest label's probability is below this."""
    unknown_label: str | None = None
    """Name for texts whose novelty is above `unknown_threshold`."""
    unknown_threshold: float = np.inf

    def decide(self, log_posteriors: Array, novelty: Array | None = None) -> npt.NDArray[np.object_]:
        """Return a name for each text, (n,): that of a label, `UNSURE`, or the unknown label.

        Parameters
        ----------
        log_posteriors : ndarray, (n, K)
        novelty : ndarray, (n,), optional
            Required with an unknown label.
        """
        names = np.array(self.labels, dtype=object)
        chosen: npt.NDArray[np.object_] = names[log_posteriors.argmax(axis=1)]
        if self.positive is not None and self.positive_log_odds is not None:
            others = log_posteriors.copy()
            others[:, self.positive] = -np.inf
            is_positive = log_odds(log_posteriors, self.positive) >= self.positive_log_odds
            chosen = names[np.where(is_positive, self.positive, others.argmax(axis=1))]
        if self.min_confidence is not None:
            chosen[np.exp(log_posteriors.max(axis=1)) < self.min_confidence] = UNSURE
        if self.positive is not None and self.unsure is not None:
            probability = np.exp(log_posteriors[:, self.positive])
            low, high = self.unsure
            chosen = names[np.where(probability >= high, self.positive, 1 - self.positive)]
            chosen[(probability > low) & (probability < high)] = UNSURE
        if self.unknown_label is not None:
            if novelty is None:
                raise ValueError("novelty is required to find unknown texts")
            chosen[novelty > self.unknown_threshold] = self.unknown_label
        return chosen


def decisions_of(
    fitted: Predictor, options: Mapping[str, Any], say: Callable[[str], object] = lambda message: None
) -> Decisions:
    """Return the decisions that options ask for, and report what a threshold costs.

    Raises OptionError if options are invalid, contradict one another, or do not fit the model's labels.

    Parameters
    ----------
    options : mapping of str to object
        unknown_label, unknown_rate, min_confidence, unsure, max_false_positive_rate and positive, as
        `lmclassify predict` takes them; None or absent where not given.
    say : callable, optional
        Called with each line to show to the user.
    """
    names = fitted.label_names
    unknown_label, min_confidence = options.get("unknown_label"), options.get("min_confidence")
    unsure, asked_rate = options.get("unsure"), options.get("unknown_rate")
    zone = None if unsure is None else parse_unsure_zone(unsure)
    rate = options.get("max_false_positive_rate")
    ways = [
        name
        for name in ("min_confidence", "unsure", "max_false_positive_rate")
        if options.get(name) is not None
    ]
    if len(ways) > 1:
        chosen = " and ".join("--" + name.replace("_", "-") for name in ways[:2])
        raise OptionError(f"{chosen} are two ways to decide: choose one")
    if (zone or min_confidence is not None) and UNSURE in names:
        raise OptionError(f"the model has a label {UNSURE!r}, so undecided texts cannot be called that")
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise OptionError(f"--min-confidence must be a probability, not {min_confidence:g}")
    positive = None
    if zone or rate is not None:
        positive = _positive(fitted, options.get("positive"))
        if zone and len(names) != 2:
            raise OptionError(f"--unsure is for two labels, the model has {len(names)}: use --min-confidence")
    elif options.get("positive") is not None:
        raise OptionError("--positive goes with --max-false-positive-rate or --unsure")
    lowest = None
    if positive is not None and rate is not None:
        threshold = fitted.positive_threshold(fitted.classes_[positive].item(), rate)
        lowest = threshold.log_odds
        say(
            f"{names[positive]} from probability {threshold.probability:.4g} on; held-out texts: "
            f"{threshold.false_positives:,} of {threshold.negatives:,} of other labels "
            f"{plural(threshold.false_positives, 'is a false positive', 'are false positives')}, "
            f"{threshold.found:,} of {threshold.positives:,} of its own "
            f"{plural(threshold.found, 'is', 'are')} found"
        )
        if rate * threshold.negatives < 1:
            few = counted(
                threshold.negatives, "held-out text of other labels is", "held-out texts of other labels are"
            )
            say(f"note: {few} too few to measure a rate of {rate:g}")
        if threshold.positives < MIN_POSITIVES:
            name = names[positive]
            few = counted(threshold.positives, f"held-out text of {name} is", f"held-out texts of {name} are")
            say(f"note: {few} too few for a threshold: what share of new ones it finds is unknown")
    if unknown_label is None and asked_rate is not None:
        raise OptionError("--unknown-rate goes with --unknown-label")
    if unknown_label == UNSURE:
        raise OptionError(f"--unknown-label: undecided texts are called {UNSURE}; choose another name")
    if unknown_label is not None and (not unknown_label or unknown_label in names):
        raise OptionError("--unknown-label must be a name that no label of the model has")
    unknown_rate = UNKNOWN_RATE if asked_rate is None else asked_rate
    return Decisions(
        labels=names,
        positive=positive,
        positive_log_odds=lowest,
        unsure=zone,
        min_confidence=min_confidence,
        unknown_label=unknown_label,
        unknown_threshold=float("inf") if unknown_label is None else fitted.unknown_threshold(unknown_rate),
    )


def _positive(fitted: Predictor, name: str | None) -> int:
    if name is not None:
        return list(fitted.classes_).index(fitted.label_named(name))
    if len(fitted.classes_) != 2:
        raise OptionError(
            f"the model has {counted(len(fitted.classes_), 'label')}: "
            "name the positive one with --positive NAME"
        )
    return 1
