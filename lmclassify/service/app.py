"""The FastAPI application: its paths, the OpenAPI document and the pages."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from lmclassify import __version__
from lmclassify.errors import LMClassifyError, counted
from lmclassify.service import schemas
from lmclassify.service.guard import ClientDisconnectedError, Guard
from lmclassify.service.metrics import Metrics
from lmclassify.service.problems import MEDIA_TYPE, RequestError, internal_error, json_pointer
from lmclassify.service.queue import JobResult, ScoringQueue, unavailable
from lmclassify.service.settings import ServiceSettings
from lmclassify.service.worker_process import WorkerCommand

_log = logging.getLogger("lmclassify.service")
_text_log = logging.getLogger("lmclassify.texts")

MODEL_HEADER = "LMClassify-Model"
"""Response header with the checksum of the model that gave the answer."""
STATIC = Path(__file__).parent / "static"
"""Files of the web page."""
MAX_PIECE_TEXTS = 256
MAX_PIECE_CHARACTERS = 1 << 16
"""A large request is scored in pieces of at most this size, so that others need not wait for all of it."""
UNWATCHED_SECONDS = 0.1
"""A client that disconnects this early is not noticed: watching takes time, and most answers are faster."""

_PREFIX, _SUFFIX = b'{"predictions":[', b"]}"
_SURROGATE = re.compile("[\ud800-\udfff]")
_PATHS = (
    "/",
    "/docs",
    "/v1/predict",
    "/v1/explain",
    "/v1/suggest",
    "/v1/model",
    "/healthz",
    "/readyz",
    "/metrics",
)


class Service:
    """A model behind HTTP.

    Attributes
    ----------
    ready : bool
        Whether new requests are accepted.
    """

    def __init__(self, command: WorkerCommand, settings: ServiceSettings) -> None:
        self._settings = settings
        self._queue = ScoringQueue(command, settings, self._count_batch)
        self._metrics = Metrics(lambda: self._queue.waiting)
        self.ready = False
        self._reload_lock = asyncio.Lock()
        self.app = Guard(self._application(), settings, self._count_request)

    async def start(self) -> None:
        """Load the model. Raises LMClassifyError if there is no usable model."""
        await self._queue.start()
        self.ready = True

    async def stop(self, seconds: float = 10.0) -> None:
        """End the scoring process; kill it if that takes more than `seconds`."""
        self.ready = False
        await self._queue.stop(seconds)

    def kill(self) -> None:
        """Kill the scoring process."""
        self._queue.kill()

    def set_token(self, token: str | None) -> None:
        """Require this bearer token from now on; None: no token."""
        self.app.set_token(token)

    async def reload(self) -> bool:
        """Load the model again and return True. If it cannot be loaded, keep the old one, return False."""
        async with self._reload_lock:  # otherwise an older model could take over last
            try:
                await self._queue.start()
            except LMClassifyError as error:
                self._metrics.count_reload(False)
                _log.error("cannot reload the model, so the old one stays in use: %s", error)
                return False
        self._metrics.count_reload(True)
        _log.info("reloaded the model")
        return True

    def _application(self) -> FastAPI:
        app = FastAPI(
            title="lmclassify",
            version=__version__,
            summary="Labels of short texts, and which words decide.",
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        )
        app.router.route_class = schemas.StrictRoute
        app.add_exception_handler(RequestValidationError, _validation_error)
        app.add_exception_handler(HTTPException, _http_error)
        app.add_exception_handler(RequestError, _request_error)
        app.add_exception_handler(Exception, _unexpected_error)
        route = partial(app.add_api_route, response_class=JSONResponse)
        errors = _error_responses(400, 401, 408, 413, 415, 422, 500, 503, 504)
        header = {"description": "Checksum of the model that gave the answer.", "schema": {"type": "string"}}
        responses = {200: {"headers": {MODEL_HEADER: header}}, **errors}
        post = partial(route, methods=["POST"], tags=["model"], responses=responses)
        post("/v1/predict", self._predict, response_model=schemas.PredictResponse, summary="Predict labels")
        post(
            "/v1/explain",
            self._explain,
            response_model=schemas.ExplainResponse,
            summary="Explain a prediction",
        )
        post(
            "/v1/suggest", self._suggest, response_model=schemas.SuggestResponse, summary="Suggest next words"
        )
        route(
            "/v1/model",
            self._model,
            response_model=schemas.ModelResponse,
            responses=_error_responses(401, 503),
            tags=["model"],
            summary="Describe the model",
        )
        route(
            "/healthz",
            _health,
            response_model=schemas.StatusResponse,
            tags=["service"],
            summary="Check that the service runs",
        )
        route(
            "/readyz",
            self._readiness,
            response_model=schemas.StatusResponse,
            responses=_error_responses(503),
            tags=["service"],
            summary="Check that the service is ready for requests",
        )
        app.add_api_route(
            "/metrics",
            self._show_metrics,
            response_class=Response,
            responses={200: {"content": {"text/plain": {}}}, **_error_responses(401)},
            tags=["service"],
            summary="Prometheus metrics",
        )
        app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
        app.add_api_route("/docs", _docs, include_in_schema=False)
        app.mount("/docs-static", StaticFiles(directory=str(files("fastapi_offline") / "static")))
        app.add_api_route("/", _page, include_in_schema=False)
        app.mount("/static", StaticFiles(directory=STATIC))
        return app

    async def _predict(self, body: schemas.PredictRequest, request: Request) -> Response:
        several = "texts" in body.model_fields_set
        if several == ("text" in body.model_fields_set):
            raise RequestError(422, "Give either text or texts.")
        if several and body.reason:
            raise RequestError(422, "A reason is given for one text: send text, not texts.")
        texts = body.texts if several else [body.text]
        if len(texts) > self._settings.max_texts:
            raise _too_much("/texts", f"at most {counted(self._settings.max_texts, 'text')} per request")
        self._check_texts(texts, "texts" if several else "text")
        kind = "predict_with_reason" if body.reason else "predict"
        result = await self._result(request, kind, list(_split(texts)))
        lists = [piece.removeprefix(_PREFIX).removesuffix(_SUFFIX) for piece in result.bodies]
        return _json(_PREFIX + b",".join(lists) + _SUFFIX, result.checksum)

    async def _explain(self, body: schemas.ExplainRequest, request: Request) -> Response:
        self._check_texts([body.text], "text")
        for field in ("label", "against"):
            self._check_texts([getattr(body, field) or ""], field)
        result = await self._result(request, "explain", [(body.text, body.label, body.against)])
        return _json(result.bodies[0], result.checksum)

    async def _suggest(self, body: schemas.SuggestRequest, request: Request) -> Response:
        self._check_texts([body.prefix], "prefix")
        self._check_texts([body.label or ""], "label")
        result = await self._result(request, "suggest", [(body.prefix, body.label, body.n)])
        return _json(result.bodies[0], result.checksum)

    async def _result(self, request: Request, kind: str, pieces: Sequence[Any]) -> JobResult:
        """Submit a job and return its result, unless the time is up or the client disconnects."""
        deadline = time.monotonic() + self._settings.timeout
        future = self._queue.submit(kind, pieces)
        await asyncio.wait({future}, timeout=min(UNWATCHED_SECONDS, deadline - time.monotonic()))
        if not future.done() and await self._disconnects(request, deadline, future):
            future.cancel()
            raise ClientDisconnectedError
        if not future.done():
            future.cancel()
            if not self._queue.ready:
                raise unavailable()
            seconds = f"{self._settings.timeout:g} s"
            raise RequestError(504, f"There was no result within {seconds}; send fewer or shorter texts.")
        return future.result()

    async def _disconnects(
        self, request: Request, deadline: float, future: asyncio.Future[JobResult]
    ) -> bool:
        """Wait for a result until the deadline; return whether the client disconnected before."""
        disconnect = asyncio.ensure_future(request.receive())  # the body has been received already
        futures: set[asyncio.Future[Any]] = {future, disconnect}
        seconds = deadline - time.monotonic()
        await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return not disconnect.cancel() and not future.done()

    async def _model(self) -> JSONResponse:
        names = ("max_body_bytes", "max_texts", "max_characters")
        limits = {name: getattr(self._settings, name) for name in names}
        limits["max_suggestions"] = schemas.MAX_SUGGESTIONS
        return JSONResponse({**self._queue.model_info, "limits": limits})

    async def _readiness(self) -> JSONResponse:
        if not self.ready or not self._queue.ready:
            raise RequestError(503, "The service is not ready.", headers={"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    async def _show_metrics(self) -> Response:
        return Response(self._metrics.text(), media_type=Metrics.MEDIA_TYPE)

    def _check_texts(self, texts: Sequence[str], field: str) -> None:
        for index, text in enumerate(texts):
            pointer = json_pointer(field, index) if field == "texts" else json_pointer(field)
            if self._settings.log_texts:
                _text_log.info("%s: %s", pointer, ascii(text))
            if len(text) > self._settings.max_characters:
                raise _too_much(
                    pointer, f"at most {counted(self._settings.max_characters, 'character')} per text"
                )
            if not text.isascii() and _SURROGATE.search(text):
                detail = "it contains half of a surrogate pair"
                raise RequestError(
                    422, f"A text is not valid Unicode: {detail}.", [{"pointer": pointer, "detail": detail}]
                )

    def _count_batch(self, num_texts: int, labels: Mapping[str, int]) -> None:
        if num_texts:
            self._metrics.count_batch(num_texts, labels)

    def _count_request(self, method: str, path: str, status: int, seconds: float) -> None:
        known = path if path in _PATHS else "other"  # an unknown path could contain anything
        self._metrics.count_request(known, status, seconds)
        _log.debug("%s %s %d %.1f ms", method, known, status, seconds * 1000)


async def _health() -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _page() -> FileResponse:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def _docs() -> FileResponse:
    return FileResponse(STATIC / "docs.html", headers={"Cache-Control": "no-cache"})


def _openapi(app: FastAPI) -> dict[str, Any]:
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


def _error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of error responses for the OpenAPI document."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {"description": RequestError(status, "").title, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def _json(body: bytes, checksum: str) -> Response:
    headers = {MODEL_HEADER: checksum} if checksum else None
    return Response(body, media_type="application/json", headers=headers)


def _split(texts: list[str]) -> Iterator[list[str]]:
    """Split texts into consecutive pieces of limited size; yield at least one, possibly empty."""
    piece: list[str] = []
    characters = 0
    for text in texts:
        if piece and (characters + len(text) > MAX_PIECE_CHARACTERS or len(piece) == MAX_PIECE_TEXTS):
            yield piece
            piece, characters = [], 0
        piece.append(text)
        characters += len(text)
    yield piece


def _too_much(pointer: str, limit: str) -> RequestError:
    return RequestError(422, f"The request is too large: {limit}.", [{"pointer": pointer, "detail": limit}])


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
        {"pointer": json_pointer(*(item["loc"][1:])), "detail": str(item["msg"])[:200]}
        for item in error.errors()[:10]
    ]
    return RequestError(
        422, "The body does not match the schema of this path; see errors.", errors
    ).response()
