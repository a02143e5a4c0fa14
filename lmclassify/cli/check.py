"""`lmclassify check`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmclassify.cli import common
from lmclassify.cli.command import Run, add_command
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.cli.rows import read_rows, reading_options
from lmclassify.errors import DataError, OptionError, counted, listing

if TYPE_CHECKING:
    from lmclassify.check.findings import CheckedRows, Finding
    from lmclassify.persistence.atomic_file import FileWriter
    from lmclassify.tables.writing import TableWriter

Test = Annotated[
    list[str] | None,
    typer.Option(
        "--test",
        metavar="FILE",
        help="Test data, checked together with DATA; rows whose text is in DATA are found, too. Repeat it "
        "for several files.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Also write everything that was found as a table (.csv, .tsv, .jsonl or .parquet): row (1 is "
        "the first data row), kind, score, label, suggested_label and reason; and file if there are several. "
        "`-` writes CSV to standard output instead of the text.",
    ),
]
Html = Annotated[
    str | None,
    typer.Option("--html", metavar="FILE", help="Also write an HTML page with the suspicious texts."),
]
KindsOption = Annotated[
    str | None,
    typer.Option(
        "--kinds",
        metavar="KIND,KIND",
        help="Look for these kinds only. Without label_error no model is fitted, which takes seconds at most "
        "for a hundred thousand short texts. Default: all.",
    ),
]
FailOn = Annotated[
    str,
    typer.Option(
        "--fail-on",
        metavar="KIND,KIND|any|none",
        help="Exit with status 1 if a row of one of these kinds is found. `none`: only errors fail.",
    ),
]
Most = Annotated[
    int,
    typer.Option("-n", min=0, help="Rows of each kind in the text on standard output; 0: counts only."),
]

_EXAMPLES = (
    "lmclassify check train.csv -o suspects.csv --html suspects.html",
    "lmclassify check train.csv --test test.csv --fail-on leak,conflict",
    "lmclassify check train.csv --kinds conflict,duplicate,empty_text",
)


def check(
    run: Run,
    data: common.Data,
    test: Test = None,
    text_column: common.TextColumn = None,
    label_column: common.LabelColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    sheet: common.Sheet = None,
    fields: common.Fields = None,
    output: Output = None,
    html: Html = None,
    kinds: KindsOption = None,
    fail_on: FailOn = "none",
    n: Most = 3,
    **options: Any,
) -> None:
    """Find wrong labels, duplicates, leaked test rows and bad texts.

    DATA may also be one file, mailbox or folder of texts per label: NAME=FILE for each, as in fit. Nothing in
    the data is changed. Kinds: label_error, conflict, near_conflict, leak, near_leak, duplicate,
    near_duplicate, empty_text, missing_label, label_form, unknown_label, rare_label, machine_text,
    damaged_text, rare_script, mixed_script.
    """
    from lmclassify.check.findings import KINDS, parse_kinds
    from lmclassify.check.run import check_rows
    from lmclassify.parallel import number_of_threads

    wanted = list(KINDS) if kinds is None else parse_kinds("--kinds", kinds)
    failing = _failing(fail_on, wanted)
    reading = reading_options(
        [*data, *(test or [])], text_column, label_column, input_format, encoding, sheet, fields, options
    )
    with _open_outputs(output, html) as (table, page):
        rows = read_rows(run, data, test or [], reading, text_column, label_column)
        with ProgressDisplay(run, "check", 1.0, output=output) as display:
            found = check_rows(
                rows,
                wanted,
                seed=run.seed,
                threads=number_of_threads(run.threads),
                progress=lambda task, share: display.show(share, task),
            )
        _write(rows, found, table, page)
    if output != "-":
        _print(rows, found, n)
    for name, what in ((output, "findings"), (html, "page")):
        if name not in (None, "-"):
            run.say(f"{what} written to {name}")
    _fail_on(found, failing)


def _failing(value: str, wanted: Sequence[str]) -> list[str]:
    """Return the kinds that make the command fail."""
    from lmclassify.check.findings import parse_kinds

    failing = parse_kinds("--fail-on", value, "any", "none")
    if failing in (["any"], ["none"]):
        return list(wanted) if failing == ["any"] else []
    missing = [kind for kind in failing if kind not in wanted]
    if missing:
        raise OptionError(f"--fail-on names {listing(missing)}, which --kinds leaves out")
    return failing


def _fail_on(found: Sequence[Finding], failing: Sequence[str]) -> None:
    """Raise if a row of one of these kinds was found."""
    from lmclassify.check.findings import counts

    reached = {kind: count for kind, count in counts(found).items() if kind in failing}
    if reached:
        named = ", ".join(f"{kind} ({counted(count, 'row')})" for kind, count in reached.items())
        raise DataError(f"--fail-on: found {named}")


@contextlib.contextmanager
def _open_outputs(
    output: str | None, html: str | None
) -> Iterator[tuple[TableWriter | None, FileWriter | None]]:
    """Open the files of -o and --html before the work; they appear if all of it succeeds."""
    from lmclassify.persistence.atomic_file import FileWriter

    if html == "-":
        raise OptionError("--html -: standard output has the findings as text; name a file")
    if output is not None and html is not None and os.path.realpath(output) == os.path.realpath(html):
        raise OptionError(f"-o and --html both name {html}; name two files")
    with contextlib.ExitStack() as stack:
        table = page = None
        if output is not None:
            table = stack.enter_context(common.open_table(output, "-o"))
        if html is not None:
            page = stack.enter_context(FileWriter(html))
        yield table, page


def _write(
    rows: CheckedRows, found: Sequence[Finding], table: TableWriter | None, page: FileWriter | None
) -> None:
    from lmclassify.check.findings import findings_table

    if table is not None:
        table.write(findings_table(rows, found))
    if page is not None:
        from lmclassify.check.page import render

        page.write_bytes(render(rows, found, list(dict.fromkeys(rows.files))).encode())


def _print(rows: CheckedRows, found: Sequence[Finding], n: int) -> None:
    from lmclassify.check.report import findings_text

    columns = shutil.get_terminal_size().columns
    print(findings_text(rows, found, n, columns, terminal=sys.stdout.isatty()))


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "check", check, common.DIALECT_OPTIONS, examples=_EXAMPLES, without=("device",))
