"""The findings as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from lmclassify.check.findings import KINDS, CheckedRows, Finding, counts
from lmclassify.errors import counted
from lmclassify.text.display import aligned, shown, wrapped

MIN_COLUMNS = 40
"""Narrower terminals get lines that wrap: shorter ones would say nothing."""

_MAX_LABEL = 24
"""Columns shown of a label."""


def findings_text(
    rows: CheckedRows, findings: Sequence[Finding], most: int, columns: int, *, terminal: bool = False
) -> str:
    """Return how many findings of each kind there are, and the most suspicious rows of each.

    Parameters
    ----------
    most : int
        Rows of each kind to show.
    columns : int
        Width of the text.
    terminal : bool, default=False
        See `lmclassify.text.display.shown`.
    """
    columns = max(columns, MIN_COLUMNS)
    labels = len(set(filter(None, rows.labels)))
    head = f"{counted(len(rows), 'row')}, {counted(labels, 'label')}"
    if rows.training < len(rows):
        head += f", {len(rows) - rows.training:,} of the rows in test files"
    if not findings:
        return f"{head}: nothing found"
    found = counts(findings)
    table = [["kind", "rows"], *([kind, f"{count:,}"] for kind, count in found.items())]
    lines = [
        f"{line[0]}  {line[1]}  {shown(what, columns - len(line[0]) - len(line[1]) - 4)}"
        for line, what in zip(aligned(table), ["what", *map(KINDS.__getitem__, found)], strict=True)
    ]
    suspicious = counted(len({finding.index for finding in findings}), "row is", "rows are")
    parts = [wrapped(f"{head}: {suspicious} suspicious", columns, 2), "\n".join(lines)]
    for kind, group in groupby(findings, key=lambda finding: finding.kind):
        if most == 0:
            break
        title = kind if found[kind] <= most else f"{kind}: {most:,} of {found[kind]:,}"
        entries = [
            entry
            for finding, _ in zip(group, range(most), strict=False)
            for entry in _entry(rows, finding, columns, terminal)
        ]
        parts.append("\n".join([title, *entries]))
    return "\n\n".join(parts)


def _entry(rows: CheckedRows, finding: Finding, columns: int, terminal: bool) -> list[str]:
    """Return the lines about one row: where it stands, the reason, and the text."""
    label = shown(rows.labels[finding.index], _MAX_LABEL, terminal=terminal)
    if finding.suggested:
        label += f" -> {shown(finding.suggested, _MAX_LABEL, terminal=terminal)}"
    place = shown(rows.place(finding.index), columns // 2, terminal=terminal)
    first = f"  {place}{f'  {label}' if label else ''}"
    lines = [first]
    reason = shown(finding.reason, None, terminal=terminal)
    if len(first) + len(reason) + 2 <= columns:
        lines = [f"{first}  {reason}"]
    else:
        lines.append(f"    {shown(finding.reason, columns - 4, terminal=terminal)}")
    text = " ".join(rows.texts[finding.index].split())
    if text:
        lines.append(f"    {shown(text, columns - 4, terminal=terminal)}")
    return lines
