"""`lmclassify benchmark`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from lmclassify.cli.common import (
    TABLE,
    Display,
    Encoding,
    InputFormat,
    LabelColumn,
    Run,
    TextColumn,
    TextOrJson,
    command,
)
from lmclassify.comparison.methods import METHODS
from lmclassify.errors import LMClassifyError, OptionError

if TYPE_CHECKING:
    from lmclassify.comparison.results import Cell, Record, Size
    from lmclassify.comparison.runner import Benchmark

_METHODS_HELP = (
    f"Some of {', '.join(METHODS)}. Default: all but "
    f"{' and '.join(key for key, method in METHODS.items() if not method.default)}; "
    "fasttext only where it is installed."
)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""

    @command(app, "benchmark")
    def benchmark(
        run: Run,
        data: Annotated[str, typer.Argument(metavar="DATA", help=f"What to learn from: {TABLE}.")],
        test: Annotated[
            str | None,
            typer.Option("--test", metavar="FILE", help="What to try on. Default: cross-validation on DATA."),
        ] = None,
        folds: Annotated[
            int | None,
            typer.Option("--folds", metavar="N", min=2, help="Parts of the cross-validation. Default: 5."),
        ] = None,
        sizes: Annotated[
            str,
            typer.Option(
                "--sizes",
                metavar="N,N,all",
                help="How many texts to learn from, drawn at random with every label in; all: all there are.",
            ),
        ] = "all",
        seeds: Annotated[
            int | None,
            typer.Option(
                "--seeds",
                metavar="N",
                min=1,
                help="Repetitions, each with draws and weights of its own. With folds, each deals the texts "
                "out anew, which makes seeds x folds runs. Default: 3 with --test, 1 with folds.",
            ),
        ] = None,
        methods: Annotated[
            str | None, typer.Option("--methods", metavar="NAME,NAME", help=_METHODS_HELP)
        ] = None,
        results: Annotated[
            str | None,
            typer.Option(
                "--results",
                metavar="FILE",
                help="Keep each run's figures there as JSON Lines; what it already holds is not run again.",
            ),
        ] = None,
        plot: Annotated[
            str | None,
            typer.Option("--plot", metavar="FILE", help="Draw learning curves (.png, .svg or .pdf)."),
        ] = None,
        text_column: TextColumn = None,
        label_column: LabelColumn = None,
        input_format: InputFormat = None,
        encoding: Encoding = None,
        format: TextOrJson = "text",
    ) -> None:
        """Compare lmclassify with the usual classifiers on your own texts.

        Rivals are scikit-learn's and, where installed, fastText; their probabilities are calibrated on
        held-out scores. Every run has a process of its own. Ctrl-C shows what is finished.
        """
        if test is not None and folds is not None:
            raise OptionError("--test and --folds exclude each other")
        if "-" in (data, test):
            raise OptionError("benchmark reads files, not standard input (-): it names them in its results")
        wanted = _parse_sizes(sizes)
        names = None if methods is None else [name.strip() for name in methods.split(",")]
        folds = None if test is not None else folds or 5
        seeds = seeds or (3 if test is not None else 1)

        from lmclassify.comparison.methods import choose_methods
        from lmclassify.evaluation.plots import check_plot

        chosen = choose_methods(names)
        if plot is not None:
            check_plot(plot)

        from lmclassify.comparison.results import ResultsFile
        from lmclassify.comparison.runner import Benchmark, Plan, Source, file_sha256
        from lmclassify.datasets.labelled import LabelledTableReader, read_tables
        from lmclassify.parallel import number_of_threads

        def read(path: str) -> Source:
            how = LabelledTableReader(
                text_column=text_column, label_column=label_column, format=input_format, encoding=encoding
            )
            rows = read_tables([path], how, say=run.say)
            return Source(path, file_sha256(path), rows)

        plan = Plan(
            read(data),
            None if test is None else read(test),
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
        if job.records:
            run.say(f"{len(job.records):,} runs are in {results} already, {len(job.waiting):,} to be done")
        try:
            with _CellDisplay(run, job) as display:
                job.run(display.begin, display.end)
        except KeyboardInterrupt:
            _print(job, format)
            kept = f"kept in {results}" if results else "lost but for this table (--results keeps them)"
            run.say(f"{len(job.records):,} runs finished, {kept}; {len(job.waiting):,} not done")
            raise
        _print(job, format)
        if plot is not None:
            from lmclassify.comparison.plots import plot_learning_curves

            plot_learning_curves(job.records, plot)
            run.say(f"learning curves written to {plot}")
        if all(record.error is not None for record in job.records):
            raise LMClassifyError(f"every run failed, the first with {job.records[0].error}")


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
        notes.append(f"{len(job.waiting):,} of {len(job.plan.cells()):,} runs were not done")
    if format == "json":
        print(json.dumps(to_dict(job.records, notes=notes, waiting=len(job.waiting))), flush=True)
    else:
        print(to_text(job.records, notes=notes), flush=True)


class _CellDisplay:
    """Shows how far the runs have come: a bar on a terminal, else a line before each and in long ones."""

    def __init__(self, run: Run, job: Benchmark) -> None:
        self._run = run
        self._done = 0
        self._total = len(job.waiting)
        self._display = Display(run, "runs", self._total)

    def __enter__(self) -> _CellDisplay:
        self._display.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._display.__exit__(*error)

    def begin(self, cell: Cell) -> None:
        """Say which run comes now."""
        size = "all texts" if cell.size == "all" else f"{cell.size:,} texts"
        fold = "" if cell.fold is None else f", fold {cell.fold + 1}"
        state = f"{self._done + 1} of {self._total}: {cell.method}, {size}, seed {cell.seed}{fold}"
        self._display.show(self._done, state)
        if not self._run.shows_bars:
            self._run.say(f"run {state} ({self._display.times()})")

    def end(self, record: Record) -> None:
        """Take note of a run that is done."""
        self._done += 1
        if record.figures is None:
            self._run.say(f"note: {record.method} failed: {record.error}")
        elif self._run.verbose:
            got = record.figures
            self._run.say(
                f"{record.method}: accuracy {got.accuracy:.4f}, log-loss {got.log_loss:.4f}, "
                f"fitted in {got.fit_seconds:.1f} s"
            )
