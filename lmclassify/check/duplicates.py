"""Finds texts that occur several times: duplicates, conflicting labels, test rows in the training file."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from lmclassify.check.findings import CheckedRows, Finding
from lmclassify.classify.training.groups import essence
from lmclassify.errors import cut
from lmclassify.text.minhash import near_duplicates

NEAR = 0.8
"""Jaccard similarity of character 5-grams from which on two texts are near-duplicates. Below, questions of
one form with different names are found (trec6); the examples that were read are in docs/experiments.md."""

MAX_NAMED = 3
"""Rows, or words that differ, named in a reason."""

MIN_LETTERS = 3
"""Texts with fewer letters, such as numbers, are compared as they are only."""

_WORD = re.compile(r"\w+")


def equal_text(text: str) -> str:
    """Return what equal texts have in common: case and blanks do not count."""
    return " ".join(text.split()).casefold()


def find_duplicates(
    rows: CheckedRows, progress: Callable[[float], object] = lambda share: None
) -> list[Finding]:
    """Return equal and nearly equal texts, conflicts of their labels, and leaks into the test file."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(rows.texts):
        if text.strip():
            groups[equal_text(text)].append(index)
    findings = []
    for group in groups.values():
        if len(group) > 1:
            findings += _equal(rows, group)
    firsts = [group[0] for group in groups.values()]
    return findings + _near(rows, firsts, progress)


def _equal(rows: CheckedRows, group: Sequence[int]) -> list[Finding]:
    """Return the findings of rows with equal texts."""
    labels = Counter(rows.labels[index] for index in group if rows.labels[index])
    findings = []
    if len(labels) > 1:
        findings += _conflicts(rows, group, labels)
    training = [index for index in group if index < rows.training]
    for index in group[1:]:
        first = training[0] if training else group[0]
        if training and index >= rows.training:
            reason = f"same text as {rows.place(first, index)}"
            if rows.labels[first] != rows.labels[index]:
                reason += f", which has label {rows.labels[first] or '(none)'}"
            findings.append(Finding(index, "leak", reason))
        elif len(labels) < 2 or rows.labels[index] == rows.labels[first]:
            findings.append(Finding(index, "duplicate", f"same text as {rows.place(first, index)}"))
    return findings


def _conflicts(rows: CheckedRows, group: Sequence[int], labels: Counter[str]) -> list[Finding]:
    """Return the rows of equal texts whose label is not that of most; all of them if no label has most."""
    (most, count), (_, next_count) = labels.most_common(2)
    suggested = most if count > next_count else ""
    findings = []
    for index in group:
        label = rows.labels[index]
        if not label or label == suggested:
            continue
        others = [other for other in group if rows.labels[other] not in ("", label)]
        named = ", ".join(
            f"{rows.labels[other]} in {rows.place(other, index)}" for other in others[:MAX_NAMED]
        )
        more = f" and {len(others) - MAX_NAMED:,} more" if len(others) > MAX_NAMED else ""
        findings.append(
            Finding(index, "conflict", f"same text: {named}{more}", len(others) / len(group), suggested)
        )
    return findings


def _near(rows: CheckedRows, firsts: Sequence[int], progress: Callable[[float], object]) -> list[Finding]:
    """Return the findings of texts that are nearly equal; `firsts` has one row of each text."""
    same: dict[str, int] = {}
    distinct: list[int] = []
    pairs: list[tuple[int, int, float]] = []
    for index in firsts:
        plain = essence(rows.texts[index])
        if len(plain.replace("0", "").replace(" ", "")) < MIN_LETTERS:
            continue
        first = same.setdefault(plain, index)
        if first == index:
            distinct.append(index)
        else:
            pairs.append((index, first, 1.0))
    texts = list(same)
    later, earlier, similarity = near_duplicates(
        texts, NEAR, lambda done: progress(done / max(1, len(texts)))
    )
    pairs += [
        (distinct[one], distinct[other], similar)
        for one, other, similar in zip(later.tolist(), earlier.tolist(), similarity.tolist(), strict=True)
    ]
    return [_near_finding(rows, index, other, similar) for index, other, similar in pairs]


def _near_finding(rows: CheckedRows, index: int, other: int, similar: float) -> Finding:
    text, other_text = rows.texts[index], rows.texts[other]
    label, other_label = rows.labels[index], rows.labels[other]
    conflict = bool(label and other_label and label != other_label)
    if similar == 1.0:
        reason = f"same text as {rows.place(other, index)} but for case, numbers or punctuation"
    else:
        reason = f"{similar:.0%} the same as {rows.place(other, index)}"
    if conflict:
        reason += f", which has label {other_label}"
    marked = _differing(text, other_text)
    for where, one, spans in (
        ("only here", text, marked),
        ("only there", other_text, _differing(other_text, text)),
    ):
        if spans:
            reason += f"; {where}: {', '.join(cut(one[start:end], 30) for start, end in spans[:MAX_NAMED])}"
    leak = index >= rows.training > other
    kind = "near_leak" if leak else "near_conflict" if conflict else "near_duplicate"
    return Finding(index, kind, reason, similar, marked=tuple(marked))


def _differing(text: str, other: str) -> list[tuple[int, int]]:
    """Return start and end of the words of a text that the other one lacks."""
    known = set(map(str.casefold, _WORD.findall(other)))
    return [found.span() for found in _WORD.finditer(text) if found[0].casefold() not in known]
