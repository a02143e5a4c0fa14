"""What goes over the wire: raw requests, odd ones, slow ones, large ones."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.error
import urllib.request

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: local", b"\r\n\r\n"])
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


POST = (
    b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
)
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    "request_",
    [
        POST + LENGTH + CHUNKED + b"\r\n0\r\n\r\n" + BODY,
        POST + CHUNKED + LENGTH + b"\r\n0\r\n\r\n" + BODY,
        POST + LENGTH + b"Content-Length: 0\r\n\r\n" + BODY,
        POST + LENGTH + LENGTH + b"\r\n" + BODY,
        POST + b"Content-Length: 27, 27\r\n\r\n" + BODY,
        POST + b"Content-Length: +27\r\n\r\n" + BODY,
        POST + b"Content-Length: -1\r\n\r\n" + BODY,
        POST + b"Content-Length: 0x1b\r\n\r\n" + BODY,
        POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + BODY,
        POST + b"Content-Length : 27\r\n\r\n" + BODY,
        POST + LENGTH + b"X-Folded: a\r\n b\r\n\r\n" + BODY,
        POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + CHUNKED + b"\r\nzz\r\n" + BODY,
        POST + CHUNKED + b"\r\n" + b"f" * 20 + b"\r\n" + BODY,
        POST + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"XX0\r\n\r\n",
        POST + b"Host: localhost\r\n" + LENGTH + b"\r\n" + BODY,
        POST + b"X: a\x00b\r\n" + LENGTH + b"\r\n" + BODY,
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"x" * 200 + b"\r\n\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(service, request_):
    status, body = answer_to(service, request_)
    assert status == 400
    assert json.loads(body)["status"] == 400  # and that is all: nothing behind it was taken for a request


def test_chunks_are_taken(service):
    for end in (b"0\r\n\r\n", b"0\r\nA-Trailer: is left out\r\n\r\n"):
        assert answer_to(service, POST + CHUNKED + b"\r\n" + CHUNKS + end)[0] == 200


def test_a_second_request_may_come_half_with_the_first(service):
    first = b"POST /v1/predict HTTP/1.1\r\n" + HEAD + b"\r\n" + BODY
    for cut in (len(first) + 30, 2 * len(first) - 9):
        with connected(service) as connection:
            connection.sendall((first + first)[:cut])
            assert next_status(connection) == 200
            connection.sendall((first + first)[cut:])
            assert next_status(connection) == 200


def test_nonsense_behind_a_request_comes_after_its_answer(service):
    request = b"POST /v1/predict HTTP/1.1\r\n" + HEAD + b"\r\n" + BODY
    with connected(service) as connection:
        connection.sendall(request + request + b"NONSENSE\r\n\r\n")
        assert [next_status(connection), next_status(connection)] == [200, 200]
        assert everything(connection) == b""


def test_only_so_many_requests_wait_on_a_connection(service):
    with connected(service) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        answered = everything(connection).count(b"HTTP/1.1 200 OK")
    assert 1 < answered <= 101


@pytest.mark.parametrize(
    ("begun", "status"), [(b"GET /", b""), (POST + b"Content-Length: 200\r\n\r\n", b"HTTP/1.1 408 ")]
)
def test_what_comes_byte_by_byte_takes_only_so_long(service, begun, status):
    with connected(service) as connection:
        connection.sendall(begun)
        started = time.monotonic()
        while time.monotonic() - started < 0.8:
            connection.sendall(b"a")
            time.sleep(0.04)
        assert everything(connection).startswith(status)
        assert time.monotonic() - started < 3


def random_bytes_harm_nothing(service, pieces):
    with connected(service) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            answers = everything(connection)
        except OSError:
            answers = b""
    assert b"HTTP/1.1 500" not in answers
    with connected(service) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\n" + HEAD + b"\r\n" + BODY)
        assert next_status(connection) == 200


WORDS = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"HEAD ",
            b"/",
            b"/v1/predict",
            b"/metrics",
            b" HTTP/1.1",
            b" HTTP/1.0",
            b"\r\n",
        ),
        *(b"\r\n\r\n", b"\n", b"\r", b": ", b" ", b"Host: localhost\r\n", b"Connection: close\r\n", b"0\r\n"),
        *(b"Content-Type: application/json\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n"),
        *(POST, LENGTH, CHUNKED, CHUNKS, BODY, BODY[:9], HEAD),
    ]
)
PIECES = st.lists(st.lists(WORDS | st.binary(max_size=20), max_size=12).map(b"".join), min_size=1, max_size=4)


@given(PIECES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_harm_nothing(service, pieces):
    random_bytes_harm_nothing(service, pieces)


@pytest.mark.long
@given(PIECES)
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_random_bytes_harm_nothing(service, pieces):
    random_bytes_harm_nothing(service, pieces)
