"""Options of `predict`, `evaluate` and `serve` that decide a text's label from its probabilities."""

from __future__ import annotations

from typing import Annotated

import typer

from lmclassify.cli.command import Options

UnknownLabel = Annotated[
    str | None,
    typer.Option(
        "--unknown-label", metavar="NAME", help="Give this label to texts that are unlike every label."
    ),
]
UnknownRate = Annotated[
    float | None,
    typer.Option(
        "--unknown-rate",
        metavar="SHARE",
        help="With --unknown-label: share of the held-out texts that may be called unknown; it sets the "
        "threshold. Default: 0.05.",
    ),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        metavar="P",
        help="Predict `unsure` where the most probable label is less probable than this.",
    ),
]
Unsure = Annotated[
    str | None,
    typer.Option(
        "--unsure",
        metavar="LOW,HIGH",
        help="With two labels: predict `unsure` where the positive label's probability is between these.",
    ),
]
MaxFalsePositiveRate = Annotated[
    float | None,
    typer.Option(
        "--max-false-positive-rate",
        metavar="SHARE",
        help="Predict the positive label from a threshold on, even where another one is likelier: at most "
        "this share of the other labels' held-out texts would get it.",
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        "--positive", metavar="NAME", help="The positive label. Default: the second one of two labels."
    ),
]

DECISION_OPTIONS: Options = {
    "unknown_label": (UnknownLabel, None),
    "unknown_rate": (UnknownRate, None),
    "min_confidence": (MinConfidence, None),
    "unsure": (Unsure, None),
    "max_false_positive_rate": (MaxFalsePositiveRate, None),
    "positive": (Positive, None),
}
"""See `lmclassify.classify.decisions` for what they mean."""
