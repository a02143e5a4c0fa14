"""`lmclassify explain`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmclassify.cli import common
from lmclassify.cli.command import NOT_TRAINING, Run, add_command
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.errors import DataError, OptionError, counted
from lmclassify.text.terminal import unescaped

if TYPE_CHECKING:
    from lmclassify.classify.explain import InformativeWord
    from lmclassify.classify.model import FittedModel
    from lmclassify.datasets.sources import RowReader

_BAR = "█"

Text = Annotated[
    str | None, typer.Argument(metavar="TEXT", help="The text to explain; `-` reads it from standard input.")
]
Label = Annotated[
    str | None,
    typer.Option("--label", metavar="NAME", help="Label to explain. Default: the predicted label."),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against", metavar="NAME", help="Label to compare it with. Default: the next most probable one."
    ),
]
Texts = Annotated[
    str | None,
    typer.Option(
        "--texts",
        metavar="FILE",
        help="Instead of TEXT: show the most informative words of each label in these texts (a table, or one "
        "text per line).",
    ),
]
WordCount = Annotated[int, typer.Option("-n", min=1, help="With --texts: number of words per label.")]
ExplanationFormat = Annotated[
    Literal["text", "json", "html"],
    typer.Option("--format", help="Output format. `html` is a snippet, for one text only."),
]

_EXAMPLES = (
    "lmclassify explain 'Win a free prize' -m model",
    "lmclassify explain - --format json < message.txt",
    "lmclassify explain --texts inbox.csv -n 20",
)


def explain(
    run: Run,
    text: Text = None,
    model: common.Model = common.DEFAULT_MODEL,
    label: Label = None,
    against: Against = None,
    texts: Texts = None,
    text_column: common.TextColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    quoting: common.Quoting = None,
    header: common.Header = None,
    columns: common.Columns = None,
    sheet: common.Sheet = None,
    fields: common.Fields = common.DEFAULT_FIELDS,
    n: WordCount = 10,
    format: ExplanationFormat = "text",
    exact: common.Exact = False,
) -> None:
    """Explain a text's label by the contribution of each word.

    Contributions are in nats. They add up to the decision: the log-odds of the label against the other label.
    """
    from lmclassify.datasets.sources import open_rows
    from lmclassify.evaluation.explanation import informative_words_to_text, to_html, to_text
    from lmclassify.mail.fields import parse_fields

    dialect = common.parse_dialect(quoting, header, columns)
    if (text is None) == (texts is None):
        raise OptionError("explain needs a TEXT or --texts FILE, and not both")
    if texts is not None and (format == "html" or label is not None or against is not None):
        raise OptionError("--label, --against and --format html are for one TEXT, not for --texts")
    fitted = common.load_model(run, model, exact)
    if texts is not None:
        with open_rows(
            texts,
            format=input_format,
            encoding=encoding,
            fields=parse_fields(fields),
            dialect=dialect,
            sheet=sheet,
            named_columns=(text_column,),
        ) as table:
            found = _read_texts(run, table, text_column)
        words = _informative_words(run, fitted, found, n)
        print(
            json.dumps({"words": words})
            if format == "json"
            else informative_words_to_text(words, terminal=sys.stdout.isatty())
        )
        return
    given = _read_standard_input() if text == "-" else str(text)
    chosen = [None if name is None else fitted.label_named(name) for name in (label, against)]
    explanation = fitted.explain(given, *chosen)
    if format == "json":
        print(json.dumps(explanation))
    elif format == "html":
        encoding = sys.stdout.encoding
        print(to_html(explanation).encode(encoding, "xmlcharrefreplace").decode(encoding))
    else:
        terminal = sys.stdout.isatty()
        style = _coloured if terminal else _plain
        shown = to_text(explanation, style, _BAR if _can_print(_BAR) else "#", terminal=terminal)
        print(shown, file=unescaped(sys.stdout))


def _informative_words(
    run: Run, fitted: FittedModel, texts: list[str], n: int
) -> dict[str, list[InformativeWord]]:
    """Return what `FittedModel.informative_words` returns, and show progress."""
    from lmclassify.classify.explain import informative_words

    with ProgressDisplay(run, "explaining", len(texts)) as display:

        def show(done: int) -> None:
            display.show(done, f"{done:,} of {counted(len(texts), 'text')}")

        return informative_words(fitted, texts, n, progress=show)


def _read_standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"standard input: byte {error.start} is not valid UTF-8; convert the text first"
        ) from None


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _coloured(text: str, supports: bool) -> str:
    return typer.style(text, fg=typer.colors.GREEN if supports else typer.colors.RED)


def _plain(text: str, _: bool) -> str:
    return text


def _read_texts(run: Run, table: RowReader, column: str | None) -> list[str]:
    from lmclassify.tables.columns import text_column

    found: list[str] = []
    text_at = text_column(table, column)
    run.say(table.describe(text_at, None))
    for chunk in table.chunks():
        found += [text for text in chunk.column(text_at) if text.strip()]
    for note in table.notes:
        run.say(f"note: {note}")
    return found


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "explain", explain, examples=_EXAMPLES, hidden=NOT_TRAINING)
