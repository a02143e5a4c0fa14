"""A child forked from a process that has fitted a model fits, predicts and explains as its parent does."""

import multiprocessing
import sys
import threading
import warnings
from collections.abc import Callable

import pytest
import torch

from lmclassify import LMClassifier
from lmclassify.lm.neural.threads import one_torch_thread
from lmclassify.parallel import ForkSafeLock

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="only there processes fork safely"),
]
TEXTS = ["win a free cruise", "lunch at noon", "meet me at the office"] * 14
LABELS = ["spam", "ham"] * 21
DEADLINE = 120  # seconds; a child takes a few


def fit(recipe: str) -> LMClassifier:
    return LMClassifier(recipe=recipe, max_epochs=1, n_jobs=2, random_state=0).fit(TEXTS, LABELS)


def outputs(model: LMClassifier) -> list[object]:
    return [model.predict_proba(TEXTS[:3]).tolist(), repr(model.explain("free lunch at noon"))]


def in_forked_child(work: Callable[[], object]) -> object:
    """Return what a function returns in a forked child; None if it never does."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(work()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads about
        child.start()
    try:
        return receiver.recv() if receiver.poll(DEADLINE) else None
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize("recipe", ["plain", "tuned"])
def test_after_fit_in_parent(recipe: str) -> None:
    parent = fit(recipe)
    expected = outputs(parent)
    assert in_forked_child(lambda: outputs(parent)) == expected
    assert in_forked_child(lambda: outputs(fit(recipe))) == expected


def test_after_torch_in_parent() -> None:
    """The parent's own use of torch starts the threads that a child lacks."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.log(torch.rand(1_000_000, dtype=torch.float64)).sum()
        predicted = in_forked_child(lambda: fit("plain").add_label("new", TEXTS[:2]).classes_.tolist())
    finally:
        torch.set_num_threads(before)
    assert predicted == ["ham", "new", "spam"]


def test_lock_held_by_another_thread() -> None:
    lock = ForkSafeLock()
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            over.wait()

    def take() -> bool:
        with lock:
            return True

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert in_forked_child(take) is True
    finally:
        over.set()
        thread.join()


def test_number_of_torch_threads_is_restored() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_torch_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        fit("plain")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
