"""Where the messages of an mbox file begin."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.mail.mbox import split_mbox, starts_message

FROM = b"From a@b.c Mon Jan  1 10:00:00 2024\n"


def split(data: bytes, **options) -> list[bytes]:
    return list(split_mbox(io.BytesIO(data), 1 << 18, **options))


@pytest.mark.parametrize(
    ("template", "body"),
    [
        (FROM + b"Message-ID: <s%d@e>\n\n%s", b"no blank line before the next\n"),
        (b"From \nMessage-ID: <s%d@e>\n\n%s\n", b"body\n"),
        (
            b"From - Mon Jan  1 10:00:00 2024\nX-Mozilla-Status: 0001\nSubject: s%d\n\n%s\n\n",
            b"body\n\nFrom here on it is 10:30 in 2024 all good\n",
        ),
        (b"From x@y Thu, 4 Jan 2024 10:00:00 +0100\n>From a@b\nSubject: %d\n\n%s\n", b"two From lines\n"),
    ],
    ids=["no blank line", "no sender and date", "a body line with From", "quoted From line"],
)
def test_boundaries(template, body):
    data = b"".join(template % (number, body) for number in range(3))
    assert [body in message for message in split(data)] == [True] * 3
    assert [body.replace(b"\n", b"\r\n") in m for m in split(data.replace(b"\n", b"\r\n"))] == [True] * 3


@pytest.mark.parametrize("line", ["From a@b 03.01.1996 01:05:34", "From a@b Sa Jan  3 01:05:34 96"])
def test_unusual_dates(line):
    data = line.encode() + b"\nSubject: x\n"
    assert starts_message(data, 0, after_blank=True)
    assert not starts_message(data, 0, after_blank=False)


@pytest.mark.parametrize(
    "line",
    [
        "From me@here Sat Jan  3 01:05:34 1996",
        "From - Sat Jan 03 01:05:34 1996",
        "From 1787@xxx Sat Jan 03 01:05:34 +0000 1996",
        "From me@here Sat Jan  3 01:05:34 MET DST 1996",
        "From me at here.org  Sat Jan  3 01:05:34 1996",
        "From ???@??? Sat Jan 03 01:05:34 1996",
        "From me@here Sat, 3 Jan 1996 01:05:34 +0100 (CET)",
        "From me@here 3 Jan 1996 1:05:34",
        "From me@here 1996-01-03T01:05:34Z",
        "From a!b Sat Jan  3 01:05 1996 remote from c",
        "From  Sat Jan  3 01:05:34 1996",
    ],
)
def test_dates(line):
    data = line.encode() + b"\nAny-Header: x\n"
    assert starts_message(data, 0, after_blank=False)
    assert starts_message(data.replace(b"\n", b"\r\n"), 0, after_blank=False)


@pytest.mark.parametrize(
    "text",
    [
        "From here on it is 10:30 in 2024 all good\nNote: no header of mail\n",
        "From bob@x.org Sat Jan  3 01:05:34 1996 we moved\nNote: so write there\n",
        "From Monday 10:30 on, Jan 2024\n\n",
        "From the beginning of it, Sat Jan  3 01:05:34 1996\nthere was text\n",
        "From Paris\nwith love\n",
        "From Paul\n\n",
        "From " + "x" * 5000 + " Sat Jan  3 01:05:34 1996\nSubject: x\n",
    ],
)
def test_lines_of_text(text):
    assert not starts_message(text.encode(), 0, after_blank=True)


@settings(max_examples=50)
@given(
    st.lists(
        st.sampled_from(
            [
                FROM,
                b"From \n",
                b"From me\r\n",
                b"Subject: x\n",
                b"\n",
                b"\r\n",
                b">From y\n",
                b"text",
                b"a" * 99,
            ]
        ),
        max_size=30,
    ).map(b"".join),
    st.integers(1, 80),
)
def test_blocks_of_any_size_give_the_same_messages(data, size):
    assert split(data, block_bytes=size) == split(data)


def test_a_message_is_passed_on_when_the_next_one_begins():
    class Pipe(io.BytesIO):
        def read1(self, size=-1):
            return self.readline()

    pipe = Pipe((FROM + b"Subject: x\n\nhello\n") * 3)
    next(split_mbox(pipe, 1000))
    assert pipe.tell() < 120
