"""Bodies are JSON as RFC 8259 has it, read in one way only."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from lmclassify.service.bodies import parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40)
@given(VALUES, st.booleans())
def test_what_json_can_say_is_read(value, ascii_only):
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")) == value


@settings(max_examples=40)
@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_what_breaks_off_is_no_json(value, data):
    body = json.dumps(value).encode()
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(HTTPException):
        parse(body[:cut])


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_refused(body):
    with contextlib.suppress(HTTPException):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        '{"text": "a"}'.encode("utf-16"),
        '{"text": "a"}'.encode("utf-16-le"),
        '{"text": "a"}'.encode("utf-16-be"),
        '{"text": "a"}'.encode("utf-32"),
        b'{"text": "\xff"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "\xc0\xaf"}',
        b'{"n": NaN}',
        b'{"n": -Infinity}',
        b'{"n": Infinity}',
        b'{"n": 01}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b'{"text": "a\nb"}',
        b'{"text": "a",}',
        b"{'text': 'a'}",
        b'{"text": "a"} {"text": "b"}',
        b'{"text": "a"}\x00',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"text": "a", "text": "b"}',
        b'{"text": "a", "\\u0074ext": "b"}',
        b'{"texts": [{"a": 1, "a": 1}]}',
        b" ",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_refused(body):
    with pytest.raises(HTTPException) as caught:
        parse(body)
    assert caught.value.status_code == 400


def test_a_byte_order_mark_is_no_harm():
    assert parse('\ufeff{"text": "ä"}'.encode()) == {"text": "ä"}
