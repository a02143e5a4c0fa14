"""The soak test of the service, in small, and its own counting."""

from __future__ import annotations

import pytest

from benchmarks.service_requests import matches
from benchmarks.service_soak import SoakResult, soak
from lmclassify import LMClassifier
from tests.conftest import SMALL, bundled

needs_proc = pytest.mark.skipif("sys.platform != 'linux'", reason="reads /proc")


@pytest.fixture
def folders(tuned, tmp_path):
    texts, labels = bundled(limit=120)
    tuned.save(tmp_path / "tuned")
    LMClassifier(**SMALL).fit(texts, labels[::-1]).save(tmp_path / "other")
    return [tmp_path / "tuned", tmp_path / "other"]


@pytest.mark.long
@needs_proc
def test_soak_has_no_wrong_and_no_lost_answers(folders):
    result = soak(folders, bundled("emails.csv")[0], seconds=20, swaps=8, timeout=600)
    assert result.failures == 0, result.text()
    assert result.swaps == 8
    assert not [name for name in result.answered if name.endswith(("503", "504"))]
    assert {name.rsplit(" ", 1)[0] for name in result.answered} >= {"one text", "many texts", "invalid"}
    assert result.open_files[-1] <= result.open_files[0] + 2
    assert result.threads[-1] == result.threads[0]
    assert result.service_megabytes[-1][1] < result.service_megabytes[0][1] + 20


@pytest.mark.long
@needs_proc
def test_soak_with_killed_workers_has_no_wrong_answers(folders):
    result = soak(folders, bundled("emails.csv")[0], seconds=8, swaps=2, kills=3, timeout=600)
    assert result.failures == 0, result.text()
    assert (result.swaps, result.kills) == (2, 3)


def test_failures_counts_wrong_lost_and_server_errors():
    result = SoakResult()
    result.answered.update({"one text 200": 9, "one text 500": 1, "one text 503": 2})
    assert result.failures == 3
    result.kills = 1
    assert result.failures == 1
    result.wrong.append("one text: another answer")
    result.lost.append("explain: TimeoutError")
    assert result.failures == 3


def test_matches_has_a_tolerance_for_numbers():
    expected = {"label": "ham", "nats": [-1.0, 2.5], "unknown": None}
    assert matches(expected, {"label": "ham", "nats": [-1.000001, 2.5], "unknown": None})
    for other in (
        {"label": "spam", "nats": [-1.0, 2.5], "unknown": None},
        {"label": "ham", "nats": [-1.001, 2.5], "unknown": None},
        {"label": "ham", "nats": [-1.0], "unknown": None},
        {"label": "ham", "nats": [-1.0, 2.5], "unknown": False},
        {"nats": [-1.0, 2.5], "label": "ham", "unknown": None},
        {"label": "ham", "nats": [-1.0, "2.5"], "unknown": None},
        [],
    ):
        assert not matches(expected, other)
