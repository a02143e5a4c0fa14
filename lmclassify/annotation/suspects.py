"""The rows whose labels `lmclassify check` finds suspicious, for people to check."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmclassify.annotation.labelled_file import CHECKED, LabelledFile
from lmclassify.check.findings import CheckedRows
from lmclassify.check.run import check_rows

KINDS = ("label_error", "conflict", "near_conflict", "label_form", "rare_label")
"""The kinds of findings that another label may resolve, in the order in which rows are shown."""


@dataclass(frozen=True)
class Suspect:
    """A row with a suspicious label."""

    file: int
    """Number of its file, from 0."""
    row: int
    """From 0."""
    reason: str
    suggested: str | None


def find_suspects(
    files: Sequence[LabelledFile],
    *,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[str, float], object] = lambda task, share: None,
) -> list[Suspect]:
    """Return the rows to check, the most suspicious ones first; those checked already are left out.

    A row with several findings comes once, with all reasons.
    """
    rows = CheckedRows()
    places: list[tuple[int, int]] = []
    for number, file in enumerate(files):
        name = os.path.basename(file.name)
        padded = {*file.padded}
        for row, (text, answer) in enumerate(zip(file.texts, file.answers, strict=True)):
            if row in padded:
                rows.padded.append(len(rows))
            rows.texts.append(text)
            rows.labels.append(answer.label)
            rows.files.append(name)
            rows.numbers.append(row + 1)
            places.append((number, row))
    rows.training = len(rows)
    found: dict[int, list[str]] = {}
    suggested: dict[int, str] = {}
    for finding in check_rows(rows, KINDS, seed=seed, threads=threads, progress=progress):
        number, row = places[finding.index]
        if files[number].answers[row].source != CHECKED:
            found.setdefault(finding.index, []).append(finding.reason)
            if finding.suggested:
                suggested.setdefault(finding.index, finding.suggested)
    return [
        Suspect(*places[index], "; ".join(reasons), suggested.get(index)) for index, reasons in found.items()
    ]
