"""The mail filter: headers added and removed, verdicts, and mail that is never lost."""

from __future__ import annotations

import email
import email.policy
import io
import os
import signal
import sys
from functools import partial
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmclassify.errors import OptionError
from lmclassify.mail.filter import filter_standard_input
from lmclassify.mail.headers import add_headers, verdict_headers
from lmclassify.mail.verdicts import Verdict, decide

ADDED = b"X-LMClassify-Label: spam\nX-LMClassify-Score: 0.980000\n"


def filtered(message: bytes, label: str = "spam") -> bytes:
    return b"".join(add_headers(message, label, 0.98))


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


@pytest.mark.parametrize(
    "label", ["täglich", "a\nb", "a  b", " spam", "x" * 2000, "=?utf-8?q?x?=", "", "日本" * 40]
)
def test_labels_that_need_encoding(label):
    result = filtered(b"Subject: x\n\n", label)
    assert all(len(line) < 100 for line in result.splitlines())
    assert email.message_from_bytes(result, policy=email.policy.default)["x-lmclassify-label"] == label


HOSTILE_WORDS = [
    "a\r\nX-LMClassify-Label:ham",
    "b\n\nbody",
    "c\0\x1b[31m\x7f",
    "=?utf-8?q?ham?=",
    "?=",
    "\u202eevil\u2066\u200e\u061c",
    "\u200b\ufeff\U000e0041",
    "👨\u200d👩\u200d👧",
    "Grüße",
    "日本語",
    "x" * 100_000,
    "😀" * 100_000,
    "a\u0301" * 500,
    "\ud800",
    "\u2028\x85",
    "$$$,",
    ":",
]


def reason_of(words: list[str]) -> tuple[str, str]:
    """Return the header of a reason as it stands and as a reader of mail decodes it."""
    message = b"".join(add_headers(b"Subject: x\n\nbody\n", "spam", 0.98, words))
    read = email.message_from_bytes(message, policy=email.policy.default)
    assert read.keys() == ["X-LMClassify-Label", "X-LMClassify-Score", "X-LMClassify-Reason", "Subject"]
    assert read.get_content() == "body\n"
    ((_, value),) = verdict_headers("spam", 0.98, words)[2:]
    assert value.isascii()
    assert value.replace("\n ", "").isprintable()
    assert all(len(line) <= 76 for line in f"X-LMClassify-Reason: {value}".split("\n"))
    return value, str(read["X-LMClassify-Reason"])


@pytest.mark.parametrize("word", HOSTILE_WORDS, ids=lambda word: ascii(word)[:20])
def test_the_reason_of_hostile_words_is_one_harmless_header(word):
    _, read = reason_of(["free", word, "prize"])
    first, *shown, last = read.split(" ")
    assert (first, last, len(shown)) == ("free", "prize", 1)
    assert all(character.isprintable() or character in "\u200c\u200d" for character in read)
    assert len(shown[0]) <= 43
    if word.isprintable() and len(word) <= 40:
        assert shown == [word]


def test_the_reason_is_folded_and_cut():
    assert reason_of(["prize!", "$1,000,000", "=?", "ümlaut"])[1] == "prize! $1,000,000 =? ümlaut"
    value, read = reason_of(["w" * 41] * 5)
    assert read == " ".join(["w" * 40 + "..."] * 5)
    assert value.count("\n ") == 4
    value, read = reason_of(["日" * 90] * 5)
    assert read == " ".join(["日" * 40 + "..."] * 5)
    assert [name for name, _ in verdict_headers("spam", 0.98)] == ["X-LMClassify-Label", "X-LMClassify-Score"]


def test_a_senders_reason_is_removed():
    message = b"X-LMClassify-Reason: =?utf-8?q?a?=\n b\nSubject: x\n\n"
    assert filtered(message) == ADDED + b"Subject: x\n\n"


