"""`lmclassify evaluate`."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmclassify.cli import common
from lmclassify.cli.command import Run, add_command
from lmclassify.cli.decision_options import DECISION_OPTIONS
from lmclassify.cli.progress import ProgressDisplay, RowProgress
from lmclassify.errors import DataError, OptionError, counted, listing, shorten

if TYPE_CHECKING:
    from lmclassify.classify.model import FittedModel
    from lmclassify.datasets.sources import RowReader
    from lmclassify.evaluation.drift import Drift
    from lmclassify.evaluation.metrics import Evaluation
    from lmclassify.persistence.atomic_file import FileWriter
    from lmclassify.prediction.labelling import TableLabeller
    from lmclassify.tables.writing import TableWriter

DriftOption = Annotated[
    bool,
    typer.Option("--drift", help="Test whether the texts differ from the model's held-out texts, over time."),
]
TimeColumn = Annotated[
    str | None,
    typer.Option("--time-column", metavar="NAME", help="With --drift: column of times to sort the rows by."),
]
Plot = Annotated[
    str | None,
    typer.Option("--plot", metavar="FILE", help="With --drift: plot the drift (.png, .svg or .pdf)."),
]
Html = Annotated[
    str | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Also write an HTML report with plots, the most confident mistakes and influential words.",
    ),
]
Mistakes = Annotated[
    str | None,
    typer.Option(
        "--mistakes",
        metavar="FILE",
        help="Also write every row with a wrong label, the most confident ones first "
        "(.csv, .tsv, .jsonl or .parquet).",
    ),
]
Format = Annotated[
    Literal["text", "json", "csv"],
    typer.Option(
        "--format",
        help="Output format. `text` shows the most confused labels if there are many; `json` has all "
        "figures, `csv` the whole confusion matrix.",
    ),
]

_EXAMPLES = (
    "lmclassify evaluate test.csv -m model",
    "lmclassify evaluate spam=junk.mbox ham=Inbox",
    "lmclassify evaluate test.csv --html report.html --mistakes mistakes.csv",
    "lmclassify evaluate test.csv --format csv > confusion-matrix.csv",
    "lmclassify evaluate new.csv --drift --time-column date --plot drift.png",
)


def evaluate(
    run: Run,
    data: common.Data,
    model: common.Model = common.DEFAULT_MODEL,
    text_column: common.TextColumn = None,
    label_column: common.LabelColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    sheet: common.Sheet = None,
    fields: common.Fields = None,
    format: Format = "text",
    drift: DriftOption = False,
    time_column: TimeColumn = None,
    plot: Plot = None,
    html: Html = None,
    mistakes: Mistakes = None,
    exact: common.Exact = False,
    **options: Any,
) -> None:
    """Measure the accuracy of a model on labelled texts.

    DATA may also be one file, mailbox or folder of texts per label: NAME=FILE for each, as in fit. With
    --drift, texts without labels are enough.
    """
    from lmclassify.classify.decisions import decisions_of

    dialect = common.parse_dialect(*(options.pop(name) for name in common.DIALECT_OPTIONS))
    if not drift and (plot is not None or time_column is not None):
        raise OptionError("--plot and --time-column go with --drift")
    if drift and format == "csv":
        raise OptionError("--format csv is the confusion matrix only; choose text or json with --drift")
    if plot is not None:
        from lmclassify.evaluation.plots import check_plot

        check_plot(plot)
    with _open_outputs(html, mistakes) as (page, table):
        fitted = common.load_model(run, model, exact)
        decisions = decisions_of(fitted, options, run.say)
        scored = _score(
            run,
            data,
            fitted,
            reading={
                "format": input_format,
                "encoding": encoding,
                "fields": fitted.reading.choose_fields(fields),
                "dialect": fitted.reading.choose_dialect(dialect),
                "sheet": sheet,
                "named_columns": fitted.reading.named_columns(text_column, label_column, time_column),
            },
            wanted={"text": text_column, "label": label_column, "time": time_column},
            labels_required=not drift or page is not None or table is not None,
            decisions=decisions,
            keep_cross_entropies=drift,
        )
        evaluation = _evaluate(run, scored) if scored.labeller.true else None
        found = _drift(run, scored, fitted, plot) if drift else None
        _print(scored, evaluation, found, format)
        if page is not None and evaluation is not None:
            _write_page(page, scored, evaluation, found, fitted, model, run.seed)
        if table is not None:
            written = _write_mistakes(table, scored)
    if html is not None:
        run.say(f"report written to {html}")
    if mistakes is not None:
        run.say(f"{counted(written, 'mistake')} written to {mistakes}")


class _Scored:
    """The rows of the data, labelled.

    Attributes
    ----------
    name : str
        The data's name, for messages.
    times : dict of int to str, optional
        The time of each row, by its number.
    left_out : int
        Number of rows without text or label.
    locate : callable
        Returns the file and the number in it of a row.
    several_files : bool
    """

    def __init__(
        self, table: RowReader, labeller: TableLabeller, times: dict[int, str] | None, left_out: int
    ) -> None:
        self.name, self.labeller, self.times, self.left_out = table.name, labeller, times, left_out
        self.locate, self.several_files = table.locate, table.files > 1


def _score(
    run: Run,
    data: list[str],
    fitted: FittedModel,
    *,
    reading: Mapping[str, Any],
    wanted: Mapping[str, str | None],
    labels_required: bool,
    **labelling: Any,
) -> _Scored:
    """Label the rows of the data and keep what their evaluation needs."""
    from lmclassify.prediction.labelling import TableLabeller
    from lmclassify.tables.columns import find_label_column, label_column, named_column, text_columns

    with common.open_data(data, reading, wanted["label"]) as table:
        text_at = text_columns(table, fitted.reading.choose_text_columns(table, wanted["text"]))
        label = fitted.reading.choose_label_column(table, wanted["label"])
        label_at: int | None
        if labels_required:
            label_at = label_column(table, label)
        else:
            label_at = find_label_column(table, label, usual_only=True)
        time_at = None if wanted["time"] is None else named_column(table, wanted["time"])
        run.say(table.describe(text_at, label_at))
        labeller = TableLabeller(
            fitted, text_at, label_at, data_name=table.name, keep_known=True, **labelling
        )
        times: dict[int, str] = {}
        with RowProgress(run, table.size) as progress:
            for chunk in table.chunks():
                labeller.label(chunk)
                if time_at is not None:
                    times.update(enumerate(chunk.column(time_at), chunk.first))
                progress.add(len(chunk), table.bytes_read)
    unlike = None if labelling["keep_cross_entropies"] else labeller.comparison.note(fitted.held_out)
    for note in [*table.notes, *([] if unlike is None else [unlike])]:
        run.say(f"note: {note}")
    if labels_required and not labeller.true:
        raise DataError(f"{table.name}: no row has both a text and a label")
    left_out = table.rows_read - len(labeller.true)
    return _Scored(table, labeller, None if time_at is None else times, left_out)


def _evaluate(run: Run, scored: _Scored) -> Evaluation:
    from lmclassify.evaluation.metrics import evaluate_rows

    labeller = scored.labeller
    if scored.left_out:
        run.say(f"note: {counted(scored.left_out, 'row')} without text or label left out")
    common.say_renamed(run, labeller.renamed)
    unknown = sorted(set(labeller.true) - {*labeller.labels, labeller.decisions.unknown_label})
    if not set(labeller.true) - set(unknown):
        raise DataError(
            f"{scored.name}: no row has a label of the model ({listing(labeller.labels, 6)}), but "
            f"{listing(unknown, 3)}; choose the column of the labels with --label-column"
        )
    if unknown:
        run.say(f"note: the model has no label {listing(unknown)}; rows with such a label count as wrong")
    with ProgressDisplay(run, "perplexity") as display:
        return evaluate_rows(
            labeller, lambda done, total: display.show(done, f"{done:,} of {counted(total, 'text')}", total)
        )


@contextlib.contextmanager
def _open_outputs(
    html: str | None, mistakes: str | None
) -> Iterator[tuple[FileWriter | None, TableWriter | None]]:
    """Open the files of --html and --mistakes before the work; they appear if all of it succeeds."""
    if html is not None and mistakes is not None and os.path.realpath(html) == os.path.realpath(mistakes):
        raise OptionError(f"--html and --mistakes both name {html}; name two files")
    with _open_mistakes(mistakes) as table, _open_page(html) as page:
        yield page, table


@contextlib.contextmanager
def _open_mistakes(path: str | None) -> Iterator[TableWriter | None]:
    if path is None:
        yield None
        return
    if path == "-":
        raise OptionError("--mistakes -: standard output has the report; name a file")
    with common.open_table(path, "--mistakes") as writer:
        yield writer


def _write_page(
    page: FileWriter,
    scored: _Scored,
    evaluation: Evaluation,
    drift: Drift | None,
    fitted: FittedModel,
    model: str,
    seed: int,
) -> None:
    from lmclassify.evaluation.page.report import build_report, render

    report = build_report(
        scored.labeller,
        evaluation,
        fitted,
        data=scored.name,
        model=model,
        left_out=scored.left_out,
        seed=seed,
        drift=drift,
        locate=scored.locate,
        several_files=scored.several_files,
    )
    page.write_bytes(render(report).encode())


def _write_mistakes(table: TableWriter, scored: _Scored) -> int:
    """Write all mistakes and return their number."""
    from lmclassify.evaluation.mistakes import all_mistakes

    rows = all_mistakes(scored.labeller, scored.locate, several_files=scored.several_files)
    table.write(rows)
    return len(rows)


@contextlib.contextmanager
def _open_page(path: str | None) -> Iterator[FileWriter | None]:
    """Open the file of --html before the work, so that a file that cannot be written is reported first."""
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


def _print(scored: _Scored, evaluation: Evaluation | None, drift: Drift | None, format: str) -> None:
    if format == "json":
        result = {} if evaluation is None else evaluation.to_dict()
        print(json.dumps(result if drift is None else result | {"drift": drift.to_dict()}))
    elif format == "csv":
        assert evaluation is not None, "there are labels unless --drift allows that there are none"
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["true_label", *evaluation.labels])
        writer.writerows(
            [label, *row] for label, row in zip(evaluation.labels, evaluation.confusion_matrix, strict=True)
        )
    else:
        parts = [] if evaluation is None else [evaluation.to_text(), _mistakes(scored)]
        print("\n\n".join([*parts, *([] if drift is None else [drift.to_text()])]))


def _mistakes(scored: _Scored) -> str:
    """Return the most confident mistakes as text."""
    from lmclassify.evaluation.mistakes import MAX_TEXT_MISTAKES, mistakes_text, worst_mistakes

    labeller = scored.labeller
    predicted = labeller.decisions.decide(labeller.log_posteriors, labeller.novelty).tolist()
    found = worst_mistakes(
        labeller.texts,
        labeller.true,
        predicted,
        labeller.log_posteriors,
        labeller.labels,
        MAX_TEXT_MISTAKES,
        labeller.true_rows,
    )
    if not found:
        return "Most confident mistakes\nno text got a wrong label"
    table = mistakes_text(
        found, scored.locate, several_files=scored.several_files, terminal=sys.stdout.isatty()
    )
    return f"Most confident mistakes (--mistakes FILE writes all)\n{table}"


def _drift(run: Run, scored: _Scored, fitted: FittedModel, plot: str | None) -> Drift:
    """Compare the texts with the model's held-out texts, and plot that if asked for."""
    found = _measure_drift(scored, fitted)
    if plot is not None:
        from lmclassify.evaluation.plots import plot_drift

        plot_drift(found, scored.labeller.labels, plot)
        run.say(f"drift plotted in {plot}")
    return found


def _measure_drift(scored: _Scored, fitted: FittedModel) -> Drift:
    """Compare the texts, in order of row or time, with the model's held-out texts."""
    import numpy as np
    import pandas as pd

    from lmclassify.evaluation.drift import measure_drift

    labeller = scored.labeller
    order, marks = np.arange(len(labeller.rows)), [f"row {row:,}" for row in labeller.rows]
    if scored.times is not None:
        given = [scored.times[row] for row in labeller.rows]
        parsed = pd.to_datetime(pd.Series(given), errors="coerce", utc=True, format="mixed")
        if parsed.isna().any():
            at = int(np.flatnonzero(parsed.isna())[0])
            raise DataError(
                f"{scored.name}, row {labeller.rows[at]}: {shorten(given[at])} is no date or time"
            )
        order, marks = np.argsort(parsed.to_numpy(), kind="stable"), given
    return measure_drift(
        labeller.cross_entropies[order],
        [labeller.predicted[index] for index in order],
        [marks[index] for index in order],
        fitted.held_out,
        labeller.labels,
    )


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    options = {**common.DIALECT_OPTIONS, **DECISION_OPTIONS}
    add_command(app, "evaluate", evaluate, options, examples=_EXAMPLES, without=("device",))
