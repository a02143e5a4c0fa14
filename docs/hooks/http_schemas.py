"""Tables of the HTTP reference, from the OpenAPI document of the service."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from lmclassify.service.app import Service
from lmclassify.service.settings import ServiceSettings
from lmclassify.service.worker_process import WorkerCommand

_MARK = re.compile(r"<!-- (request|response|statuses): (GET|POST) (\S+) -->")


def with_tables(markdown: str) -> str:
    """Replace marks such as `<!-- response: POST /v1/predict -->` by tables."""
    return _MARK.sub(lambda mark: _table(mark[1], document()["paths"][mark[3]][mark[2].lower()]), markdown)


@functools.cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document of the service."""
    return asyncio.run(_openapi())


async def _openapi() -> Any:
    service = Service(WorkerCommand({}), ServiceSettings())
    body: list[bytes] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        body.append(message.get("body", b""))

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/openapi.json",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    await service.app(scope, receive, send)
    return json.loads(b"".join(body))


def _table(kind: str, operation: dict[str, Any]) -> str:
    if kind == "statuses":
        codes = sorted({int(code) for code in operation["responses"]} | {421, 431})
        return ", ".join(f"[{code}](#status-codes) {HTTPStatus(code).phrase}" for code in codes)
    part = operation["requestBody"] if kind == "request" else operation["responses"]["200"]
    schema = part["content"]["application/json"]["schema"]
    rows = [f"| `{name}` | {type_} | {meaning} |" for name, type_, meaning in _fields(schema, "")]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])


def _fields(schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and meaning of the fields of an object, then those of the objects in it."""
    schema = _resolved(schema)
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        resolved = _resolved(field)
        meaning = field.get("description") or resolved.get("description", "")
        if field.get("default") is not None and required:
            meaning += f" Default: `{json.dumps(field['default'])}`."
        yield prefix + name, _type(field), meaning.strip()
        item = _resolved(resolved.get("items", {}))
        if "properties" in item:
            yield from _fields(item, f"{prefix}{name}[].")
        elif "properties" in resolved:
            yield from _fields(resolved, f"{prefix}{name}.")


def _type(schema: dict[str, Any]) -> str:
    """Return a type in words."""
    schema = _resolved(schema)
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"array of {_type(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object: a {_type(schema['additionalProperties']).partition(',')[0]} per label"
    if kind in ("integer", "number") and "maximum" in schema:
        return f"{kind}, {schema['minimum']:g} to {schema['maximum']:g}"
    return kind


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema; if it refers to a named one, that."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return {**document()["components"]["schemas"][name], **schema} if name else schema
