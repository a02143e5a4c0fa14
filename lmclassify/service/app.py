"""The application: paths to functions of the model in service (FastAPI)."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from lmclassify import __version__
from lmclassify.errors import LMClassifyError
from lmclassify.service import schemas
from lmclassify.service.bodies import StrictRoute
from lmclassify.service.docs import STATIC, add_docs
from lmclassify.service.guard import GoneError, Guard
from lmclassify.service.metrics import Metrics
from lmclassify.service.problems import MEDIA_TYPE, RequestError, fault, pointer
from lmclassify.service.scoring import Scored, Scoring, WorkerCommand, unavailable
from lmclassify.service.settings import ServiceSettings

_log = logging.getLogger("lmclassify.service")
_texts = logging.getLogger("lmclassify.texts")


MODEL_HEADER = "LMClassify-Model"
_SAYS_MODEL = "Checksum of the model that gave all of the answer, as in /v1/model."
_BEFORE, _AFTER = b'{"predictions":[', b"]}"
_MOST_TEXTS, _MOST_CHARACTERS = 256, 1 << 16  # scored at a time
_SECONDS_UNWATCHED = 0.1  # a client that goes away within them is not noticed, which saves time
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

    Parameters
    ----------
    command : WorkerCommand
    settings : ServiceSettings

    Attributes
    ----------
    app : ASGI application
    ready : bool
        Whether new requests are welcome.
    """

    def __init__(self, command: WorkerCommand, settings: ServiceSettings) -> None:
        self._settings = settings
        self._scoring = Scoring(command, settings, self._scored)
        self._metrics = Metrics(lambda: self._scoring.waiting)
        self.ready = False
        self._reloading = asyncio.Lock()
        self.app = Guard(self._application(), settings, self._answered)

    async def start(self) -> None:
        """Load the model; see `Scoring.start`."""
        await self._scoring.start()
        self.ready = True

    async def stop(self, seconds: float = 10.0) -> None:
        """Let the scoring process end, in so much time."""
        self.ready = False
        await self._scoring.stop(seconds)

    def kill(self) -> None:
        """End the scoring process at once."""
        self._scoring.kill()

    def change_token(self, token: str | None) -> None:
        """Ask for another bearer token from now on, or for none."""
        self.app.change_token(token)

    async def reload(self) -> bool:
        """Load the model again and return True; if it cannot be used, the old one stays."""
        async with self._reloading:  # else an older model could come last
            try:
                await self._scoring.reload()
            except LMClassifyError as error:
                self._metrics.reloaded(False)
                _log.error("the model was not loaded again, the old one stays in service: %s", error)
                return False
        self._metrics.reloaded(True)
        _log.info("model loaded again")
        return True

    def _application(self) -> FastAPI:
        app = FastAPI(
            title="lmclassify",
            version=__version__,
            summary="Text classification with one LSTM language model per label.",
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        )
        app.router.route_class = StrictRoute
        app.add_exception_handler(RequestValidationError, _invalid)
        app.add_exception_handler(HTTPException, _http_error)
        app.add_exception_handler(RequestError, _problem)
        app.add_exception_handler(Exception, _fault)
        route = partial(app.add_api_route, response_class=JSONResponse)
        limits = _responses(400, 401, 408, 413, 415, 422, 500, 503, 504)
        header = {"description": _SAYS_MODEL, "schema": {"type": "string"}}
        responses = {200: {"headers": {MODEL_HEADER: header}}, **limits}
        post = partial(route, methods=["POST"], tags=["model"], responses=responses)
        post("/v1/predict", self._predict, response_model=schemas.Predictions, summary="Label texts")
        post("/v1/explain", self._explain, response_model=schemas.Explanation, summary="Say why")
        post("/v1/suggest", self._suggest, response_model=schemas.Suggestions, summary="Suggest next words")
        route(
            "/v1/model",
            self._model,
            response_model=schemas.Model,
            responses=_responses(401, 503),
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
            self._show_metrics,
            response_class=Response,
            responses={200: {"content": {"text/plain": {}}}, **_responses(401)},
            tags=["service"],
            summary="Counts, for Prometheus",
        )
        add_docs(app)
        app.add_api_route("/", _page, include_in_schema=False)
        app.mount("/static", StaticFiles(directory=STATIC))
        return app

    async def _predict(self, asked: schemas.PredictRequest, request: Request) -> Response:
        if len(asked.model_fields_set) != 1:
            raise RequestError(422, "Give either text or texts.")
        several = "texts" in asked.model_fields_set
        texts = asked.texts if several else [asked.text]
        if len(texts) > self._settings.max_texts:
            raise _too_much("/texts", f"at most {self._settings.max_texts:,} texts a request")
        self._check_texts(texts, "texts" if several else "text")
        # A large request is answered piece by piece, so that others need not wait for all of it.
        scored = await self._answer(request, "predict", list(_pieces(texts)))
        inner = [body.removeprefix(_BEFORE).removesuffix(_AFTER) for body in scored.bodies]
        return _json(_BEFORE + b",".join(inner) + _AFTER, scored.model)

    async def _explain(self, asked: schemas.ExplainRequest, request: Request) -> Response:
        self._check_texts([asked.text], "text")
        for field in ("label", "against"):
            self._check_texts([getattr(asked, field) or ""], field)
        scored = await self._answer(request, "explain", [(asked.text, asked.label, asked.against)])
        return _json(scored.bodies[0], scored.model)

    async def _suggest(self, asked: schemas.SuggestRequest, request: Request) -> Response:
        self._check_texts([asked.prefix], "prefix")
        self._check_texts([asked.label or ""], "label")
        scored = await self._answer(request, "suggest", [(asked.prefix, asked.label, asked.n)])
        return _json(scored.bodies[0], scored.model)

    async def _answer(self, request: Request, kind: str, pieces: Sequence[Any]) -> Scored:
        """Return the scoring process's answer."""
        until = time.monotonic() + self._settings.timeout
        answer = self._scoring.submit(kind, pieces)
        await asyncio.wait({answer}, timeout=min(_SECONDS_UNWATCHED, until - time.monotonic()))
        if not answer.done() and await self._is_given_up(request, until, answer):
            answer.cancel()  # nobody waits for it: what others ask need not wait for it either
            raise GoneError
        if not answer.done():
            answer.cancel()
            if not self._scoring.ready:
                raise unavailable()
            seconds = f"{self._settings.timeout:g} s"
            raise RequestError(504, f"There was no result within {seconds}; send less at a time.")
        return answer.result()

    async def _is_given_up(self, request: Request, until: float, answer: asyncio.Future[Scored]) -> bool:
        """Wait for an answer as long as it may take, and return whether the client went away before."""
        gone = asyncio.ensure_future(request.receive())  # there is nothing more to receive but that
        either: set[asyncio.Future[Any]] = {answer, gone}
        seconds = until - time.monotonic()
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return not gone.cancel() and not answer.done()

    async def _model(self) -> JSONResponse:
        names = ("max_body_bytes", "max_texts", "max_characters")
        limits = {name: getattr(self._settings, name) for name in names}
        limits["max_suggestions"] = schemas.MOST_SUGGESTIONS
        return JSONResponse({**self._scoring.facts, "limits": limits})

    async def _readiness(self) -> JSONResponse:
        if not self.ready or not self._scoring.ready:
            raise RequestError(503, "The service is not ready for requests.", headers={"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    async def _show_metrics(self) -> Response:
        return Response(self._metrics.text(), media_type=Metrics.MEDIA_TYPE)

    def _check_texts(self, texts: Sequence[str], field: str) -> None:
        for place, text in enumerate(texts):
            where = pointer(field, place) if field == "texts" else pointer(field)
            if self._settings.log_texts:
                _texts.info("%s: %s", where, ascii(text))
            if len(text) > self._settings.max_characters:
                raise _too_much(where, f"at most {self._settings.max_characters:,} characters a text")
            if not text.isascii() and _SURROGATE.search(text):
                detail = "half of a surrogate pair is no character"
                raise RequestError(
                    422, f"A text is no Unicode: {detail}.", [{"pointer": where, "detail": detail}]
                )

    def _scored(self, texts: int, labels: Mapping[str, int]) -> None:
        if texts:
            self._metrics.scored(texts, labels)

    def _answered(self, method: str, path: str, status: int, seconds: float) -> None:
        known = path if path in _PATHS else "other"  # a path may hold anything
        self._metrics.answered(known, status, seconds)
        _log.debug("%s %s %d %.1f ms", method, known, status, seconds * 1000)


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


def _json(body: bytes, model: str) -> Response:
    return Response(body, media_type="application/json", headers={MODEL_HEADER: model} if model else None)


def _pieces(texts: list[str]) -> Iterator[list[str]]:
    """Yield consecutive texts, not too many characters at a time; at least one list."""
    piece: list[str] = []
    characters = 0
    for text in texts:
        if piece and (characters + len(text) > _MOST_CHARACTERS or len(piece) == _MOST_TEXTS):
            yield piece
            piece, characters = [], 0
        piece.append(text)
        characters += len(text)
    yield piece


def _too_much(where: str, limit: str) -> RequestError:
    return RequestError(422, f"The request holds too much: {limit}.", [{"pointer": where, "detail": limit}])


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error.response()


async def _fault(_: Request, __: Exception) -> Response:
    return fault().response()  # the guard logs it


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return RequestError(
        error.status_code, f"{error.detail}.".replace("..", "."), headers=error.headers
    ).response()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"pointer": pointer(*(item["loc"][1:])), "detail": str(item["msg"])[:200]}
        for item in error.errors()[:10]
    ]
    return RequestError(422, "The request is not what this path takes; see errors.", errors).response()
