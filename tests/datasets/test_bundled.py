"""The bundled data: where it lies, and that it is as honest as data/README.md says."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict

import pytest

from lmclassify import DataError, bundled_data
from tests.conftest import bundled


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower()))


def test_sizes():
    texts, labels = bundled()
    assert len(texts) >= 1200
    counts = Counter(labels)
    assert set(counts) == {"spam", "ham"}
    assert counts["spam"] == counts["ham"]
    with open(bundled_data("emails.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 200
    assert list(rows[0]) == ["id", "from", "date", "subject", "label"]
    assert len({row["id"] for row in rows}) == 200
    assert all(row["from"].endswith(".example") for row in rows)
    assert {row["label"] for row in rows} == {"spam", "ham"}


def test_no_two_lines_share_more_than_60_percent_of_their_words():
    """Within and across the files, measured against the shorter line of each pair."""
    lines = [words(text) for name in ("subjects.csv", "emails.csv") for text in bundled(name)[0]]
    assert all(lines)
    lines_with = defaultdict(list)
    for number, line in enumerate(lines):
        for word in line:
            lines_with[word].append(number)
    for number, line in enumerate(lines):
        shared = Counter(other for word in line for other in lines_with[word] if other < number)
        for other, count in shared.items():
            assert count <= 0.6 * min(len(line), len(lines[other])), (number, other)


def test_unknown_name():
    with pytest.raises(
        DataError, match=r"no bundled data file 'x.csv'; choose from: emails.csv, subjects.csv"
    ):
        bundled_data("x.csv")
