"""The filters of `benchmarks.online_mail`; `FILTERS` names them."""

from __future__ import annotations

import math
import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.mail_stream import Message, OnlineFilter, Verdict
from benchmarks.resource_usage import measure_command
from lmclassify.classify.estimator import LMClassifier
from lmclassify.errors import LMClassifyError


class Bogofilter:
    """bogofilter with its default settings, without ``-u``; it starts a process for each message and lesson.

    It reads the whole message. Mail of which it is unsure (score between 0.45 and 0.99) is delivered.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("bogofilter")
        if program is None:
            raise LMClassifyError("bogofilter is not installed")
        self._folder = folder
        self._command = [program, "-C", "-d", str(folder)]

    def classify(self, message: Message) -> Verdict:
        """Return bogofilter's score, unrounded, and its verdict, which is unsure before the first lesson."""
        if not (self._folder / "wordlist.db").exists():
            return Verdict(0.5, "unsure")
        done = subprocess.run(
            [*self._command, "-TT"], input=message.data, stdout=subprocess.PIPE, check=False
        )
        if done.returncode > 2:
            raise LMClassifyError(f"bogofilter failed with exit status {done.returncode}")
        return Verdict(float(done.stdout), ("spam", "ham", "unsure")[done.returncode])

    def teach(self, message: Message) -> None:
        """Register the message."""
        command = [*self._command, "-s" if message.is_spam else "-n"]
        subprocess.run(command, input=message.data, check=True)

    def size(self) -> int:
        """Return the size of its database."""
        return sum(path.stat().st_size for path in self._folder.iterdir())

    def megabytes(self) -> float:
        """Return the peak memory of a process that registers an empty message."""
        return measure_command(*self._command, "-n", "-I", os.devnull).megabytes


class LogisticRegression:
    """Online logistic regression over the byte 4-grams of a message's beginning.

    As in Goodman and Yih (2006) and Cormack, Smucker and Clarke (2011): binary features, hashed into
    1,000,081 weights, one step of gradient descent per message with the learning rate of the latter paper, no
    regularization, no bias.

    Parameters
    ----------
    content : callable
        Returns the bytes to read of a message.
    """

    _NUM_WEIGHTS = 1_000_081
    _NUM_BYTES = 3_000

    def __init__(self, content: Callable[[Message], bytes], learning_rate: float = 0.002) -> None:
        self._content, self._learning_rate = content, learning_rate
        self._weights = np.zeros(self._NUM_WEIGHTS)

    def _features(self, message: Message) -> npt.NDArray[np.uint32]:
        data = np.frombuffer(self._content(message)[: self._NUM_BYTES], np.uint8).astype(np.uint32)
        ngrams = data[:-3] << 24 | data[1:-2] << 16 | data[2:-1] << 8 | data[3:]
        return np.unique(ngrams % self._NUM_WEIGHTS)

    def classify(self, message: Message) -> Verdict:
        """Return the log-odds of spam; above 0 is spam."""
        log_odds = float(self._weights[self._features(message)].sum())
        return Verdict(log_odds, "spam" if log_odds > 0 else "ham")

    def teach(self, message: Message) -> None:
        """Take a step along the gradient of the log-likelihood."""
        features = self._features(message)
        log_odds = float(self._weights[features].sum())
        probability = 1 / (1 + math.exp(-min(max(log_odds, -500), 500)))
        self._weights[features] += self._learning_rate * (message.is_spam - probability)

    def size(self) -> int:
        """Return the size of the weights."""
        return self._weights.nbytes

    def megabytes(self) -> float:
        """Return the peak memory of this process."""
        return peak_megabytes()


class LearningModel:
    """lmclassify, from an empty model: `predict_log_proba`, then `learn`."""

    def __init__(self) -> None:
        self._model = LMClassifier().partial_fit([], [], classes=["ham", "spam"])

    def classify(self, message: Message) -> Verdict:
        """Return the log-odds of spam and the likelier label; unsure until enough was learned of both."""
        ham, spam = self._model.predict_log_proba([message.text])[0]
        if self._model.model_.needs_lessons:
            return Verdict(float(spam - ham), "unsure")
        return Verdict(float(spam - ham), "spam" if spam > ham else "ham")

    def teach(self, message: Message) -> None:
        """Teach the message's text."""
        self._model.learn(message.text, "spam" if message.is_spam else "ham")

    def size(self) -> None:
        """Unknown."""

    def megabytes(self) -> float:
        """Return the peak memory of this process."""
        return peak_megabytes()


def peak_megabytes() -> float:
    """Return the peak resident memory of this process, with Python, all imports and all messages."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


FILTERS: dict[str, Callable[[Path], OnlineFilter]] = {
    "lmclassify": lambda folder: LearningModel(),
    "bogofilter": Bogofilter,
    "logistic": lambda folder: LogisticRegression(lambda message: message.data),
    "logistic-text": lambda folder: LogisticRegression(lambda message: message.text.encode()),
}
"""Functions that make a filter, given an empty folder. To try a variant, add it here."""
READ_TEXT = {"logistic-text"} | {name for name in FILTERS if name.startswith("lmclassify")}
"""The filters that read `Message.text`."""
