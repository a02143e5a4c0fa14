"""How many connections there may be, and which give way."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from pathlib import Path

import pytest

from lmclassify.service.connections import Connections
from tests.service.conftest import running
from tests.service.test_wire import BODY, HEAD, connected, everything, next_status

REQUEST = b"POST /v1/predict HTTP/1.1\r\n" + HEAD + b"\r\n" + BODY


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


def in_loop(use):
    asyncio.run(use())


def test_the_one_that_is_idle_for_longest_gives_way():
    async def use():
        places = Connections(3, 10.0)
        first, second, third, more, last = (Connection() for _ in range(5))
        assert all(places.enter(connection) for connection in (first, second, third))
        places.work(first)
        places.work(second)
        places.rest(first)  # idle again, for less long than the third
        assert places.enter(more)
        assert third.transport.aborted
        assert len(places) == 3
        first.transport.left = 1  # its client still reads
        assert places.enter(last)
        assert more.transport.aborted
        assert not first.transport.aborted
        assert not second.transport.aborted

    in_loop(use)


def test_where_all_are_busy_one_more_is_refused():
    async def use():
        places = Connections(2, 10.0)
        busy = [Connection(), Connection()]
        for connection in busy:
            assert places.enter(connection)
            places.work(connection)
        assert not places.enter(Connection())
        places.leave(busy[0])
        assert places.enter(Connection())
        places.rest(busy[0])  # the answer to a request outlives its connection
        assert len(places) == 2

    in_loop(use)


def test_clients_that_do_not_read_are_dropped():
    async def use():
        places = Connections(3, 0.2)
        stuck, slow, quick = Connection(), Connection(), Connection()
        for connection in (stuck, slow, quick):
            places.enter(connection)
            places.work(connection)
        stuck.transport.left = 1000
        for left in range(1000, 991, -1):
            slow.transport.left = left
            await asyncio.sleep(0.1)
        assert stuck.transport.aborted
        assert not slow.transport.aborted
        assert not quick.transport.aborted

    in_loop(use)


@pytest.fixture
def files():
    """As many open files as this user may have."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    yield limits[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.long
def test_ten_thousand_idle_connections_keep_nobody_out(saved, files):
    count = min(10_000, files - 500)
    for most in (1000, count):
        with running(
            "-m", saved, "--port", 0, "--max-connections", most, "--timeout", 4, cwd=saved.parent
        ) as service:
            process = Path(f"/proc/{service.process.pid}")
            before = megabytes(process)
            idle = []
            try:
                for number in range(count):
                    idle.append(connected(service))
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


@pytest.mark.long
def test_without_open_files_left_it_goes_on(saved):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = 48
    with running(
        "-m", saved, "--port", 0, cwd=saved.parent, preexec_fn=lambda: limit_files(low, low)
    ) as service:
        assert "at most 24 connections, not 1000" in "".join(service.said)
        idle = [connected(service) for _ in range(200)]
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


@pytest.mark.long
def test_answers_that_nobody_reads_are_dropped(saved):
    with running("-m", saved, "--port", 0, "--timeout", 2, cwd=saved.parent) as service:
        texts = b'{"texts": [' + b",".join([b'"a"'] * 1000) + b"]}"
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        request = head + b"Content-Length: %d\r\n\r\n" % len(texts) + texts
        open_before = files_of(service)
        with connected(service) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request * 50)
            ends = time.monotonic() + 60
            while files_of(service) != open_before and time.monotonic() < ends:
                ask(service)
            assert files_of(service) == open_before
        assert service.stop() == 0


def limit_files(soft, hard):
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def files_of(service) -> int:
    return len(os.listdir(f"/proc/{service.process.pid}/fd"))


def ask(service) -> None:
    with connected(service) as connection:
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
