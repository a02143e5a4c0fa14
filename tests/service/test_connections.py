"""Many connections to a service in a process of its own."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from tests.service.conftest import running, wait_until
from tests.service.test_protocol import BODY, HEAD, connected, everything, next_status

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif("sys.platform != 'linux'", reason="reads /proc"),
]

REQUEST = b"POST /v1/predict HTTP/1.1\r\n" + HEAD + b"\r\n" + BODY


@pytest.fixture
def files():
    """As many open files as this user may have."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    yield limits[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_ten_thousand_idle_connections_keep_nobody_out(saved, files):
    count = min(10_000, files - 500)
    for most in (1000, count):
        with running(
            "-m", saved, "--port", 0, "--max-connections", most, "--timeout", 10, cwd=saved.parent
        ) as service:
            process = Path(f"/proc/{service.process.pid}")
            before = megabytes(process)
            idle = []
            try:
                for number in range(count):
                    idle.append(connected(service.url))
                    if number % 2000 == 0:
                        ask(service)
                ask(service)
                assert len(os.listdir(process / "fd")) < most + 100
                assert (megabytes(process) - before) * 1000 / most < 40  # kB each; 6 measured
                assert [everything_of(connection) for connection in idle[:20]] == [b""] * 20
            finally:
                for connection in idle:
                    connection.close()
            ask(service)
            assert service.stop() == 0
            assert "Traceback" not in "".join(service.said)


def test_a_low_limit_of_open_files(saved):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = 48
    with running(
        "-m", saved, "--port", 0, cwd=saved.parent, preexec_fn=lambda: limit_files(low, low)
    ) as service:
        assert "at most 24 connections, not 1000" in "".join(service.said)
        idle = [connected(service.url) for _ in range(200)]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits
        process = Path(f"/proc/{service.process.pid}")
        ticks = processor_ticks(process)
        for _ in range(10):
            ask(service)
        assert processor_ticks(process) - ticks < 10 * os.sysconf("SC_CLK_TCK")
        for connection in idle:
            connection.close()
        ask(service)
        assert service.stop() == 0


def test_a_client_that_does_not_read_its_answers_is_disconnected(saved):
    with running("-m", saved, "--port", 0, "--timeout", 3, cwd=saved.parent) as service:
        texts = b'{"texts": [' + b",".join([b'"a"'] * 1000) + b"]}"
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        request = head + b"Content-Length: %d\r\n\r\n" % len(texts) + texts
        open_before = files_of(service)
        with connected(service.url) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request * 50)
            wait_until(lambda: files_of(service) > open_before)
            ask(service)  # others are answered meanwhile
            wait_until(lambda: files_of(service) == open_before)
        assert service.stop() == 0


def limit_files(soft, hard):
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def files_of(service) -> int:
    return len(os.listdir(f"/proc/{service.process.pid}/fd"))


def ask(service) -> None:
    with connected(service.url) as connection:
        connection.sendall(REQUEST)
        assert next_status(connection) == 200
        connection.shutdown(socket.SHUT_WR)
        everything(connection)


def everything_of(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes, which it may do in any way."""
    try:
        return everything(connection)
    except ConnectionResetError:
        return b""


def megabytes(process: Path) -> float:
    return int((process / "status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def processor_ticks(process: Path) -> int:
    return sum(map(int, (process / "stat").read_text().rsplit(")", 1)[1].split()[11:13]))
