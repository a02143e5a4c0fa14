"""Downloads over HTTP from a local server."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lmclassify.datasets.http_download import Downloader, check_url
from lmclassify.errors import DownloadError, OutputError
from tests.datasets.file_server import CONTENT, FileServer

QUICK = Downloader(max_attempts=4, wait=0, timeout=60)
ONCE = Downloader(max_attempts=1, timeout=60)


def fetch(
    server: FileServer,
    folder: Path,
    name: str = "file",
    max_bytes: int = 1 << 20,
    downloader: Downloader = QUICK,
) -> list[str]:
    """Download a file; return the messages."""
    messages: list[str] = []
    downloader.download(
        server.url + name,
        folder / "file",
        max_bytes=max_bytes,
        progress=lambda done, total: None,
        say=messages.append,
    )
    return messages


def ranges(server: FileServer) -> list[str | None]:
    return [headers.get("Range") for headers in server.requests]


def test_a_complete_download(server, tmp_path):
    shown = []
    url, path = server.url + "file", tmp_path / "file"
    QUICK.download(url, path, max_bytes=1 << 20, progress=lambda *args: shown.append(args), say=print)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert shown[-1] == (len(CONTENT), len(CONTENT))
    server.length = False
    assert fetch(server, tmp_path) == []
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_dropped_connection_is_resumed(server, tmp_path):
    server.plan = ["drop", "drop"]
    messages = fetch(server, tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-", "bytes=200000-"]
    assert "the connection broke after 100,000 of 256,000 bytes; trying again in 0 s" in messages[0]


def test_an_earlier_download_is_resumed(server, tmp_path):
    server.plan = ["drop"]
    with pytest.raises(DownloadError, match="1 times; run the command again later to resume"):
        fetch(server, tmp_path, downloader=ONCE)
    assert not (tmp_path / "file").exists()
    fetch(server, tmp_path)
    assert ranges(server) == [None, "bytes=100000-"]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("change", ["tag", "no ranges", "no tag", "weak tag", "wrong range", "address"])
def test_a_changed_file_is_downloaded_from_the_beginning(server, tmp_path, change):
    server.plan = ["drop"]
    server.tag = {"no tag": None, "weak tag": 'W/"one"'}.get(change, '"one"')
    with pytest.raises(DownloadError):
        fetch(server, tmp_path, downloader=ONCE)
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
        assert ranges(server) == [None, None]


def test_a_range_that_the_server_refuses(server, tmp_path):
    server.plan = ["drop", 416]
    fetch(server, tmp_path)
    assert ranges(server) == [None, "bytes=100000-", None]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_temporary_and_permanent_errors(server, tmp_path):
    server.plan = [500, 503, 429]
    messages = fetch(server, tmp_path)
    assert len(messages) == 3
    assert "the server answers 500 Internal Server Error" in messages[0]
    (tmp_path / "file").unlink()
    server.plan = [500] * 9
    with pytest.raises(DownloadError, match="500 Internal Server Error, 4 times"):
        fetch(server, tmp_path)
    assert len(server.plan) == 5
    server.plan = []
    with pytest.raises(
        DownloadError, match="the server answers 404 Not Found; use --url to name another address"
    ):
        fetch(server, tmp_path, "absent")
    server.plan = ["redirect"]
    with pytest.raises(DownloadError, match="redirects to ftp://127.0.0.1/file: not followed"):
        fetch(server, tmp_path)
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("step", ["silent", "stall"])
def test_a_silent_server(server, tmp_path, step):
    server.plan = [step]
    with pytest.raises(DownloadError, match="no answer in time, 1 times"):
        fetch(server, tmp_path, downloader=Downloader(max_attempts=1, timeout=0.2))
    assert fetch(server, tmp_path) == []
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("declared", [True, False])
def test_too_large(server, tmp_path, declared):
    server.length = declared
    with pytest.raises(DownloadError, match="more than 1,000 bytes, more than the data set has"):
        fetch(server, tmp_path, max_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server(server, tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        with pytest.raises(DownloadError, match="Connection refused, 2 times"):
            Downloader(max_attempts=2, wait=0).download(
                url, tmp_path / "file", max_bytes=10, progress=print, say=lambda line: None
            )

    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "create_connection", offline)
    with pytest.raises(DownloadError, match="cannot be reached: Temporary failure.*is this machine online"):
        fetch(server, tmp_path)


def test_invalid_addresses_and_paths(server, tmp_path):
    for url in (
        "file:///etc/passwd",
        "ftp://x/y",
        "x",
        "http://",
        "http://a b/",
        "http://a:99999999/",
        "http://é/",
    ):
        with pytest.raises(DownloadError, match="is not a URL"):
            check_url(url)
    with pytest.raises(DownloadError, match="^a URL with a user name or password is not supported$"):
        check_url("https://me:secret@x/")
    with pytest.raises(OutputError, match="cannot write .*file.part"):
        fetch(server, tmp_path / "absent")
