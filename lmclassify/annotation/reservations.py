"""Which browser has which texts, so that no two get the same one, and what each can take back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from lmclassify.annotation.labelled_file import Answer
from lmclassify.annotation.learner import Choice

SECONDS = 300.0
"""How long a browser that sends nothing keeps its texts: people read some of them for minutes."""
MAX_DONE = 1000
"""Answers that a browser can take back."""
MAX_CLIENTS = 1000
"""Browsers that are remembered; a page that is opened again counts as another one."""


@dataclass(frozen=True)
class Done:
    """Something that a person has done."""

    index: int
    """Of the text."""
    before: Answer
    after: Answer
    choice: Choice | None
    """How the text had been chosen, and the model's guess."""


@dataclass
class Client:
    """One browser."""

    until: float = 0.0
    """When its texts are given to others, unless it sends something."""
    queue: list[int] = field(default_factory=list)
    """Its texts, the next one first."""
    done: deque[Done] = field(default_factory=lambda: deque(maxlen=MAX_DONE))
    """What it has done, the last one last."""


class Reservations:
    """The browsers and their texts.

    Attributes
    ----------
    reserved : set of int
        The texts that browsers have.
    returned : deque of int
        Texts that were not answered in time; the next browser that asks gets them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._clients: dict[str, Client] = {}
        self.reserved: set[int] = set()
        self.returned: deque[int] = deque()

    def client(self, name: str) -> Client:
        """Return a browser, which has just sent something."""
        now = self._clock()
        for other in self._clients.values():
            if other.queue and other.until < now:
                self._take_back(other)
        client = self._clients.pop(name, None) or Client()
        if len(self._clients) >= MAX_CLIENTS:
            self._take_back(self._clients.pop(next(iter(self._clients))))
        self._clients[name] = client
        client.until = now + SECONDS
        return client

    def give(self, client: Client, index: int, *, first: bool = False) -> None:
        """Give a text to a browser, as its last one or its next one."""
        client.queue.insert(0 if first else len(client.queue), index)
        self.reserved.add(index)

    def remove(self, index: int) -> None:
        """Take a text away from the browser that has it."""
        if index in self.reserved:
            self.reserved.discard(index)
            for client in self._clients.values():
                if index in client.queue:
                    client.queue.remove(index)

    def reindex(self, new_index: Mapping[int, int]) -> None:
        """Forget which texts browsers have, and use new indices for what they have done."""
        self.reserved.clear()
        self.returned.clear()
        for client in self._clients.values():
            client.queue.clear()
            kept = [done for done in client.done if done.index in new_index]
            client.done.clear()
            client.done += [replace(done, index=new_index[done.index]) for done in kept]

    def _take_back(self, client: Client) -> None:
        self.returned += client.queue
        self.reserved.difference_update(client.queue)
        client.queue.clear()
