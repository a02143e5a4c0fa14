"""Everything at once, while the model changes and scoring processes die."""

from __future__ import annotations

import pytest

from benchmarks.service_requests import alike
from benchmarks.service_soak import Soak, soak
from lmclassify import LMClassifier
from tests.conftest import SMALL, bundled

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="reads /proc")


@pytest.fixture
def folders(saved, tuned_folder, tmp_path):
    texts, labels = bundled(limit=120)
    LMClassifier(**SMALL).fit(texts, labels[::-1]).save(tmp_path / "other")
    return [tuned_folder, tmp_path / "other"]


@pytest.mark.long
def test_no_answer_is_wrong_and_none_is_lost(folders):
    found = soak(folders, bundled("emails.csv")[0], seconds=20, swaps=8)
    assert found.failures == 0, found.text()
    assert found.swaps == 8
    assert not [name for name in found.answered if name.endswith(("503", "504"))]
    assert {name.rsplit(" ", 1)[0] for name in found.answered} >= {"one text", "many texts", "invalid"}
    assert found.open_files[-1] <= found.open_files[0] + 2
    assert found.threads[-1] == found.threads[0]
    assert found.service_megabytes[-1][1] < found.service_megabytes[0][1] + 20


@pytest.mark.long
def test_processes_that_are_killed_cost_no_wrong_answer(folders):
    found = soak(folders, bundled("emails.csv")[0], seconds=8, swaps=2, kills=3)
    assert found.failures == 0, found.text()
    assert (found.swaps, found.kills) == (2, 3)


def test_failures_are_counted():
    found = Soak()
    found.answered.update({"one text 200": 9, "one text 500": 1, "one text 503": 2})
    assert found.failures == 3
    found.kills = 1
    assert found.failures == 1
    found.wrong.append("one text: another answer")
    found.lost.append("explain: TimeoutError")
    assert found.failures == 3


def test_answers_are_compared_to_a_tolerance():
    expected = {"label": "ham", "nats": [-1.0, 2.5], "unknown": None}
    assert alike(expected, {"label": "ham", "nats": [-1.000001, 2.5], "unknown": None})
    for other in (
        {"label": "spam", "nats": [-1.0, 2.5], "unknown": None},
        {"label": "ham", "nats": [-1.001, 2.5], "unknown": None},
        {"label": "ham", "nats": [-1.0], "unknown": None},
        {"label": "ham", "nats": [-1.0, 2.5], "unknown": False},
        {"nats": [-1.0, 2.5], "label": "ham", "unknown": None},
        {"label": "ham", "nats": [-1.0, "2.5"], "unknown": None},
        [],
    ):
        assert not alike(expected, other)
