"""The mail filter's client beside a service on a local socket."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from tests.conftest import run_cli
from tests.service.conftest import running

MESSAGE = b"From: a@b\r\nSubject: Your free prize\r\n\r\nClick\0\xff\r\n"


def client(
    *options: object, stdin: bytes = MESSAGE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lmclassify.mail.client", *map(str, options)]
    return subprocess.run(command, input=stdin, capture_output=True, env=environment or None, timeout=60)


@pytest.fixture(scope="module")
def path(saved, tmp_path_factory):
    """The socket of a service that asks for a token."""
    where = tmp_path_factory.mktemp("socket") / "s"
    with running(
        "-m", saved, "--socket", where, cwd=saved.parent, environment={"LMCLASSIFY_TOKEN": "secret"}
    ):
        yield where


def test_the_client_says_what_the_filter_says(path, saved):
    cold = run_cli("filter", "-m", saved, cwd=saved.parent, stdin=MESSAGE)
    warm = client("--socket", path, LMCLASSIFY_TOKEN="secret")
    assert (warm.returncode, warm.stderr) == (0, b"")
    assert warm.stdout == cold.stdout != MESSAGE
    unsure = client("--socket", path, "--exit-code", "--unsure", "0,1", LMCLASSIFY_TOKEN="secret")
    assert unsure.returncode == 2
    assert b"X-LMClassify-Label: unsure\r\n" in unsure.stdout
    ham = client(
        "--socket", path, "--exit-code", "--unsure", "1,1", "--positive", "spam", LMCLASSIFY_TOKEN="secret"
    )
    assert ham.returncode == 1
    long = b"Subject: \xff" + "😀 ".encode() * 300_000 + b"\n\n" + b"word\n" * 100_000
    done = client("--socket", path, "--fields", "subject,body", stdin=long, LMCLASSIFY_TOKEN="secret")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(long)
    blank = client("--socket", path, stdin=b"\nno subject\n", LMCLASSIFY_TOKEN="secret")
    assert (blank.returncode, blank.stderr) == (0, b"")


def test_failures_pass_the_message_on(path, tmp_path):
    for options, status, said in (
        (["--socket", path], 75, b"401"),
        (["--socket", path, "--exit-code"], 3, b"401"),
        (["--socket", tmp_path / "none"], 75, b"no service on"),
        (["--socket", path, "--positive", "nobody", "--token"], 75, b"--token"),
        (["--exit-code"], 3, b"--socket"),
        (["--socket", path, "--timeout", "0"], 75, b"--timeout"),
    ):
        done = client(*options, LMCLASSIFY_TOKEN="wrong")
        assert done.returncode == status, done.stderr
        assert done.stdout == MESSAGE
        assert said in done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, b"does not answer within 0.5 s"),
        (b"", b"no lmclassify service"),
        (b"hello\r\n\r\n", b"no lmclassify service"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"no lmclassify service"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 19\r\n\r\n{\"detail\": \"later\"} ", b"503 Busy: later"),
    ],
)  # fmt: skip
def test_services_that_fail(answer, said, tmp_path):
    place = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(place)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while not connection.recv(1 << 16).endswith(b"}"):
                    pass
                if answer is None:
                    done.wait(10)
                else:
                    connection.sendall(answer)

        done = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        finished = client("--socket", place, "--timeout", "0.5")
        done.set()
        thread.join()
    assert finished.returncode == 75
    assert finished.stdout == MESSAGE
    assert said in finished.stderr, finished.stderr


def test_the_installed_client(path):
    program = f"{sys.executable.rpartition('/')[0]}/lmclassify-filter"
    done = subprocess.run([program, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--socket PATH" in done.stdout
