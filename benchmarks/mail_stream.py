"""A stream of messages in the TREC spam track's protocol: classify each message, then teach its label."""

from __future__ import annotations

import email.utils
import hashlib
import json
import random
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

import lmclassify.mail
from benchmarks.spam_measures import learning_curve, measures
from lmclassify.errors import LMClassifyError
from lmclassify.mail.messages import read_message

DELAY = 100
"""With delayed feedback, a label arrives after so many further messages."""
PARTIAL = 0.1
"""With partial feedback, this share of the messages, at random, is taught; immediately."""
FEEDBACK = ("immediate", "delayed", "partial")
CURVE_ENDS = (100, 250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 10_000)
_RECEIVED = re.compile(
    rb"^Received:(?:[^\n]|\n[ \t])*?;([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE | re.IGNORECASE
)
_DATE = re.compile(rb"^Date:([^\n]*)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """A message with its true label."""

    path: Path
    data: bytes
    is_spam: bool
    text: str
    """As lmclassify reads it; empty if it is not asked for."""
    date: float
    """When it was received, in seconds; that of the file before if it tells none."""


class Verdict(NamedTuple):
    """What a filter says of a message."""

    score: float
    """Higher if it is likelier spam."""
    label: str
    """The filter's own decision: ``spam``, ``ham`` or ``unsure``."""


class OnlineFilter(Protocol):
    """What is measured."""

    def classify(self, message: Message) -> Verdict:
        """Judge a message whose label the filter does not know."""

    def teach(self, message: Message) -> None:
        """Learn a message with its true label."""

    def size(self) -> int | None:
        """Return the size of what the filter has learned, on disk or in memory, in bytes; None if unknown."""

    def megabytes(self) -> float:
        """Return the peak memory of a process that classifies and learns."""


def read_messages(
    folders: dict[str, Sequence[Path]], fields: Sequence[str] | None, cache: Path
) -> tuple[list[Message], float]:
    """Read all messages, in the order of folders and names.

    Parameters
    ----------
    folders : dict
        Folders of ``.txt`` or ``.eml`` files for ``ham`` and for ``spam``.
    fields : sequence of str or None
        What lmclassify reads of a message. None: leave `Message.text` empty.
    cache : Path
        Folder where decoded texts are kept.

    Returns
    -------
    messages : list of Message
    milliseconds : float
        Mean time that decoding took per message.
    """
    found: list[tuple[Path, bytes, bool, float]] = []
    for label, of_label in folders.items():
        for folder in of_label:
            paths = sorted(path for path in folder.glob("*") if path.suffix in (".txt", ".eml"))
            if not paths:
                raise LMClassifyError(f"{folder}: no .txt or .eml files")
            date = 0.0
            for path in paths:
                data = path.read_bytes()
                date = _received(data) or date
                found.append((path, data, label == "spam", date))
    texts, milliseconds = [""] * len(found), 0.0
    if fields is not None:
        texts, milliseconds = _decode([data for _, data, _, _ in found], fields, cache)
    return [
        Message(path, data, is_spam, text, date)
        for (path, data, is_spam, date), text in zip(found, texts, strict=True)
    ], milliseconds


def _decode(messages: Sequence[bytes], fields: Sequence[str], cache: Path) -> tuple[list[str], float]:
    """Return the texts of messages, cached for the same messages and the same version of the code."""
    key = hashlib.sha256(",".join(fields).encode())
    for source in sorted(Path(lmclassify.mail.__path__[0]).glob("*.py")):
        key.update(source.read_bytes())
    for data in messages:
        key.update(len(data).to_bytes(8) + data)
    file = cache / f"{key.hexdigest()[:16]}.json"
    if file.exists():
        texts, milliseconds = json.loads(file.read_text(encoding="utf-8"))
        return texts, milliseconds
    started = time.perf_counter()
    texts = [read_message(data, fields).text(fields) for data in messages]
    milliseconds = 1000 * (time.perf_counter() - started) / len(messages)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=cache, delete=False, encoding="utf-8") as new:
        json.dump([texts, milliseconds], new)
    Path(new.name).rename(file)
    return texts, milliseconds


def _received(data: bytes) -> float | None:
    """Return when the last server received a message, else when it was sent."""
    for pattern in (_RECEIVED, _DATE):
        found = pattern.search(data)
        if found is not None:
            text = " ".join(found[1].decode("latin-1").split())
            try:
                return email.utils.parsedate_to_datetime(text).timestamp()
            except (ValueError, TypeError, OverflowError):
                continue
    return None


def ordered(messages: Sequence[Message], order: str) -> list[Message]:
    """Return the messages ordered by date (``date``), or shuffled with a number as the seed."""
    if order == "date":
        return sorted(messages, key=lambda message: message.date)
    shuffled = list(messages)
    random.Random(int(order)).shuffle(shuffled)
    return shuffled


def run_stream(online_filter: OnlineFilter, stream: Sequence[Message], feedback: str) -> dict[str, Any]:
    """Classify all messages in turn and teach their labels.

    Returns
    -------
    dict
        The measures, the learning curve, times (milliseconds to classify a message and to teach one: mean,
        99th percentile, mean of the last tenth), and under ``verdicts`` the list of verdicts.
    """
    delay = DELAY if feedback == "delayed" else 0
    generator = random.Random(len(stream))
    taught = [feedback != "partial" or generator.random() < PARTIAL for _ in stream]
    verdicts: list[Verdict] = []
    classify_seconds: list[float] = []
    teach_seconds: list[float] = []
    for position, message in enumerate(stream):
        started = time.perf_counter()
        verdicts.append(online_filter.classify(message))
        classify_seconds.append(time.perf_counter() - started)
        due = position - delay
        if due >= 0 and taught[due]:
            started = time.perf_counter()
            online_filter.teach(stream[due])
            teach_seconds.append(time.perf_counter() - started)
    is_spam = np.array([message.is_spam for message in stream])
    scores = np.array([verdict.score for verdict in verdicts])
    called_spam = np.array([verdict.label == "spam" for verdict in verdicts])
    unsure = np.array([verdict.label == "unsure" for verdict in verdicts])
    return {
        **measures(is_spam, scores, called_spam, unsure),
        "curve": learning_curve(is_spam, scores, called_spam, CURVE_ENDS),
        **_times("classify", classify_seconds),
        **_times("teach", teach_seconds),
        "taught": len(teach_seconds),
        "size": online_filter.size(),
        "megabytes": online_filter.megabytes(),
        "verdicts": verdicts,
    }


def _times(name: str, seconds: Sequence[float]) -> dict[str, float | None]:
    """Return the mean, the 99th percentile and the mean of the last tenth of some times, in milliseconds."""
    if not seconds:
        return {f"{name}_ms": None, f"{name}_ms_p99": None, f"{name}_ms_last": None}
    milliseconds = 1000 * np.array(seconds)
    return {
        f"{name}_ms": float(milliseconds.mean()),
        f"{name}_ms_p99": float(np.quantile(milliseconds, 0.99)),
        f"{name}_ms_last": float(milliseconds[-max(1, len(milliseconds) // 10) :].mean()),
    }
