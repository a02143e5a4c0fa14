"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lmclassify.service.worker import FAILED

MEDIA_TYPE = "application/problem+json"


class RequestError(Exception):
    """An error that is sent to the client.

    Parameters
    ----------
    status : int
        HTTP status code.
    detail : str
        One sentence for people, with the remedy. Of what the client sent it may contain a label's name only.
    errors : sequence of mapping, optional
        Wrong places in the request, each with ``pointer`` (a JSON pointer, RFC 6901) and ``detail``.
    headers : mapping of str to str, optional
        Additional response headers.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    @property
    def title(self) -> str:
        """The standard phrase for the status."""
        return HTTPStatus(self.status).phrase

    def response(self) -> Response:
        """Return the HTTP response."""
        members: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = [dict(error) for error in self.errors]
        return Response(
            json.dumps(members), status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE
        )


def internal_error() -> RequestError:
    """Return the error for an unexpected failure of the service."""
    return RequestError(500, FAILED)


def json_pointer(*keys: str | int) -> str:
    """Return the JSON pointer (RFC 6901) for a sequence of keys and indices."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def add_error_handlers(app: FastAPI) -> None:
    """Make an application answer every error with problem details."""
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestError, _request_error)
    app.add_exception_handler(Exception, _unexpected_error)


async def _request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error.response()


async def _unexpected_error(_: Request, __: Exception) -> Response:
    return internal_error().response()  # the guard logs it


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return RequestError(
        error.status_code, f"{error.detail}.".replace("..", "."), headers=error.headers
    ).response()


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"pointer": json_pointer(*(item["loc"][1:])), "detail": _detail(item)} for item in error.errors()[:10]
    ]
    return RequestError(
        422, "The body does not match the schema of this path; see errors.", errors
    ).response()


def _detail(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown member; /docs lists those of this path"
    return str(error["msg"])[:200]
