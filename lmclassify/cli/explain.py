"""`lmclassify explain`: why a text has its label, and which words speak for each label."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmclassify.cli.common import (
    DEFAULT_FIELDS,
    DEFAULT_MODEL,
    Display,
    Encoding,
    Exact,
    Fields,
    InputFormat,
    Model,
    Run,
    TextColumn,
    command,
    load_model,
)
from lmclassify.errors import DataError, OptionError
from lmclassify.text.terminal import unescaped

if TYPE_CHECKING:
    from lmclassify.classify.explain import Attributions, InformativeWord
    from lmclassify.classify.model import FittedModel
    from lmclassify.datasets.sources import RowReader

_BAR = "█"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""

    @command(app, "explain")
    def explain(
        run: Run,
        text: Annotated[
            str | None, typer.Argument(metavar="TEXT", help="The text; - reads it from standard input.")
        ] = None,
        model: Model = DEFAULT_MODEL,
        label: Annotated[
            str | None,
            typer.Option("--label", metavar="NAME", help="Explain this label. Default: the likeliest."),
        ] = None,
        against: Annotated[
            str | None,
            typer.Option("--against", metavar="NAME", help="Rather than this one. Default: the next one."),
        ] = None,
        texts: Annotated[
            str | None,
            typer.Option(
                "--texts",
                metavar="FILE",
                help="Instead: words that speak most for each label in a table (or in lines of a .txt).",
            ),
        ] = None,
        text_column: TextColumn = None,
        input_format: InputFormat = None,
        encoding: Encoding = None,
        fields: Fields = DEFAULT_FIELDS,
        n: Annotated[int, typer.Option("-n", min=1, help="With --texts: how many words a label.")] = 10,
        format: Annotated[
            Literal["text", "json", "html"],
            typer.Option("--format", help="How to print; html is a snippet, for one text."),
        ] = "text",
        exact: Exact = False,
    ) -> None:
        """Say why a text has its label: each word's log-probability and part.

        Parts are in nats and add up to the decision: the log-odds of the label against the other.
        """
        from lmclassify.datasets.sources import open_rows
        from lmclassify.evaluation.explanation import informative_words_to_text, to_html, to_text
        from lmclassify.mail.fields import parse_fields

        if (text is None) == (texts is None):
            raise OptionError("explain needs a TEXT, or a file of texts with --texts, not both")
        if texts is not None and (format == "html" or label is not None or against is not None):
            raise OptionError("--label, --against and --format html are for one TEXT, not for --texts")
        fitted = load_model(run, model, exact)
        if texts is not None:
            with open_rows(
                texts, format=input_format, encoding=encoding, fields=parse_fields(fields)
            ) as table:
                found = _texts(run, table, text_column)
            words = _informative_words(run, fitted, found, n)
            print(json.dumps({"words": words}) if format == "json" else informative_words_to_text(words))
            return
        given = _standard_input() if text == "-" else str(text)
        chosen = [None if name is None else fitted.label_named(name) for name in (label, against)]
        explanation = fitted.explain(given, *chosen)
        if format == "json":
            print(json.dumps(explanation))
        elif format == "html":
            encoding = sys.stdout.encoding
            print(to_html(explanation).encode(encoding, "xmlcharrefreplace").decode(encoding))
        else:
            style = _coloured if sys.stdout.isatty() else _plain
            shown = to_text(explanation, style, _BAR if _can_print(_BAR) else "#")
            print(shown, file=unescaped(sys.stdout))


def _informative_words(
    run: Run, fitted: FittedModel, texts: list[str], n: int
) -> dict[str, list[InformativeWord]]:
    """The same as `FittedModel.informative_words`, and say how far it has come."""
    from lmclassify.classify.explain import attribute, most_informative

    with Display(run, "explaining", len(texts)) as display:

        def counted() -> Iterator[Attributions]:
            for number, shares in enumerate(attribute(fitted, texts), 1):
                yield shares
                display.show(number, f"{number:,} of {len(texts):,} texts")

        return most_informative(counted(), fitted.label_names, n)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise DataError(f"standard input: byte {error.start} is no UTF-8; convert the text first") from None


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _coloured(text: str, speaks_for: bool) -> str:
    return typer.style(text, fg=typer.colors.GREEN if speaks_for else typer.colors.RED)


def _plain(text: str, _: bool) -> str:
    return text


def _texts(run: Run, table: RowReader, column: str | None) -> list[str]:
    from lmclassify.tables.columns import TEXT_COLUMNS, require_column

    found: list[str] = []
    text_at = require_column(table.columns, column, TEXT_COLUMNS, "text", table.name)
    run.say(table.describe(text_at, None))
    for chunk in table.chunks():
        found += [text for text in chunk.column(text_at) if text.strip()]
    return found
