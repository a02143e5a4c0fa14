"""What `predict` says of the rows once they are labelled."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lmclassify.cli.common import Run
from lmclassify.errors import listing, shorten

if TYPE_CHECKING:
    from lmclassify.classify.decisions import Decisions


def report_on(
    run: Run,
    counts: Counter[tuple[str, str]],
    without_text: int,
    decisions: Decisions,
    label_column: str | None,
) -> None:
    """Print on standard error what the rows lack, and a report where they have labels of the model."""
    if without_text:
        run.say(f"note: {without_text:,} rows have no text and were given no label")
    if label_column is None:
        run.say("note: no label column found, so no report; --label-column names one")
        return
    true = {label for label, _ in counts}
    if not true & {*decisions.labels, decisions.unknown_label}:
        known = listing(decisions.labels)
        run.say(f"note: no report: column {shorten(label_column)} holds none of the labels {known}")
    elif not run.quiet:
        from lmclassify.evaluation.classification_report import classification_report

        run.report(classification_report(counts, sorted(true | set(decisions.labels))))
