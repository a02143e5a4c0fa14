"""The page of `lmclassify label`: its paths and files (FastAPI), and the server (uvicorn)."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field, StrictStr
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from lmclassify.annotation.labelled_file import FileChangedError
from lmclassify.annotation.session import ConflictError, Session
from lmclassify.errors import DataError, LMClassifyError
from lmclassify.service.app import STATIC as SHARED
from lmclassify.service.guard import Guard, check_site
from lmclassify.service.problems import MEDIA_TYPE, RequestError, add_error_handlers
from lmclassify.service.schemas import Integer, StrictRoute
from lmclassify.service.server import handling_signals
from lmclassify.service.settings import ServiceSettings

STATIC = Path(__file__).parent / "static"
"""Files of the page; it also uses some of the page of `lmclassify serve`, below ``/shared``."""
MAX_NEXT = 20
"""Largest number of texts per request."""
SECONDS_TO_FINISH = 5
"""Time for requests that are being answered when the server ends."""

ClientName = Annotated[str, Header(alias="X-Client", min_length=1, max_length=100)]


class AnswerRequest(BaseModel):
    """An answer to a text."""

    model_config = ConfigDict(extra="forbid")

    id: Integer
    action: Literal["label", "skip", "none"]
    label: StrictStr | None = Field(default=None, description="With action label; a new one is added.")
    note: StrictStr | None = None
    seen: StrictStr | None = Field(default=None, description="The label that the page showed as the row's.")


def new_token() -> str:
    """Return a random token for the address of the page."""
    return secrets.token_urlsafe(24)


def labelling_app(session: Session, token: str, host: str = "127.0.0.1") -> Guard:
    """Return the application, an ASGI callable that answers requests with the token only.

    Parameters
    ----------
    session : Session
        Entered already.
    host : str
        The name by which browsers may address it, beside ``localhost``.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.router.route_class = StrictRoute
    add_error_handlers(app)
    app.add_exception_handler(LMClassifyError, _session_error)
    paths = _Paths(session)
    post = partial(app.add_api_route, methods=["POST"], dependencies=[Depends(_check_site)])
    app.add_api_route("/v1/state", paths.state)
    app.add_api_route("/v1/next", paths.next)
    post("/v1/answer", paths.answer)
    post("/v1/undo", paths.undo)
    post("/v1/reload", paths.reload)
    app.add_api_route("/", _page)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.mount("/shared", StaticFiles(directory=SHARED))
    settings = ServiceSettings(token=token, allowed_hosts=("localhost", host))
    return Guard(app, settings, lambda *_: None)


class _Paths:
    """The request handlers. Files are written in threads, so that other requests need not wait."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def state(self) -> Response:
        return JSONResponse(await run_in_threadpool(self._session.state))

    async def next(self, client: ClientName, count: Annotated[int, Query(ge=1, le=MAX_NEXT)] = 1) -> Response:
        return JSONResponse({"texts": await run_in_threadpool(self._session.next_texts, client, count)})

    async def answer(self, body: AnswerRequest, client: ClientName) -> Response:
        def work() -> dict[str, Any]:
            self._session.answer(client, body.id, body.action, body.label, body.note, body.seen)
            return {"state": self._session.state(), "next": self._session.next_texts(client, 3)}

        return JSONResponse(await run_in_threadpool(work))

    async def undo(self, client: ClientName) -> Response:
        def work() -> dict[str, Any]:
            text = self._session.undo(client)
            return {"state": self._session.state(), "text": text}

        return JSONResponse(await run_in_threadpool(work))

    async def reload(self) -> Response:
        def work() -> dict[str, Any]:
            lost = self._session.reload()
            return {"state": self._session.state(), "lost": lost}

        return JSONResponse(await run_in_threadpool(work))


async def _check_site(request: Request) -> None:
    check_site(request.headers)


async def _page() -> Response:
    return FileResponse(STATIC / "index.html")


async def _session_error(_: Request, error: Exception) -> Response:
    """Return the response for an error: 409 for a conflict, 422 for bad input, 500 if writing fails."""
    conflict = isinstance(error, (ConflictError, FileChangedError))
    status = 409 if conflict else 422 if isinstance(error, DataError) else 500
    problem = RequestError(status, str(error))
    members = {"title": problem.title, "status": status, "detail": str(error)}
    if isinstance(error, FileChangedError):
        members["file_changed"] = True
    return JSONResponse(members, status, media_type=MEDIA_TYPE)


def serve_session(
    session: Session, listener: socket.socket, token: str, *, on_start: Callable[[], object] = lambda: None
) -> None:
    """Serve the page until SIGINT or SIGTERM; requests that are being answered are finished.

    Parameters
    ----------
    listener : socket
        A listening socket on a loopback address.
    on_start : callable, optional
        Called when requests are answered.
    """
    config = uvicorn.Config(
        labelling_app(session, token, listener.getsockname()[0]),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
    )
    _Server(config, on_start).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_start: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_start = on_start

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End the server at a signal; unlike with uvicorn's handlers, the exit status is 0."""
        with handling_signals({signal.SIGINT: self._end, signal.SIGTERM: self._end}):
            yield

    def _end(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept requests."""
        await super().startup(sockets)
        self._on_start()
