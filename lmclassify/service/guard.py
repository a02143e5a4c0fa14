"""ASGI middleware in front of the application: token, host, body limits, security headers, error handling."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lmclassify.logs import log_unexpected
from lmclassify.service.problems import RequestError, internal_error
from lmclassify.service.settings import ServiceSettings

_log = logging.getLogger("lmclassify.service")

MAX_DISCARDED_BYTES = 1 << 26
DISCARD_SECONDS = 5.0
"""Limits for reading the rest of a refused body: many clients read the response only after sending it all."""

_METHODS_WITHOUT_BODY = ("GET", "HEAD")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI on /docs sets inline styles.
_DOCS_POLICY = _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """An ASGI application that checks requests before passing them to another one.

    Parameters
    ----------
    on_response : callable
        Called after each request with its method, path, status and duration in seconds.
    """

    def __init__(
        self, app: ASGIApp, settings: ServiceSettings, on_response: Callable[[str, str, int, float], None]
    ) -> None:
        self._app = app
        self._settings = settings
        self._on_response = on_response
        self.set_token(settings.token)

    def set_token(self, token: str | None) -> None:
        """Require this bearer token from now on; None: no token."""
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; see the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # uvicorn omits the body
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
            await self._app(scope, _replay(body, receive), send_with_headers)
        except RequestError as problem:
            if method not in _METHODS_WITHOUT_BODY:  # the rest of the body would be parsed as a request
                problem.headers["Connection"] = "close"
            await problem.response()(scope, receive, send_with_headers)
        except ClientDisconnectedError:
            status = 499  # only for metrics and log; the number is nginx's
        except Exception as error:
            log_unexpected(_log, error, "answering a request")
            if not status:
                await internal_error().response()(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - started
            self._on_response(method, scope["path"], status, seconds)

    async def _admit(self, scope: Scope, receive: Receive) -> bytes:
        """Check a request and return its body; raise an error if it is refused."""
        headers = Headers(scope=scope)
        path = scope["path"]
        protected = path.startswith("/v1/") or path == "/metrics"
        if self._token is not None and protected and not self._is_authorized(headers):
            raise RequestError(
                401,
                "This service requires a token: send the header Authorization: Bearer TOKEN.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        self._check_host(headers)
        if scope["method"] in _METHODS_WITHOUT_BODY:
            return b""
        if path.endswith("/learn"):
            check_site(headers)
        if path.startswith("/v1/") and scope["method"] == "POST":
            media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != "application/json":  # browsers let no other site send this type
                raise RequestError(415, "Send JSON with the header Content-Type: application/json.")
            if headers.get("content-encoding", "identity").lower() != "identity":
                raise RequestError(415, "Send the body uncompressed, without Content-Encoding.")
        declared = headers.get("content-length", "0")
        if declared.isascii() and declared.isdigit() and int(declared) > self._settings.max_body_bytes:
            if "expect" not in headers:
                await _discard_body(receive)
            raise self._too_large()
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await self._read_body(receive)
        except TimeoutError:
            raise RequestError(
                408, f"The request did not arrive within {self._settings.timeout:g} s."
            ) from None

    async def _read_body(self, receive: Receive) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._settings.max_body_bytes:
                await _discard_body(receive)
                raise self._too_large()
            if not message.get("more_body", False):
                return b"".join(pieces)

    def _is_authorized(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        expected = self._token or b""
        return hmac.compare_digest(token.strip().encode("latin-1"), expected) and scheme.lower() == "bearer"

    def _too_large(self) -> RequestError:
        return RequestError(
            413,
            f"The body is larger than {self._settings.max_body_bytes:,} bytes; send fewer texts per request.",
        )

    def _check_host(self, headers: Headers) -> None:
        """Refuse requests to another host name: another site could let its name resolve to this address."""
        if len(headers.getlist("host")) > 1:  # RFC 9112, 3.2
            raise RequestError(400, "The request has more than one Host header.")
        allowed = self._settings.allowed_hosts
        host = headers.get("host", "").lower()  # browsers always send one, health checks may not
        if allowed and host and re.sub(r":\d*$", "", host).strip("[]") not in allowed:
            raise RequestError(
                421, "This service does not accept that host name; see lmclassify serve --allowed-host."
            )


def check_site(headers: Headers) -> None:
    """Refuse a request that a page of another site makes; a request of no page has none of these headers.

    A page on another port of this machine is of the same site, but not of the same origin.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and origin is not None:
        host = origin.partition("://")[2].lower()
        site = "same-origin" if host and host == headers.get("host", "").lower() else "cross-site"
    if site not in (None, "none", "same-origin"):
        raise RequestError(403, "Pages of other sites may not change anything here.")


class ClientDisconnectedError(Exception):
    """The client has closed the connection."""


async def _discard_body(receive: Receive) -> None:
    """Read and discard the rest of a refused body, within limits."""
    left = MAX_DISCARDED_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return an ASGI `receive` that first returns the body that was read, then calls the original."""
    replayed = False

    async def receive_replayed() -> Message:
        nonlocal replayed
        if replayed:
            while (message := await receive())["type"] == "http.request":
                pass  # the body of a GET request, which nobody has read
            return message
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_replayed


def _add_headers(headers: MutableHeaders, path: str) -> None:
    for name, value in _HEADERS.items():
        headers[name] = value
    headers["Content-Security-Policy"] = _DOCS_POLICY if path == "/docs" else _POLICY
    headers.setdefault("Cache-Control", "no-store")
