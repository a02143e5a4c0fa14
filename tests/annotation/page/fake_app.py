"""A server with the HTTP interface of `lmclassify label` that keeps its texts in memory and can be made to fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

import lmclassify.service.app
from lmclassify.service.guard import Guard
from lmclassify.service.settings import ServiceSettings
from lmclassify.service.sockets import listen_on_port
from tests.conftest import ROOT

TOKEN = "right-token"
PAGE = ROOT / "lmclassify" / "annotation" / "static"

FILE_CHANGED = {
    "detail": "mails.csv was changed by another program; nothing was overwritten: read it again.",
    "file_changed": True,
}
"""The members of the problem of a file that was changed underneath."""


def item(number: int, text: str, **members: Any) -> dict[str, Any]:
    """Return a text as the server hands it out."""
    plain = {"why": "random", "reason": None, "label": None, "suggested": None, "guess": None}
    return {"id": number, "file": "mails.csv", "row": number + 1, "text": text, **plain, **members}


@dataclass
class FakeServer:
    """What the fake serves, what it was sent, and how it fails."""

    texts: list[dict[str, Any]]
    labels: list[str] = field(default_factory=list)
    mode: str = "label"
    figures: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(
        default_factory=lambda: {"state": "waiting", "num_texts": 0, "detail": None}
    )
    address: str = ""
    answers: list[dict[str, Any]] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    """Paths whose requests wait until they are taken out."""
    problems: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Status and members of the responses to the next answers."""
    clients: dict[int, str] = field(default_factory=dict)
    labelled: dict[int, str | None] = field(default_factory=dict)
    reloaded: int = 0

    def state(self) -> dict[str, Any]:
        given = [label for label in self.labelled.values() if label not in (None, "", "skipped")]
        skipped = sum(label == "skipped" for label in self.labelled.values())
        counts = [{"name": label, "count": given.count(label)} for label in self.labels]
        return {
            "mode": self.mode,
            "files": ["mails.csv"],
            "fit_command": "lmclassify fit mails.csv",
            "labels": counts,
            "num_texts": len(self.texts),
            "num_labelled": len(given),
            "num_skipped": skipped,
            "num_none": sum(label == "" for label in self.labelled.values()),
            "agreement": None,
            "accuracy": None,
            "forecast": None,
            "model": self.model,
        } | self.figures

    def next(self, client: str, count: int) -> list[dict[str, Any]]:
        waiting = [text for text in self.texts if text["id"] not in self.labelled]
        free = [text for text in waiting if self.clients.get(text["id"], client) == client][:count]
        self.clients.update({text["id"]: client for text in free})
        return free

    def answer(self, client: str, sent: dict[str, Any]) -> dict[str, Any]:
        self.answers.append(sent)
        label = {"label": sent["label"], "skip": "skipped", "none": ""}[sent["action"]]
        if sent["action"] == "label" and label not in self.labels:
            self.labels.append(label)
        self.labelled[sent["id"]] = label
        return {"state": self.state(), "next": self.next(client, 3)}


def fake_app(fake: FakeServer) -> Guard:
    """Return the application, with the token, the host check and the content security policy of the service."""
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=PAGE))
    app.mount("/shared", StaticFiles(directory=lmclassify.service.app.STATIC))

    async def unheld(request: Request) -> None:
        while request.url.path in fake.held:
            await asyncio.sleep(0.01)

    @app.get("/")
    def index() -> Response:
        return FileResponse(PAGE / "index.html")

    @app.get("/v1/state")
    async def state(request: Request) -> Any:
        await unheld(request)
        return fake.state()

    @app.get("/v1/next")
    async def following(request: Request, count: int) -> Any:
        await unheld(request)
        return {"texts": fake.next(request.headers["x-client"], count)}

    @app.post("/v1/answer")
    async def answer(request: Request) -> Any:
        await unheld(request)
        if fake.problems:
            status, members = fake.problems.pop(0)
            return JSONResponse(members, status, media_type="application/problem+json")
        return fake.answer(request.headers["x-client"], await request.json())

    @app.post("/v1/undo")
    async def undo(request: Request) -> Any:
        await unheld(request)
        if not fake.labelled:
            members = {"detail": "There is no answer to take back."}
            return JSONResponse(members, 409, media_type="application/problem+json")
        last, _ = fake.labelled.popitem()
        return {"state": fake.state(), "text": next(text for text in fake.texts if text["id"] == last)}

    @app.post("/v1/reload")
    async def reload() -> Any:
        fake.reloaded += 1
        return {"state": fake.state()}

    settings = ServiceSettings(token=TOKEN, allowed_hosts=("127.0.0.1",))
    return Guard(app, settings, lambda *_: None)


@contextmanager
def serving(fake: FakeServer) -> Iterator[FakeServer]:
    """Serve the fake in a thread; its `address` is then that of the page, with the token."""
    with listen_on_port("127.0.0.1", 0) as listener:
        config = uvicorn.Config(fake_app(fake), log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        fake.address = f"http://127.0.0.1:{listener.getsockname()[1]}/?token={TOKEN}"
        try:
            yield fake
        finally:
            fake.held.clear()
            server.should_exit = server.force_exit = True
            thread.join()


def guess(
    text: str, label: str, probability: float, against: str, others: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return a model's guess whose words speak alternately for and against the label."""
    words = [part + " " for part in text.split(" ")]
    words[-1] = words[-1][:-1]
    contributions = [(0.2 + place % 4) * (1 if place % 3 else -0.6) for place in range(len(words))]
    rest = (1 - probability) / (1 + len(others))
    return {
        "label": label,
        "probability": probability,
        "probabilities": {label: probability, against: rest, **dict.fromkeys(others, rest)},
        "against": against,
        "words": [
            {"text": word, "contribution": contribution}
            for word, contribution in zip(words, contributions, strict=True)
        ],
    }
