"""The mail filter's client and a service on a local socket."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmclassify.errors import LMClassifyError
from lmclassify.mail import client
from lmclassify.mail.client import learn_with_service
from lmclassify.mail.local_service import request_prediction
from tests.conftest import run_cli_process
from tests.service.conftest import running

MESSAGE = b"From: a@b\r\nSubject: Your free prize\r\n\r\nClick\0\xff\r\n"
PREDICTION = {"label": "spam", "probabilities": {"ham": 0.1, "spam": 0.9}}
MODEL = (
    b"HTTP/1.1 200 OK\r\n\r\n"
    b'{"mail_fields": ["subject", "sender"], "reading": {"fields": ["subject", "sender"]}, '
    b'"labels": [{"label": "ham"}, {"label": "spam"}]}'
)
RESPONSE = b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({"predictions": [PREDICTION]}).encode()


@contextlib.contextmanager
def answering(path: Path, response: bytes | None) -> Iterator[list[bytes]]:
    """Answer requests on a socket in a thread (None: stay silent); yield the list that will hold them.

    A request for the model gets its fields; another one gets the response, and is the last.
    """
    requests: list[bytes] = []
    done = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            is_last = False
            while not is_last:
                connection, _ = listener.accept()
                with connection:
                    request = b""
                    while not request.endswith(b"}") and not request.startswith(b"GET"):
                        request += connection.recv(1 << 16)
                    is_last = request.startswith(b"POST")
                    requests.append(request)
                    if response is None:
                        done.wait(60)
                    else:
                        connection.sendall(response if is_last else MODEL)

        thread = threading.Thread(target=serve)
        thread.start()
        yield requests
        done.set()
        thread.join()


def run_client(run_filter, monkeypatch, *options: object, message: bytes = MESSAGE):
    monkeypatch.setattr(sys, "argv", ["lmclassify-filter", *map(str, options)])
    return run_filter(client.main, message)


@pytest.mark.parametrize(
    ("options", "status", "label"),
    [
        ((), 0, b"spam"),
        (("--exit-code",), 0, b"spam"),
        (("--exit-code", "--positive", "ham"), 1, b"spam"),
        (("--exit-code", "--unsure", "0.2,0.95"), 2, b"unsure"),
        (("--exit-code", "--unsure", "0.95,1"), 1, b"ham"),
    ],
)
def test_the_prediction_is_added_to_the_message(run_filter, monkeypatch, tmp_path, options, status, label):
    monkeypatch.setenv("LMCLASSIFY_TOKEN", "secret")
    with answering(tmp_path / "s", RESPONSE) as requests:
        result = run_client(run_filter, monkeypatch, "--socket", tmp_path / "s", *options)
    score = b"0.100000" if b"ham" in b"".join(map(str.encode, options)) else b"0.900000"
    headers = b"X-LMClassify-Label: " + label + b"\r\nX-LMClassify-Score: " + score + b"\r\n"
    assert result == (status, headers + MESSAGE)
    assert all(b"\r\nAuthorization: Bearer secret\r\n" in request for request in requests)
    assert requests[0].startswith(b"GET /v1/model ")
    assert requests[1].endswith(b'\r\n\r\n{"text": "Your free prize\\nfrom__b name__none"}')


@pytest.mark.parametrize(
    ("options", "label", "reason"),
    [
        ((), b"spam", b"X-LMClassify-Reason: prize !?\r\n"),
        (("--unsure", "0.2,0.95"), b"unsure", b"X-LMClassify-Reason: prize !?\r\n"),
        (("--unsure", "0.95,1"), b"ham", b""),  # the words speak for spam
    ],
)
def test_the_reason_comes_with_the_prediction(run_filter, monkeypatch, tmp_path, options, label, reason):
    response = RESPONSE.replace(b'"label"', b'"reason": ["prize", "!?"], "label"')
    with answering(tmp_path / "s", response) as requests:
        status, out = run_client(run_filter, monkeypatch, "--socket", tmp_path / "s", "--reason", *options)
    assert status == 0
    added = b"X-LMClassify-Label: " + label + b"\r\nX-LMClassify-Score: 0.900000\r\n"
    assert out == added + reason + MESSAGE
    assert requests[-1].endswith(b', "reason": true}')


LESSON = {
    "id": "0f" * 16,
    "label": "spam",
    "changed": True,
    "predicted_before": None,
    "predicted_after": "spam",
}


@pytest.mark.parametrize(
    ("from_label", "user", "target"),
    [(None, None, b"/v1/learn"), ("ham", "alice@example.org", b"/v1/users/alice@example.org/learn")],
)
def test_a_lesson_is_sent_to_the_service(tmp_path, monkeypatch, from_label, user, target):
    monkeypatch.setenv("LMCLASSIFY_TOKEN", "secret")
    response = b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({**LESSON, "new": 1}).encode()
    with answering(tmp_path / "s", response) as requests:
        assert learn_with_service(str(tmp_path / "s"), "Your prize", "spam", from_label, user=user) == LESSON
    head, content = requests[0].split(b"\r\n\r\n")
    assert head.startswith(b"POST " + target + b" HTTP/1.0\r\n")
    assert b"\r\nAuthorization: Bearer secret" in head
    moved = {} if from_label is None else {"from": from_label}
    assert json.loads(content) == {"text": "Your prize", "label": "spam", "undo": False, **moved}


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "is not an lmclassify service"),
        (
            b'HTTP/1.1 403 Forbidden\r\n\r\n{"detail": "It does not learn."}',
            "403 Forbidden: It does not learn",
        ),
    ],
)
def test_a_lesson_that_is_not_acknowledged_is_an_error(tmp_path, response, error):
    with answering(tmp_path / "s", response), pytest.raises(LMClassifyError, match=error):
        learn_with_service(str(tmp_path / "s"), "Your prize", "spam")


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        (("--socket", "none"), 75, "no service on none"),
        (("--socket", "none", "--exit-code"), 3, "no service on none"),
        (("--socket", "none", "--token"), 75, "--token"),
        (("--socket", "none", "--timeout", "0"), 75, "--timeout"),
        (("--socket", "none", "--fields", "title"), 75, "--fields takes"),
        (("--socket", "none", "--unsure", "x"), 75, "--unsure takes two probabilities"),
        (("--socket", "none", "--user", "../bob"), 75, "--user '../bob': a user's name has"),
        (("--exit-code",), 3, "--socket"),
    ],
)
def test_failures_copy_the_message_unchanged(
    run_filter, monkeypatch, tmp_path, capsys, options, status, error
):
    monkeypatch.chdir(tmp_path)
    assert run_client(run_filter, monkeypatch, *options) == (status, MESSAGE)
    assert error in capsys.readouterr().err


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (None, "does not answer within 0.2 s"),
        (b"", "is not an lmclassify service"),
        (b"hello\r\n\r\n", "is not an lmclassify service"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "is not an lmclassify service"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n{\"detail\": \"token\"}", "401 Unauthorized: token"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 19\r\n\r\n{\"detail\": \"later\"} ", "503 Busy: later"),
    ],
)  # fmt: skip
def test_failures_of_the_service(response, error, tmp_path):
    timeout = 0.2 if response is None else 60
    with answering(tmp_path / "s", response), pytest.raises(LMClassifyError, match=error):
        request_prediction(str(tmp_path / "s"), "hello", timeout)


def test_a_token_is_one_word(monkeypatch, tmp_path):
    monkeypatch.setenv("LMCLASSIFY_TOKEN", "a\nb")
    with pytest.raises(LMClassifyError, match="a token is one word of visible ASCII characters"):
        request_prediction(str(tmp_path / "s"), "hello")


def test_help(run_filter, monkeypatch):
    status, out = run_client(run_filter, monkeypatch, "--help")
    assert status is None
    assert b"--socket PATH" in out


def run_process(
    *options: object, stdin: bytes = MESSAGE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lmclassify.mail.client", *map(str, options)]
    return subprocess.run(command, input=stdin, capture_output=True, env=environment or None, timeout=300)


@pytest.fixture(scope="module")
def path(saved, tmp_path_factory):
    """The socket of a service that requires a token."""
    where = tmp_path_factory.mktemp("socket") / "s"
    with running(
        "-m", saved, "--socket", where, cwd=saved.parent, environment={"LMCLASSIFY_TOKEN": "secret"}
    ):
        yield where


@pytest.mark.long
def test_the_client_and_the_filter_write_the_same(path, saved):
    cold = run_cli_process("filter", "-m", saved, cwd=saved.parent, stdin=MESSAGE)
    warm = run_process("--socket", path, LMCLASSIFY_TOKEN="secret")
    assert (warm.returncode, warm.stderr) == (0, b"")
    assert warm.stdout == cold.stdout != MESSAGE
    unsure = run_process("--socket", path, "--exit-code", "--unsure", "0,1", LMCLASSIFY_TOKEN="secret")
    assert unsure.returncode == 2
    assert b"X-LMClassify-Label: unsure\r\n" in unsure.stdout
    ham = run_process(
        "--socket", path, "--exit-code", "--unsure", "1,1", "--positive", "spam", LMCLASSIFY_TOKEN="secret"
    )
    assert ham.returncode == 1
    long = b"Subject: \xff" + "😀 ".encode() * 300_000 + b"\n\n" + b"word\n" * 100_000
    done = run_process("--socket", path, "--fields", "subject,body", stdin=long, LMCLASSIFY_TOKEN="secret")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(long)
    blank = run_process("--socket", path, stdin=b"\nno subject\n", LMCLASSIFY_TOKEN="secret")
    assert (blank.returncode, blank.stderr) == (0, b"")


@pytest.mark.long
def test_a_wrong_token_copies_the_message_unchanged(path):
    for options, status in ((["--socket", path], 75), (["--socket", path, "--exit-code"], 3)):
        done = run_process(*options, LMCLASSIFY_TOKEN="wrong")
        assert done.returncode == status, done.stderr
        assert done.stdout == MESSAGE
        assert b"401" in done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.long
def test_the_installed_client():
    program = f"{sys.executable.rpartition('/')[0]}/lmclassify-filter"
    done = subprocess.run([program, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--socket PATH" in done.stdout
