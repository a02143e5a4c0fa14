"""`lmclassify predict` and `lmclassify evaluate`."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmclassify.cli.common import (
    DEFAULT_FIELDS,
    DEFAULT_MODEL,
    TABLE,
    Address,
    Counter,
    Display,
    Encoding,
    Engine,
    Exact,
    Fields,
    InputFormat,
    LabelColumn,
    Model,
    Run,
    TextColumn,
    TextOrJson,
    command,
    load_model,
)
from lmclassify.cli.decision_options import OPTIONS
from lmclassify.cli.reporting import report_on
from lmclassify.errors import DataError, OptionError, listing, shorten

if TYPE_CHECKING:
    from lmclassify.classify.model import FittedModel
    from lmclassify.evaluation.drift import Drift
    from lmclassify.evaluation.metrics import Evaluation
    from lmclassify.persistence.atomic_file import FileWriter
    from lmclassify.prediction.labelling import TableLabeller

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help=f"{TABLE}; several with the same columns, or wildcards in quotes; - is standard input.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""

    @command(app, "predict", OPTIONS)
    def predict(
        run: Run,
        data: Data,
        model: Model = DEFAULT_MODEL,
        output: Annotated[
            str,
            typer.Option(
                "-o", "--output", metavar="FILE", help="Where to write. With --engine ray: a new folder."
            ),
        ] = "-",
        engine: Engine = "local",
        address: Address = None,
        format: Annotated[
            Literal["csv", "tsv", "jsonl", "parquet", "table"] | None,
            typer.Option("--format", help="What to write. Default: what FILE's name says, else csv."),
        ] = None,
        stream: Annotated[
            bool, typer.Option("--stream", help="Write each row to standard output as soon as it is read.")
        ] = False,
        text_column: TextColumn = None,
        label_column: LabelColumn = None,
        input_format: InputFormat = None,
        encoding: Encoding = None,
        fields: Fields = DEFAULT_FIELDS,
        overwrite_columns: Annotated[
            bool, typer.Option("--overwrite-columns", help="Replace columns named like the new ones.")
        ] = False,
        escape_formulas: Annotated[
            bool,
            typer.Option(
                "--escape-formulas",
                help="For spreadsheets: put ' before cells and column names of csv and tsv that begin like "
                "formulas (=, +, -, @, tab, line end), but for numbers. Else all is kept as it is.",
            ),
        ] = False,
        exact: Exact = False,
        **deciding: Any,
    ) -> None:
        """Label texts: each row again, with predicted_label and p_LABEL for each label.

        With --unknown-label there is a column novelty too.

        Where the rows have a label column, a classification report follows on standard error.

        With --engine ray, DATA may be folders and URLs of object stores (s3://bucket/folder), too; all nodes
        of the cluster must be able to read it. Rows go to part files in the folder that -o names, in the
        format of the data, or of --format: each part is there once it is whole, and _SUCCESS once all are.
        Columns row_file and row_number, before predicted_label, say where a row stood; parts sorted by name,
        and the rows in them, are in the order of the data. A file that cannot be read has no part: the others
        are done, and the command fails and names it. A process that dies is replaced; nothing is lost.
        """
        if engine == "ray":
            from lmclassify.cli.ray_prediction import predict_on_ray

            if stream:
                raise OptionError("--stream is for --engine local: a cluster writes part files")
            predict_on_ray(
                run,
                data,
                output,
                address,
                model=model,
                exact=exact,
                format=format,
                reading={"format": input_format, "encoding": encoding, "fields": fields},
                columns={"text_column": text_column, "label_column": label_column},
                overwrite_columns=overwrite_columns,
                escape_formulas=escape_formulas,
                deciding=deciding,
            )
            return
        if address is not None:
            raise OptionError("--address goes with --engine ray")
        from lmclassify.classify.decisions import decisions_of
        from lmclassify.datasets.multiple_files import open_many
        from lmclassify.datasets.sources import open_rows
        from lmclassify.mail.fields import parse_fields
        from lmclassify.prediction.labelling import TableLabeller
        from lmclassify.tables.columns import LABEL_COLUMNS, TEXT_COLUMNS, find_column, require_column
        from lmclassify.tables.writing import TableWriter, check_escape_formulas, choose_output_format

        if stream and (output != "-" or format in ("parquet", "table")):
            raise OptionError("--stream writes csv, tsv or jsonl to standard output")
        check_escape_formulas(escape_formulas, choose_output_format(output, format))
        if stream and encoding == "detect":
            raise OptionError("--encoding detect reads ahead, which --stream does not; name the encoding")
        fitted = load_model(run, model, exact)
        decisions = decisions_of(fitted, deciding, run.say)
        opening = functools.partial(
            open_rows,
            format=input_format,
            encoding=encoding,
            fields=parse_fields(fields),
            stream=stream,
        )
        with open_many(data, opening) as table:
            text_at = require_column(table.columns, text_column, TEXT_COLUMNS, "text", table.name)
            label_at = find_column(table.columns, label_column, LABEL_COLUMNS, table.name)
            run.say(table.describe(text_at, label_at))
            labeller = TableLabeller(fitted, text_at, label_at, decisions=decisions)
            if not overwrite_columns:
                labeller.check_columns(table.columns, table.name)
            writing = TableWriter(
                output, choose_output_format(output, format), escape_formulas=escape_formulas
            )
            with writing as writer, Counter(run, table.size) as counter:
                for chunk in table.chunks(1) if stream else table.chunks():
                    writer.write(labeller.label(chunk))
                    if stream:
                        writer.flush()
                    counter.add(len(chunk), table.bytes_read)
        column = None if label_at is None else table.columns[label_at]
        report_on(run, labeller.counts, labeller.without_text, labeller.decisions, column)

    @command(app, "evaluate", OPTIONS)
    def evaluate(
        run: Run,
        data: Data,
        model: Model = DEFAULT_MODEL,
        text_column: TextColumn = None,
        label_column: LabelColumn = None,
        input_format: InputFormat = None,
        encoding: Encoding = None,
        fields: Fields = DEFAULT_FIELDS,
        format: TextOrJson = "text",
        drift: Annotated[
            bool, typer.Option("--drift", help="Say whether the texts look unlike held-out ones, over time.")
        ] = False,
        time_column: Annotated[
            str | None,
            typer.Option("--time-column", metavar="NAME", help="With --drift: order rows by these times."),
        ] = None,
        plot: Annotated[
            str | None,
            typer.Option("--plot", metavar="FILE", help="With --drift: draw it (.png, .svg or .pdf)."),
        ] = None,
        html: Annotated[
            str | None,
            typer.Option(
                "--html",
                metavar="FILE",
                help="Write a page with plots, the worst mistakes and more there, too: one HTML file.",
            ),
        ] = None,
        exact: Exact = False,
        **deciding: Any,
    ) -> None:
        """Say how good a model is on texts whose labels are known.

        With --drift, texts without labels will do, too.
        """
        from lmclassify.classify.decisions import decisions_of
        from lmclassify.datasets.multiple_files import open_many
        from lmclassify.datasets.sources import open_rows
        from lmclassify.evaluation.metrics import evaluate_rows
        from lmclassify.mail.fields import parse_fields
        from lmclassify.prediction.labelling import TableLabeller
        from lmclassify.tables.columns import LABEL_COLUMNS, TEXT_COLUMNS, find_column, require_column

        if not drift and (plot is not None or time_column is not None):
            raise OptionError("--plot and --time-column go with --drift")
        if plot is not None:
            from lmclassify.evaluation.plots import check_plot

            check_plot(plot)
        with _page_writer(html) as page:
            fitted = load_model(run, model, exact)
            decisions = decisions_of(fitted, deciding, run.say)
            opening = functools.partial(
                open_rows, format=input_format, encoding=encoding, fields=parse_fields(fields)
            )
            with open_many(data, opening) as table:
                text_at = require_column(table.columns, text_column, TEXT_COLUMNS, "text", table.name)
                if drift and page is None:
                    label_at = find_column(table.columns, label_column, LABEL_COLUMNS, table.name)
                else:
                    label_at = require_column(table.columns, label_column, LABEL_COLUMNS, "label", table.name)
                time_at = None
                if time_column is not None:
                    time_at = require_column(table.columns, time_column, (), "time", table.name)
                run.say(table.describe(text_at, label_at))
                labeller = TableLabeller(
                    fitted,
                    text_at,
                    label_at,
                    decisions=decisions,
                    keep_known=True,
                    keep_cross_entropies=drift,
                )
                times: list[str] = []
                with Counter(run, table.size) as counter:
                    for chunk in table.chunks():
                        labeller.label(chunk)
                        times += [] if time_at is None else chunk.column(time_at)
                        counter.add(len(chunk), table.bytes_read)
            evaluation, found = None, None
            left_out = table.rows_read - len(labeller.true)
            if labeller.true:
                if left_out:
                    run.say(f"note: {left_out:,} rows without text or label left out")
                unknown = sorted(set(labeller.true) - {*labeller.labels, decisions.unknown_label})
                if unknown:
                    run.say(f"note: the model has no label {listing(unknown)}; such rows count as wrong")
                with Display(run, "perplexity") as display:
                    evaluation = evaluate_rows(
                        labeller,
                        lambda done, total: display.show(done, f"{done:,} of {total:,} texts", total),
                    )
            elif not drift or page is not None:
                raise DataError(f"{table.name}: no row has both a text and a label")
            if drift:
                found = _drift(labeller, fitted, table.name, None if time_at is None else times)
                if plot is not None:
                    from lmclassify.evaluation.plots import plot_drift

                    plot_drift(found, plot)
                    run.say(f"drift drawn in {plot}")
            _print(evaluation, found, format)
            if page is not None and evaluation is not None:
                from lmclassify.evaluation.page.report import build_report, render

                report = build_report(
                    labeller,
                    evaluation,
                    fitted,
                    data=table.name,
                    model=model,
                    left_out=left_out,
                    seed=run.seed,
                    drift=found,
                )
                page.write_bytes(render(report).encode())
        if html is not None:
            run.say(f"page written to {html}")


@contextlib.contextmanager
def _page_writer(path: str | None) -> Iterator[FileWriter | None]:
    """Give what writes the page, if one is asked for: tried before the work, written after it."""
    if path is None:
        yield None
        return
    from lmclassify.evaluation.page.svg import require_matplotlib
    from lmclassify.persistence.atomic_file import FileWriter

    if path == "-":
        raise OptionError("--html -: standard output has the report as text; name a file")
    require_matplotlib()
    with FileWriter(path) as writer:
        yield writer


def _print(evaluation: Evaluation | None, drift: Drift | None, format: str) -> None:
    if format == "json":
        result = {} if evaluation is None else evaluation.to_dict()
        print(json.dumps(result if drift is None else result | {"drift": drift.to_dict()}))
    else:
        print("\n\n".join(part.to_text() for part in (evaluation, drift) if part is not None))


def _drift(labeller: TableLabeller, fitted: FittedModel, name: str, times: list[str] | None) -> Drift:
    """Compare the labeller's texts, in order of row or time, with the model's held-out ones."""
    import numpy as np
    import pandas as pd

    from lmclassify.evaluation.drift import measure_drift

    order, marks = np.arange(len(labeller.rows)), [f"row {row:,}" for row in labeller.rows]
    if times is not None:
        given = [times[row - 1] for row in labeller.rows]
        parsed = pd.to_datetime(pd.Series(given), errors="coerce", utc=True, format="mixed")
        if parsed.isna().any():
            at = int(np.flatnonzero(parsed.isna())[0])
            raise DataError(f"{name}, row {labeller.rows[at]}: {shorten(given[at])} is no date or time")
        order, marks = np.argsort(parsed.to_numpy(), kind="stable"), given
    return measure_drift(
        labeller.cross_entropies[order],
        [labeller.predicted[index] for index in order],
        [marks[index] for index in order],
        fitted.held_out,
        labeller.labels,
    )