PIECES = [
    b"Subject: x",
    b"\n",
    b"\r\n",
    b"\r",
    b"X-LMClassify-Label: ham",
    b"x-lmclassify-score:1",
    b"X-LMClassify-Reason: win",
    b" ",
    b"\n\n",
    b"From a",
]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)), max_size=30).map(b"".join))
@example(b"")
@example(b"From a")
@example(b"From a\n")
@example(b"From a\rX-LMClassify-Label: ham\n")
def test_only_the_headers_change(message):
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
    probabilities = {"ham": 0.3, "spam": 0.7}
    assert decide("spam", probabilities) == Verdict("spam", 0.7, 0)
    assert decide("ham", probabilities) == Verdict("ham", 0.7, 1)
    assert decide("unsure", probabilities) == Verdict("unsure", 0.7, 2)
    assert decide("spam", probabilities, unsure_zone=(0.2, 0.9)) == Verdict("unsure", 0.7, 2)
    assert decide("spam", probabilities, unsure_zone=(0.7, 0.9)) == Verdict("ham", 0.7, 1)
    assert decide("ham", probabilities, unsure_zone=(0.2, 0.7)) == Verdict("spam", 0.7, 0)
    assert decide("spam", probabilities, positive="ham") == Verdict("spam", 0.3, 1)
    assert decide("a", {"a": 0.4, "b": 0.6}) == Verdict("a", 0.6, 1)
    three = {"a": 0.2, "b": 0.5, "SPAM": 0.3}
    assert decide("b", three) == Verdict("b", 0.3, 1)
    assert decide("b", three, unsure_zone=(0.3, 0.6)) == Verdict("b", 0.3, 1)
    with pytest.raises(OptionError, match="no label 'c'"):
        decide("a", three, positive="c")
    with pytest.raises(
        OptionError, match="has 3 labels and none is spam: name the positive one with --positive NAME"
    ):
        decide("a", {"a": 0.5, "b": 0.2, "c": 0.3})
    with pytest.raises(OptionError, match="has a label 'unsure'"):
        decide("a", {"unsure": 0.5, "spam": 0.5}, unsure_zone=(0.1, 0.2))


def fails(error):
    def classify(filtered):
        print("what a library prints")
        raise error

    return classify


@pytest.mark.parametrize(
    "classify",
    [
        fails(OptionError("wrong")),
        fails(KeyError("bug")),
        fails(MemoryError()),
        fails(KeyboardInterrupt()),
        fails(SystemExit(2)),
        lambda filtered: None,
        lambda filtered: os.kill(os.getpid(), signal.SIGTERM),
        lambda filtered: setattr(filtered, "verdict", Verdict("spam", float, 0)),
    ],
)
def test_in_every_failure_the_message_goes_through(classify, run_filter, capsys):
    message = b"\0Subject: x\r\n\nbody"
    for arguments, status in ((["filter"], 75), (["filter", "--exit-code"], 3)):
        program = partial(filter_standard_input, arguments, classify)
        assert run_filter(program, message) == (status, message)


def test_a_signal_waits_for_the_message(run_filter, monkeypatch):
    """The signal comes when half of the message has been read."""

    class SlowInput(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            half = super().read(11)
            os.kill(os.getpid(), signal.SIGTERM)
            return half + super().read()

    classified: list[object] = []

    def program() -> int:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SlowInput(b"Subject: x\n\nbody\n")))
        return filter_standard_input([], classified.append)

    assert run_filter(program, b"") == (75, b"Subject: x\n\nbody\n")
    assert not classified


def test_success_and_no_message(run_filter, capsys):
    def classify(filtered):
        filtered.verdict = Verdict("spam", 0.98, 2)

    message = b"Subject: x\n\nbody\n"
    for arguments, status in ((["filter"], 0), (["filter", "--exit-code"], 2)):
        program = partial(filter_standard_input, arguments, classify)
        assert run_filter(program, message) == (status, ADDED + message)
    assert run_filter(program, b"") == (3, b"")
    assert "no message on standard input" in capsys.readouterr().err
