"""`lmclassify predict --engine ray`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmclassify.cli.common import Counter, Run, load_model
from lmclassify.cli.reporting import report_on
from lmclassify.errors import OptionError

if TYPE_CHECKING:
    from lmclassify.tables.writing import OutputFormat


def predict_on_ray(
    run: Run,
    data: Sequence[str],
    output: str,
    address: str | None,
    *,
    model: str,
    exact: bool,
    format: OutputFormat | None,
    reading: Mapping[str, Any],
    columns: Mapping[str, str | None],
    overwrite_columns: bool,
    escape_formulas: bool,
    deciding: Mapping[str, Any],
) -> None:
    """Label files on a cluster; the parameters are the command's options."""
    from lmclassify.classify.decisions import decisions_of
    from lmclassify.cluster.connection import connect, require_ray
    from lmclassify.datasets.multiple_files import expand_all
    from lmclassify.datasets.sources import detect_format, open_rows
    from lmclassify.mail.fields import parse_fields
    from lmclassify.prediction.distributed import TableLayout, check_id_columns, label_files, size_of
    from lmclassify.prediction.labelling import TableLabeller
    from lmclassify.prediction.part_files import PartFolder, choose_part_format
    from lmclassify.tables.columns import LABEL_COLUMNS, TEXT_COLUMNS, find_column, require_column
    from lmclassify.tables.writing import check_escape_formulas

    if output == "-":
        raise OptionError("--engine ray writes a folder of part files: -o FOLDER")
    if "-" in data:
        raise OptionError("--engine ray reads files, not standard input (-)")
    require_ray()
    how = {**reading, "fields": parse_fields(reading["fields"])}
    kind = how["format"]
    files = expand_all(data, any_suffix=kind is not None)
    format_written = choose_part_format(format, kind or detect_format(files[0]))
    check_escape_formulas(escape_formulas, format_written)
    parts = PartFolder(output, format_written, escape_formulas=escape_formulas)
    fitted = load_model(run, model, exact)
    decisions = decisions_of(fitted, deciding, run.say)
    with open_rows(files[0], **how) as table:
        text_at = require_column(table.columns, columns["text_column"], TEXT_COLUMNS, "text", table.name)
        label_at = find_column(table.columns, columns["label_column"], LABEL_COLUMNS, table.name)
        said = table.describe(text_at, label_at)
    run.say(f"{said}; {len(files):,} files" if len(files) > 1 else said)
    if not overwrite_columns:
        TableLabeller(fitted, text_at, label_at, decisions=decisions).check_columns(table.columns, table.name)
        check_id_columns(table.columns, table.name)
    parts.prepare()
    with connect(address, run.threads) as processes, Counter(run, size_of(files)) as counter:
        outcome = label_files(
            files,
            TableLayout(table.columns, text_at, label_at, **how),
            fitted,
            decisions,
            parts,
            processes,
            counter.add,
        )
    column = None if label_at is None else table.columns[label_at]
    report_on(run, outcome.counts, outcome.without_text, decisions, column)
