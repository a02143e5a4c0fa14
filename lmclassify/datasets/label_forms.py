"""Labels that differ in form only: in case, in blanks, or as numbers (1 and 1.0)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Hashable, Iterable, Mapping
from decimal import Decimal

from lmclassify.errors import counted, listing, shorten

_NUMBER = re.compile(r"[+-]?(\d{1,300}\.?\d{0,300}|\.\d{1,300})([eE][+-]?\d{1,4})?", re.ASCII)
_LISTED = 5
"""Groups of labels that one message names, so that it stays one readable line."""


def label_key(label: str) -> Hashable:
    """Return a value that is the same for all forms of a label."""
    if _NUMBER.fullmatch(label):
        return Decimal(label)
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def groups_of_forms(labels: Iterable[str]) -> list[list[str]]:
    """Return the labels that differ in form only, those that belong together in one list."""
    groups: dict[Hashable, list[str]] = {}
    for label in labels:
        groups.setdefault(label_key(label), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def difference(labels: Collection[str]) -> str:
    """Return in what labels of one group differ."""
    if all(map(_NUMBER.fullmatch, labels)):
        return "number form"
    if len({label.casefold() for label in labels}) == 1:
        return "case"
    return "case, blanks or the form of characters"


def merged_labels(counts: Mapping[str, int], preferred: Collection[str] = ()) -> dict[str, str]:
    """Return a name for every label that is a form of another: a preferred one, else the most frequent."""
    result: dict[str, str] = {}
    for group in groups_of_forms(dict.fromkeys([*preferred, *counts])):
        name = min(
            group, key=lambda label: (label not in preferred, -counts.get(label, 0), len(label), label)
        )
        result |= {label: name for label in group if label != name}
    return result


def describe_forms(counts: Mapping[str, int]) -> list[str]:
    """Return a line for labels that differ in form only, with their numbers of texts; no line if none do."""
    groups = groups_of_forms(counts)
    if not groups:
        return []
    listed = [
        f"{with_counts({label: counts[label] for label in group})} differ only in {difference(group)}"
        for group in groups[:_LISTED]
    ]
    more = (
        f"; {counted(len(groups) - _LISTED, 'more group', 'more groups')} of labels"
        if len(groups) > _LISTED
        else ""
    )
    return [f"labels {'; '.join(listed)}{more}; --merge-labels joins them"]


def describe_renamed(renamed: Mapping[tuple[str, str], int]) -> list[str]:
    """Return a line for labels of data that count as labels of a model, with their numbers of rows."""
    parts = [
        f"{shorten(given)} ({counted(count, 'row')}) counts as {shorten(label)}, which differs only in "
        f"{difference([given, label])}"
        for (given, label), count in sorted(renamed.items(), key=lambda item: (-item[1], item[0]))
    ]
    more = f"; {counted(len(parts) - _LISTED, 'more label')}" if len(parts) > _LISTED else ""
    return [f"label {'; '.join(parts[:_LISTED])}{more}"] if parts else []


def describe_joined(joined: Mapping[tuple[str, str], int]) -> list[str]:
    """Return a line for labels that were joined with others, with their numbers of texts."""
    parts = [
        f"{shorten(given)} ({count:,}) with {shorten(label)}" for (given, label), count in joined.items()
    ]
    return [f"labels joined (--merge-labels): {listing(parts)}"] if parts else []


def with_counts(counts: Mapping[str, int], limit: int = 12) -> str:
    """Return labels with their numbers of texts, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return listing((f"{shorten(label)} ({count:,})" for label, count in ordered), limit)


class LabelMatcher:
    """Finds the label of a model that a label in other form stands for.

    Parameters
    ----------
    known : collection of str
        The labels of the model. Of labels that differ in form only, none is found for a third form.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = frozenset(known)
        ambiguous = {label_key(group[0]) for group in groups_of_forms(known)}
        self._by_key = {label_key(label): label for label in known}
        for key in ambiguous:
            del self._by_key[key]

    def match(self, label: str) -> str | None:
        """Return the label of the model that differs from `label` in form only, if there is one."""
        return None if label in self._known else self._by_key.get(label_key(label))
