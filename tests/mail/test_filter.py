"""The mail filter: headers added and removed, verdicts, and mail that is never lost."""

from __future__ import annotations

import email
import email.policy
import io
import os
import signal
import sys
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lmclassify.errors import OptionError
from lmclassify.mail.filter import filter_standard_input
from lmclassify.mail.headers import with_headers
from lmclassify.mail.verdicts import Verdict, verdict_of

ADDED = b"X-LMClassify-Label: spam\nX-LMClassify-Score: 0.980000\n"


def filtered(message: bytes, label: str = "spam") -> bytes:
    return b"".join(with_headers(message, label, 0.98))


@pytest.mark.parametrize(
    ("message", "result"),
    [
        (b"Subject: x\n\nbody\n", ADDED + b"Subject: x\n\nbody\n"),
        (b"From a b\nSubject: x\n\nbody", b"From a b\n" + ADDED + b"Subject: x\n\nbody"),
        (b"Subject: x\r\n\r\nbody\r\n", ADDED.replace(b"\n", b"\r\n") + b"Subject: x\r\n\r\nbody\r\n"),
        (b"Subject: no body", ADDED + b"Subject: no body"),
        (b"\nX-LMClassify-Label: in the body\n", ADDED + b"\nX-LMClassify-Label: in the body\n"),
        (b"From a b\n\nbody", b"From a b\n" + ADDED + b"\nbody"),
        (b"no headers\0\xff\n", ADDED + b"no headers\0\xff\n"),
        (b"x-lmclassify-LABEL : ham\n ham\n\tham\nSubject: x\n\n", ADDED + b"Subject: x\n\n"),
        (b"A: b\nX-LMClassify-Score: 0\nX-LMClassify-Label: ham\nB: c\n\n", ADDED + b"A: b\nB: c\n\n"),
        (b"A: b\n c\nX-LMClassify-Other: x\n\nX-LMClassify-Label: y\n", ADDED + b"A: b\n c\n\nX-LMClassify-Label: y\n"),
        (b"A: b\nnot a header\nX-LMClassify-Label: ham\n\nz", ADDED + b"A: b\nnot a header\n\nz"),
        (b"A: b\rX-LMClassify-Label: ham\rB: c\n\nz", ADDED + b"A: b\rB: c\n\nz"),
        (b"X-LMClassify-Label: ham", ADDED),
        (b" continued\nA: b\n\n", b" continued\n" + ADDED + b"A: b\n\n"),
        (b"X-LMClassify-Label: ham\n more\n\n more", ADDED + b"\n more"),
    ],
)  # fmt: skip
def test_headers(message, result):
    assert filtered(message) == result


@pytest.mark.parametrize("label", ["täglich", "a\nb", " spam", "x" * 2000, "=?utf-8?q?x?=", "", "日本" * 40])
def test_labels_that_headers_cannot_hold_as_they_are(label):
    result = filtered(b"Subject: x\n\n", label)
    assert all(len(line) < 100 for line in result.splitlines())
    assert email.message_from_bytes(result, policy=email.policy.default)["x-lmclassify-label"] == label


PIECES = [
    b"Subject: x",
    b"\n",
    b"\r\n",
    b"\r",
    b"X-LMClassify-Label: ham",
    b"x-lmclassify-score:1",
    b" ",
    b"\n\n",
    b"From a",
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)), max_size=30).map(b"".join))
@example(b"")
@example(b"From a")
@example(b"From a\n")
def test_nothing_is_changed_but_the_headers(message):
    result = filtered(message)
    added = ADDED if ADDED in result else ADDED.replace(b"\n", b"\r\n")
    before, found, after = result.partition(added)
    assert found
    rest = before + after
    head, blank, body = message.partition(b"\n\n")
    if b"x-lmclassify-" not in head.lower():
        assert rest == message
    if b"\n\r\n" not in message and not message.startswith((b"\n", b"\r\n")) and blank:
        assert result.endswith(blank[:-1] + body)
    if message.endswith(b"\n") and b"\r" not in message.replace(b"\r\n", b""):
        # Else there may be no place but before a line that continues the score.
        assert filtered(result) == result  # its own headers are replaced by the same
    header = email.message_from_bytes(result.replace(b"\r\n", b"\n"))
    assert len(header.get_all("X-LMClassify-Label", ["none"])) == 1


