"""HTTP/1.1 connections (uvicorn, httptools), limited in number, in time, and in the size of request heads."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import ClassVar, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lmclassify.service.problems import MEDIA_TYPE, RequestError

MAX_HEAD_BYTES = 1 << 16
"""Maximum size of request line and headers: ample for browsers and proxies."""
MAX_PIPELINED = 100
"""Maximum number of waiting requests per connection; then it is closed, after the answers to these."""
STALL_CHECK_SECONDS = 1.0
"""Time between checks for clients that do not read: cheap, and precise enough for timeouts of seconds."""

_END_OF_HEAD = b"\r\n\r\n"
# The service does not upgrade connections. Some clients offer an upgrade (h2c) with every request, and the
# parser then ignores the body, so these headers are removed.
_UPGRADE_HEADERS = re.compile(rb"\r\n(?:upgrade|connection|http2-settings):[^\r\n]*(?=\r\n)", re.IGNORECASE)


class Connection(Protocol):
    """What `Connections` needs of a connection."""

    transport: asyncio.Transport


class Connections:
    """The open connections, at most `max_connections`.

    A new connection replaces the one that has been idle for longest, so idle connections keep nobody out. It
    is refused only if all connections have running requests. A client that stops reading its response is
    disconnected.

    Parameters
    ----------
    stall_seconds : float
        Time after which a client that reads nothing of its response is disconnected.
    clock : callable, optional
        Returns the time in seconds.
    """

    def __init__(
        self, max_connections: int, stall_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_connections = max_connections
        self._stall_seconds = stall_seconds
        self._clock = clock
        self._open: dict[Connection, tuple[int, float]] = {}  # bytes left to send, and since when so many
        self._idle: dict[Connection, None] = {}  # in the order in which they became idle
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> bool:
        """Add a new, idle connection; return whether there was room for it."""
        if len(self._open) >= self._max_connections:
            # A connection whose client still reads a response is not idle.
            idle = (found for found in self._idle if not found.transport.get_write_buffer_size())
            oldest = next(idle, None)
            if oldest is None:
                return False
            self.remove(oldest)
            oldest.transport.abort()
        self._open[connection] = (0, self._clock())
        self.set_idle(connection)
        if self._timer is None:
            self._schedule_check()
        return True

    def set_busy(self, connection: Connection) -> None:
        """Record that a connection has a running request."""
        self._idle.pop(connection, None)

    def set_idle(self, connection: Connection) -> None:
        """Record that a connection has no running request."""
        if connection in self._open:
            self._idle[connection] = None

    def remove(self, connection: Connection) -> None:
        """Remove a connection."""
        self._open.pop(connection, None)
        self._idle.pop(connection, None)

    def abort_stalled(self) -> None:
        """Abort the connections of clients that have not read for too long."""
        now = self._clock()
        for connection, (before, since) in list(self._open.items()):
            left = connection.transport.get_write_buffer_size()
            if not left or left != before:
                self._open[connection] = (left, now)
            elif now - since > self._stall_seconds:
                connection.transport.abort()  # close() would wait until the rest is sent

    def _schedule_check(self) -> None:
        seconds = min(STALL_CHECK_SECONDS, self._stall_seconds)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check) if self._open else None

    def _check(self) -> None:
        self.abort_stalled()
        self._schedule_check()


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Collects the head of a request, limited in size and time, before parsing it."""

    head_timeout = 10.0
    """Seconds for the head, from the start of the connection or from the first bytes of the head."""
    open_connections: ClassVar[Connections]
    _head = b""
    _in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, or refuse the connection."""
        super().connection_made(transport)
        if self.open_connections.add(self):
            self._start_timer()
        else:
            detail = "Too many connections; try again later."
            self._refuse(RequestError(503, detail, headers={"Retry-After": "1"}))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self.open_connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass data to the parser; a head is passed when it is complete."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head += data
            head, end, body = self._head.partition(_END_OF_HEAD)
            if len(head) > MAX_HEAD_BYTES:
                detail = f"The head of the request is larger than {MAX_HEAD_BYTES:,} bytes."
                self._refuse(RequestError(431, detail))
                return
            if not end:
                self._unset_keepalive_if_required()
                self._start_timer()
                return
            self._head = b""
            if b"upgrade" in head.lower():
                head = _UPGRADE_HEADERS.sub(b"", head + b"\r\n").removesuffix(b"\r\n")
            data = head + end + body
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete
        if self._in_head and idle and self.timeout_keep_alive_task is None:  # empty lines are not a request
            self._start_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, but not a trailer of a chunked body: their number is not limited."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start a request. The end of the previous one may have come in the same data."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait on one connection")
        self._stop_timer()
        self._in_head = False
        self.open_connections.set_busy(self)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for the head of the next request."""
        super().on_message_complete()
        self._in_head = True

    def on_response_complete(self) -> None:
        """Become idle, unless further requests are waiting."""
        if not self.pipeline:
            self.open_connections.set_idle(self)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse data that is not HTTP, after the answers to the requests before it."""
        if self.cycle is None or self.cycle.response_complete or (self.cycle.more_body and not self.pipeline):
            self._refuse(RequestError(400, msg))
        else:
            self.flow.pause_reading()
            self.cycle.keep_alive = False

    def _refuse(self, error: RequestError) -> None:
        self._stop_timer()
        body = bytes(error.response().body)
        lines = [
            f"HTTP/1.1 {error.status} {error.title}",
            f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(body)}",
            *(f"{name.lower()}: {value}" for name, value in error.headers.items()),
            "connection: close",
        ]
        self.transport.write("\r\n".join(lines).encode() + _END_OF_HEAD + body)
        self.transport.close()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_timeout, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
