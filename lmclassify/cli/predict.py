"""`lmclassify predict`, on this machine or on a Ray cluster."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmclassify.cli import common
from lmclassify.cli.command import NOT_TRAINING, Run, add_command
from lmclassify.cli.decision_options import DECISION_OPTIONS
from lmclassify.cli.predict_texts import TextsWriter, check_sources
from lmclassify.cli.progress import RowProgress
from lmclassify.errors import OptionError, counted, listing, plural, shorten

if TYPE_CHECKING:
    from lmclassify.classify.decisions import Decisions
    from lmclassify.classify.model import FittedModel
    from lmclassify.datasets.sources import RowReader
    from lmclassify.prediction.distributed import LabellingCounts
    from lmclassify.prediction.labelling import TableLabeller

Data = Annotated[list[str] | None, common.DATA_ARGUMENT]
Text = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="TEXT",
        help="Instead of DATA: the text itself. Prints its label and probability, or the columns of DATA's "
        "output with --format. Repeatable.",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="File to write; `-` is standard output. With --engine ray: a new folder.",
    ),
]
Format = Annotated[
    Literal["csv", "tsv", "jsonl", "parquet", "table", "json"] | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Output format: `csv`, `tsv`, `jsonl`, `parquet`, or `table` (aligned columns, to read); with "
        "--text also `json`. Default: taken from the ending of the output's name, else `csv`.",
    ),
]
Stream = Annotated[
    bool, typer.Option("--stream", help="Write each row to standard output as soon as it is read.")
]
OverwriteColumns = Annotated[
    bool,
    typer.Option("--overwrite-columns", help="Replace input columns that have the names of new columns."),
]
EscapeFormulas = Annotated[
    bool,
    typer.Option(
        "--escape-formulas",
        help="For spreadsheets: put ' before each csv or tsv cell or column name that begins like a formula "
        "(=, +, -, @, tab or line end), except numbers. Default: cells are not changed.",
    ),
]

_EXAMPLES = (
    "lmclassify predict --text 'Lunch today?'",
    "lmclassify predict inbox.csv -m model -o labelled.csv",
    "lmclassify predict 'logs/*.jsonl.gz' --format jsonl | jq .predicted_label",
    "tail -f inbox.csv | lmclassify predict - --stream",
    "lmclassify predict s3://bucket/mail --engine ray -o labelled/",
)


@dataclass(frozen=True)
class _Options:
    """The options that are the same on this machine and on a cluster."""

    model: str
    exact: bool
    format: Any  # an OutputFormat or None; with --text also "json"
    reading: Mapping[str, Any]
    fields: str | None
    text_column: str | None
    label_column: str | None
    overwrite_columns: bool
    escape_formulas: bool
    decision_options: Mapping[str, Any]

    def reading_like(self, fitted: FittedModel) -> dict[str, Any]:
        """Return how files are read: by the options, and otherwise as the model's training data were read."""
        reading = fitted.reading
        return {
            **self.reading,
            "fields": reading.choose_fields(self.fields),
            "dialect": reading.choose_dialect(self.reading["dialect"]),
            "named_columns": reading.named_columns(self.text_column, self.label_column),
        }

    def columns_like(self, fitted: FittedModel, table: RowReader) -> tuple[Sequence[int], int | None]:
        """Return the positions of the text columns and, if there is one, of the label column."""
        from lmclassify.tables.columns import find_label_column, text_columns

        reading = fitted.reading
        text_at = text_columns(table, reading.choose_text_columns(table, self.text_column))
        label_at = find_label_column(table, reading.choose_label_column(table, self.label_column))
        return text_at, None if label_at in text_at and self.label_column is None else label_at


