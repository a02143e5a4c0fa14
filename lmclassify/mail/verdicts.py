"""What a mail filter decides about a message: label, score and exit status. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from lmclassify.errors import OptionError, counted, did_you_mean, listing, shorten

POSITIVE, NEGATIVE, UNSURE = 0, 1, 2
"""Exit statuses, the same as bogofilter's."""

UNSURE_LABEL = "unsure"


class Verdict(SimpleNamespace):
    """The decision about one message. No dataclass, because importing dataclasses takes too long here.

    Parameters
    ----------
    score : float
        Probability of the positive label.
    status : int
        `POSITIVE`, `NEGATIVE` or `UNSURE`.
    reason : sequence of str
        The words that speak most for the label, the strongest first; empty unless asked for.
    """

    def __init__(self, label: str, score: float, status: int, reason: Sequence[str] = ()) -> None:
        super().__init__(label=label, score=score, status=status, reason=reason)


def parse_unsure_zone(value: str) -> tuple[float, float]:
    """Return LOW and HIGH of --unsure LOW,HIGH.

    Raises
    ------
    OptionError
        Unless 0 <= LOW <= HIGH <= 1.
    """
    try:
        low, high = map(float, value.split(","))
    except ValueError:
        raise OptionError(f"--unsure takes two probabilities, such as 0.2,0.9, not {value!r}") from None
    if not 0 <= low <= high <= 1:
        raise OptionError(f"--unsure takes LOW,HIGH with 0 <= LOW <= HIGH <= 1, not {value}")
    return low, high


def decide(
    label: str,
    probabilities: Mapping[str, float],
    positive: str | None = None,
    unsure_zone: tuple[float, float] | None = None,
) -> Verdict:
    """Return the verdict that follows from a model's prediction.

    Raises OptionError if the positive label does not exist, or a label is named unsure.

    Parameters
    ----------
    label : str
        The predicted label. A name that is not one of the model's labels (unsure, unknown) leaves the message
        undecided.
    probabilities : mapping of str to float
        Probability of each of the model's labels.
    positive : str, optional
        The positive label; by default spam, else the second of two labels.
    unsure_zone : (float, float), optional
        LOW and HIGH: choose the positive label if its probability is at least HIGH, the most probable other
        label if it is at most LOW, and unsure in between.
    """
    positive = _positive_label(list(probabilities), positive)
    score = probabilities[positive]
    if unsure_zone is not None:
        if UNSURE_LABEL in probabilities:
            raise OptionError(f"the model has a label {UNSURE_LABEL!r}, so --unsure cannot be used with it")
        low, high = unsure_zone
        others = [name for name in probabilities if name != positive]
        if label == UNSURE_LABEL:  # the model has learned too little
            pass
        elif score >= high or not others:
            label = positive
        elif score <= low:
            label = max(others, key=probabilities.__getitem__)
        else:
            label = UNSURE_LABEL
    status = POSITIVE if label == positive else NEGATIVE if label in probabilities else UNSURE
    return Verdict(label, score, status)


def _positive_label(labels: list[str], requested: str | None) -> str:
    if requested is not None:
        if requested not in labels:
            raise OptionError(
                f"--positive: the model has no label {shorten(requested)}{did_you_mean(requested, labels)}; "
                f"its labels: {listing(labels)}"
            )
        return requested
    spam = [label for label in labels if label.casefold() == "spam"]
    if spam:
        return spam[0]
    if len(labels) != 2:
        raise OptionError(
            f"the model has {counted(len(labels), 'label')} and none is spam: "
            "name the positive one with --positive NAME"
        )
    return labels[1]
