"""Bodies of requests: JSON (RFC 8259) read strictly, so that a proxy before the service reads the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


def parse(body: bytes) -> Any:
    """Return what a body says.

    Raises
    ------
    HTTPException
        If it is no JSON in UTF-8, too deep to be read, or gives a member twice (400).
    """
    try:
        text = body.decode("utf-8-sig")  # json.loads would take UTF-16 and UTF-32 too
        return json.loads(text, object_pairs_hook=_members, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is no JSON, in UTF-8, that can be read.") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise HTTPException(400, "The body gives a member twice, so that it could be read in two ways.")
    return members


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


class _StrictRequest(Request):
    async def json(self) -> Any:
        return parse(await self.body())


class StrictRoute(APIRoute):
    """A route whose requests are read by `parse`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
