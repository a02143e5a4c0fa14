"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class RequestError(Exception):
    """What ends a request without a result.

    Parameters
    ----------
    status : int
        HTTP status code.
    detail : str
        One sentence for people, with the remedy; of what a client sent at most a label's name.
    errors : sequence of mapping, optional
        Places in the request, each with ``pointer`` (a JSON pointer, RFC 6901) and ``detail``.
    headers : mapping of str to str, optional
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
        """What the status says."""
        return HTTPStatus(self.status).phrase

    def response(self) -> Response:
        """Return it as an HTTP response."""
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


def fault() -> RequestError:
    """Return what is answered when the service has a fault."""
    return RequestError(500, "Something went wrong in the service; its log says where.")


def pointer(*places: str | int) -> str:
    """Return the JSON pointer to a place within a request's body."""
    return "".join("/" + str(place).replace("~", "~0").replace("/", "~1") for place in places)
