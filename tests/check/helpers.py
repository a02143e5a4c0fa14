"""Rows to check."""

from __future__ import annotations

from collections.abc import Sequence

from lmclassify.check.findings import CheckedRows, Finding

Pairs = Sequence[tuple[str, str]]


def rows_of(training: Pairs, test: Pairs = ()) -> CheckedRows:
    """Return rows of texts with labels in train.csv and test.csv."""
    texts, labels = zip(*training, *test, strict=True)
    files = ["train.csv"] * len(training) + ["test.csv"] * len(test)
    numbers = [*range(1, len(training) + 1), *range(1, len(test) + 1)]
    return CheckedRows(list(texts), list(labels), files, numbers, training=len(training))


def found_in(rows: CheckedRows, findings: Sequence[Finding]) -> dict[str, list[str]]:
    """Return the places of each kind of findings."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(finding.kind, []).append(rows.place(finding.index))
    return found
