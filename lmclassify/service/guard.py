"""What stands before the application: token, limits of size and time, headers, counts (ASGI)."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import time
import traceback
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lmclassify.service.problems import RequestError, fault
from lmclassify.service.settings import ServiceSettings

_log = logging.getLogger("lmclassify.service")

_WITHOUT_BODY = ("GET", "HEAD")
_MOST_DROPPED_BYTES = 1 << 26
_SECONDS_OF_DROPPING = 5.0
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI, which /docs shows, styles its elements itself.
_POLICY_OF_DOCS = _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """An ASGI application around another one.

    Parameters
    ----------
    app : ASGI application
    settings : ServiceSettings
    answered : callable
        Called with method, path, status and seconds of each request.
    """

    def __init__(
        self, app: ASGIApp, settings: ServiceSettings, answered: Callable[[str, str, int, float], None]
    ) -> None:
        self._app = app
        self._settings = settings
        self._answered = answered
        self.change_token(settings.token)

    def change_token(self, token: str | None) -> None:
        """Ask for another bearer token from now on, or for none."""
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; see the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # the server leaves the body out
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        try:
            body = await self._admit(scope, receive)
            await self._app(scope, _receive_again(body, receive), send_with_headers)
        except RequestError as problem:
            if method not in _WITHOUT_BODY:  # what is left of the body would be taken for a request
                problem.headers["Connection"] = "close"
            await problem.response()(scope, receive, send_with_headers)
        except GoneError:
            status = 499  # nobody is left to answer; the number is nginx's
        except Exception as error:
            _log_error(error)
            if not status:
                await fault().response()(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - started
            self._answered(method, scope["path"], status, seconds)

    async def _admit(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request that may pass."""
        headers = Headers(scope=scope)
        path = scope["path"]
        protected = path.startswith("/v1/") or path == "/metrics"
        if self._token is not None and protected and not self._is_authorized(headers):
            raise RequestError(
                401,
                "This service asks for a token: send the header Authorization: Bearer TOKEN.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        self._check_host(headers)
        if scope["method"] in _WITHOUT_BODY:
            return b""
        if path.startswith("/v1/") and scope["method"] == "POST":
            media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != "application/json":  # a web page elsewhere cannot send this without asking
                raise RequestError(415, "Send JSON, with the header Content-Type: application/json.")
            if headers.get("content-encoding", "identity").lower() != "identity":
                raise RequestError(415, "Send the body as it is, without Content-Encoding.")
        declared = headers.get("content-length", "0")
        if declared.isascii() and declared.isdigit() and int(declared) > self._settings.max_body_bytes:
            if "expect" not in headers:
                await _drop_rest(receive)
            raise self._too_large()
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._read(receive)
        except TimeoutError:
            raise RequestError(
                408, f"The request did not arrive within {self._settings.timeout:g} s."
            ) from None

    async def _read(self, receive: Receive) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._settings.max_body_bytes:
                await _drop_rest(receive)
                raise self._too_large()
            if not message.get("more_body", False):
                return b"".join(pieces)

    def _is_authorized(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        token = self._token or b""
        return hmac.compare_digest(given.strip().encode("latin-1"), token) and scheme.lower() == "bearer"

    def _too_large(self) -> RequestError:
        return RequestError(
            413,
            f"The body is larger than {self._settings.max_body_bytes:,} bytes; send fewer texts at a time.",
        )

    def _check_host(self, headers: Headers) -> None:
        """Refuse requests meant for another host: a page elsewhere may have its name lead here."""
        if len(headers.getlist("host")) > 1:  # RFC 9112, 3.2
            raise RequestError(400, "A request has one Host header.")
        allowed = self._settings.allowed_hosts
        host = headers.get("host", "").lower()  # a browser gives one, a health check need not
        if allowed and host and re.sub(r":\d*$", "", host).strip("[]") not in allowed:
            raise RequestError(421, "This service is not for that host name; see serve --allowed-host.")


class GoneError(Exception):
    """The client has closed the connection."""


async def _drop_rest(receive: Receive) -> None:
    """Read what still comes of a body that is refused, within bounds: many clients read no answer before."""
    left = _MOST_DROPPED_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS_OF_DROPPING):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def _receive_again(body: bytes, receive: Receive) -> Receive:
    """Return an ASGI `receive` that gives the body that was read, then goes on as before."""
    given = False

    async def receive_body() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_body


def _add_headers(headers: MutableHeaders, path: str) -> None:
    for name, value in _HEADERS.items():
        headers[name] = value
    headers["Content-Security-Policy"] = _POLICY_OF_DOCS if path == "/docs" else _POLICY
    headers.setdefault("Cache-Control", "no-store")


def _log_error(error: Exception) -> None:
    """Log where an error happened, without its message, which may hold a client's text."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("unexpected %s while answering a request\n%s", type(error).__name__, frames.rstrip())
