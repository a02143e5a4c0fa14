"""HTTP/1.1 with limits on requests' heads, and refusals as problem details (uvicorn, httptools)."""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lmclassify.service.connections import Connections
from lmclassify.service.problems import MEDIA_TYPE, RequestError

_MOST_BYTES = 1 << 16
_MOST_PIPELINED = 100  # beyond it the connection is closed, after the answers to these
_END_OF_HEAD = b"\r\n\r\n"
# Upgrades (h2c, which some clients offer with every request) are not taken, and offers of them make the
# parser leave out the body.
_OFFERS = re.compile(rb"\r\n(?:upgrade|connection|http2-settings):[^\r\n]*(?=\r\n)", re.IGNORECASE)


class LimitedProtocol(HttpToolsProtocol):
    """Reads a request's head as a whole: so large at most, and in so much time."""

    seconds = 10.0
    """For the head, from the connection or from its first bytes on."""
    places: ClassVar[Connections]
    _head = b""
    _in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        if self.places.enter(self):
            self._start_timer()
        else:
            detail = "There are too many connections; try again soon."
            self._refuse(RequestError(503, detail, headers={"Retry-After": "1"}))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        self.places.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass data on, a head when it is complete."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head += data
            head, end, body = self._head.partition(_END_OF_HEAD)
            if len(head) > _MOST_BYTES:
                self._refuse(RequestError(431, f"The request's head is larger than {_MOST_BYTES:,} bytes."))
                return
            if not end:
                self._unset_keepalive_if_required()
                self._start_timer()
                return
            self._head = b""
            if b"upgrade" in head.lower():
                head = _OFFERS.sub(b"", head + b"\r\n").removesuffix(b"\r\n")
            data = head + end + body
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete
        if self._in_head and idle and self.timeout_keep_alive_task is None:  # empty lines are no request
            self._start_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, but not one behind a body in chunks: of those there could be any number."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin a request; the one before it may have come in the same piece of data."""
        if len(self.pipeline) >= _MOST_PIPELINED:
            raise ValueError("too many requests wait on one connection")
        self._stop_timer()
        self._in_head = False
        self.places.work(self)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_message_complete()
        self._in_head = True

    def on_response_complete(self) -> None:
        """Be idle, unless there is another request."""
        if not self.pipeline:
            self.places.rest(self)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, after the answers to what came before it."""
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
            self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
