"""On a real local cluster of two processes."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator

import pytest

from lmclassify.cluster.connection import connect
from lmclassify.cluster.streams import stream
from lmclassify.errors import LMClassifyError

pytestmark = [
    pytest.mark.long,
    pytest.mark.xdist_group("ray"),  # one local cluster at a time
    pytest.mark.filterwarnings("ignore:::ray"),
]


def pieces(item: int) -> Iterator[tuple[int, int]]:
    yield from ((item, piece) for piece in range(3))


def multiplied(factor: int) -> Callable[[tuple[int, int]], int]:
    return lambda piece: factor * (10 * piece[0] + piece[1])


def deadly(shared: object) -> Callable[[object], object]:
    def work(piece: object) -> object:
        if piece == (1, 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return piece

    return work


def test_each_piece_has_one_result_and_one_that_kills_its_process_ends_the_work(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        with connect(None, 2) as processes:
            assert processes == 2
            found = sorted(stream([0, 1, 2], pieces, multiplied, 2, processes))
            assert found == [0, 2, 4, 20, 22, 24, 40, 42, 44]
            with pytest.raises(LMClassifyError, match=r"^the Ray cluster gave up after 4 tries \("):
                list(stream([0, 1, 2], pieces, deadly, None, processes))
    assert capfd.readouterr() == ("", "")
