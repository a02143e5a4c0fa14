"""Labels as people write them: with blanks, in several forms, of which some are asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lmclassify import DataError
from lmclassify.datasets.corrections import read_corrections
from lmclassify.datasets.labelled import LabelledTableReader, read_tables

CASE = (
    "text,label\nwin a cruise,spam\nsee you,ham\nclaim it,spam \nlunch,ham \ncheap,Spam\nlate,Ham\n"
    "urgent, spam\ndinner, ham\n"
)


@pytest.fixture
def case(tmp_path: Path) -> str:
    (tmp_path / "case.csv").write_text(CASE)
    return str(tmp_path / "case.csv")


def read(path: str, **how) -> tuple[dict[str, int], list[str]]:
    """Return the number of texts of each label, and the notes."""
    said: list[str] = []
    found = read_tables([path], LabelledTableReader(**how), say=said.append)
    return dict(Counter(found.labels)), [line.replace(path, "case.csv") for line in said[1:]]


def test_forms_of_labels_are_said(case):
    assert read(case) == (
        {"spam": 3, "ham": 3, "Spam": 1, "Ham": 1},
        [
            "note: case.csv: blanks around 4 labels removed",
            "note: labels 'spam' (3), 'Spam' (1) differ only in case; 'ham' (3), 'Ham' (1) differ only in case; "
            "--merge-labels joins them",
        ],
    )


def test_labels_are_merged(case):
    counts, notes = read(case, merge_labels=True)
    assert counts == {"spam": 4, "ham": 4}
    assert notes[1:] == ["note: labels joined (--merge-labels): 'Spam' (1) with 'spam', 'Ham' (1) with 'ham'"]
    counts, notes = read(case, merge_labels=True, labels=["Spam", "ham"])
    assert counts == {"Spam": 4, "ham": 4}
    assert "'spam' (3) with 'Spam', 'Ham' (1) with 'ham'" in notes[-1]


def test_rows_of_other_labels_are_counted(case):
    counts, notes = read(case, labels=["spam", "ham"])
    assert counts == {"spam": 3, "ham": 3}
    assert "note: 2 rows of labels that are not asked for left out: 'Ham' (1), 'Spam' (1)" in notes
    with pytest.raises(
        DataError, match=r"has label 'HAM'; .*'ham', 'Ham' differs from 'HAM' only in case.*--merge"
    ):
        read(case, labels=["HAM"])


def test_numbers_as_labels(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\na,1\nb,1.0\nc,2\nd,1\n")
    counts, notes = read(str(tmp_path / "t.csv"))
    assert counts == {"1": 2, "1.0": 1, "2": 1}
    assert notes == ["note: labels '1' (2), '1.0' (1) differ only in number form; --merge-labels joins them"]
    assert read(str(tmp_path / "t.csv"), merge_labels=True)[0] == {"1": 3, "2": 1}


def test_corrections(case, tmp_path):
    with pytest.raises(
        DataError, match=r"row 5: the model has no label 'Spam', .* 'spam' only in case; write it so"
    ):
        read_corrections(case, ["spam", "ham"], say=lambda line: None)
    (tmp_path / "t.csv").write_text("text,label,learned_as\na, spam,ham \nb,ham,\n")
    found = read_corrections(str(tmp_path / "t.csv"), ["spam", "ham"], say=lambda line: None)
    assert (found.labels, found.learned_as) == (["spam", "ham"], ["ham", None])


def test_lists_of_labels(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"text": "a", "label": ["ham"]}\n{"text": "b", "label": ["x", "y"]}\n')
    with pytest.raises(DataError, match=r"t\.jsonl, row 2: 'label' is a list .*several labels"):
        read(str(tmp_path / "t.jsonl"))
