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

from lmclassify.errors import LMClassifyError, OptionError
from lmclassify.logs import log_unexpected
from lmclassify.service.messages import read_message, write_message

_log = logging.getLogger("lmclassify.service")

_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


class WorkerScorer(Protocol):
    """What a worker runs; see `lmclassify.service.model_scorer.ModelScorer`. Results are JSON-compatible."""

    notes: Sequence[str]

    def predict(self, texts: list[str], /) -> Sequence[Any]:
        """Return one prediction per text, a dictionary with a ``label``."""

    def predict_with_reason(self, text: str, /) -> Any:
        """Return the prediction for a text with the words that speak most for its label."""

    def explain(self, text: str, label: str | None, against: str | None, /) -> Any:
        """Return the explanation of a prediction."""

    def suggest(self, prefix: str, label: str | None, n: int, /) -> Any:
        """Return likely next words."""

    def model_info(self) -> Any:
        """Return a description of the model."""


_Answer = tuple[int, bytes, Counter[str]]
# HTTP status; JSON: the result (200) or an error message (422); number of texts per predicted label


def run_worker(load: Callable[[dict[str, Any]], WorkerScorer]) -> None:
    """Answer jobs until standard input ends.

    Parameters
    ----------
    load : callable
        Makes the scorer from the options in the first message.
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
        scorer = load(first[0])
    except (LMClassifyError, OSError) as error:
        write_message(answers, {"error": str(error), "misuse": isinstance(error, OptionError)})
        answers.flush()
        return
    write_message(answers, {"model_info": scorer.model_info(), "notes": scorer.notes})
    answers.flush()
    freeze_garbage_collector()
    with contextlib.suppress(BrokenPipeError):  # the service has ended
        while (message := read_message(requests)) is not None:
            batch = _answer_batch(scorer, message[0])
            value = {
                "answers": [(status, len(body)) for status, body, _ in batch],
                "labels": dict(sum((labels for _, _, labels in batch), Counter())),
            }
            write_message(answers, value, b"".join(body for _, body, _ in batch))
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


def _answer_batch(scorer: WorkerScorer, jobs: Sequence[Any]) -> list[_Answer]:
    """Return the answer to each job. If the batch fails, score its jobs one by one."""
    try:
        return [(200, _encode(result), labels) for result, labels in _score(scorer, jobs)]
    except OptionError as error:
        if len(jobs) == 1:
            return [(422, _encode(str(error)), Counter())]
    except Exception as error:
        if len(jobs) == 1:
            log_unexpected(_log, error, "scoring")
            return [(500, b"", Counter())]
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
    else:
        yield {"suggestions": scorer.suggest(*arguments)}, Counter()


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
