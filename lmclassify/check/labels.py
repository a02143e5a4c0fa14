"""Finds labels that are missing, written in several forms, rare, or in the test file only."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

from lmclassify.check.findings import CheckedRows, Finding
from lmclassify.datasets.label_forms import difference, merged_labels
from lmclassify.errors import counted, shorten

MIN_ROWS = 20
"""A label with fewer rows has too few to learn and to choose thresholds; `fit` says so, too."""


def with_joined_forms(rows: CheckedRows) -> CheckedRows:
    """Return rows in which labels that differ in form only are one: the most frequent one."""
    forms = merged_labels(Counter(filter(None, rows.labels)))
    return replace(rows, labels=[forms.get(label, label) for label in rows.labels])


def find_bad_labels(rows: CheckedRows) -> list[Finding]:
    """Return findings about labels. A rare or unknown label is found once, in its first row."""
    where: defaultdict[str, list[int]] = defaultdict(list)
    findings = []
    for index, label in enumerate(rows.labels):
        if label:
            where[label].append(index)
        else:
            findings.append(Finding(index, "missing_label", "the label is missing"))
    counts = Counter({label: len(indices) for label, indices in where.items()})
    forms = merged_labels(counts)
    for label, usual in forms.items():
        reason = (
            f"label {shorten(label)} ({counted(counts[label], 'row')}) differs from {shorten(usual)} "
            f"({counts[usual]:,}) only in {difference([label, usual])}"
        )
        findings += [Finding(index, "label_form", reason, suggested=usual) for index in where[label]]
    for index in rows.padded:
        label = rows.labels[index]
        findings.append(Finding(index, "label_form", "there are blanks around the label", suggested=label))
    for label, indices in where.items():
        training = [index for index in indices if index < rows.training]
        if not training and label not in forms:
            reason = f"label {shorten(label)} ({counted(len(indices), 'row')}) is not in the training data"
            findings.append(Finding(indices[0], "unknown_label", reason))
        elif 0 < len(training) < MIN_ROWS and label not in forms:
            reason = f"label {shorten(label)} has {counted(len(training), 'row')}, fewer than {MIN_ROWS}"
            findings.append(Finding(indices[0], "rare_label", reason, 1 - len(training) / MIN_ROWS))
    return findings
