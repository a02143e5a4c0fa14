"""`lmclassify explain`."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lmclassify.cli import common
from lmclassify.cli.command import NOT_TRAINING, Run, add_command
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.errors import DataError, OptionError, counted, listing, shorten
from lmclassify.text.terminal import unescaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmclassify.classify.explain import InformativeWord
    from lmclassify.classify.model import FittedModel
    from lmclassify.datasets.sources import RowReader
    from lmclassify.evaluation.explanation import Screen

_BAR = "█│■"
_WORDS_OF_A_TEXT = 30
"""Words shown of one text by default: a screen."""
_WORDS_OF_A_LABEL = 10
"""Words shown of each label by default."""
_FILE_NAME = re.compile(
    r"\S+\.(?:eml|emlx|mbox|txt|csv|tsv|tab|jsonl|ndjson|json|parquet|xlsx|xls|ods)(?:\.(?:gz|bz2|xz|zst))?"
)

Text = Annotated[
    str | None,
    typer.Argument(
        metavar="TEXT",
        help="The text to explain, or a file with a mail message; `-` reads the text from standard input.",
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="NAME",
        rich_help_panel="Output",
        help="Label to explain. Default: the predicted label.",
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="NAME",
        rich_help_panel="Output",
        help="Label to compare it with. Default: the next most probable one.",
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
WordCount = Annotated[
    int | None,
    typer.Option(
        "-n",
        min=1,
        help=f"Largest number of words shown: of one text (default: {_WORDS_OF_A_TEXT}), or with --texts of "
        f"each label (default: {_WORDS_OF_A_LABEL}).",
    ),
]
LogProbabilities = Annotated[
    bool,
    typer.Option(
        "--log-probabilities",
        rich_help_panel="Output",
        help="For one text: also show each word's log-probability under the language models of both labels.",
    ),
]
ExplanationFormat = Annotated[
    Literal["text", "json", "html"],
    typer.Option("--format", help="Output format. `html` is a snippet, for one text only."),
]

_EXAMPLES = (
    "lmclassify explain 'Win a free prize' -m model",
    "lmclassify explain message.eml -m model",
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
    fields: common.Fields = None,
    n: WordCount = None,
    log_probabilities: LogProbabilities = False,
    format: ExplanationFormat = "text",
    exact: common.Exact = False,
) -> None:
    """Explain a text's label by the contribution of each word.

    Contributions are in nats. They add up to the decision: the log-odds of the label against the other label.
    """

    dialect = common.parse_dialect(quoting, header, columns)
    if (text is None) == (texts is None):
        raise OptionError("explain needs a TEXT or --texts FILE, and not both")
    if texts is not None and (
        format == "html" or label is not None or against is not None or log_probabilities
    ):
        raise OptionError(
            "--label, --against, --log-probabilities and --format html are for one TEXT, not for --texts"
        )
    if log_probabilities and format == "html":
        raise OptionError("--log-probabilities is for --format text; --format json always has them")
    if texts is None:
        kind = _kind_of_argument(run, str(text))
        fitted = common.load_model(run, model, exact)
        given = _given_text(run, str(text), kind, fitted.reading.choose_fields(fields))
        chosen = [None if name is None else fitted.label_named(name) for name in (label, against)]
        _explain_text(
            fitted,
            given,
            chosen,
            n or _WORDS_OF_A_TEXT,
            log_probabilities,
            format,
            strongest_first=kind == "message",
        )
        return
    from lmclassify.datasets.sources import open_rows
    from lmclassify.evaluation.explanation import informative_words_to_text

    fitted = common.load_model(run, model, exact)
    with open_rows(
        texts,
        format=input_format,
        encoding=encoding,
        fields=fitted.reading.choose_fields(fields),
        dialect=fitted.reading.choose_dialect(dialect),
        sheet=sheet,
        named_columns=fitted.reading.named_columns(text_column),
    ) as table:
        found = _read_texts(run, table, fitted.reading.choose_text_columns(table, text_column))
    words = _informative_words(run, fitted, found, n or _WORDS_OF_A_LABEL)
    if format == "json":
        print(json.dumps({"words": words}))
    else:
        print(informative_words_to_text(words, _screen()), file=unescaped(sys.stdout))


def _explain_text(
    fitted: FittedModel,
    text: str,
    labels: Sequence[object],
    n: int,
    log_probabilities: bool,
    format: str,
    *,
    strongest_first: bool,
) -> None:
    """Print the explanation of one text."""
    explanation = fitted.explain(text, *labels)
    if format == "json":
        print(json.dumps(explanation))
    elif format == "html":
        from lmclassify.classify.explanation_html import to_html

        encoding = sys.stdout.encoding
        print(to_html(explanation).encode(encoding, "xmlcharrefreplace").decode(encoding))
    else:
        from lmclassify.evaluation.explanation import to_text

        models = ("LM" if fitted.settings.recipe == "ngram" else "LSTM") if log_probabilities else None
        shown = to_text(
            explanation, _screen(), most=n, language_models=models, strongest_first=strongest_first
        )
        print(shown, file=unescaped(sys.stdout))


def _kind_of_argument(run: Run, argument: str) -> Literal["input", "message", "text"]:
    """Return what the argument TEXT names: standard input, a file with mail, or nothing but itself.

    Raises DataError if it names a file that is not there.
    """
    if argument == "-":
        return "input"
    if not _is_file(argument):
        if _FILE_NAME.fullmatch(argument):
            raise DataError(
                f"no such file: {shorten(argument)}; if this is a text, pass it on standard input: explain -"
            )
        return "text"
    from lmclassify.mail.mailboxes import looks_like_mail

    if looks_like_mail(argument):
        return "message"
    run.say(
        f"note: the name {shorten(argument)} is explained as a text; of the file with this name, "
        f"--texts {shorten(argument)} explains all texts together"
    )
    return "text"


def _given_text(run: Run, argument: str, kind: str, fields: Sequence[str]) -> str:
    """Return the text to explain: standard input, the text of a message in a file, or the argument itself."""
    if kind == "input":
        return _read_standard_input()
    if kind == "text":
        return argument
    from lmclassify.mail.messages_table import read_texts

    texts = read_texts(argument, fields)
    if len(texts) != 1:
        raise DataError(
            f"{argument}: {len(texts):,} messages, but explain takes one; --texts explains them all"
        )
    name = listing(fields)
    if not texts[0].strip():
        raise DataError(f"{argument}: the message has no text to explain; the model reads its {name}")
    run.say(f"{argument}: {name} of the message")
    return texts[0]


def _is_file(argument: str) -> bool:
    try:
        return os.path.isfile(argument)
    except ValueError:  # with a NUL character
        return False


def _screen() -> Screen:
    """Return how to print on standard output."""
    from lmclassify.evaluation.explanation import Screen

    terminal = sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    bar = "█" if _can_print(_BAR) else "#"
    return Screen(shutil.get_terminal_size().columns, terminal, colour and bar == "█", bar)


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


def _read_texts(run: Run, table: RowReader, column: Sequence[str] | None) -> list[str]:
    from lmclassify.tables.columns import text_columns

    found: list[str] = []
    text_at = text_columns(table, column)
    run.say(table.describe(text_at, None))
    for chunk in table.chunks():
        found += [text for text in chunk.texts(text_at) if text.strip()]
    for note in table.notes:
        run.say(f"note: {note}")
    return found


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "explain", explain, examples=_EXAMPLES, without=NOT_TRAINING)
