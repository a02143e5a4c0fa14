from __future__ import annotations

import signal
import threading

import pytest

from lmclassify.errors import OptionError
from lmclassify.parallel import in_background, map_ordered, number_of_threads, run_in_rounds


@pytest.mark.parametrize("threads", [1, 3])
def test_results_keep_their_order(threads):
    second_done = threading.Event()

    def first_last(number: int) -> int:
        if number == 0 and threads > 1:
            assert second_done.wait(60)
        if number == 1:
            second_done.set()
        return number * number

    assert list(map_ordered(first_last, range(6), threads)) == [0, 1, 4, 9, 16, 25]


@pytest.mark.parametrize("threads", [1, 2])
def test_work_in_the_background_is_done_once(threads):
    calls = []

    def work() -> int:
        calls.append(threading.current_thread())
        return 3

    with in_background(work, threads) as result:
        assert result() + result() == 6
    assert len(calls) == 1
    assert (calls[0] is threading.current_thread()) == (threads == 1)


def test_number_of_threads():
    available = number_of_threads()
    assert available == number_of_threads(-1) >= 1
    assert number_of_threads(7) == 7
    assert number_of_threads(-100) == 1
    with pytest.raises(OptionError, match="n_jobs"):
        number_of_threads(0)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_payloads_take_turns(threads):
    calls: list[str] = []
    left = {"a": 3, "b": 1, "c": 2}

    def step(name: str) -> bool:
        calls.append(name)
        left[name] -= 1
        return left[name] > 0

    run_in_rounds(step, "abc", threads, threading.Event())
    assert sorted(calls) == list("aaabcc")
    if threads == 1:
        assert calls[:3] == list("abc")


def test_an_error_stops_the_others_and_reaches_the_caller():
    stop = threading.Event()

    def step(name: str) -> bool:
        if name == "bad":
            raise ValueError("broken")
        return not stop.wait(60)

    with pytest.raises(ValueError, match="broken"):
        run_in_rounds(step, ["good", "bad", "good"], 2, stop)
    assert stop.is_set()


def test_ctrl_c_lets_the_running_steps_finish():
    stop = threading.Event()
    started = threading.Barrier(2)
    finished: list[int] = []

    def step(number: int) -> bool:
        started.wait(60)  # two steps run
        if number == 0:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        assert stop.wait(60)
        finished.append(number)
        return True

    with pytest.raises(KeyboardInterrupt):
        run_in_rounds(step, range(5), 2, stop)
    assert sorted(finished) == [0, 1]


def test_each_thread_is_prepared():
    prepared = set()

    def step(_: int) -> bool:
        assert threading.get_ident() in prepared
        return False

    run_in_rounds(step, range(4), 2, threading.Event(), before=lambda: prepared.add(threading.get_ident()))
