"""`lmclassify benchmark`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmclassify.cli import common
from lmclassify.cli.command import Run, add_command
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.comparison.methods import METHODS
from lmclassify.errors import LMClassifyError, OptionError, counted
from lmclassify.text.display import quality
from lmclassify.text.terminal import terminal_columns

if TYPE_CHECKING:
    from lmclassify.comparison.plan import DataFile
    from lmclassify.comparison.results import Cell, Record, Size
    from lmclassify.comparison.runner import Benchmark
    from lmclassify.datasets.labelled import LabelledTableReader

_METHODS_HELP = (
    f"Methods to compare: {', '.join(METHODS)}. Default: all except "
    f"{' and '.join(key for key, method in METHODS.items() if not method.default)}; "
    "fasttext only if it is installed."
)

Data = Annotated[str, typer.Argument(metavar="DATA", help=f"Training data: {common.TABLE}.")]
Test = Annotated[
    str | None, typer.Option("--test", metavar="FILE", help="Test data. Default: cross-validation on DATA.")
]
Folds = Annotated[
    int | None,
    typer.Option("--folds", metavar="N", min=2, help="Number of cross-validation folds. Default: 5."),
]
Sizes = Annotated[
    str,
    typer.Option(
        "--sizes",
        metavar="N,N,all",
        help="Numbers of training texts to compare, sampled with every label present; `all` uses all texts.",
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        "--seeds",
        metavar="N",
        min=1,
        help="Number of repetitions, each with its own sample, folds and initial weights: seeds x folds runs "
        "in cross-validation. Default: 3 with --test, 1 in cross-validation.",
    ),
]
Methods = Annotated[str | None, typer.Option("--methods", metavar="NAME,NAME", help=_METHODS_HELP)]
Results = Annotated[
    str | None,
    typer.Option(
        "--results",
        metavar="FILE",
        help="File (JSON Lines) that keeps the result of each run; runs that it already holds are skipped.",
    ),
]
Plot = Annotated[
    str | None, typer.Option("--plot", metavar="FILE", help="Plot learning curves (.png, .svg or .pdf).")
]

_EXAMPLES = (
    "lmclassify benchmark mail.csv",
    "lmclassify benchmark a.csv --test b.csv --sizes 50,200,all --plot a.png",
    "lmclassify benchmark mail.csv --methods lmclassify,svm --results runs.jsonl",
)


def benchmark(
    run: Run,
    data: Data,
    test: Test = None,
    folds: Folds = None,
    sizes: Sizes = "all",
    seeds: Seeds = None,
    methods: Methods = None,
    results: Results = None,
    plot: Plot = None,
    text_column: common.TextColumn = None,
    label_column: common.LabelColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    sheet: common.Sheet = None,
    merge_labels: common.MergeLabels = False,
    format: common.TextOrJson = "text",
    **dialect: Any,
) -> None:
    """Compare lmclassify with other classifiers.

    The other classifiers are scikit-learn's and, if installed, fastText; their probabilities are calibrated
    on held-out scores. Every run has its own process. Ctrl-C prints the results of the finished runs.
    """
    if test is not None and folds is not None:
        raise OptionError("--test and --folds exclude each other")
    if "-" in (data, test):
        raise OptionError("benchmark reads files, not standard input (-): its results name them")
    wanted = _parse_sizes(sizes)
    names = None if methods is None else [name.strip() for name in methods.split(",")]
    folds = None if test is not None else folds or 5
    seeds = seeds or (3 if test is not None else 1)

    from lmclassify.comparison.methods import choose_methods
    from lmclassify.evaluation.plots import check_plot

    chosen = choose_methods(names)
    if plot is not None:
        check_plot(plot)

    from lmclassify.comparison.plan import Plan
    from lmclassify.comparison.results import ResultsFile
    from lmclassify.comparison.runner import Benchmark
    from lmclassify.datasets.labelled import LabelledTableReader
    from lmclassify.parallel import number_of_threads

    reader = LabelledTableReader(
        text_column=text_column,
        label_column=label_column,
        format=input_format,
        encoding=encoding,
        dialect=common.parse_dialect(**dialect),
        sheet=sheet,
        merge_labels=merge_labels,
    )
    training = _read(run, data, reader)
    plan = Plan(
        training,
        None if test is None else _read(run, test, reader, training.rows.labels),
        chosen,
        sizes=wanted,
        seeds=range(run.seed, run.seed + seeds),
        folds=folds,
    )
    for note in plan.notes:
        run.say(f"note: {note}")
    job = Benchmark(
        plan,
        None if results is None else ResultsFile(results),
        threads=number_of_threads(run.threads),
        device=run.device,
    )
    _run(run, job, results, format)
    if plot is not None:
        from lmclassify.comparison.plots import plot_learning_curves

        plot_learning_curves(job.records, plot)
        run.say(f"learning curves written to {plot}")
    if all(record.error is not None for record in job.records):
        raise LMClassifyError(f"every run failed, the first with {job.records[0].error}")


def _read(run: Run, path: str, reader: LabelledTableReader, labels: Sequence[str] = ()) -> DataFile:
    """Read a table; labels that differ in form only from one of `labels` become that one."""
    from lmclassify.comparison.plan import DataFile, file_sha256
    from lmclassify.datasets.label_forms import LabelMatcher
    from lmclassify.datasets.labelled import read_tables

    rows = read_tables([path], reader, say=run.say)
    matcher = LabelMatcher({*labels})
    found = [matcher.match(label) or label for label in rows.labels]
    renamed = Counter(pair for pair in zip(rows.labels, found, strict=True) if pair[0] != pair[1])
    common.say_renamed(run, renamed)
    rows.labels = found
    return DataFile(path, file_sha256(path), rows)


def _run(run: Run, job: Benchmark, results: str | None, format: str) -> None:
    """Run what is left to do and print the table, also after Ctrl-C."""
    if job.records:
        already = counted(len(job.records), "run is", "runs are")
        run.say(f"{already} already in {results}, {len(job.waiting):,} left")
    try:
        with _RunProgress(run, job) as display:
            job.run(display.begin, display.end)
    except KeyboardInterrupt:
        _print(job, format)
        kept = f"saved in {results}" if results else "not saved (--results FILE saves them)"
        run.say(f"{counted(len(job.records), 'run')} finished, {kept}; {len(job.waiting):,} did not")
        raise
    _print(job, format)


def _parse_sizes(value: str) -> list[Size]:
    result: list[Size] = []
    for part in (part.strip() for part in value.split(",")):
        if part == "all":
            result.append("all")
        elif part.isdecimal() and int(part) > 0:
            result.append(int(part))
        else:
            raise OptionError(f"--sizes {value}: expected numbers of texts and all, such as 50,200,all")
    return result


def _print(job: Benchmark, format: str) -> None:
    from lmclassify.comparison.tables import to_dict, to_text

    if not job.records:
        return
    notes = list(job.plan.notes)
    if job.waiting:
        notes.append(f"{len(job.waiting):,} of {counted(len(job.plan.cells()), 'run')} did not finish")
    if format == "json":
        print(json.dumps(to_dict(job.records, notes=notes, waiting=len(job.waiting))), flush=True)
    else:
        print(to_text(job.records, notes=notes, width=terminal_columns(sys.stdout)), flush=True)


class _RunProgress:
    """Shows the progress of the runs: a bar on a terminal, else lines before and during them."""

    def __init__(self, run: Run, job: Benchmark) -> None:
        self._run = run
        self._done = 0
        self._total = len(job.waiting)
        self._display = ProgressDisplay(run, "runs", self._total)

    def __enter__(self) -> _RunProgress:
        self._display.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._display.__exit__(*error)

    def begin(self, cell: Cell) -> None:
        """Show a run that begins."""
        size = "all texts" if cell.size == "all" else counted(cell.size, "text")
        fold = "" if cell.fold is None else f", fold {cell.fold + 1}"
        state = f"{self._done + 1} of {self._total}: {cell.method}, {size}, seed {cell.seed}{fold}"
        self._display.show(self._done, state)
        if not self._run.shows_bars:
            self._run.say(f"run {state} ({self._display.times()})")

    def end(self, record: Record) -> None:
        """Show a run that has ended."""
        self._done += 1
        if record.figures is None:
            self._run.say(f"note: {record.method} failed: {record.error}")
        elif self._run.verbose:
            got = record.figures
            self._run.say(
                f"{record.method}: {quality(got.accuracy, got.log_loss, record.test_texts)}, "
                f"fitted in {got.fit_seconds:.1f} s"
            )


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "benchmark", benchmark, common.DIALECT_OPTIONS, examples=_EXAMPLES)