def predict(
    run: Run,
    data: Data = None,
    text: Text = None,
    model: common.Model = common.DEFAULT_MODEL,
    output: Output = "-",
    engine: common.Engine = "local",
    address: common.Address = None,
    format: Format = None,
    stream: Stream = False,
    text_column: common.TextColumn = None,
    label_column: common.LabelColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    quoting: common.Quoting = None,
    header: common.Header = None,
    columns: common.Columns = None,
    sheet: common.Sheet = None,
    fields: common.Fields = None,
    overwrite_columns: OverwriteColumns = False,
    escape_formulas: EscapeFormulas = False,
    exact: common.Exact = False,
    **decision_options: Any,
) -> None:
    """Predict the label of each row, or of a text.

    Writes all input columns unchanged, plus predicted_label and p_LABEL for each label; with --unknown-label
    also novelty. --format table shows only the likeliest of many labels. If the input has a label column,
    prints a classification report on standard error.

    With --engine ray, DATA may also be folders and URLs of object stores (s3://bucket/folder). All nodes of
    the cluster must be able to read DATA and to write to the output folder. The output is one part file per
    part of the data, in the format of the data or of --format. A part file appears when it is complete;
    _SUCCESS appears when all are. The columns row_file and row_number, before predicted_label, name the
    source of each row. Part files sorted by name, and the rows in them, have the order of the data. If a file
    cannot be read, the others are still labelled and the command fails with its name. A worker process that
    dies is replaced, and no row is lost.
    """
    options = _Options(
        model=model,
        exact=exact,
        format=format,
        reading={
            "format": input_format,
            "encoding": encoding,
            "dialect": common.parse_dialect(quoting, header, columns),
            "sheet": sheet,
        },
        fields=fields,
        text_column=text_column,
        label_column=label_column,
        overwrite_columns=overwrite_columns,
        escape_formulas=escape_formulas,
        decision_options=decision_options,
    )
    if text:
        predict_given(run, text, output, options)
    elif engine == "ray":
        if stream:
            raise OptionError("--stream works only with --engine local: a cluster writes part files")
        predict_on_ray(run, data or [], output, address, options)
    elif address is not None:
        raise OptionError("--address goes with --engine ray")
    else:
        predict_here(run, data or [], output, stream, options)


def predict_given(run: Run, texts: Sequence[str], output: str, options: _Options) -> None:
    """Label the texts of --text."""
    from lmclassify.classify.decisions import decisions_of

    writer = TextsWriter(output, options.format, options.escape_formulas)
    fitted = common.load_model(run, options.model, options.exact)
    decisions = decisions_of(fitted, options.decision_options, run.say)
    writer.write(run, texts, fitted, decisions)


def predict_here(
    run: Run,
    data: list[str],
    output: str,
    stream: bool,
    options: _Options,
) -> None:
    """Label the rows of files, or of standard input, in this process."""
    if stream and (output != "-" or options.format in ("parquet", "table")):
        raise OptionError("--stream writes csv, tsv or jsonl to standard output")
    from lmclassify.classify.decisions import decisions_of
    from lmclassify.datasets.multiple_files import open_many
    from lmclassify.datasets.sources import open_rows
    from lmclassify.prediction.labelling import TableLabeller
    from lmclassify.prediction.readable_table import is_shortened, likeliest_labels
    from lmclassify.tables.writing import TableWriter, check_escape_formulas, choose_output_format

    written = choose_output_format(output, options.format)
    check_escape_formulas(options.escape_formulas, written)
    if stream and options.reading["encoding"] == "detect":
        raise OptionError("--encoding detect reads ahead, which --stream does not; name the encoding")
    fitted = common.load_model(run, options.model, options.exact)
    decisions = decisions_of(fitted, options.decision_options, run.say)
    reading = options.reading_like(fitted)
    with open_many(data, functools.partial(open_rows, **reading, stream=stream)) as table:
        text_at, label_at = options.columns_like(fitted, table)
        run.say(table.describe(text_at, label_at))
        labeller = TableLabeller(fitted, text_at, label_at, decisions=decisions)
        if not options.overwrite_columns:
            labeller.check_columns(table.columns, table.name)
        meanwhile = None if written == "table" else output  # a table is written at the end
        writing = TableWriter(output, written, escape_formulas=options.escape_formulas)
        with writing as writer, RowProgress(run, table.size, output=meanwhile) as progress:
            for chunk in table.chunks(1) if stream else table.chunks():
                labelled = labeller.label(chunk)
                writer.write(likeliest_labels(labelled, labeller.labels) if written == "table" else labelled)
                if stream:
                    writer.flush()
                progress.add(len(chunk), table.bytes_read)
    column = None if label_at is None else table.columns[label_at]
    if written == "table" and is_shortened(labeller.labels):
        count = len(labeller.labels)
        run.say(
            f"note: the table has the likeliest labels; --format csv has the probabilities of all {count:,}"
        )
    unlike = labeller.comparison.note(fitted.held_out)
    _report(run, labeller, [*table.notes, *([] if unlike is None else [unlike])], labeller.decisions, column)


