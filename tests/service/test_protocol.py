"""HTTP on the wire: odd, slow and large requests, and the limits of connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import select
import socket
import time
import urllib.error
import urllib.request

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmclassify.service.protocol import Connections
from tests.service.conftest import DEADLINE, fake_command, serving, until, wait_until

BODY = b'{"text": "Your free prize"}'
HEAD = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(BODY)


@pytest.fixture(scope="module")
def url():
    """A service that waits for its clients as long as they like."""
    with serving(fake_command(), max_body_bytes=10_000, allowed_hosts=("localhost", "127.0.0.1")) as url:
        yield url


@pytest.fixture(scope="module")
def impatient_url():
    """A service whose clients have half a second."""
    with serving(fake_command(), max_body_bytes=10_000, timeout=0.5) as url:
        yield url


def connected(url: str) -> socket.socket:
    port = int(url.rstrip("/").rsplit(":", 1)[1])
    connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


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


def answer_to(url, request: bytes) -> tuple[int, bytes]:
    """Return status and body; the request asks to close."""
    with connected(url) as connection:
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
def test_upgrade_headers_are_ignored(url, more):
    with connected(url) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\n" + more + HEAD + b"\r\n" + BODY)
        assert next_status(connection) == 200
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")  # it stays open
        assert next_status(connection) == 200


def test_requests_in_pieces_and_pipelined(url):
    request = b"POST /v1/predict HTTP/1.1\r\n" + HEAD + b"\r\n" + BODY
    with connected(url) as connection:
        for start in range(0, len(request), 7):
            connection.sendall(request[start : start + 7])
        assert next_status(connection) == 200
        connection.sendall(request + request[:30])
        assert next_status(connection) == 200
        connection.sendall(request[30:])
        assert next_status(connection) == 200


def test_a_head_may_not_be_too_large(url):
    status, body = answer_to(url, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000)
    assert status == 431
    assert json.loads(body)["status"] == 431


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: local", b"\r\n\r\n"])
def test_a_head_takes_only_so_long(impatient_url, begun):
    started = time.monotonic()
    with connected(impatient_url) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(begun)
            assert everything(connection) == b""
        assert time.monotonic() - started > 0.4  # it had the time that is set


def test_invalid_http_is_a_problem_too(url):
    status, body = answer_to(url, b"NONSENSE\r\n\r\n")
    assert status == 400
    assert json.loads(body)["title"] == "Bad Request"


def test_common_clients_see_that_a_body_is_too_large(url):
    headers = {"Content-Type": "application/json"}
    for size in (20_000, 5_000_000):
        request = urllib.request.Request(f"{url}/v1/predict", b" " * size, headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=DEADLINE)
        assert caught.value.status == 413
        caught.value.close()


def test_a_refused_body_is_not_parsed_as_a_request(url):
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    with connected(url) as connection:
        connection.sendall(head)
        first = connection.recv(1 << 16)
        assert first.startswith(b"HTTP/1.1 415 ")
        assert b"connection: close" in first.lower()


def test_head_is_answered_without_a_body(url):
    for path in (b"/", b"/healthz", b"/readyz", b"/docs", b"/v1/model"):
        status, body = answer_to(
            url, b"HEAD " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert (status, body) == (200, b"")


def test_other_hosts_are_refused_on_loopback(url):
    request = b"GET /docs/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
    assert answer_to(url, request % b"evil.example")[0] == 421
    assert answer_to(url, request % b"localhost")[0] == 404


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
def test_ambiguous_requests_are_refused(url, request_):
    status, body = answer_to(url, request_)
    assert status == 400
    assert json.loads(body)["status"] == 400  # and that is all: nothing behind it was taken for a request


def test_chunked_bodies_are_accepted(url):
    for end in (b"0\r\n\r\n", b"0\r\nA-Trailer: is left out\r\n\r\n"):
        assert answer_to(url, POST + CHUNKED + b"\r\n" + CHUNKS + end)[0] == 200


def test_a_second_request_may_come_half_with_the_first(url):
    first = b"POST /v1/predict HTTP/1.1\r\n" + HEAD + b"\r\n" + BODY
    for cut in (len(first) + 30, 2 * len(first) - 9):
        with connected(url) as connection:
            connection.sendall((first + first)[:cut])
            assert next_status(connection) == 200
            connection.sendall((first + first)[cut:])
            assert next_status(connection) == 200


def test_invalid_data_after_requests_does_not_stop_their_answers(url):
    request = b"POST /v1/predict HTTP/1.1\r\n" + HEAD + b"\r\n" + BODY
    with connected(url) as connection:
        connection.sendall(request + request + b"NONSENSE\r\n\r\n")
        assert [next_status(connection), next_status(connection)] == [200, 200]
        assert everything(connection) == b""


def test_only_so_many_requests_wait_on_a_connection(url):
    with connected(url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000)
        answered = everything(connection).count(b"HTTP/1.1 200 OK")
    assert 1 < answered <= 101


@pytest.mark.parametrize(
    ("begun", "status"), [(b"GET /", b""), (POST + b"Content-Length: 9000\r\n\r\n", b"HTTP/1.1 408 ")]
)
def test_data_sent_byte_by_byte_takes_only_so_long(impatient_url, begun, status):
    deadline = time.monotonic() + DEADLINE
    while not (answer := answer_to_trickle(impatient_url, begun, deadline)) and status:
        pass  # a very slow machine may not even send the head in time
    assert answer.startswith(status)


def answer_to_trickle(url: str, begun: bytes, deadline: float) -> bytes:
    """Send the beginning of a request, then bytes until the service gives up; return its answer."""
    with connected(url) as connection, contextlib.suppress(OSError):
        connection.sendall(begun)
        while not select.select([connection], [], [], 0.02)[0]:
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError):
                connection.sendall(b"a")
        return connection.recv(1 << 16)
    return b""


@pytest.mark.parametrize("held", [False, True])
def test_a_new_connection_replaces_an_idle_one_or_is_refused(gate, held):
    request = b'{"text": "%s"}' % gate.text.encode()
    with (
        serving(fake_command(), max_connections=1) as url,
        connected(url) as first,
    ):
        if held:
            first.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(request) + request)
            wait_until(lambda: gate.reached)
        else:
            first.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert next_status(first) == 200
        with connected(url) as second:
            second.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert next_status(second) == (503 if held else 200)
        gate.release()
        if held:
            assert next_status(first) == 200


class Transport:
    def __init__(self):
        self.left = 0
        self.aborted = False

    def get_write_buffer_size(self):
        return self.left

    def abort(self):
        self.aborted = True


class Connection:
    def __init__(self):
        self.transport = Transport()


def test_a_new_connection_replaces_the_longest_idle_one():
    async def use():
        connections = Connections(3, 10.0)
        first, second, third, more, last = (Connection() for _ in range(5))
        assert all(connections.add(connection) for connection in (first, second, third))
        connections.set_busy(first)
        connections.set_busy(second)
        connections.set_idle(first)  # idle again, for less long than the third
        assert connections.add(more)
        assert third.transport.aborted
        assert len(connections) == 3
        first.transport.left = 1  # its client still reads
        assert connections.add(last)
        assert more.transport.aborted
        assert not first.transport.aborted
        assert not second.transport.aborted

    asyncio.run(use())


def test_a_new_connection_is_refused_if_all_are_busy():
    async def use():
        connections = Connections(2, 10.0)
        busy = [Connection(), Connection()]
        for connection in busy:
            assert connections.add(connection)
            connections.set_busy(connection)
        assert not connections.add(Connection())
        connections.remove(busy[0])
        assert connections.add(Connection())
        connections.set_idle(busy[0])  # the answer to a request outlives its connection
        assert len(connections) == 2

    asyncio.run(use())


def test_clients_that_do_not_read_are_disconnected():
    async def use():
        now = 0.0
        connections = Connections(3, 1.0, clock=lambda: now)
        stuck, slow, quick = Connection(), Connection(), Connection()
        for connection in (stuck, slow, quick):
            connections.add(connection)
            connections.set_busy(connection)
        stuck.transport.left = 1000
        for left in (1000, 999, 998):
            slow.transport.left = left
            connections.abort_stalled()
            assert not stuck.transport.aborted
            now += 0.5
        connections.abort_stalled()
        assert stuck.transport.aborted
        assert not slow.transport.aborted
        assert not quick.transport.aborted

    asyncio.run(use())


def test_stalled_clients_are_looked_for_while_there_are_connections():
    async def use():
        connections = Connections(3, 0.01)
        stuck = Connection()
        connections.add(stuck)
        stuck.transport.left = 1000
        await until(lambda: stuck.transport.aborted)

    asyncio.run(use())


def random_bytes_harm_nothing(url, pieces):
    with connected(url) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            answers = everything(connection)
        except OSError:
            answers = b""
    assert b"HTTP/1.1 500" not in answers
    with connected(url) as connection:
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
def test_random_bytes_harm_nothing(url, pieces):
    random_bytes_harm_nothing(url, pieces)


@pytest.mark.long
@given(PIECES)
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_random_bytes_harm_nothing(url, pieces):
    random_bytes_harm_nothing(url, pieces)
