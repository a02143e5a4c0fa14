"""`lmclassify info`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lmclassify.cli.command import ONLY_READING, Run, add_command
from lmclassify.cli.common import DEFAULT_MODEL
from lmclassify.errors import OptionError, counted, listing, printable, shorten
from lmclassify.text.display import quality, shown, wrapped
from lmclassify.text.terminal import terminal_columns

_INDENT = 12  # columns before the second part of a line
_MAX_LABELS = 50
"""Labels shown as text: one screen."""


def info(
    run: Run,
    folder: Annotated[str | None, typer.Argument(metavar="MODEL", help="Model folder.")] = None,
    model: Annotated[
        str | None, typer.Option("-m", "--model", metavar="FOLDER", help="The same as MODEL.")
    ] = None,
    format: Annotated[
        Literal["text", "json", "markdown"],
        typer.Option("--format", help="Output format. `markdown`: a model card."),
    ] = "text",
) -> None:
    """Show a model's labels, settings and training history."""
    from lmclassify.classify.model import load
    from lmclassify.evaluation.model_info import model_info

    if folder is not None and model is not None:
        raise OptionError("name the model once, as an argument or with -m")
    chosen = folder or model or DEFAULT_MODEL
    fitted = load(chosen)
    size = sum(file.stat().st_size for file in Path(chosen).iterdir() if file.is_file())
    if format == "markdown":
        from lmclassify.evaluation.model_card import model_card

        print(model_card(fitted, chosen, size))
        return
    facts = {"model": str(Path(chosen)), "bytes": size, **model_info(fitted)}
    print(json.dumps(facts, indent=1) if format == "json" else _to_text(facts))


def _to_text(facts: dict[str, Any]) -> str:
    lines = [f"model       {printable(facts['model'])} ({facts['bytes'] / 1e6:.1f} MB)"]
    labels = facts["labels"]
    if len(labels) > _MAX_LABELS:
        labels = sorted(labels, key=lambda entry: -float(entry["prior"]))[:_MAX_LABELS]
    for entry in labels:
        line = f"label       {shown(str(entry['label']))}: prior {entry['prior']:.4f}"
        if entry["training_texts"] is not None:
            held_out = f" + {entry['validation_texts']:,} held-out" if entry["validation_texts"] else ""
            line += f", {entry['training_texts']:,}{held_out} texts"
        if entry["epochs"]:
            line += f", best epoch {entry['best_epoch']} of {entry['epochs']}"
        if entry["validation_perplexity"] is not None:
            line += f", held-out perplexity {entry['validation_perplexity']:.1f}"
        lines.append(line)
    if len(facts["labels"]) > _MAX_LABELS:
        lines.append(f"labels      {len(facts['labels']):,} in all: --format json shows the others")
    tokenizer = facts["tokenizer"]
    case = "folded" if tokenizer["lowercase"] else "kept"
    lines.append(f"tokenizer   {tokenizer['kind']}, {tokenizer['vocab_size']:,} ids, letter case {case}")
    lines.append(f"parameters  {facts['parameters']:,}")
    training = facts["training"]
    if training["started"] is not None:
        cut = f", {training['texts_cut']:,} cut to max_length" if training["texts_cut"] else ""
        lines.append(
            f"trained     {training['started']}, {training['seconds']:.1f} s, "
            f"{counted(training['texts'], 'text')}{cut}"
        )
    if training.get("files"):
        lines.append(f"files       {listing(training['files'])}")
    if facts["reading"]:
        lines.append(f"reads       {_reading(facts['reading'])}")
    for stage in facts.get("stages", []):
        of = f"{stage['stage']} of {stage['stages']}"
        lines.append(
            f"stage {of}  {stage['name']}, {stage['seconds']:.1f} s: held-out "
            f"{quality(stage['accuracy'], stage['log_loss'], stage['held_out_texts'])} "
            f"({counted(stage['held_out_texts'], 'text')})"
        )
    if "lessons" in facts:
        lines.append(f"lessons     {_lessons(facts['lessons'])}")
    for title in ("settings", "versions"):
        pairs = ", ".join(f"{key} {value}" for key, value in facts[title].items())
        lines.append(f"{title:<{_INDENT}}{printable(pairs)}")
    columns = terminal_columns(sys.stdout)
    return "\n".join(wrapped(line, columns, _INDENT) for line in lines)


def _lessons(facts: dict[str, Any]) -> str:
    """Return how much the model has learned from lessons, in words."""
    line = f"{facts['total']:,} in all, {counted(facts['corrections'], 'correction')}; "
    line += f"{facts['today']:,} today, {counted(facts['corrections_today'], 'correction')}"
    if facts["last"] is not None:
        line += f"; last {facts['last']}"
    if facts["needs_more"]:
        line += f"; every label needs {facts['needed_per_label']} before the model labels mail"
    return line


def _reading(reading: Mapping[str, Any]) -> str:
    """Return how the training texts were read, and others are by default."""
    parts = []
    if "fields" in reading:
        parts.append(f"mail: {listing(reading['fields'])}")
    if "text_columns" in reading:
        parts.append(f"text columns {', '.join(map(shorten, reading['text_columns']))}")
    names = [(what, reading.get(f"{what}_column")) for what in ("text", "label")]
    parts += [f"{what} column {shorten(name)}" for what, name in names if name is not None]
    return "; ".join([*parts, *(["tables without header"] if "columns" in reading else [])])


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(
        app,
        "info",
        info,
        examples=(
            "lmclassify info",
            "lmclassify info model --format json | jq .labels",
            "lmclassify info model --format markdown > card.md",
        ),
        without=ONLY_READING,
    )
