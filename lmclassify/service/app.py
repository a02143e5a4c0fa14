"""The FastAPI application: its paths, the OpenAPI document and the pages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi import Path as PathParameter
from fastapi.staticfiles import StaticFiles
from starlette.responses import FileResponse, JSONResponse, Response

from lmclassify import __version__
from lmclassify.errors import LMClassifyError, counted
from lmclassify.mail.local_service import is_user_name
from lmclassify.service import schemas
from lmclassify.service.guard import ClientDisconnectedError, Guard
from lmclassify.service.metrics import Metrics
from lmclassify.service.openapi import error_responses, openapi_document
from lmclassify.service.problems import RequestError, add_error_handlers, json_pointer
from lmclassify.service.queue import MAYBE_LEARNED, JobResult, Lesson, ScoringQueue, unavailable
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
COUNTING_SECONDS = 1.0
"""Maximum time that the metrics wait for the numbers of lessons."""

_LESSON_LOG = {
    "learned": "learned 1 text as %s%s",
    "corrected": "learned 1 text as %s%s (correction)",
    "undone": "forgot 1 text learned as %s%s",
    "repeated": "already learned 1 text as %s%s",
}
_PREFIX, _SUFFIX = b'{"predictions":[', b"]}"
_SURROGATE = re.compile("[\ud800-\udfff]")
_USER_PATH = "/v1/users/"
_MODEL_PATHS = ("predict", "explain", "suggest", "learn", "model")
_PATHS = (
    "/",
    "/docs",
    *(f"{prefix}/{name}" for prefix in ("/v1", f"{_USER_PATH}{{user}}") for name in _MODEL_PATHS),
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
        self._queue = ScoringQueue(command, settings, self._count_batch, self._count_lesson)
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
        add_error_handlers(app)
        route = partial(app.add_api_route, response_class=JSONResponse)
        self._add_model_paths(app, "/v1")
        if self._settings.user_models:
            self._add_model_paths(app, f"{_USER_PATH}{{user}}", [Depends(_declare_user)])
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
            responses=error_responses(503),
            tags=["service"],
            summary="Check that the service is ready for requests",
        )
        app.add_api_route(
            "/metrics",
            self._show_metrics,
            response_class=Response,
            responses={200: {"content": {"text/plain": {}}}, **error_responses(401)},
            tags=["service"],
            summary="Prometheus metrics",
        )
        app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
        app.add_api_route("/docs", _docs, include_in_schema=False)
        app.mount("/docs-static", StaticFiles(directory=str(files("fastapi_offline") / "static")))
        app.add_api_route("/", _page, include_in_schema=False)
        app.mount("/static", StaticFiles(directory=STATIC))
        return app

    def _add_model_paths(self, app: FastAPI, prefix: str, dependencies: Sequence[Any] = ()) -> None:
        """Add the paths that a model answers: the shared one, or that of a user."""
        errors = error_responses(400, 401, 408, 413, 415, 422, 500, 503, 504)
        if self._settings.user_models:
            errors |= error_responses(404)
        header = {"description": "Checksum of the model that gave the answer.", "schema": {"type": "string"}}
        responses = {200: {"headers": {MODEL_HEADER: header}}, **errors}
        route = partial(
            app.add_api_route,
            response_class=JSONResponse,
            tags=["model of a user" if dependencies else "model"],
            dependencies=dependencies,
        )
        post = partial(route, methods=["POST"])
        for name, handle, response_model, summary in (
            ("predict", self._predict, schemas.PredictResponse, "Predict labels"),
            ("explain", self._explain, schemas.ExplainResponse, "Explain a prediction"),
            ("suggest", self._suggest, schemas.SuggestResponse, "Suggest next words"),
        ):
            post(
                f"{prefix}/{name}",
                handle,
                response_model=response_model,
                responses=responses,
                summary=summary,
            )
        post(
            f"{prefix}/learn",
            self._learn,
            response_model=schemas.LearnResponse,
            responses={**responses, **error_responses(403)},
            summary="Teach the model",
        )
        route(
            f"{prefix}/model",
            self._model,
            response_model=schemas.ModelResponse,
            responses=errors,
            summary="Describe the model",
        )

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
        result = await self._result(request, "explain", [(body.text, body.label, body.against, body.brief)])
        return _json(result.bodies[0], result.checksum)

    async def _suggest(self, body: schemas.SuggestRequest, request: Request) -> Response:
        self._check_texts([body.prefix], "prefix")
        self._check_texts([body.label or ""], "label")
        result = await self._result(request, "suggest", [(body.prefix, body.label, body.n)])
        return _json(result.bodies[0], result.checksum)

    async def _learn(self, body: schemas.LearnRequest, request: Request) -> Response:
        if not self._settings.learn:
            raise RequestError(403, "This service does not learn; start it with lmclassify serve --learn.")
        for field, value in (("text", body.text), ("label", body.label), ("from", body.from_label or "")):
            self._check_texts([value], field)
        if body.from_label == body.label:
            detail = "it is the label to learn"
            raise RequestError(422, f"The text cannot move: {detail}.", [_place("/from", detail)])
        if not body.text.strip():
            raise RequestError(422, "The text is empty.", [_place("/text", "it must have a word")])
        lesson: Lesson = (body.text, body.label, body.from_label, body.undo)
        result = await self._result(request, "learn", [lesson])
        return _json(result.bodies[0], result.checksum)

    async def _result(self, request: Request, kind: str, pieces: Sequence[Any]) -> JobResult:
        """Submit a job and return its result, unless the time is up or the client disconnects."""
        user = request.path_params.get("user")
        if user is not None and not is_user_name(user):
            raise RequestError(
                404, "No user can have this name: it has ASCII letters, digits and ._@+=- only."
            )
        deadline = time.monotonic() + self._settings.timeout
        future = self._queue.submit(kind, pieces, user)
        await asyncio.wait({future}, timeout=min(UNWATCHED_SECONDS, deadline - time.monotonic()))
        if not future.done() and await self._disconnects(request, deadline, future):
            future.cancel()
            raise ClientDisconnectedError
        if not future.done():
            future.cancel()
            if not self._queue.ready:
                raise unavailable()
            remedy = "send fewer or shorter texts."
            if kind == "learn":
                remedy = MAYBE_LEARNED[0].lower() + MAYBE_LEARNED[1:]
            raise RequestError(504, f"There was no result within {self._settings.timeout:g} s; {remedy}")
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

    async def _model(self, request: Request) -> JSONResponse:
        await request.body()  # it is empty; what is received next is that the client disconnects
        result = await self._result(request, "model_info", [()])
        names = ("max_body_bytes", "max_texts", "max_characters")
        limits = {name: getattr(self._settings, name) for name in names}
        limits["max_suggestions"] = schemas.MAX_SUGGESTIONS
        model_info = json.loads(result.bodies[0])
        return JSONResponse({**model_info, "can_learn": self._settings.learn, "limits": limits})

    async def _readiness(self) -> JSONResponse:
        if not self.ready or not self._queue.ready:
            raise RequestError(503, "The service is not ready.", headers={"Retry-After": "1"})
        return JSONResponse({"status": "ready"})

    async def _show_metrics(self) -> Response:
        with contextlib.suppress(RequestError):  # the service is overloaded: the last numbers remain
            future = self._queue.submit("lesson_counts", [()])
            await asyncio.wait({future}, timeout=COUNTING_SECONDS)
            if future.cancel():
                await asyncio.sleep(0)  # the queue drops it
            else:
                self._metrics.lesson_counts = json.loads(future.result().bodies[0])
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
                raise RequestError(422, f"A text is not valid Unicode: {detail}.", [_place(pointer, detail)])

    def _count_batch(self, num_texts: int, labels: Mapping[str, int]) -> None:
        if num_texts:
            self._metrics.count_batch(num_texts, labels)

    def _count_lesson(self, answer: Mapping[str, Any], lesson: Lesson, user: str | None) -> None:
        _, label, _, undo = lesson
        correction = answer["predicted_before"] not in (None, label)
        outcome = "repeated" if not answer["changed"] else "undone" if undo else "learned"
        if outcome == "learned" and correction:
            outcome = "corrected"
        self._metrics.count_lesson(label, outcome)
        _log.info(_LESSON_LOG[outcome], label, f" for {user}" if user else "")

    def _count_request(self, method: str, path: str, status: int, seconds: float) -> None:
        if path.startswith(_USER_PATH) and self._settings.user_models:
            path = f"{_USER_PATH}{{user}}/{path.removeprefix(_USER_PATH).partition('/')[2]}"
        known = path if path in _PATHS else "other"  # an unknown path could contain anything
        self._metrics.count_request(known, status, seconds)
        if known.endswith("/learn") and status != 200:
            self._metrics.count_rejected_lesson(status)
        _log.debug("%s %s %d %.1f ms", method, known, status, seconds * 1000)


async def _declare_user(user: Annotated[str, PathParameter(description="Name of the user.")]) -> None:
    """Add the user to the OpenAPI document; `Service._result` reads it."""


async def _health() -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _page() -> FileResponse:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def _docs() -> FileResponse:
    return FileResponse(STATIC / "docs.html", headers={"Cache-Control": "no-cache"})


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
    return RequestError(422, f"The request is too large: {limit}.", [_place(pointer, limit)])


def _place(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}
