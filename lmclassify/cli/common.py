"""Options that several commands share."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmclassify.cli.command import Options
from lmclassify.errors import LMClassifyError, OptionError
from lmclassify.extras import install_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lmclassify.classify.model import FittedModel
    from lmclassify.cli.command import Run
    from lmclassify.datasets.sources import RowReader
    from lmclassify.tables.dialect import Dialect
    from lmclassify.tables.writing import TableWriter

DEFAULT_MODEL = "./lmclassify-model"

TABLE = "CSV, TSV, JSON, Parquet, Excel, fastText, text or mail, compressed or not"
"""The formats of input, for help texts."""

Model = Annotated[str, typer.Option("-m", "--model", metavar="FOLDER", help="Model folder.")]
DATA_ARGUMENT = typer.Argument(
    metavar="DATA",
    help=f"{TABLE}. Several files must have the same columns. Wildcards may be quoted. `-` reads standard "
    "input.",
)
Data = Annotated[list[str], DATA_ARGUMENT]
TextColumn = Annotated[
    str | None,
    typer.Option(
        "--text-column",
        metavar="NAME,...",
        help="Column with the texts; in JSON also a nested field, such as `message.body`. Several columns, "
        "such as `title,body`, make one text. Default: a column with a usual name.",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="Column with the labels, as in --text-column. Default: a column with a usual name.",
    ),
]
Fields = Annotated[
    str | None,
    typer.Option(
        "--fields",
        metavar="NAMES",
        help="Parts of a mail message to read, such as `subject,body`. Only for a model whose training did "
        "not say which; otherwise they are those of the training.",
    ),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Score every text with the language models of all labels, without the shortcut that skips "
        "labels already ruled out (slower).",
    ),
]
TextOrJson = Annotated[Literal["text", "json"], typer.Option("--format", help="Output format.")]

InputFormat = Annotated[
    Literal["csv", "tsv", "jsonl", "parquet", "excel", "fasttext", "text", "mail"] | None,
    typer.Option(
        "--input-format",
        metavar="FORMAT",
        help="Input format: `csv`, `tsv`, `jsonl` (any JSON), `parquet`, `excel` (any workbook: .xlsx, .xls, "
        ".ods), `fasttext`, `text` (one text per line, or per file of a folder) or `mail`. Default: taken "
        "from the content and the file name's ending, else `csv`.",
    ),
]
Sheet = Annotated[
    str | None,
    typer.Option(
        "--sheet", metavar="NAME", help="Sheet of a workbook, by name or number. Default: the first one."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Character encoding of the input, such as `latin-1`; `detect` guesses it. Default: UTF-8, or "
        "UTF-16 if the file begins with its byte order mark.",
    ),
]
Quoting = Annotated[
    Literal["none", "minimal", "backslash"] | None,
    typer.Option(
        "--quoting",
        help="Quotes in CSV and TSV. `none`: quotes are characters like others, and every line is a row. "
        "`minimal`: cells with a separator, a quote or a line end are in quotes. `backslash`: the same, with "
        "a backslash before quotes in them. Default: `minimal`, or `backslash` if the first rows can only be "
        "read so, but in TSV a quote that does not enclose a cell is a character.",
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first row of CSV, TSV and Excel is a header. Without header, columns that are not "
        "recognized are named by their numbers, from 1. Default: a header, unless its label occurs in other "
        "rows.",
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="NAME,NAME",
        help="Names of the columns of a CSV, TSV or Excel file without header, such as `label,text`.",
    ),
]
DIALECT_OPTIONS: Options = {
    "quoting": (Quoting, None),
    "header": (Header, None),
    "columns": (Columns, None),
}
"""The options of `parse_dialect`."""
MergeLabels = Annotated[
    bool,
    typer.Option(
        "--merge-labels",
        help="Join labels that differ only in case, in blanks or as numbers (`Ham` and `ham`, `1.0` and `1`) "
        "with the most frequent one, or with the one that --labels names.",
    ),
]
Engine = Annotated[
    Literal["local", "ray"],
    typer.Option("--engine", help="Run on this machine (`local`) or on a Ray cluster (`ray`)."),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="With --engine ray: address of the cluster's head node, or `auto` for a cluster that runs on "
        "this machine. Default: start a cluster on this machine with --threads processes.",
    ),
]


def load_model(run: Run, folder: str, exact: bool) -> FittedModel:
    """Load a model and set what the command's options ask for."""
    from lmclassify.classify.model import load

    fitted = load(folder)
    fitted.n_jobs, fitted.exact = run.threads, exact
    if fitted.needs_lessons:
        run.say("note: the model has learned too little for its labels to mean anything (lmclassify info)")
    return fitted


def require_packages(command: str, *packages: str, extra: str) -> None:
    """Raise LMClassifyError, which says how to install the extra, if one of its packages is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise LMClassifyError(f"{command} needs {package}: {install_extra(extra)}")


def parse_dialect(
    quoting: Literal["none", "minimal", "backslash"] | None, header: bool | None, columns: str | None
) -> Dialect:
    """Return what the options say about CSV and TSV. Raises OptionError if they contradict each other."""
    from lmclassify.tables.dialect import Dialect, parse_columns

    return Dialect(quoting, header, parse_columns(columns))


def open_data(data: list[str], reading: Mapping[str, Any], label_column: str | None) -> RowReader:
    """Open tables, or one file per label: NAME=FILE for each.

    Parameters
    ----------
    reading : mapping
        Parameters of `lmclassify.datasets.sources.open_rows`.
    label_column : str or None
        The label column that the user names.
    """
    from lmclassify.datasets.multiple_files import labelled_files, open_labelled, open_many
    from lmclassify.datasets.sources import open_rows

    files = labelled_files(data)
    if not files:
        return open_many(data, functools.partial(open_rows, **reading))
    if label_column is not None:
        raise OptionError("NAME=FILE has no label column; drop --label-column")

    def open_texts(path: str) -> RowReader:
        return open_rows(path, **reading, default="text", lines=True)

    return open_labelled(files, open_texts)


@contextlib.contextmanager
def open_table(path: str, option: str) -> Iterator[TableWriter]:
    """Open the table that an option names before the work; it appears if all of it succeeds."""
    from lmclassify.errors import DataError
    from lmclassify.tables.writing import TableWriter, choose_output_format

    try:
        written = choose_output_format(path, None)
    except DataError:
        raise OptionError(f"{option} {path}: the name must end in .csv, .tsv, .jsonl or .parquet") from None
    with TableWriter(path, written) as writer:
        yield writer


def say_renamed(run: Run, renamed: Mapping[tuple[str, str], int]) -> None:
    """Say which labels of the data count as labels of the model, from which they differ in form only."""
    from lmclassify.datasets.label_forms import describe_renamed

    for line in describe_renamed(renamed):
        run.say(f"note: {line}")
