import pytest

from lmclassify.classify.training.time_limit import StopSignal, TimeLimit, parse_time
from lmclassify.errors import OptionError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(60, 60), (1.5, 1.5), ("60", 60), ("60s", 60), (" 2 m ", 120), ("1.5H", 5400), (".5", 0.5)],
)
def test_times(value, seconds):
    assert parse_time(value) == seconds


@pytest.mark.parametrize(
    "value", [0, -1, "0", "x", "", "-3", "2 days", "nan", "inf", float("nan"), float("inf"), True, None, [1]]
)
def test_what_is_no_time(value):
    with pytest.raises(OptionError, match="--time must be a time above 0, such as 60, 60s or 2m, not "):
        parse_time(value, "--time")


def test_a_limit_knows_what_is_left():
    assert TimeLimit(5, started=-1e12).left < 0
    assert 0 < TimeLimit(1e9).left <= 1e9


def test_the_clock_sets_the_signal():
    stop = StopSignal()
    with stop.share(0.5):
        assert not stop.is_set()
    stop.end_after(1e9)
    with stop.share(0.0):
        assert stop.is_set()
        assert not stop.interrupted
        with stop.share(1.0):
            assert stop.is_set()
    assert not stop.is_set()
    stop.end_after(-1)
    assert stop.is_set()


def test_an_interrupt_sets_the_signal():
    stop = StopSignal()
    stop.set()
    assert stop.is_set()
    assert stop.interrupted
