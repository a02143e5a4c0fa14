"""The interface described: /openapi.json, and /docs that shows it (Swagger UI, from this machine)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles
from starlette.responses import FileResponse

from lmclassify.service.schemas import ErrorPlace, ProblemDetails

STATIC = Path(__file__).parent / "static"


def add_docs(app: FastAPI) -> None:
    """Add both paths to an application, and what they load."""
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.mount("/docs-static", StaticFiles(directory=str(files("fastapi_offline") / "static")))


async def _docs() -> FileResponse:
    return FileResponse(STATIC / "docs.html", headers={"Cache-Control": "no-cache"})


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = document["components"]["schemas"]
        for model in (ProblemDetails, ErrorPlace):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            schemas[model.__name__] = schema
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        bearer = {"type": "http", "scheme": "bearer", "description": "Where the service asks for a token."}
        document["components"]["securitySchemes"] = {"token": bearer}
        for path, operations in document["paths"].items():
            if path.startswith("/v1/") or path == "/metrics":
                for operation in operations.values():
                    operation["security"] = [{}, {"token": []}]
        app.openapi_schema = document
    return app.openapi_schema
