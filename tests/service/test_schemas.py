"""Strict JSON of request bodies (RFC 8259)."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from lmclassify.service.schemas import parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=25)
@given(VALUES, st.booleans())
def test_valid_json_is_parsed(value, ascii_only):
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")) == value


@settings(max_examples=25)
@given(st.dictionaries(st.text(), VALUES, min_size=1), st.data())
def test_truncated_json_is_rejected(value, data):
    body = json.dumps(value).encode()
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(HTTPException):
        parse_json(body[:cut])


@settings(max_examples=25)
@given(st.binary(max_size=200))
def test_random_bytes_are_parsed_or_rejected(body):
    with contextlib.suppress(HTTPException):
        parse_json(body)


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
def test_invalid_or_ambiguous_json_is_rejected(body):
    with pytest.raises(HTTPException) as caught:
        parse_json(body)
    assert caught.value.status_code == 400


def test_a_byte_order_mark_is_ignored():
    assert parse_json('\ufeff{"text": "ä"}'.encode()) == {"text": "ä"}
