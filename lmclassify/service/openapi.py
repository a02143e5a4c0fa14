"""The OpenAPI document of the service."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lmclassify.service import schemas
from lmclassify.service.problems import MEDIA_TYPE, RequestError


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document: FastAPI's, with our error format and the bearer token."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        components = document["components"]["schemas"]
        for model in (schemas.ProblemDetails, schemas.ErrorPlace):
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.pop("$defs", None)
            components[model.__name__] = schema
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        bearer = {"type": "http", "scheme": "bearer", "description": "Only if the service requires a token."}
        document["components"]["securitySchemes"] = {"token": bearer}
        for path, operations in document["paths"].items():
            if path.startswith("/v1/") or path == "/metrics":
                for operation in operations.values():
                    operation["security"] = [{}, {"token": []}]
        app.openapi_schema = document
    return app.openapi_schema


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of error responses for the OpenAPI document."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {"description": RequestError(status, "").title, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }
