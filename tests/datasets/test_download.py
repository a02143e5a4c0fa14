"""Downloads from a server of the tests that misbehaves on request."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmclassify.datasets.download import Download, check_url
from lmclassify.errors import DownloadError, OutputError

CONTENT = bytes(range(256)) * 1000
QUICK = Download(tries=4, wait=0.01, timeout=0.5)


class Server(http.server.ThreadingHTTPServer):
    """What it does next is in `plan`: statuses, or words (see `Handler`); then all goes well."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[object] = []
        self.files = {"/file": CONTENT}
        self.tag: str | None = '"one"'
        self.ranges, self.length = True, True
        self.seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.seen.append(dict(self.headers))
        step = self.server.plan.pop(0) if self.server.plan else "well"
        content = self.server.files.get(self.path)
        if step == "silent":
            time.sleep(1)
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
        asked = self.headers.get("Range")
        if asked and self.server.ranges and self.headers.get("If-Range") == self.server.tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        if start:
            shown = start + 1 if step == "wrong range" else start
            self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        if self.server.tag:
            self.send_header("ETag", self.server.tag)
        if self.server.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + 100_000 if step == "drop" else None])
        if step == "stall":
            time.sleep(1)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(
    server: Server, folder: Path, name: str = "file", most: int = 1 << 20, how: Download = QUICK
) -> list[str]:
    """Fetch a file; return what was said."""
    said: list[str] = []
    how.fetch(server.url + name, folder / "file", most, lambda done, total: None, said.append)
    return said


def starts(server: Server) -> list[str | None]:
    return [headers.get("Range") for headers in server.seen]


def test_all_goes_well(server, tmp_path):
    shown = []
    QUICK.fetch(server.url + "file", tmp_path / "file", 1 << 20, lambda *args: shown.append(args), print)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert shown[-1] == (len(CONTENT), len(CONTENT))
    server.length = False
    assert fetch(server, tmp_path) == []
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_dropped_connection_is_taken_up_again(server, tmp_path):
    server.plan = ["drop", "drop"]
    said = fetch(server, tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert starts(server) == [None, "bytes=100000-", "bytes=200000-"]
    assert "the connection broke after 100,000 of 256,000 bytes; trying again in 0 s" in said[0]


def test_what_an_earlier_run_has_left_is_gone_on_with(server, tmp_path):
    server.plan = ["drop"]
    with pytest.raises(DownloadError, match="1 times; run it again later to go on"):
        fetch(server, tmp_path, how=Download(tries=1))
    assert not (tmp_path / "file").exists()
    fetch(server, tmp_path)
    assert starts(server) == [None, "bytes=100000-"]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("change", ["tag", "no ranges", "no tag", "weak tag", "wrong range", "address"])
def test_from_the_beginning_where_going_on_would_be_wrong(server, tmp_path, change):
    server.plan = ["drop"]
    server.tag = {"no tag": None, "weak tag": 'W/"one"'}.get(change, '"one"')
    with pytest.raises(DownloadError):
        fetch(server, tmp_path, how=Download(tries=1))
    if change == "tag":
        server.tag, server.files["/file"] = '"two"', CONTENT[::-1]
    elif change == "no ranges":
        server.ranges = False
    elif change == "wrong range":
        server.plan = ["wrong range"]
    elif change == "address":
        server.files["/other"] = CONTENT
    fetch(server, tmp_path, "other" if change == "address" else "file")
    assert (tmp_path / "file").read_bytes() == (CONTENT[::-1] if change == "tag" else CONTENT)
    if change in ("no tag", "weak tag", "address"):
        assert starts(server) == [None, None]


def test_a_part_that_the_server_does_not_know(server, tmp_path):
    server.plan = ["drop", 416]
    fetch(server, tmp_path)
    assert starts(server) == [None, "bytes=100000-", None]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_errors_that_pass_and_errors_that_stay(server, tmp_path):
    server.plan = [500, 503, 429]
    said = fetch(server, tmp_path)
    assert len(said) == 3
    assert "the server answers 500 Internal Server Error" in said[0]
    (tmp_path / "file").unlink()
    server.plan = [500] * 9
    with pytest.raises(DownloadError, match="500 Internal Server Error, 4 times"):
        fetch(server, tmp_path)
    assert len(server.plan) == 5
    server.plan = []
    with pytest.raises(DownloadError, match="the server answers 404 Not Found; --url names another place"):
        fetch(server, tmp_path, "absent")
    server.plan = ["redirect"]
    with pytest.raises(DownloadError, match="leads to ftp://127.0.0.1/file: not followed"):
        fetch(server, tmp_path)
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("step", ["silent", "stall"])
def test_a_server_that_keeps_silent(server, tmp_path, step):
    server.plan, server.files["/file"] = [step], CONTENT
    server.length = step == "silent"  # else the end of the file could be known
    said = fetch(server, tmp_path, how=Download(tries=2, wait=0.01, timeout=0.2))
    assert "no answer in time" in said[0]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("declared", [True, False])
def test_too_large(server, tmp_path, declared):
    server.length = declared
    with pytest.raises(DownloadError, match="more than 1,000 bytes, which is more than the set has"):
        fetch(server, tmp_path, most=1000)
    assert list(tmp_path.iterdir()) == []


def test_nobody_there(server, tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match="Connection refused, 2 times"):
            Download(tries=2, wait=0.01).fetch(url, tmp_path / "file", 10, print, lambda line: None)

    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "create_connection", offline)
    with pytest.raises(DownloadError, match="cannot be reached: Temporary failure.*is this machine online"):
        fetch(server, tmp_path)


def test_places_that_cannot_be(server, tmp_path):
    for url in (
        "file:///etc/passwd",
        "ftp://x/y",
        "x",
        "http://",
        "http://a b/",
        "http://a:99999999/",
        "http://é/",
    ):
        with pytest.raises(DownloadError, match="is no URL"):
            check_url(url)
    with pytest.raises(DownloadError, match="^a URL with a user's name or password is not supported$"):
        check_url("https://me:secret@x/")
    with pytest.raises(OutputError, match="cannot write .*file.part"):
        QUICK.fetch(server.url + "file", tmp_path / "absent" / "file", 1 << 20, print, print)
