"""What goes over the wire: raw requests, odd ones, slow ones, large ones."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.error
import urllib.request

import pytest

from tests.service.conftest import running

BODY = b'{"text": "Your free prize"}'
HEAD = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(BODY)


@pytest.fixture(scope="module")
def service(saved):
    with running(
        "-m", saved, "--port", 0, "--timeout", 1, "--max-body-bytes", 10_000, cwd=saved.parent
    ) as service:
        yield service


def connected(service) -> socket.socket:
    port = int(service.url.rstrip("/").rsplit(":", 1)[1])
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def next_status(connection: socket.socket) -> int:
    """Read one answer from a connection that stays open."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(1)
    length = int(re.search(rb"content-length: (\d+)", found)[1])
    while length:
        length -= len(connection.recv(length))
    return int(found.split()[1])


def everything(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    pieces = []
    while piece := connection.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def answer_to(service, request: bytes) -> tuple[int, bytes]:
    """Return status and body; the request asks to close."""
    with connected(service) as connection:
        connection.sendall(request)
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    "more",
    [
        b"",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    ],
)
def test_offers_of_an_upgrade_change_nothing(service, more):
    with connected(service) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\n" + more + HEAD + b"\r\n" + BODY)
        assert next_status(connection) == 200
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")  # it stays open
        assert next_status(connection) == 200


def test_requests_in_pieces_and_one_after_the_other(service):
    request = b"POST /v1/predict HTTP/1.1\r\n" + HEAD + b"\r\n" + BODY
    with connected(service) as connection:
        for start in range(0, len(request), 7):
            connection.sendall(request[start : start + 7])
            time.sleep(0.001)
        assert next_status(connection) == 200
        connection.sendall(request + request[:30])
        time.sleep(0.05)
        connection.sendall(request[30:])
        assert [next_status(connection), next_status(connection)] == [200, 200]


def test_a_head_may_not_be_too_large(service):
    status, body = answer_to(service, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000)
    assert status == 431
    assert json.loads(body)["status"] == 431


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_head_takes_only_so_long(service, begun):
    with connected(service) as connection:
        connection.sendall(begun)
        started = time.monotonic()
        assert everything(connection) == b""
        assert 0.8 < time.monotonic() - started < 3


def test_what_is_no_http_is_a_problem_too(service):
    status, body = answer_to(service, b"NONSENSE\r\n\r\n")
    assert status == 400
    assert json.loads(body)["title"] == "Bad Request"


def test_common_clients_see_that_a_body_is_too_large(service):
    headers = {"Content-Type": "application/json"}
    for size in (20_000, 5_000_000):
        request = urllib.request.Request(f"{service.url}v1/predict", b" " * size, headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        assert caught.value.status == 413
        caught.value.close()


def test_a_refused_body_is_not_taken_for_a_request(service):
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    with connected(service) as connection:
        connection.sendall(head)
        first = connection.recv(1 << 16)
        assert first.startswith(b"HTTP/1.1 415 ")
        assert b"connection: close" in first.lower()


def test_head_is_answered_without_a_body(service):
    for path in (b"/", b"/healthz", b"/readyz", b"/docs", b"/v1/model"):
        status, body = answer_to(
            service, b"HEAD " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert (status, body) == (200, b"")


def test_other_hosts_are_refused_on_loopback(service):
    request = b"GET /docs/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
    assert answer_to(service, request % b"evil.example")[0] == 421
    assert answer_to(service, request % b"localhost")[0] == 404
