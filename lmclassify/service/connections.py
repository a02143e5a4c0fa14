"""The open connections of a service: how many there may be, which give way, and which are stuck."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

_SECONDS_BETWEEN_LOOKS = 1.0


class Connection(Protocol):
    """What is kept of a connection."""

    transport: asyncio.Transport


class Connections:
    """So many at most. A new one takes the place of the one that has had no request for longest.

    So many idle connections keep nobody out; only where all have requests that run is a new one refused.
    A client that stops reading its answer loses its connection.

    Parameters
    ----------
    most : int
    seconds : float
        For which a client may read nothing of an answer.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._open: dict[Connection, tuple[int, float]] = {}  # bytes left to send, and since when so many
        self._idle: dict[Connection, None] = {}  # the one that is idle for longest first
        self._looking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, connection: Connection) -> bool:
        """Take a new connection in, and return whether there is a place for it."""
        if len(self._open) >= self._most:
            # One whose client still reads an answer is not idle.
            idle = (found for found in self._idle if not found.transport.get_write_buffer_size())
            oldest = next(idle, None)
            if oldest is None:
                return False
            self.leave(oldest)
            oldest.transport.abort()
        self._open[connection] = (0, time.monotonic())
        self.rest(connection)
        if self._looking is None:
            self._look_again()
        return True

    def work(self, connection: Connection) -> None:
        """Take note that a connection has a request that runs."""
        self._idle.pop(connection, None)

    def rest(self, connection: Connection) -> None:
        """Take note that a connection has none any more."""
        if connection in self._open:
            self._idle[connection] = None

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.pop(connection, None)
        self._idle.pop(connection, None)

    def _look_again(self) -> None:
        pause = min(_SECONDS_BETWEEN_LOOKS, self._seconds)
        self._looking = asyncio.get_running_loop().call_later(pause, self._look) if self._open else None

    def _look(self) -> None:
        """Abort connections whose clients do not read."""
        now = time.monotonic()
        for connection, (before, since) in list(self._open.items()):
            left = connection.transport.get_write_buffer_size()
            if not left or left != before:
                self._open[connection] = (left, now)
            elif now - since > self._seconds:
                connection.transport.abort()  # closing it would first wait for the rest to be sent
        self._look_again()
