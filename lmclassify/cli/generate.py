"""`lmclassify suggest` and `lmclassify generate`: words and texts from a model's language models."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from lmclassify.cli.command import ONLY_READING, Run, add_command
from lmclassify.cli.common import DEFAULT_MODEL, Model, TextOrJson
from lmclassify.errors import printable
from lmclassify.text.display import isolated


def suggest(
    run: Run,
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="Beginning of a text, in complete words; '' for none.")
    ],
    model: Model = DEFAULT_MODEL,
    label: Annotated[
        str | None,
        typer.Option(
            "--label", metavar="NAME", help="Label whose language model is used. Default: a mixture of all."
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of words.")] = 5,
    format: TextOrJson = "text",
) -> None:
    """Suggest the most probable next words after a prefix."""
    from lmclassify.classify.model import load

    fitted = load(model)
    suggestions = fitted.suggest(prefix, None if label is None else fitted.label_named(label), n)
    if format == "json":
        print(json.dumps({"suggestions": suggestions}))
        return
    for suggestion in suggestions:
        word = printable(suggestion["word"])
        print(f"{suggestion['probability']:.4f}  {isolated(word) if sys.stdout.isatty() else word}")


def generate(
    run: Run,
    label: Annotated[
        str, typer.Option("--label", metavar="NAME", help="Label whose language model is used.")
    ],
    model: Model = DEFAULT_MODEL,
    n: Annotated[int, typer.Option("-n", min=1, help="Number of texts.")] = 1,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="TEXT", help="Beginning of each text, in complete words.")
    ] = "",
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            help="Below 1: more probable texts; above 1: more varied texts; 0: the most probable token.",
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", help="Sample from this many of the most probable tokens. Default: all."),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p", help="Sample from the most probable tokens that together have this probability."
        ),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", help="Maximum length of a text, in tokens.")
    ] = 100,
    format: TextOrJson = "text",
) -> None:
    """Sample texts from a label's language model.

    The same --seed gives the same texts.
    """
    from lmclassify.classify.model import load

    fitted = load(model)
    texts = fitted.generate(
        fitted.label_named(label),
        n,
        prefix=prefix,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=run.seed,
    )
    if format == "json":
        print(json.dumps({"texts": texts}))
        return
    for text in texts:
        print(printable(text))


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    add_command(
        app,
        "suggest",
        suggest,
        examples=(
            "lmclassify suggest 'Your account' -m model",
            "lmclassify suggest 'Your account' --label spam -n 10",
            "lmclassify suggest '' --format json",
        ),
        without=ONLY_READING,
    )
    add_command(
        app,
        "generate",
        generate,
        examples=(
            "lmclassify generate --label spam -n 5",
            "lmclassify generate --label ham --prefix 'Lunch on' --temperature 0.7",
            "lmclassify generate --label ham -n 100 --seed 1 --format json > texts.json",
        ),
        without=("device", "threads"),
    )
