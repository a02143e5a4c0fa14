"""Fits models in the background while a person labels, and chooses the texts to label next.

The work is done in a process of its own, at low priority: answers never wait for it.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmclassify.annotation.assessment import Assessment
    from lmclassify.classify.estimator import LMClassifier

_log = logging.getLogger("lmclassify.annotation")

NUM_CHOICES = 50
"""Texts chosen per round: enough to label until the next round ends."""
REFIT_SHARE = 0.01
"""A new round begins as soon as this share of the labels is new."""
ASSESS_SHARE = 0.1
"""The model is assessed again when the labels have grown by this share: that takes as long as six fits."""
NUM_PROBABILITIES = 5
"""Labels whose probabilities a guess has."""
NICENESS = 10
"""Lowers the priority of the process, so that the browser and other programs stay fast."""


@dataclass(frozen=True)
class Guess:
    """What the model thinks of a text; all fields are JSON-compatible."""

    label: str
    probability: float
    probabilities: dict[str, float]
    """Of the likeliest `NUM_PROBABILITIES` labels, the likeliest first."""
    against: str | None
    """The label that the words are compared with; None if the model has one label."""
    words: list[dict[str, Any]]
    """Pieces of the text, in order: ``text``, with the blanks that follow, and ``contribution``, in nats."""


@dataclass(frozen=True)
class Choice:
    """A text to label."""

    index: int
    why: str
    """Why it was chosen; see `lmclassify.annotation.selection`."""
    guess: Guess | None = None


@dataclass(frozen=True)
class Round:
    """What one round of the background process gave."""

    num_labelled: int
    """Number of labelled texts that it learned from."""
    items: list[Choice]
    """The texts to label next, best first."""
    assessment: Assessment | None = None
    """How good the model is. It takes longer, so a round comes without it first."""
    error: str | None = None
    """One sentence, if the round failed; then there are no items."""


class Learner:
    """A background process that learns from labels and chooses what to label next; a context manager.

    Parameters
    ----------
    texts : sequence of str, (n,)
        All texts, labelled and not.
    seed : int, default=0
    num_choices : int, default=`NUM_CHOICES`
        Texts chosen per round.
    """

    def __init__(self, texts: Sequence[str], *, seed: int = 0, num_choices: int = NUM_CHOICES) -> None:
        self._texts = list(texts)
        self._settings = (seed, num_choices)
        self._changed = threading.Condition()
        self._wanted: _Request | None = None
        self._fresh: Round | None = None
        self._busy = False
        self._closed = False
        self._process: Any = None
        self._thread = threading.Thread(target=self._run, name="learner", daemon=True)

    def __enter__(self) -> Learner:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            process = self._process
        if process is not None:
            process.kill()
        self._thread.join()

    @property
    def busy(self) -> bool:
        """Whether the process is working on a round, or about to."""
        with self._changed:
            return self._busy or self._wanted is not None

    def submit(
        self, labels: Mapping[int, str], excluded: Collection[int] = (), at_random: Collection[int] = ()
    ) -> None:
        """Ask for a round; returns at once. Only the latest request matters.

        Parameters
        ----------
        labels : mapping of int to str
            The label of each labelled text, by its index.
        excluded : collection of int
            Texts that are not to be chosen, such as skipped ones.
        at_random : collection of int
            Labelled texts that were drawn at random: accuracy is estimated from these.
        """
        request = _Request(dict(labels), frozenset(excluded), frozenset(at_random))
        with self._changed:
            self._wanted = request
            self._changed.notify_all()

    def latest(self) -> Round | None:
        """Return the round that ended last, once; None if none has ended since the last call."""
        with self._changed:
            fresh, self._fresh = self._fresh, None
        return fresh

    def _run(self) -> None:
        """Start the process, then pass requests to it and rounds back, until it is closed."""
        context = multiprocessing.get_context("spawn")  # a fork would copy the server's sockets and threads
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, *self._settings), daemon=True, name="learner")
        try:
            process.start()
            there.close()
            with self._changed:
                self._process = process
            here.send(self._texts)
            self._exchange(here)
        except (OSError, EOFError) as error:
            with self._changed:
                closed, self._busy, self._wanted = self._closed, False, None
            if not closed:
                _log.error("the background process ended: %s", error or type(error).__name__)
                self._give(Round(0, [], error="the process that learns has ended; see the log"))
        finally:
            here.close()
            if process.pid is not None:
                process.kill()
                process.join()

    def _exchange(self, connection: Connection) -> None:
        done: _Request | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._wanted is not None)
                if self._closed:
                    return
                request, self._wanted = self._wanted, None
                if request is None or not request.differs(done):
                    continue
                self._busy = True
            connection.send(request)
            complete = False
            while not complete:
                result, complete = connection.recv()
                self._give(result)
            done = request
            with self._changed:
                self._busy = False

    def _give(self, result: Round) -> None:
        with self._changed:
            self._fresh = result


@dataclass(frozen=True)
class _Request:
    labels: dict[int, str]
    excluded: frozenset[int]
    at_random: frozenset[int]

    def differs(self, other: _Request | None) -> bool:
        """Whether enough labels are new, compared with another request."""
        if other is None:
            return True
        new = sum(other.labels.get(index) != label for index, label in self.labels.items())
        gone = len(other.labels.keys() - self.labels.keys())
        return new + gone > REFIT_SHARE * len(self.labels)


def _work(connection: Connection, seed: int, num_choices: int) -> None:
    """Run in the process: answer each request with a round, then with the same round assessed."""
    import signal

    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the server, which ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported; leave processors to others
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
        _leave_a_processor()
    assessed, assessment = 0, None
    with contextlib.suppress(EOFError, OSError):
        texts = connection.recv()
        while True:
            request = connection.recv()
            try:
                found = choose_round(texts, request.labels, request.excluded, seed, num_choices)
                grown = abs(len(request.labels) - assessed) > ASSESS_SHARE * assessed
                connection.send((replace(found, assessment=assessment), not grown))
                if grown:
                    assessed, assessment = len(request.labels), _assess(texts, request, seed)
                    connection.send((replace(found, assessment=assessment), True))
            except (EOFError, OSError):
                raise
            except Exception as error:
                traceback.print_exc()
                failed = Round(len(request.labels), [], error=f"{type(error).__name__}: {error}")
                connection.send((failed, True))


def _leave_a_processor() -> None:
    """Use all processors but one, which is for the page."""
    if sys.platform == "linux":
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, available[1:] or available)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def choose_round(
    texts: Sequence[str], labels: Mapping[int, str], excluded: Collection[int], seed: int, num_choices: int
) -> Round:
    """Fit a model, choose texts and guess their labels; without two labels, choose diverse texts."""
    from lmclassify.annotation.selection import choose_rows, fit_model

    model = None
    if len(set(labels.values())) > 1:
        order = sorted(labels)
        model = fit_model([texts[index] for index in order], [labels[index] for index in order], seed)
    chosen = choose_rows(texts, labels, num_choices, model=model, excluded=excluded, seed=seed + len(labels))
    items = [
        Choice(row.index, row.why, None if model is None else guess(model, texts[row.index]))
        for row in chosen
    ]
    return Round(len(labels), items)


def _assess(texts: Sequence[str], request: _Request, seed: int) -> Assessment | None:
    from lmclassify.annotation.assessment import assess

    return assess(texts, request.labels, request.at_random, seed)


def guess(model: LMClassifier, text: str) -> Guess:
    """Return what a fitted model thinks of a text, with the contribution of each word."""
    explanation = model.explain(text, brief=True)
    words, probabilities = explanation["words"], explanation["probabilities"]
    starts = [0, *(word["start"] for word in words[1:]), len(text)]
    pieces = [
        {"text": text[starts[at] : starts[at + 1]], "contribution": word["contribution"]}
        for at, word in enumerate(words)
    ]
    ranked = sorted(probabilities, key=lambda name: -probabilities[name])
    return Guess(
        label=explanation["label"],
        probability=probabilities[explanation["label"]],
        probabilities={name: probabilities[name] for name in ranked[:NUM_PROBABILITIES]},
        against=explanation["against"],
        words=pieces,
    )