def predict_on_ray(
    run: Run,
    data: Sequence[str],
    output: str,
    address: str | None,
    options: _Options,
) -> None:
    """Label the rows of files on a Ray cluster, into a folder of part files."""
    from lmclassify.classify.decisions import decisions_of
    from lmclassify.cluster.connection import connect, require_ray
    from lmclassify.datasets.multiple_files import expand_all
    from lmclassify.datasets.sources import detect_format, open_rows
    from lmclassify.prediction.distributed import TableLayout, check_id_columns, label_files, total_size
    from lmclassify.prediction.labelling import TableLabeller
    from lmclassify.prediction.part_files import PartFolder, choose_part_format
    from lmclassify.tables.writing import check_escape_formulas

    if output == "-":
        raise OptionError("--engine ray writes a folder of part files; name it with -o FOLDER")
    if "-" in data:
        raise OptionError("--engine ray reads files, not standard input (-)")
    require_ray()
    given = options.reading["format"]
    files = expand_all(data, any_suffix=given is not None)
    written = choose_part_format(options.format, given or detect_format(files[0]))
    check_escape_formulas(options.escape_formulas, written)
    parts = PartFolder(output, written, escape_formulas=options.escape_formulas)
    fitted = common.load_model(run, options.model, options.exact)
    decisions = decisions_of(fitted, options.decision_options, run.say)
    reading = options.reading_like(fitted)
    with open_rows(files[0], **reading) as table:
        text_at, label_at = options.columns_like(fitted, table)
        described = table.describe(text_at, label_at)
    run.say(f"{described}; {len(files):,} files" if len(files) > 1 else described)
    if not options.overwrite_columns:
        TableLabeller(fitted, text_at, label_at, decisions=decisions).check_columns(table.columns, table.name)
        check_id_columns(table.columns, table.name)
    parts.prepare()
    with connect(address, run.threads) as processes, RowProgress(run, total_size(files)) as progress:
        outcome = label_files(
            files,
            TableLayout(table.columns, text_at, label_at, **reading),
            fitted,
            decisions,
            parts,
            processes,
            progress.add,
        )
    column = None if label_at is None else table.columns[label_at]
    unlike = outcome.comparison.note(fitted.held_out)
    _report(run, outcome, [*outcome.notes, *([] if unlike is None else [unlike])], decisions, column)


def _report(
    run: Run,
    labelled: LabellingCounts | TableLabeller,
    notes: Sequence[str],
    decisions: Decisions,
    label_column: str | None,
) -> None:
    """Print notes about the rows, and a classification report if they have labels of the model."""
    for note in notes:
        run.say(f"note: {note}")
    if labelled.without_text:
        no_label = plural(labelled.without_text, "gets no label", "get no label")
        run.say(f"note: {counted(labelled.without_text, 'row has', 'rows have')} no text and {no_label}")
    if labelled.without_one_label:
        run.say(
            "note: rows with several labels, or an object as label, are not in the report: "
            f"{labelled.without_one_label:,}"
        )
    if label_column is None:
        run.say("note: no classification report: no label column found; --label-column names one")
        return
    common.say_renamed(run, labelled.renamed)
    true = {label for label, _ in labelled.counts}
    if not true & {*decisions.labels, decisions.unknown_label}:
        known = listing(decisions.labels)
        run.say(
            f"note: no classification report: column {shorten(label_column)} holds none of the labels {known}"
        )
    elif not run.quiet:
        from lmclassify.evaluation.classification_report import classification_report

        run.report(classification_report(labelled.counts, sorted(true | set(decisions.labels))))


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(
        app,
        "predict",
        predict,
        DECISION_OPTIONS,
        prepare=check_sources,
        examples=_EXAMPLES,
        without=NOT_TRAINING,
    )
