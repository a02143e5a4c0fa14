"""Runs the checks of labelled texts."""

from __future__ import annotations

from collections.abc import Callable, Collection

from lmclassify.check.duplicates import find_duplicates
from lmclassify.check.findings import KINDS, CheckedRows, Finding, in_order
from lmclassify.check.labels import find_bad_labels, with_joined_forms
from lmclassify.check.texts import find_bad_texts, find_rare_scripts

_DUPLICATES = {"conflict", "near_conflict", "leak", "near_leak", "duplicate", "near_duplicate"}
_LABELS = {"missing_label", "label_form", "unknown_label", "rare_label"}
_TEXTS = {"empty_text", "machine_text", "damaged_text"}
_SCRIPTS = {"rare_script", "mixed_script"}


def check_rows(
    rows: CheckedRows,
    kinds: Collection[str] = tuple(KINDS),
    *,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[str, float], object] = lambda task, share: None,
) -> list[Finding]:
    """Return what is suspicious in rows, by kind, the most suspicious rows of each kind first.

    Rows whose labels are all empty are checked for their texts only.

    Parameters
    ----------
    kinds : collection of str
        The kinds to look for; see `lmclassify.check.findings.KINDS`.
    seed : int, default=0
    threads : int, default=1
        The result does not depend on it.
    progress : callable, optional
        Gets the name of the task and the share of the work that is done. Label errors take most of the
        time: the other tasks count as nothing if these are looked for.
    """
    wanted, findings = set(kinds), []
    labelled = any(rows.labels)
    fitting = labelled and "label_error" in wanted
    progress("texts", 0.0)
    if wanted & _TEXTS:
        findings += find_bad_texts(rows)
    if wanted & _SCRIPTS:
        findings += find_rare_scripts(rows)
    if labelled and wanted & _LABELS:
        findings += find_bad_labels(rows)
    joined = with_joined_forms(rows)
    if wanted & _DUPLICATES:
        findings += find_duplicates(joined, lambda done: progress("duplicates", 0.0 if fitting else done))
    if fitting:
        progress("label errors", 0.0)
        from lmclassify.check.label_errors import find_label_errors  # imports scikit-learn

        findings += find_label_errors(
            joined, seed=seed, threads=threads, progress=lambda done: progress("label errors", done)
        )
    return in_order(finding for finding in findings if finding.kind in wanted)
