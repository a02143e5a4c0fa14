"""One session of labelling: which text each browser gets next, and what becomes of its answer."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from lmclassify.annotation.labelled_file import CHECKED, CHOSEN, NONE, RANDOM, SKIPPED, Answer, LabelledFile
from lmclassify.annotation.learner import Choice, Round
from lmclassify.annotation.pool import Pool
from lmclassify.annotation.reservations import Client, Done, Reservations
from lmclassify.annotation.suspects import Suspect
from lmclassify.datasets.label_forms import LabelMatcher, difference
from lmclassify.errors import DataError, LMClassifyError, shorten

RECENT = 50
"""Answers over which the agreement of model and person is computed."""
MAX_LABEL = 200
MAX_NOTE = 2000
"""Longest label and note, in characters: both are cells that people read in a table."""

Action = Literal["label", "skip", "none"]


class ConflictError(LMClassifyError):
    """The row is not as the browser saw it."""


class BackgroundLearner(Protocol):
    """What a session needs of `lmclassify.annotation.learner.Learner`; a context manager."""

    @property
    def busy(self) -> bool: ...

    def submit(
        self, labels: Mapping[int, str], excluded: Collection[int] = (), at_random: Collection[int] = ()
    ) -> None: ...

    def latest(self) -> Round | None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Session:
    """Texts, answers, browsers and the model in the background. A context manager; safe to use from threads.

    Parameters
    ----------
    files : sequence of LabelledFile
    labels : sequence of str
        Labels that people can choose from the start, in their order.
    suspects : sequence of Suspect, optional
        The rows to check, in their order. By default all rows without label are to be labelled.
    start_learner : callable, optional
        Returns the process that learns from all texts. By default texts are drawn at random.
    seed : int, default=0
    clock, now : callable
        Return seconds, and the time in UTC.
    """

    def __init__(
        self,
        files: Sequence[LabelledFile],
        *,
        labels: Sequence[str] = (),
        suspects: Sequence[Suspect] | None = None,
        start_learner: Callable[[Sequence[str]], BackgroundLearner] | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lock = threading.RLock()
        self._pool = Pool(files)
        self._given_labels = list(labels)
        self._suspects: dict[int, Suspect] | None = None
        if suspects is not None:
            self._suspects = {self._pool.first_of(item.file) + item.row: item for item in suspects}
        self._passed: set[int] = set()  # suspects that were answered
        self._start_learner = start_learner if suspects is None else None
        self._learner: BackgroundLearner | None = None
        self._open_learner = contextlib.ExitStack()
        self._now = now
        self._reservations = Reservations(clock)
        self._choices: dict[int, Choice] = {}
        self._agreed: deque[tuple[int, bool]] = deque(maxlen=RECENT)
        self._random = random.Random(seed)
        self._first_id = 0
        self._begin()

    def __enter__(self) -> Self:
        with self._lock:
            self._restart_learner()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._learner = None
            self._open_learner.close()

    @property
    def num_texts(self) -> int:
        """Number of texts, or of suspects."""
        return self._pool.num_texts if self._suspects is None else len(self._suspects)

    @property
    def num_labelled(self) -> int:
        """Number of texts with a label, or of suspects that were answered."""
        return len(self._pool.labels) if self._suspects is None else len(self._passed)

    def labels(self) -> dict[str, int]:
        """Return the labels and how many rows each has, in the order of their buttons."""
        given = {label: self._pool.counts.get(label, 0) for label in self._given_labels}
        return given | self._pool.counts

    def state(self) -> dict[str, Any]:
        """Return what `GET /v1/state` answers."""
        with self._lock:
            self._poll()
            agreed = [agreed for _, agreed in self._agreed]
            return {
                "mode": "label" if self._suspects is None else "check",
                "files": [file.name for file in self._pool.files],
                "fit_command": self._pool.files[0].options.fit_command(
                    [file.name for file in self._pool.files]
                ),
                "labels": [{"name": name, "count": count} for name, count in self.labels().items()],
                "num_texts": self.num_texts,
                "num_labelled": self.num_labelled,
                "num_skipped": self._pool.num_skipped,
                "num_none": self._pool.num_none,
                "agreement": {"agreed": sum(agreed), "of": len(agreed)} if agreed else None,
                **self._assessment(),
                "model": self._model(),
            }

    def next_texts(self, client_name: str, count: int) -> list[dict[str, Any]]:
        """Return the next texts of a browser, at most `count`: those it has already, then new ones."""
        with self._lock:
            self._poll()
            client = self._reservations.client(client_name)
            for index in [index for index in client.queue if not self._is_open(index)]:
                self._reservations.remove(index)
            while len(client.queue) < count and (found := self._choose()) is not None:
                self._reservations.give(client, found)
            return [self._item(index) for index in client.queue[:count]]

    def answer(
        self,
        client_name: str,
        identity: int,
        action: Action,
        label: str | None = None,
        note: str | None = None,
        seen: str | None = None,
    ) -> None:
        """Write an answer into the file.

        Raises ConflictError if the text is gone or has another label than the browser saw, DataError if the
        label cannot be used, and what `LabelledFile.write` raises.

        Parameters
        ----------
        identity : int
            The ``id`` of the text.
        label : str, optional
            With action ``label``; a new one is added.
        note : str, optional
            One line is made of it.
        seen : str, optional
            The label that the browser saw in the row.
        """
        with self._lock:
            client = self._reservations.client(client_name)
            index = self._index(identity)
            before = self._pool.answer(index)
            if _is_repeated(client, index, before, action, label):
                return  # the browser has not received the answer to its request
            if (seen or "") != before.label:
                name, row = self._pool.place(index)
                now = f"has label {shorten(before.label)} now" if before.label else "has no label any more"
                raise ConflictError(f"Row {row:,} of {name} {now}: it was answered elsewhere.")
            after = self._changed(index, before, action, label, note)
            if after != before:
                self._pool.write(index, after)
            choice = self._choices.pop(index, None)
            self._reservations.remove(index)
            client.done.append(Done(index, before, after, choice))
            if self._suspects is not None:
                self._passed.add(index)
            elif action == "label" and choice is not None and choice.guess is not None:
                self._agreed.append((index, choice.guess.label == after.label))
            self._submit()

    def undo(self, client_name: str) -> dict[str, Any]:
        """Take back the last answer of a browser and return its text, which is its next one again.

        Raises ConflictError if there is none, or the row was changed since.
        """
        with self._lock:
            client = self._reservations.client(client_name)
            if not client.done:
                raise ConflictError("There is no answer to take back.")
            done = client.done[-1]
            index = done.index
            if self._pool.answer(index) != done.after:
                client.done.pop()
                name, row = self._pool.place(index)
                raise ConflictError(f"Row {row:,} of {name} was changed since; it stays as it is.")
            if done.before != done.after:
                self._pool.write(index, done.before)
            client.done.pop()
            self._passed.discard(index)
            for recent in [recent for recent in self._agreed if recent[0] == index]:
                self._agreed.remove(recent)
            if done.choice is not None:
                self._choices[index] = done.choice
            self._reservations.remove(index)
            self._reservations.give(client, index, first=True)
            self._submit()
            return self._item(index)

    def reload(self) -> int:
        """Read the files again, and write the answers that were made where they are missing.

        Returns how many answers were lost, because their rows are gone. Raises DataError if a file cannot be
        read any more; then nothing changes.
        """
        with self._lock:
            old = self._pool
            self._pool, new_index, num_lost = old.read_again()
            if [file.texts for file in old.files] != [file.texts for file in self._pool.files]:
                self._first_id += len(old.texts)
                self._reservations.reindex(new_index)
                self._choices.clear()
                self._agreed.clear()
                self._passed = {new_index[index] for index in self._passed if index in new_index}
                if self._suspects is not None:
                    suspects = self._suspects.items()
                    self._suspects = {new_index[at]: item for at, item in suspects if at in new_index}
                self._begin()
                self._restart_learner()
            else:
                self._fill()
                self._submit()
            return num_lost

    def _begin(self) -> None:
        """Begin with the texts as they are."""
        self._round: Round | None = None
        self._chosen: deque[Choice] = deque()
        self._fill()

    def _fill(self) -> None:
        """Put all texts that are still to be answered into the queue."""
        if self._suspects is not None:
            self._waiting = deque(self._suspects)
            return
        order = [index for index in range(len(self._pool.texts)) if self._is_open(index)]
        self._random.shuffle(order)
        self._waiting = deque(order)

    def _restart_learner(self) -> None:
        self._open_learner.close()
        if self._start_learner is not None:
            self._learner = self._open_learner.enter_context(self._start_learner(self._pool.texts))
            self._submit()

    def _submit(self) -> None:
        if self._learner is not None:
            unavailable = self._pool.excluded | self._reservations.reserved
            self._learner.submit(self._pool.labels, unavailable, self._pool.at_random)

    def _poll(self) -> None:
        """Take the newest choice of the learner."""
        found = None if self._learner is None else self._learner.latest()
        if found is not None:
            self._round = found
            self._chosen = deque(found.items)

    def _is_open(self, index: int) -> bool:
        """Return whether a text is still to be answered."""
        if self._suspects is not None:
            return index not in self._passed
        return index not in self._pool.labels and index not in self._pool.excluded

    def _choose(self) -> int | None:
        """Return the next text that nobody has; None if there is none."""
        queues: list[deque[Any]] = [self._reservations.returned, self._chosen, self._waiting]
        for queue in queues:
            while queue:
                item = queue.popleft()
                index = item.index if isinstance(item, Choice) else item
                if self._is_open(index) and index not in self._reservations.reserved:
                    if isinstance(item, Choice):
                        self._choices[index] = item
                    return int(index)
        return None

    def _index(self, identity: int) -> int:
        index = identity - self._first_id
        if not 0 <= index < len(self._pool.texts):
            raise ConflictError("This text is not there any more; load the next ones.")
        return index

    def _changed(
        self, index: int, before: Answer, action: Action, label: str | None, note: str | None
    ) -> Answer:
        """Return the new answer of a row."""
        if (action == "label") != (label is not None):
            raise DataError("Give a label with action label, and only there.")
        note = " ".join((note or "").split())
        if len(note) > MAX_NOTE:
            raise DataError(f"The note is longer than {MAX_NOTE:,} characters.")
        if note and before.note and not before.source:
            raise DataError(f"The row has a note already ({shorten(before.note)}), which stays: drop yours.")
        kept = replace(before, note=note or before.note)
        if action == "skip" and self._suspects is not None:
            return kept
        at = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if label is None:
            return replace(kept, label="", labelled_at=at, source=SKIPPED if action == "skip" else NONE)
        choice = self._choices.get(index)
        drawn = RANDOM if choice is None or choice.why == "random" else CHOSEN
        source = drawn if self._suspects is None else CHECKED
        return replace(kept, label=self._checked(label), labelled_at=at, source=source)

    def _checked(self, label: str) -> str:
        """Return a label without blanks around it. Raises DataError if it cannot be one."""
        label = label.strip()
        known = self.labels()
        if label in known:
            return label
        if not label or len(label) > MAX_LABEL:
            raise DataError(f"A label has 1 to {MAX_LABEL} characters.")
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in label):
            raise DataError("A label is one line of text, without control characters.")
        similar = LabelMatcher(known).match(label)
        if similar is not None:
            raise DataError(
                f"There is a label {shorten(similar)}, from which {shorten(label)} differs only in "
                f"{difference([similar, label])}; use that one."
            )
        return label

    def _item(self, index: int) -> dict[str, Any]:
        """Return a text as JSON."""
        name, row = self._pool.place(index)
        choice = self._choices.get(index)
        suspect = None if self._suspects is None else self._suspects.get(index)
        why = "random" if choice is None else choice.why
        guess = None if choice is None or choice.guess is None else asdict(choice.guess)
        return {
            "id": self._first_id + index,
            "file": name,
            "row": row,
            "text": self._pool.texts[index],
            "why": why if self._suspects is None else "suspect",
            "reason": None if suspect is None else suspect.reason,
            "label": self._pool.answer(index).label or None,
            "suggested": None if suspect is None else suspect.suggested,
            "guess": guess,
        }

    def _assessment(self) -> dict[str, Any]:
        found = None if self._round is None else self._round.assessment
        if found is None:
            return {"accuracy": None, "forecast": None}
        return {
            "accuracy": {"estimate": found.estimate, "low": found.low, "high": found.high, "of": found.of},
            "forecast": {"labels": found.forecast_labels, "points": found.forecast_points},
        }

    def _model(self) -> dict[str, Any]:
        found = self._round
        if found is not None and found.error is not None:
            return {"state": "failed", "num_texts": found.num_labelled, "detail": found.error}
        if found is not None and any(item.guess is not None for item in found.items):
            return {"state": "ready", "num_texts": found.num_labelled, "detail": None}
        enough = len(self._pool.counts) > 1
        fitting = self._learner is not None and self._learner.busy and enough
        return {"state": "fitting" if fitting else "waiting", "num_texts": 0, "detail": None}


def _is_repeated(client: Client, index: int, now: Answer, action: Action, label: str | None) -> bool:
    """Return whether a browser sends its last answer again."""
    if not client.done or client.done[-1].index != index or client.done[-1].after != now:
        return False
    if action == "label":
        return (label or "").strip() == now.label
    return now.source == {"skip": SKIPPED, "none": NONE}[action]
