"""What changing a model costs, beside fitting again."""

import pytest

from benchmarks import incremental as revisions
from lmclassify import LMClassifier
from lmclassify.datasets.labelled import LabelledTexts
from tests.conftest import TUNED, bundled


@pytest.fixture
def small(monkeypatch):
    """The two measurements with a small classifier and a small reserve."""

    class Small(LMClassifier):
        def __init__(self, *, random_state=None, n_jobs=None, keep_held_out=False):
            super().__init__(**{**TUNED, "random_state": random_state, "keep_held_out": keep_held_out})

    monkeypatch.setattr(revisions, "LMClassifier", Small)
    monkeypatch.setattr(revisions, "_RESERVE", 40)
    monkeypatch.setattr(revisions, "_CORRECTIONS", 3)


def texts(limit, *, third=False):
    found, labels = bundled(limit=limit)
    if third:
        labels = ["x" if index % 3 == 0 else label for index, label in enumerate(labels)]
    return LabelledTexts(found, labels)


@pytest.mark.long
def test_a_label_added(small, tmp_path):
    lines = revisions.measure_label(texts(150, third=True), texts(60, third=True), tmp_path, 1)
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "not there", "added beside kept texts", "added beside sampled texts", "all fitted again"
    ]  # fmt: skip
    assert lines[2].split("|")[3].strip() == "0.000"


@pytest.mark.long
def test_corrections(small, tmp_path):
    lines = revisions.measure_corrections(texts(150), texts(60), tmp_path, 1)
    assert lines[0].startswith("| 3 corrections, ")
    learnt = [float(line.split("|")[3]) for line in lines[2:]]
    assert learnt[0] == 0.0
    assert learnt[1] > 0.0
