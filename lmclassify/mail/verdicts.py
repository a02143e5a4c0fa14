"""What a mail filter says of a message: a label, a score and an exit status. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

from lmclassify.errors import OptionError, listing, shorten

POSITIVE, NEGATIVE, UNSURE = 0, 1, 2
"""Exit statuses, as bogofilter has them."""

_UNSURE = "unsure"


class Verdict(SimpleNamespace):
    """On one message.

    Parameters
    ----------
    label : str
    score : float
        Probability of the positive label.
    status : int
        `POSITIVE`, `NEGATIVE` or `UNSURE`.
    """

    def __init__(self, label: str, score: float, status: int) -> None:
        super().__init__(label=label, score=score, status=status)


def unsure_zone(given: str) -> tuple[float, float]:
    """Return LOW and HIGH of --unsure.

    Raises
    ------
    OptionError
        If these are no such probabilities.
    """
    try:
        low, high = map(float, given.split(","))
    except ValueError:
        raise OptionError(f"--unsure takes two probabilities, as in 0.2,0.9, not {given!r}") from None
    if not 0 <= low <= high <= 1:
        raise OptionError(f"--unsure takes LOW,HIGH with 0 <= LOW <= HIGH <= 1, not {given}")
    return low, high


def verdict_of(
    label: str,
    probabilities: Mapping[str, float],
    positive: str | None = None,
    zone: tuple[float, float] | None = None,
) -> Verdict:
    """Return the verdict that a model's answer comes to.

    Parameters
    ----------
    label : str
        The one decided for; a name that is none of the model's labels (unsure, unknown) leaves the message
        undecided.
    probabilities : mapping of str to float
        Of each of the model's labels.
    positive : str, optional
        By default the label spam, else the second of two labels.
    zone : (float, float), optional
        The positive label from the upper probability on, the likeliest other up to the lower one, unsure
        between them.

    Raises
    ------
    OptionError
        If there is no such positive label, or unsure is a label.
    """
    chosen = _positive(list(probabilities), positive)
    score = probabilities[chosen]
    if zone is not None:
        if _UNSURE in probabilities:
            raise OptionError(f"the model has a label {_UNSURE!r}, so nothing else can be called so")
        low, high = zone
        others = [name for name in probabilities if name != chosen]
        if score >= high or not others:
            label = chosen
        elif score <= low:
            label = max(others, key=probabilities.__getitem__)
        else:
            label = _UNSURE
    status = POSITIVE if label == chosen else NEGATIVE if label in probabilities else UNSURE
    return Verdict(label, score, status)


def _positive(labels: list[str], asked: str | None) -> str:
    if asked is not None:
        if asked not in labels:
            raise OptionError(
                f"--positive: the model has no label {shorten(asked)}; it has: {listing(labels)}"
            )
        return asked
    spam = [label for label in labels if label.casefold() == "spam"]
    if spam:
        return spam[0]
    if len(labels) != 2:
        raise OptionError(
            "with more or fewer than two labels, none spam, name the positive one: --positive NAME"
        )
    return labels[1]
