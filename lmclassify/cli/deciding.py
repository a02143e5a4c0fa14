"""Options of `predict` and `evaluate` that say how labels are decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmclassify.cli.common import Run
from lmclassify.errors import OptionError

if TYPE_CHECKING:
    from lmclassify.classify.decisions import Decisions
    from lmclassify.classify.fitted import FittedModel

OPTIONS: dict[str, tuple[Any, Any]] = {
    "unknown_label": (
        Annotated[
            str | None,
            typer.Option(
                "--unknown-label", metavar="NAME", help="Call texts so that fit none of the labels."
            ),
        ],
        None,
    ),
    "unknown_rate": (
        Annotated[
            float | None,
            typer.Option(
                "--unknown-rate",
                metavar="SHARE",
                help="Share of held-out texts taken for unknown, which sets the threshold. Default: 0.05.",
            ),
        ],
        None,
    ),
    "min_confidence": (
        Annotated[
            float | None,
            typer.Option(
                "--min-confidence", metavar="P", help="unsure where no label's probability reaches this."
            ),
        ],
        None,
    ),
    "unsure": (
        Annotated[
            str | None,
            typer.Option(
                "--unsure",
                metavar="LOW,HIGH",
                help="Of two labels: unsure where the positive one's probability lies between.",
            ),
        ],
        None,
    ),
    "max_false_positive_rate": (
        Annotated[
            float | None,
            typer.Option(
                "--max-false-positive-rate",
                metavar="SHARE",
                help="Give the positive label only where sure enough: at most this share of others' held-out "
                "texts would get it.",
            ),
        ],
        None,
    ),
    "positive": (
        Annotated[
            str | None,
            typer.Option(
                "--positive", metavar="NAME", help="The positive label. Default: the second of two labels."
            ),
        ],
        None,
    ),
}
"""Name -> (annotation, default), for `lmclassify.cli.common.command`."""

_UNKNOWN_RATE = 0.05


def decisions_of(run: Run, fitted: FittedModel, options: dict[str, Any]) -> Decisions:
    """Return what the options ask for, and say what a threshold costs.

    Raises
    ------
    OptionError
        If options make no sense, alone, together, or for the model's labels.
    """
    from lmclassify.classify.decisions import UNSURE, Decisions

    names = fitted.label_names
    unknown_label, min_confidence = options["unknown_label"], options["min_confidence"]
    zone = None if options["unsure"] is None else _zone(options["unsure"])
    rate = options["max_false_positive_rate"]
    ways = [
        name for name in ("min_confidence", "unsure", "max_false_positive_rate") if options[name] is not None
    ]
    if len(ways) > 1:
        chosen = " and ".join("--" + name.replace("_", "-") for name in ways[:2])
        raise OptionError(f"{chosen} are two ways to decide: choose one")
    if (zone or min_confidence is not None) and UNSURE in names:
        raise OptionError(f"the model has a label {UNSURE!r}, so nothing else can be called so")
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise OptionError(f"--min-confidence must be a probability, not {min_confidence:g}")
    positive = None
    if zone or rate is not None:
        positive = _positive(fitted, options["positive"])
        if zone and len(names) != 2:
            raise OptionError(f"--unsure is for two labels, the model has {len(names)}: use --min-confidence")
    elif options["positive"] is not None:
        raise OptionError("--positive goes with --max-false-positive-rate or --unsure")
    log_odds = None
    if positive is not None and rate is not None:
        threshold = fitted.positive_threshold(fitted.classes_[positive].item(), rate)
        log_odds = threshold.log_odds
        run.say(
            f"{names[positive]}: from probability {threshold.probability:.4g} on; of held-out texts "
            f"{threshold.false_positives:,} of {threshold.negatives:,} others are taken for it, and "
            f"{threshold.found:,} of {threshold.positives:,} of its own are found"
        )
        if rate * threshold.negatives < 1:
            few = f"{threshold.negatives:,} held-out texts of others"
            run.say(f"note: {few} are too few to vouch for a rate of {rate:g}")
    if unknown_label is None and options["unknown_rate"] is not None:
        raise OptionError("--unknown-rate goes with --unknown-label")
    if unknown_label == UNSURE:
        raise OptionError(f"--unknown-label {UNSURE} is what undecided texts are called: choose another name")
    if unknown_label is not None and (not unknown_label or unknown_label in names):
        raise OptionError("--unknown-label must be a name that no label of the model has")
    unknown_rate = _UNKNOWN_RATE if options["unknown_rate"] is None else options["unknown_rate"]
    return Decisions(
        labels=names,
        positive=positive,
        positive_log_odds=log_odds,
        unsure=zone,
        min_confidence=min_confidence,
        unknown_label=unknown_label,
        unknown_threshold=float("inf") if unknown_label is None else fitted.unknown_threshold(unknown_rate),
    )


def _zone(given: str) -> tuple[float, float]:
    try:
        low, high = map(float, given.split(","))
    except ValueError:
        raise OptionError(f"--unsure takes two probabilities, as in 0.2,0.9, not {given!r}") from None
    if not 0 <= low <= high <= 1:
        raise OptionError(f"--unsure takes LOW,HIGH with 0 <= LOW <= HIGH <= 1, not {given}")
    return low, high


def _positive(fitted: FittedModel, name: str | None) -> int:
    if name is not None:
        return list(fitted.classes_).index(fitted.label_named(name))
    if len(fitted.classes_) != 2:
        raise OptionError("with more or fewer than two labels name the positive one: --positive NAME")
    return 1
