"""The loop of a worker process: read batches of jobs, score them, write the answers.

Scoring runs in a process of its own because Python runs one thread at a time: in the service's process it
would delay the handling of requests, and a crash would take the service down. Jobs come on standard input
and answers go to standard output, as in `lmclassify.service.messages`. The process ends when its input ends
or (on Linux) when the service dies, even if it hangs.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Protocol

from lmclassify.errors import DataError, LMClassifyError, OptionError
from lmclassify.logs import log_unexpected
from lmclassify.service.messages import read_message, write_message

_log = logging.getLogger("lmclassify.service")

FAILED = "Internal error; see the log of the service."

_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


class WorkerScorer(Protocol):
    """What a worker runs; see `lmclassify.service.model_scorer.ModelScorer`. Results are JSON-compatible."""

    checksum: str
    """Checksum of the saved model; empty if there is none."""

    def predict(self, texts: list[str], /) -> Sequence[Any]:
        """Return one prediction per text, a dictionary with a ``label``."""

    def predict_with_reason(self, text: str, /) -> Any:
        """Return the prediction for a text with the words that speak most for its label."""

    def explain(self, text: str, label: str | None, against: str | None, brief: bool, /) -> Any:
        """Return the explanation of a prediction."""

    def suggest(self, prefix: str, label: str | None, n: int, /) -> Any:
        """Return likely next words."""

    def learn(self, text: str, label: str, from_label: str | None, undo: bool, /) -> Any:
        """Learn a lesson, or forget it. When this returns, the lesson is on disk."""

    def lesson_counts(self) -> Any:
        """Return how many lessons the model has learned; None if it has none."""

    def model_info(self) -> Any:
        """Return a description of the model, with its `lesson_counts` as ``lessons``."""


class WorkerModels(Protocol):
    """The models of a worker; see `lmclassify.service.user_models.UserModels`."""

    notes: Sequence[str]

    def scorer(self, user: str | None, /, *, to_teach: bool) -> WorkerScorer:
        """Return the scorer of a user (None: of the shared model), with what other processes have taught it.

        Raises UnknownUserError if there is none.
        """


class UnknownUserError(LMClassifyError):
    """There is no model of this user."""


_Answer = tuple[int, bytes, Counter[str]]
# HTTP status; JSON: the result (200) or an error message (422); number of texts per predicted label


def run_worker(load: Callable[[dict[str, Any]], WorkerModels]) -> None:
    """Answer jobs until standard input ends.

    Parameters
    ----------
    load : callable
        Loads the models as the options in the first message say.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the service ends it by closing its input
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    warnings.simplefilter("ignore")
    requests, answers = sys.stdin.buffer, _redirect_standard_output()
    first = read_message(requests)
    if first is None:
        return
    try:
        models = load(first[0])
    except (LMClassifyError, OSError) as error:
        write_message(answers, {"error": str(error), "misuse": isinstance(error, OptionError)})
        answers.flush()
        return
    write_message(answers, {"notes": models.notes})
    answers.flush()
    freeze_garbage_collector()
    with contextlib.suppress(BrokenPipeError):  # the service has ended
        while (message := read_message(requests)) is not None:
            write_message(answers, *_answer(models, *message[0]))
            answers.flush()


def freeze_garbage_collector() -> None:
    """Exempt all existing objects from garbage collection.

    Otherwise each full collection visits the objects of all imported modules while requests wait: p99 was
    35 ms instead of 5.
    """
    gc.collect()
    gc.freeze()


def _redirect_standard_output() -> BinaryIO:
    """Return standard output for messages; anything else that is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _answer(models: WorkerModels, user: str | None, jobs: Sequence[Any]) -> tuple[dict[str, Any], bytes]:
    """Return the message that answers the jobs of a user."""
    scorer, batch = None, list[_Answer]()
    try:
        scorer = models.scorer(user, to_teach=jobs[0][0] == "learn")
        batch = _answer_batch(scorer, jobs)
    except UnknownUserError as error:
        batch = [(404, _encode(str(error)), Counter())] * len(jobs)
    except (LMClassifyError, OSError) as error:
        _log.error("cannot load a model: %s", error)
        batch = [(503, _encode("The model cannot be loaded; see the log of the service."), Counter())] * len(
            jobs
        )
    value = {
        "answers": [(status, len(body)) for status, body, _ in batch],
        "labels": dict(sum((labels for _, _, labels in batch), Counter())),
        "checksum": scorer.checksum if scorer else "",
    }
    return value, b"".join(body for _, body, _ in batch)


def _answer_batch(scorer: WorkerScorer, jobs: Sequence[Any]) -> list[_Answer]:
    """Return the answer to each job. If the batch fails, score its jobs one by one."""
    try:
        return [(200, _encode(result), labels) for result, labels in _score(scorer, jobs)]
    except (DataError, OptionError) as error:
        if len(jobs) == 1:
            return [(422, _encode(str(error)), Counter())]
    except LMClassifyError as error:  # such as a full disk; the message names no text
        if len(jobs) == 1:
            _log.error("%s", error)
            return [(500, _encode(FAILED), Counter())]
    except Exception as error:
        if len(jobs) == 1:
            log_unexpected(_log, error, "scoring")
            return [(500, _encode(FAILED), Counter())]
    return [answer for job in jobs for answer in _answer_batch(scorer, [job])]


def _score(scorer: WorkerScorer, jobs: Sequence[Any]) -> Iterator[tuple[Any, Counter[str]]]:
    """Yield the result of each job and its number of texts per label."""
    kind, arguments = jobs[0]
    if kind == "predict":
        text_lists = [texts for _, texts in jobs]
        predictions = scorer.predict([text for texts in text_lists for text in texts])
        start = 0
        for texts in text_lists:
            part = predictions[start : start + len(texts)]
            yield {"predictions": part}, Counter(prediction["label"] for prediction in part)
            start += len(texts)
    elif kind == "predict_with_reason":
        prediction = scorer.predict_with_reason(*arguments)
        yield {"predictions": [prediction]}, Counter([prediction["label"]])
    elif kind == "explain":
        yield scorer.explain(*arguments), Counter()
    elif kind == "learn":
        yield scorer.learn(*arguments), Counter()
    elif kind == "lesson_counts":
        yield scorer.lesson_counts(), Counter()
    elif kind == "model_info":
        yield scorer.model_info(), Counter()
    else:
        yield {"suggestions": scorer.suggest(*arguments)}, Counter()


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
