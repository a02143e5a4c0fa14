"""`lmclassify predict --text`: texts on the command line."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from lmclassify.errors import DataError, OptionError
from lmclassify.text.display import fitting_lines, percent
from lmclassify.text.terminal import terminal_columns

if TYPE_CHECKING:
    from lmclassify.classify.decisions import Decisions
    from lmclassify.classify.model import FittedModel
    from lmclassify.cli.command import Run
    from lmclassify.prediction.labelling import TableLabeller
    from lmclassify.tables.rows import Rows
    from lmclassify.tables.writing import OutputFormat

TEXT = "text"
"""Name of the column of texts in the output."""


_ABOUT_FILES = (
    "engine", "address", "stream", "overwrite_columns", "text_column", "label_column", "input_format",
    "encoding", "quoting", "header", "columns", "sheet", "fields",
)  # fmt: skip


def check_sources(arguments: dict[str, Any], given: frozenset[str], _: object) -> dict[str, Any]:
    """Return the options of `predict`. Raises an LMClassifyError unless they name either files or texts."""
    data, texts = arguments["data"], arguments["text"]
    if not data and not texts:
        raise OptionError("predict needs DATA, or a text: --text TEXT")
    if not texts:
        if arguments["format"] == "json":
            raise OptionError("--format json is for --text; for DATA choose jsonl, one object per row")
        for name in data:
            if re.fullmatch(r"[^\W_][\w ,!?']*", name) and not os.path.lexists(name):
                raise DataError(f"no such file: {name}; if this is a text, use --text")
        return arguments
    if data:
        raise OptionError("--text gives the text itself: drop DATA or --text")
    for name in _ABOUT_FILES:
        if name in given:
            option = name.replace("_", "-")
            raise OptionError(
                f"--{option} is about files, and --text gives the text itself: drop one of them"
            )
    return arguments


class TextsWriter:
    """Prints the labels of texts, or writes a table if its format or a file is asked for.

    A table has the same columns as that of a file's rows. `json` has the names of the HTTP service. Raises
    an LMClassifyError if the output cannot be of this format.
    """

    def __init__(
        self, output: str, format: OutputFormat | Literal["json"] | None, escape_formulas: bool
    ) -> None:
        from lmclassify.tables.writing import check_escape_formulas, choose_output_format

        if format == "json" and output != "-":
            raise OptionError("--format json goes to standard output; choose jsonl for a file")
        self._output, self._escape_formulas = output, escape_formulas
        self._table: OutputFormat | None = None
        self._as_json = format == "json"
        if format != "json" and (format is not None or output != "-"):
            self._table = choose_output_format(output, format)
        check_escape_formulas(escape_formulas, self._table or "text")

    def write(self, run: Run, texts: Sequence[str], fitted: FittedModel, decisions: Decisions) -> None:
        """Write label and probability of each text."""
        from lmclassify.prediction.labelling import TableLabeller
        from lmclassify.tables.rows import Rows
        from lmclassify.tables.writing import TableWriter

        labeller = TableLabeller(fitted, [0], decisions=decisions)
        rows = labeller.label(Rows([TEXT], [[text] for text in texts]))
        if self._table is not None:
            with TableWriter(self._output, self._table, escape_formulas=self._escape_formulas) as writer:
                writer.write(rows)
        elif self._as_json:
            print(json.dumps({"predictions": _predictions(labeller, rows)}))
        else:
            columns = terminal_columns(sys.stdout)
            cells = _cells(_predictions(labeller, rows))
            print("\n".join(fitting_lines(cells, columns, terminal=columns is not None)))
        if labeller.without_text:
            blank = "text is blank and gets" if labeller.without_text == 1 else "texts are blank and get"
            run.say(f"note: {labeller.without_text:,} {blank} no label")


def _predictions(labeller: TableLabeller, rows: Rows) -> list[dict[str, Any]]:
    """Return text, label and probabilities of each row; a blank text has none."""
    columns = {name: [*column] for name, column in rows.added.items()}
    found = []
    for at, (text,) in enumerate(rows.cells):
        label = columns["predicted_label"][at]
        values = {name: float(columns[f"p_{name}"][at]) for name in labeller.labels}
        entry = {"text": text, "label": label, "probabilities": values if label else {}}
        if "novelty" in columns:
            entry["novelty"] = float(columns["novelty"][at]) if label else None
        found.append(entry)
    return found


def _cells(predictions: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return label and probability of each text; if there are several texts, also the text."""
    cells = []
    for entry in predictions:
        label, probabilities = entry["label"], entry["probabilities"]
        if not label:
            shown = "(blank)"
        elif label in probabilities:
            shown = f"{label} ({percent(probabilities[label])})"
        else:
            likeliest = max(probabilities, key=probabilities.__getitem__)
            shown = f"{label} ({likeliest} {percent(probabilities[likeliest])})"
        cells.append([shown, entry["text"]] if len(predictions) > 1 else [shown])
    return cells
