"""The bundled data: where it lies, and that it is as honest as data/README.md says."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict

import pytest

from lmclassify import DataError, bundled_data


def rows_of(name: str) -> list[dict[str, str]]:
    with open(bundled_data(name), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower()))


def test_sizes():
    subjects, emails = rows_of("subjects.csv"), rows_of("emails.csv")
    assert list(subjects[0]) == ["subject", "label"]
    assert len(subjects) >= 2_800
    assert list(emails[0]) == ["id", "from", "date", "subject", "label"]
    assert len({row["id"] for row in emails}) == len(emails) == 300
    assert all(row["from"].endswith(".example") for row in emails)
    for rows in (subjects, emails):
        counts = Counter(row["label"] for row in rows)
        assert set(counts) == {"spam", "ham"}
        assert min(counts.values()) > len(rows) / 4


def test_no_line_is_in_both_files():
    """No two lines across the files share more than 60% of the words of the shorter one, if it has three or more."""
    training = [words(row["subject"]) for row in rows_of("subjects.csv")]
    lines_with = defaultdict(list)
    for number, line in enumerate(training):
        for word in line:
            lines_with[word].append(number)
    for row in rows_of("emails.csv"):
        line = words(row["subject"])
        shared = Counter(other for word in line for other in lines_with[word])
        for other, count in shared.items():
            size = min(len(line), len(training[other]))
            assert size < 3 or count <= 0.6 * size, (row["subject"], training[other])


def test_unknown_name():
    with pytest.raises(
        DataError, match=r"no bundled data file 'x.csv'; choose from: emails.csv, subjects.csv"
    ):
        bundled_data("x.csv")
