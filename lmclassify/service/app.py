"""The application: paths to functions of the model in service (FastAPI)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import ASGIApp

from lmclassify import __version__
from lmclassify.errors import OptionError
from lmclassify.service import schemas
from lmclassify.service.batching import ScoringThread, Source
from lmclassify.service.docs import STATIC, add_docs
from lmclassify.service.guard import Guard
from lmclassify.service.metrics import Metrics
from lmclassify.service.problems import MEDIA_TYPE, RequestError, pointer
from lmclassify.service.settings import ServiceSettings

T = TypeVar("T")

_log = logging.getLogger("lmclassify.texts")


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

    Parameters
    ----------
    source : Source
    settings : ServiceSettings

    Attributes
    ----------
    app : ASGI application
    metrics : Metrics
    """

    def __init__(self, source: Source, settings: ServiceSettings) -> None:
        self._source = source
        self._settings = settings
        self._scoring: ScoringThread | None = None
        self.metrics = Metrics(lambda: 0 if self._scoring is None else self._scoring.waiting)
        self.ready = False
        """Whether new requests are welcome."""
        self.app: ASGIApp = Guard(self._application(), settings, self._answered)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self._scoring = ScoringThread(self._source, self._settings, self.metrics.scored)
        self.ready = True
        try:
            yield
        finally:
            self.ready = False
            self._scoring.stop()

    def _application(self) -> FastAPI:
        app = FastAPI(
            title="lmclassify",
            version=__version__,
            summary="Text classification with one LSTM language model per label.",
            docs_url=None,
            redoc_url=None,
            lifespan=self._lifespan,
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        )
        app.add_exception_handler(RequestValidationError, _invalid)
        app.add_exception_handler(HTTPException, _http_error)
        app.add_exception_handler(RequestError, _problem)
        route = partial(app.add_api_route, response_class=JSONResponse)
        limits = _responses(401, 408, 413, 415, 422, 500, 503, 504)
        post = partial(route, methods=["POST"], tags=["model"], responses=limits)
        post("/v1/predict", self._predict, response_model=schemas.Predictions, summary="Label texts")
        post("/v1/explain", self._explain, response_model=schemas.Explanation, summary="Say why")
        post("/v1/suggest", self._suggest, response_model=schemas.Suggestions, summary="Suggest next words")
        route(
            "/v1/model",
            self._model,
            response_model=schemas.Model,
            responses=_responses(401),
            tags=["model"],
            summary="What the model is",
        )
        route("/healthz", _health, response_model=schemas.Status, tags=["service"], summary="Alive?")
        route(
            "/readyz",
            self._readiness,
            response_model=schemas.Status,
            responses=_responses(503),
            tags=["service"],
            summary="Ready for requests?",
        )
        app.add_api_route(
            "/metrics",
            self._metrics,
            response_class=Response,
            responses={200: {"content": {"text/plain": {}}}, **_responses(401)},
            tags=["service"],
            summary="Counts, for Prometheus",
        )
        add_docs(app)
        app.add_api_route("/", _page, include_in_schema=False)
        app.mount("/static", StaticFiles(directory=STATIC))
        return app

    async def _predict(self, request: schemas.PredictRequest) -> JSONResponse:
        if len(request.model_fields_set) != 1:
            raise RequestError(
                422, "Give either text or texts.", [{"pointer": "", "detail": "text or texts"}]
            )
        several = "texts" in request.model_fields_set
        texts = request.texts if several else [request.text]
        if len(texts) > self._settings.max_texts:
            raise _too_much("/texts", f"at most {self._settings.max_texts:,} texts a request")
        self._check_lengths(texts, "texts" if several else "text")
        predictions = await self._in_time(self._scoring_thread.predict(texts)) if texts else []
        for prediction in predictions:
            self.metrics.labelled(prediction["label"])
        return JSONResponse({"predictions": predictions})

    async def _explain(self, request: schemas.ExplainRequest) -> JSONResponse:
        self._check_lengths([request.text], "text")
        work = lambda model: model.explain(request.text, request.label, request.against)  # noqa: E731
        return JSONResponse(await self._in_time(self._scoring_thread.run(work)))

    async def _suggest(self, request: schemas.SuggestRequest) -> JSONResponse:
        self._check_lengths([request.prefix], "prefix")
        work = lambda model: model.suggest(request.prefix, request.label, request.n)  # noqa: E731
        return JSONResponse({"suggestions": await self._in_time(self._scoring_thread.run(work))})

    async def _model(self) -> JSONResponse:
        limits = {
            name: getattr(self._settings, name) for name in ("max_body_bytes", "max_texts", "max_characters")
        }
        limits["max_suggestions"] = schemas.MOST_SUGGESTIONS
        return JSONResponse({**self._source.current.facts(), "limits": limits})

    async def _readiness(self) -> JSONResponse:
        if not self.ready or not self._scoring_thread.alive:
            raise RequestError(503, "The service is not ready for requests.", headers={"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    async def _metrics(self) -> Response:
        return Response(self.metrics.text(), media_type=Metrics.MEDIA_TYPE)

    @property
    def _scoring_thread(self) -> ScoringThread:
        assert self._scoring is not None
        return self._scoring

    def _check_lengths(self, texts: Sequence[str], field: str) -> None:
        if self._settings.log_texts:
            for text in texts:
                _log.info("%s: %s", field, ascii(text))
        for place, text in enumerate(texts):
            if len(text) > self._settings.max_characters:
                where = pointer(field, place) if field == "texts" else pointer(field)
                raise _too_much(where, f"at most {self._settings.max_characters:,} characters a text")

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await work
        except TimeoutError:
            seconds = f"{self._settings.timeout:g} s"
            raise RequestError(504, f"There was no result within {seconds}; send less at a time.") from None
        except OptionError as error:
            raise RequestError(422, str(error)) from None

    def _answered(self, path: str, status: int, seconds: float) -> None:
        self.metrics.answered(path if path in _PATHS else "other", status, seconds)


async def _health() -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _page() -> FileResponse:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of errors."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {"description": RequestError(status, "").title, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def _too_much(where: str, limit: str) -> RequestError:
    return RequestError(422, f"The request holds too much: {limit}.", [{"pointer": where, "detail": limit}])


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error.response()


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return RequestError(
        error.status_code, f"{error.detail}.".replace("..", "."), headers=error.headers
    ).response()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # A place may be named by a client's own key, and messages may quote values: say neither more than needed.
    errors = [
        {"pointer": pointer(*(item["loc"][1:])), "detail": str(item["msg"])[:200]}
        for item in error.errors()[:10]
    ]
    return RequestError(422, "The request is not what this path takes; see errors.", errors).response()
