"""The content of a journal: a reader gets the records before the first byte that is missing or wrong."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.persistence.journal_records import (
    CHECKSUM_SIZE,
    HEADER_SIZE,
    MAX_RECORD_BYTES,
    encode,
    encode_all,
    header,
    is_header,
    read_record,
)

MODEL = "0123456789abcdef" * 4
RECORDS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


def decode(content: bytes) -> list[bytes]:
    file = io.BytesIO(content)
    head = file.read(HEADER_SIZE)
    found: list[bytes] = []
    if head != header(MODEL):
        return found
    checksum = head[-CHECKSUM_SIZE:]
    while (record := read_record(file, checksum)) is not None:
        data, checksum = record
        found.append(data)
    return found


@given(RECORDS, st.data())
def test_a_part_of_a_file_is_read_as_the_first_records(records, data):
    content = encode_all(MODEL, records)
    assert decode(content) == records
    found = decode(content[: data.draw(st.integers(0, len(content) - 1))])
    assert found == records[: len(found)]
    assert len(found) < len(records) or not records


@given(RECORDS, st.data())
def test_a_wrong_byte_never_gives_a_wrong_record(records, data):
    content = bytearray(encode_all(MODEL, records))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    found = decode(bytes(content))
    assert found == records[: len(found)]
    intact = HEADER_SIZE + sum(len(encode(record, b"")) for record in found)
    assert intact <= at or not found


@given(RECORDS, RECORDS, st.data())
def test_records_of_another_place_are_not_read(records, others, data):
    """A record counts only after those that it was written after."""
    content, other = encode_all(MODEL, records), encode_all("f" * 64, others)
    joined = content + other[HEADER_SIZE:]
    assert decode(joined) == records
    if len(records) > 1:
        first = len(encode(records[0], b""))
        assert decode(content[:HEADER_SIZE] + content[HEADER_SIZE + first :]) == []


def test_sizes_that_no_record_has():
    for data in (b"", b"x" * (MAX_RECORD_BYTES + 1)):
        with pytest.raises(ValueError, match="a record has 1 to"):
            encode(data, b"")
    with pytest.raises(ValueError, match="64 digits"):
        header("abc")
    longest = encode(b"x", b"")[:7] + b"\xff\xff\xff\xff" + b"x" * 99
    assert read_record(io.BytesIO(longest), b"") is None


def test_headers_of_other_models_are_told_from_damaged_ones():
    assert is_header(header("f" * 64))
    assert not is_header(header(MODEL)[:-1])
    assert not is_header(header(MODEL).replace(b"journal 1", b"journal 2"))
    assert b"lmclassify" in header(MODEL)[:20]
