"""Options of `predict` and `evaluate` that say how labels are decided."""

from __future__ import annotations

from typing import Annotated, Any

import typer

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
"""Name -> (annotation, default), for `lmclassify.cli.common.command`; see `lmclassify.classify.decisions`."""
