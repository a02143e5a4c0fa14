"""`lmclassify predict` and `lmclassify evaluate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmclassify.cli.common import (
    DEFAULT_FIELDS,
    DEFAULT_MODEL,
    Counter,
    Exact,
    Fields,
    LabelColumn,
    Model,
    Run,
    TextColumn,
    TextOrJson,
    command,
    load_model,
)
from lmclassify.cli.deciding import OPTIONS
from lmclassify.errors import DataError, OptionError, listing, shorten

if TYPE_CHECKING:
    from lmclassify.classify.fitted import FittedModel
    from lmclassify.report.drift import Drift
    from lmclassify.report.labelling import TableLabeller

Data = Annotated[str, typer.Argument(metavar="DATA", help="A CSV or TSV file, or mail; - is standard input.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""

    @command(app, "predict", OPTIONS)
    def predict(
        run: Run,
        data: Data,
        model: Model = DEFAULT_MODEL,
        output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Where to write.")] = "-",
        format: Annotated[
            Literal["csv", "tsv", "jsonl", "parquet", "table"] | None,
            typer.Option("--format", help="What to write. Default: what FILE's name says, else csv."),
        ] = None,
        text_column: TextColumn = None,
        label_column: LabelColumn = None,
        fields: Fields = DEFAULT_FIELDS,
        overwrite_columns: Annotated[
            bool, typer.Option("--overwrite-columns", help="Replace columns named like the new ones.")
        ] = False,
        exact: Exact = False,
        **deciding: Any,
    ) -> None:
        """Label texts: each row again, with predicted_label and p_LABEL for each label.

        With --unknown-label there is a column novelty too.

        Where the rows have a label column, a classification report follows on standard error.
        """
        from lmclassify.classify.decisions import decisions_of
        from lmclassify.io.mail import open_rows
        from lmclassify.io.messages import parse_fields
        from lmclassify.io.tables import LABEL_COLUMNS, TEXT_COLUMNS, find_column, require_column
        from lmclassify.io.writing import TableWriter, format_of
        from lmclassify.report.labelling import TableLabeller

        fitted = load_model(run, model, exact)
        decisions = decisions_of(fitted, deciding, run.say)
        with open_rows(data, parse_fields(fields)) as table:
            text_at = require_column(table.columns, text_column, TEXT_COLUMNS, "text", table.name)
            label_at = find_column(table.columns, label_column, LABEL_COLUMNS, table.name)
            run.say(table.describe(text_at, label_at))
            labeller = TableLabeller(fitted, text_at, label_at, decisions=decisions)
            if not overwrite_columns:
                labeller.check_columns(table.columns, table.name)
            writing = TableWriter(output, format_of(output, format))
            with writing as writer, Counter(run, table.size) as counter:
                for chunk in table.chunks():
                    writer.write(labeller.label(chunk))
                    counter.add(len(chunk), table.bytes_read)
        if labeller.without_text:
            run.say(f"note: {labeller.without_text:,} rows have no text and were given no label")
        if label_at is None:
            run.say("note: no label column found, so no report; --label-column names one")
        elif not run.quiet:
            _report(run, labeller, table.columns[label_at])

    @command(app, "evaluate", OPTIONS)
    def evaluate(
        run: Run,
        data: Data,
        model: Model = DEFAULT_MODEL,
        text_column: TextColumn = None,
        label_column: LabelColumn = None,
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
        exact: Exact = False,
        **deciding: Any,
    ) -> None:
        """Say how good a model is on texts whose labels are known.

        With --drift, texts without labels will do, too.
        """
        from lmclassify.classify.decisions import decisions_of
        from lmclassify.io.mail import open_rows
        from lmclassify.io.messages import parse_fields
        from lmclassify.io.tables import LABEL_COLUMNS, TEXT_COLUMNS, find_column, require_column
        from lmclassify.report.evaluation import evaluate_rows
        from lmclassify.report.labelling import TableLabeller

        if not drift and (plot is not None or time_column is not None):
            raise OptionError("--plot and --time-column go with --drift")
        if plot is not None:
            from lmclassify.report.plots import check_plot

            check_plot(plot)
        fitted = load_model(run, model, exact)
        decisions = decisions_of(fitted, deciding, run.say)
        with open_rows(data, parse_fields(fields)) as table:
            text_at = require_column(table.columns, text_column, TEXT_COLUMNS, "text", table.name)
            if drift:
                label_at = find_column(table.columns, label_column, LABEL_COLUMNS, table.name)
            else:
                label_at = require_column(table.columns, label_column, LABEL_COLUMNS, "label", table.name)
            time_at = None
            if time_column is not None:
                time_at = require_column(table.columns, time_column, (), "time", table.name)
            run.say(table.describe(text_at, label_at))
            labeller = TableLabeller(
                fitted, text_at, label_at, decisions=decisions, keep_known=True, keep_cross_entropies=drift
            )
            times: list[str] = []
            with Counter(run, table.size) as counter:
                for chunk in table.chunks():
                    labeller.label(chunk)
                    times += [] if time_at is None else chunk.column(time_at)
                    counter.add(len(chunk), table.bytes_read)
        result: dict[str, Any] = {}
        lines: list[str] = []
        if labeller.true:
            left_out = table.rows_read - len(labeller.true)
            if left_out:
                run.say(f"note: {left_out:,} rows without text or label left out")
            unknown = sorted(set(labeller.true) - {*labeller.labels, decisions.unknown_label})
            if unknown:
                run.say(f"note: the model has no label {listing(unknown)}; such rows count as wrong")
            evaluation = evaluate_rows(labeller)
            result |= evaluation.to_dict()
            lines.append(evaluation.to_text())
        elif not drift:
            raise DataError(f"{table.name}: no row has both a text and a label")
        if drift:
            found = _drift(labeller, fitted, table.name, None if time_at is None else times)
            result["drift"] = found.to_dict()
            lines.append(found.to_text())
            if plot is not None:
                from lmclassify.report.plots import plot_drift

                plot_drift(found, plot)
                run.say(f"drift drawn in {plot}")
        print(json.dumps(result) if format == "json" else "\n\n".join(lines))


def _drift(labeller: TableLabeller, fitted: FittedModel, name: str, times: list[str] | None) -> Drift:
    """Compare the labeller's texts, in order of row or time, with the model's held-out ones."""
    import numpy as np
    import pandas as pd

    from lmclassify.report.drift import measure_drift

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


def _report(run: Run, labeller: TableLabeller, column: str) -> None:
    true = {label for label, _ in labeller.counts}
    if true & {*labeller.labels, labeller.decisions.unknown_label}:
        from lmclassify.report.classification import classification_report

        run.report(classification_report(labeller.counts, sorted(true | set(labeller.labels))))
    else:
        known = listing(labeller.labels)
        run.say(f"note: no report: column {column!r} holds none of the labels {known}")