def test_verdicts():
    shares = {"ham": 0.3, "spam": 0.7}
    assert verdict_of("spam", shares) == Verdict("spam", 0.7, 0)
    assert verdict_of("ham", shares) == Verdict("ham", 0.7, 1)
    assert verdict_of("unsure", shares) == Verdict("unsure", 0.7, 2)
    assert verdict_of("spam", shares, zone=(0.2, 0.9)) == Verdict("unsure", 0.7, 2)
    assert verdict_of("spam", shares, zone=(0.7, 0.9)) == Verdict("ham", 0.7, 1)
    assert verdict_of("ham", shares, zone=(0.2, 0.7)) == Verdict("spam", 0.7, 0)
    assert verdict_of("spam", shares, positive="ham") == Verdict("spam", 0.3, 1)
    assert verdict_of("a", {"a": 0.4, "b": 0.6}) == Verdict("a", 0.6, 1)
    three = {"a": 0.2, "b": 0.5, "SPAM": 0.3}
    assert verdict_of("b", three) == Verdict("b", 0.3, 1)
    assert verdict_of("b", three, zone=(0.3, 0.6)) == Verdict("b", 0.3, 1)
    with pytest.raises(OptionError, match="no label 'c'"):
        verdict_of("a", three, positive="c")
    with pytest.raises(OptionError, match="name the positive one"):
        verdict_of("a", {"a": 0.5, "b": 0.2, "c": 0.3})
    with pytest.raises(OptionError, match="has a label 'unsure'"):
        verdict_of("a", {"unsure": 0.5, "spam": 0.5}, zone=(0.1, 0.2))


class Standard:
    """Standard input and output of a filter in this process."""

    def __init__(self, monkeypatch, message: bytes) -> None:
        self.out = io.BytesIO()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(message)))
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(self.out))


@pytest.fixture(autouse=True)
def _signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def fails(error):
    def judge(filtering):
        print("what a library prints")
        raise error

    return judge


@pytest.mark.parametrize(
    "judge",
    [
        fails(OptionError("wrong")),
        fails(KeyError("bug")),
        fails(MemoryError()),
        fails(KeyboardInterrupt()),
        fails(SystemExit(2)),
        lambda filtering: None,
        lambda filtering: os.kill(os.getpid(), signal.SIGTERM),
        lambda filtering: setattr(filtering, "verdict", Verdict("spam", float, 0)),
    ],
)
def test_in_every_failure_the_message_goes_through(judge, monkeypatch, capsys):
    for arguments, status in ((["filter"], 75), (["filter", "--exit-code"], 3)):
        standard = Standard(monkeypatch, b"\0Subject: x\r\n\nbody")
        assert filter_standard_input(arguments, judge) == status
        assert standard.out.getvalue() == b"\0Subject: x\r\n\nbody"


def test_a_signal_waits_for_the_message(monkeypatch):
    reading, writing = os.pipe()
    out = io.BytesIO()
    source = os.fdopen(reading)
    monkeypatch.setattr(sys, "stdin", source)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))

    def deliver() -> None:
        os.write(writing, b"Subject: x\n")
        os.kill(os.getpid(), signal.SIGTERM)
        os.write(writing, b"\nbody\n")
        os.close(writing)

    thread = threading.Timer(0.05, deliver)
    thread.start()
    judged: list[object] = []
    assert filter_standard_input([], judged.append) == 75
    thread.join()
    source.close()
    assert out.getvalue() == b"Subject: x\n\nbody\n"
    assert not judged


def test_success_and_no_message(monkeypatch, capsys):
    def judge(filtering):
        filtering.verdict = Verdict("spam", 0.98, 2)

    for arguments, status in ((["filter"], 0), (["filter", "--exit-code"], 2)):
        standard = Standard(monkeypatch, b"Subject: x\n\nbody\n")
        assert filter_standard_input(arguments, judge) == status
        assert standard.out.getvalue() == ADDED + b"Subject: x\n\nbody\n"
    standard = Standard(monkeypatch, b"")
    assert filter_standard_input([], judge) == 75
    assert standard.out.getvalue() == b""
    assert "no message on standard input" in capsys.readouterr().err
