"""An HTTP server in a thread that misbehaves on request."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

CONTENT = bytes(range(256)) * 1000


class FileServer(http.server.ThreadingHTTPServer):
    """Serves `files`. Each request takes one step of `plan`: a status, or a word that `_Handler` knows."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan: list[object] = []
        self.files = {"/file": CONTENT}
        self.tag: str | None = '"one"'
        self.ranges, self.length = True, True
        self.requests: list[dict[str, str]] = []
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FileServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        step = self.server.plan.pop(0) if self.server.plan else "well"
        content = self.server.files.get(self.path)
        if step == "silent":
            self.server.closing.wait(60)
            return
        if step == "redirect":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/file")
            self.end_headers()
            return
        if isinstance(step, int) or content is None:
            self.send_error(step if isinstance(step, int) else 404)
            return
        start = 0
        requested = self.headers.get("Range")
        if requested and self.server.ranges and self.headers.get("If-Range") == self.server.tag:
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            sent = start + 1 if step == "wrong range" else start
            self.send_header("Content-Range", f"bytes {sent}-{len(content) - 1}/{len(content)}")
        if self.server.tag:
            self.send_header("ETag", self.server.tag)
        if self.server.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + 100_000 if step in ("drop", "stall") else None])
        if step == "stall":
            self.server.closing.wait(60)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.closing.set()
        running.shutdown()
        thread.join()
