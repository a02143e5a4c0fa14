"""The findings as an HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from lmclassify import __version__
from lmclassify.check.findings import KINDS, CheckedRows, Finding, counts
from lmclassify.evaluation.page.formats import environment

MAX_SHOWN = 100
"""Rows of a kind on the page: more are read in the table of -o."""

_MAX_TEXT, _BEFORE = 600, 100
"""Characters shown of a text, and before the first marked word of a long one."""


@dataclass(frozen=True)
class FindingView:
    """A finding, ready for the template."""

    place: str
    label: str
    finding: Finding
    pieces: list[tuple[str, bool]]
    """The text in pieces, and whether each is marked."""


def render(rows: CheckedRows, findings: Sequence[Finding], data: Sequence[str]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    data : sequence of str
        Names of the files.
    """
    found = counts(findings)
    sections = []
    for kind, group in groupby(findings, key=lambda finding: finding.kind):
        shown = [view(rows, finding) for finding, _ in zip(group, range(MAX_SHOWN), strict=False)]
        sections.append((kind, KINDS[kind], found[kind], shown))
    names = ", ".join(Path(name).name for name in data)
    return (
        environment()
        .get_template("check.html")
        .render(
            names=names,
            rows=len(rows),
            tested=len(rows) - rows.training,
            labels=len(set(filter(None, rows.labels))),
            suspicious=len({finding.index for finding in findings}),
            sections=sections,
            version=__version__,
        )
    )


def view(rows: CheckedRows, finding: Finding) -> FindingView:
    """Return a finding with the words behind it marked in its text; a long text is cut."""
    text = rows.texts[finding.index]
    first = finding.marked[0][0] if finding.marked else 0
    start = first - _BEFORE if first + _BEFORE > _MAX_TEXT else 0
    end = min(len(text), start + _MAX_TEXT)
    pieces = [("…", False)] if start else []
    at = start
    for begin, stop in finding.marked:
        if at <= begin < end:
            pieces += [(text[at:begin], False), (text[begin : min(stop, end)], True)]
            at = min(stop, end)
    pieces.append((text[at:end], False))
    if end < len(text):
        pieces.append(("…", False))
    return FindingView(
        rows.place(finding.index),
        rows.labels[finding.index],
        finding,
        [piece for piece in pieces if piece[0]],
    )
