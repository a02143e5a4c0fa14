"""The scoring process: one thread with a model that answers batches of jobs, one after the other.

It is a process of its own because Python lets one thread run at a time: here scoring takes nothing from the
service's handling of requests, nor can it take that down. It reads from standard input and writes to
standard output; see `lmclassify.service.frames`. It ends when its input does, or (Linux) when the service
dies, even while it hangs.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Protocol

from lmclassify.errors import LMClassifyError, OptionError
from lmclassify.logs import formatter_of
from lmclassify.service.frames import keep_for_good, read_frame, write_frame
from lmclassify.service.served import ServedModel

_log = logging.getLogger("lmclassify.service")

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Scorer(Protocol):
    """What answers; see `ServedModel`."""

    notes: Sequence[str]

    def predict(self, texts: list[str], /) -> Sequence[Any]:
        """Return a prediction of each text."""

    def explain(self, text: str, label: str | None, against: str | None, /) -> Any:
        """Return an explanation."""

    def suggest(self, prefix: str, label: str | None, n: int, /) -> Any:
        """Return next words."""

    def facts(self) -> Any:
        """Return what the model is."""


Answer = tuple[int, bytes, Counter[str]]
"""An HTTP status; JSON: with 200 what to answer, with 422 the sentence that says what is wrong; and how many
texts got each label."""


def work(load: Callable[[Any], Scorer]) -> None:
    """Answer until standard input ends.

    Parameters
    ----------
    load : callable
        Makes the model from the first message's options.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the service ends by closing the input
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    warnings.simplefilter("ignore")
    requests, answers = sys.stdin.buffer, _take_standard_output()
    first = read_frame(requests)
    if first is None:
        return
    try:
        model = load(first[0])
    except (LMClassifyError, OSError) as error:
        write_frame(answers, {"error": str(error), "misuse": isinstance(error, OptionError)})
        answers.flush()
        return
    write_frame(answers, {"facts": model.facts(), "notes": model.notes})
    answers.flush()
    keep_for_good()
    with contextlib.suppress(BrokenPipeError):  # the service has ended
        while (frame := read_frame(requests)) is not None:
            found = _answers(model, frame[0])
            head = {
                "answers": [(status, len(body)) for status, body, _ in found],
                "labels": dict(sum((labels for _, _, labels in found), Counter())),
            }
            write_frame(answers, head, b"".join(body for _, body, _ in found))
            answers.flush()


def _take_standard_output() -> BinaryIO:
    """Return standard output for messages alone; what else is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _answers(model: Scorer, jobs: Sequence[Any]) -> list[Answer]:
    """Return each job's answer; one job's failure is not another's."""
    try:
        return [(200, _encoded(body), labels) for body, labels in _answered(model, jobs)]
    except OptionError as error:
        if len(jobs) == 1:
            return [(422, _encoded(str(error)), Counter())]
    except Exception as error:
        if len(jobs) == 1:
            _say_where(error)
            return [(500, b"", Counter())]
    return [answer for job in jobs for answer in _answers(model, [job])]


def _answered(model: Scorer, jobs: Sequence[Any]) -> Iterator[tuple[Any, Counter[str]]]:
    kind, arguments = jobs[0]
    if kind == "predict":
        texts = [some for _, some in jobs]
        predictions = model.predict([text for some in texts for text in some])
        start = 0
        for some in texts:
            own = predictions[start : start + len(some)]
            yield {"predictions": own}, Counter(prediction["label"] for prediction in own)
            start += len(some)
    elif kind == "explain":
        yield model.explain(*arguments), Counter()
    else:
        yield {"suggestions": model.suggest(*arguments)}, Counter()


def _encoded(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def _say_where(error: Exception) -> None:
    """Log where an error happened, without its message, which may hold a client's text."""
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    _log.error("unexpected %s while scoring\n%s", type(error).__name__, frames)


def _load(options: dict[str, Any]) -> ServedModel:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter_of(options.pop("log_format", "text")))
    _log.addHandler(handler)
    return ServedModel.load(options.pop("folder"), **options)


if __name__ == "__main__":
    work(_load)
