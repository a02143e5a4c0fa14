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


@pytest.mark.parametrize(
    "line",
    [
        "From a@b 03.01.1996 01:05:34",
        "From a@b Sa Jan  3 01:05:34 96",
        "From a@b Jan  3 01:05:34 1996",
        "From - Mi. Dez.  4 10:00:00 2024",
        "From root sam. 3 févr. 1996 01:05:34 +0100",
        "From a@b mié 4 de ene de 2024 10:00:00 (CET)",
        "From a@b Пн янв  3 01:05:34 MSK 1996",
        "From a@b 2024年 1月 3日 水曜日 01:05:34 JST",
        "From a@b 1/3/1996 1:05:34 AM",
    ],
)
def test_unusual_dates(line):
    data = line.encode() + b"\nSubject: x\n"
    assert starts_message(data, 0, after_blank=True)
    assert starts_message(data, 0, after_blank=False)
    assert not starts_message(line.encode() + b"\nNote: x\n", 0, after_blank=False)
    message = b"Subject: x\n\nno blank line after it\n"
    assert split((line.encode() + b"\n" + message) * 3) == [message] * 3


def test_text_with_a_time_is_no_unusual_date():
    line = b"From bob@x.org at 10:30 in 2024 we all moved\nSubject: x\n"
    assert not starts_message(line, 0, after_blank=False)


def with_length(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return FROM + b"Subject: x\nContent-Length: %d\nX-A: b\n\n" % size + body


INNER = b"see:\n\n" + FROM + b"Subject: inner\n\nhello\n"


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_content_length_tells_where_a_message_ends(line_end):
    body = (INNER + INNER).replace(b"\n", line_end)
    data = with_length(b"", len(body)).replace(b"\n", line_end) + body
    found = split((data + line_end) * 2 + data)
    assert len(found) == 3
    assert all(message.count(b"inner") == 2 for message in found)


@pytest.mark.parametrize("length", [3, len(INNER) - 3, len(INNER) + 5, 10**6, 10**9, 10**30])
def test_a_wrong_content_length_is_ignored(length):
    assert len(split(with_length(INNER, length) * 3)) == 6


def test_mmdf():
    line = b"\1\1\1\1\n"
    messages = [
        FROM + b"Subject: x\n\n" + INNER,
        b"\1\1\1\nSubject: \1\1\1\1\n",
        b"Subject: end\n\n>From x\n",
    ]
    data = b"".join(line + message + line for message in messages)
    assert split(data) == messages
    assert split(data.replace(line + line, line)) == messages
    assert split(data.removesuffix(b"\n")) == messages
    assert split(data, block_bytes=1) == messages
    assert split(data.replace(b"\n", b"\r")) == messages


@settings(max_examples=50)
@given(
    st.lists(
        st.sampled_from(
            [
                FROM,
                b"Content-Length: 43\n",
                b"Content-Length: 5\r",
                b"Subject: x\n",
                b"\n",
                b"\r",
                b"\1\1\1\1\n",
                b"text",
            ]
        ),
        max_size=30,
    ).map(b"".join),
    st.integers(1, 80),
    st.sampled_from(["", "utf-8-sig", "utf-16", "utf-16-be"]),
)
def test_blocks_of_any_size_give_the_same_messages_of_other_forms(data, size, encoding):
    data = data.decode().encode(encoding) if encoding else data
    assert split(data, block_bytes=size) == split(data)


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
