"""`lmclassify suggest`, `generate` and `info`: what a model has learnt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lmclassify.cli.common import DEFAULT_MODEL, Model, Run, TextOrJson, command
from lmclassify.errors import OptionError, printable


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""

    @command(app, "suggest")
    def suggest(
        run: Run,
        prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Complete words; '' for first words.")],
        model: Model = DEFAULT_MODEL,
        label: Annotated[
            str | None,
            typer.Option("--label", metavar="NAME", help="Ask this label's model. Default: all, mixed."),
        ] = None,
        n: Annotated[int, typer.Option("-n", min=1, help="How many words.")] = 5,
        format: TextOrJson = "text",
    ) -> None:
        """Suggest the likeliest next words."""
        from lmclassify.classify.model import load

        fitted = load(model)
        suggestions = fitted.suggest(prefix, None if label is None else fitted.label_named(label), n)
        if format == "json":
            print(json.dumps({"suggestions": suggestions}))
            return
        for suggestion in suggestions:
            print(f"{suggestion['probability']:.4f}  {printable(suggestion['word'])}")

    @command(app, "generate")
    def generate(
        run: Run,
        label: Annotated[str, typer.Option("--label", metavar="NAME", help="Ask this label's model.")],
        model: Model = DEFAULT_MODEL,
        n: Annotated[int, typer.Option("-n", min=1, help="How many texts.")] = 1,
        prefix: Annotated[
            str, typer.Option("--prefix", metavar="TEXT", help="Complete words that each text begins with.")
        ] = "",
        temperature: Annotated[
            float, typer.Option("--temperature", help="Below 1 likelier, above 1 freer; 0: the likeliest.")
        ] = 1.0,
        top_k: Annotated[
            int | None, typer.Option("--top-k", help="Draw among so many likeliest tokens. Default: all.")
        ] = None,
        top_p: Annotated[
            float | None,
            typer.Option("--top-p", help="Draw among the likeliest tokens with this much probability."),
        ] = None,
        max_tokens: Annotated[int, typer.Option("--max-tokens", help="Longest text, in tokens.")] = 100,
        format: TextOrJson = "text",
    ) -> None:
        """Write texts as a label's model has them, drawn at random; the same --seed gives the same texts."""
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

    @command(app, "info")
    def info(
        run: Run,
        folder: Annotated[str | None, typer.Argument(metavar="MODEL", help="The model's folder.")] = None,
        model: Annotated[
            str | None, typer.Option("-m", "--model", metavar="FOLDER", help="The same.")
        ] = None,
        format: TextOrJson = "text",
    ) -> None:
        """Say what a model is."""
        from lmclassify.classify.model import load
        from lmclassify.evaluation.model_info import model_info

        if folder is not None and model is not None:
            raise OptionError("name the model once, as an argument or with -m")
        chosen = folder or model or DEFAULT_MODEL
        about = model_info(load(chosen))
        size = sum(file.stat().st_size for file in Path(chosen).iterdir() if file.is_file())
        facts = {"model": str(Path(chosen)), "bytes": size, **about}
        print(json.dumps(facts, indent=1) if format == "json" else _as_text(facts))


def _as_text(facts: dict[str, Any]) -> str:
    lines = [f"model       {printable(facts['model'])} ({facts['bytes'] / 1e6:.1f} MB)"]
    for entry in facts["labels"]:
        line = f"label       {printable(str(entry['label']))}: prior {entry['prior']:.4f}"
        if entry["training_texts"] is not None:
            line += f", {entry['training_texts']:,} + {entry['validation_texts']:,} held-out texts"
            line += f", best epoch {entry['best_epoch']} of {entry['epochs']}"
        if entry["validation_perplexity"] is not None:
            line += f", held-out perplexity {entry['validation_perplexity']:.1f}"
        lines.append(line)
    tokenizer = facts["tokenizer"]
    case = "folded" if tokenizer["lowercase"] else "kept"
    lines.append(f"tokenizer   {tokenizer['kind']}, {tokenizer['vocab_size']:,} ids, letter case {case}")
    lines.append(f"parameters  {facts['parameters']:,}")
    training = facts["training"]
    if training["started"] is not None:
        cut = f", {training['texts_cut']:,} cut to max_length" if training["texts_cut"] else ""
        lines.append(
            f"trained     {training['started']}, {training['seconds']:.1f} s, "
            f"{training['texts']:,} texts{cut}"
        )
    for title in ("settings", "versions"):
        pairs = ", ".join(f"{key} {value}" for key, value in facts[title].items())
        lines.append(f"{title:<12}{printable(pairs)}")
    return "\n".join(lines)
