"""The rows that are checked, and what is found in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lmclassify.errors import OptionError, did_you_mean
from lmclassify.tables.rows import Column, Rows

KINDS = {
    "label_error": "Probably a wrong label",
    "conflict": "The same text with different labels",
    "near_conflict": "Nearly the text of an earlier row, but another label",
    "leak": "Test row whose text is in the training file",
    "near_leak": "Test row whose text is nearly in the training file",
    "duplicate": "Text and label of an earlier row",
    "near_duplicate": "Nearly the text of an earlier row, and its label",
    "empty_text": "No text",
    "missing_label": "No label",
    "label_form": "Label in another form: case, blanks, number form",
    "unknown_label": "Label that the training file lacks",
    "rare_label": "Label with too few rows to learn",
    "machine_text": "Text by a machine, or mostly digits and signs",
    "damaged_text": "Text with decoding errors or markup",
    "rare_script": "Text in a script that few rows are in",
    "mixed_script": "Word with letters of several scripts",
}
"""What is found, in the order of the reports."""


@dataclass(frozen=True)
class Finding:
    """Something suspicious in one row."""

    index: int
    """Of the row in `CheckedRows`."""
    kind: str
    reason: str
    """One sentence: what is wrong, with the words or rows behind it."""
    score: float = 1.0
    """From 0 to 1; larger is more suspicious."""
    suggested: str = ""
    """A better label, if one is known."""
    marked: tuple[tuple[int, int], ...] = ()
    """Start and end of the words behind the suspicion, in the text."""


@dataclass
class CheckedRows:
    """Rows of the training files, followed by those of the test files."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    """Empty where a label is missing."""
    files: list[str] = field(default_factory=list)
    """The name of each row's file."""
    numbers: list[int] = field(default_factory=list)
    """Each row's number in its file, from 1."""
    padded: list[int] = field(default_factory=list)
    """Indices of the rows whose label stands between blanks."""
    training: int = 0
    """Number of rows of training files; those of test files follow them."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def tested(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a row is of a test file."""
        return np.arange(len(self)) >= self.training

    @cached_property
    def several_files(self) -> bool:
        """Whether the rows, which must be complete, come from several files."""
        return len(set(self.files)) > 1

    def place(self, index: int, seen_from: int | None = None) -> str:
        """Return, for example, "row 12", or "row 12 of a.csv" if it is in another file than `seen_from`.

        Without `seen_from`, the file is named if there are several.
        """
        number = f"row {self.numbers[index]:,}"
        same = not self.several_files if seen_from is None else self.files[index] == self.files[seen_from]
        return number if same else f"{number} of {self.files[index]}"

    def usable(self) -> npt.NDArray[np.intp]:
        """Return the indices of the rows with text and label."""
        rows = enumerate(zip(self.texts, self.labels, strict=True))
        return np.array([at for at, (text, label) in rows if label and text.strip()], dtype=np.intp)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by kind, the most suspicious ones of each kind first."""
    order = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(findings, key=lambda finding: (order[finding.kind], -finding.score, finding.index))


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how many findings of each kind there are, without kinds that there are none of."""
    found = Counter(finding.kind for finding in findings)
    return {kind: found[kind] for kind in KINDS if found[kind]}


def findings_table(rows: CheckedRows, findings: Sequence[Finding]) -> Rows:
    """Return findings as a table; it names the file only if there are several."""
    added: dict[str, Column] = {
        "row": np.array([rows.numbers[finding.index] for finding in findings], dtype=np.int64)
    }
    if rows.several_files:
        added["file"] = [rows.files[finding.index] for finding in findings]
    added |= {
        "kind": [finding.kind for finding in findings],
        "score": np.array([round(finding.score, 4) for finding in findings], dtype=np.float64),
        "label": [rows.labels[finding.index] for finding in findings],
        "suggested_label": [finding.suggested for finding in findings],
        "reason": [finding.reason for finding in findings],
    }
    return Rows([], [[] for _ in findings], added=added)


def parse_kinds(option: str, value: str, *others: str) -> list[str]:
    """Return the kinds in a list with commas. Raises OptionError at an unknown one.

    Parameters
    ----------
    others : str
        Words that are no kinds and stand for themselves, alone.
    """
    names = [name.strip() for name in value.split(",")]
    if len(names) == 1 and names[0] in others:
        return names
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        known = [*others, *KINDS]
        raise OptionError(
            f"{option}: no kind {unknown[0]!r}{did_you_mean(unknown[0], known)}; kinds: {', '.join(KINDS)}"
            + (f"; or {' or '.join(others)} alone" if others else "")
        )
    return names
