"""The content of a journal file: a header, then records.

    header   "lmclassify journal 1", the model's checksum (64 hex digits), a line end, a checksum of both
    record   marker, length of the data (4 bytes), data, checksum (16 bytes)

The checksum of a record covers its length, its data and the checksum before it. So a record counts only if
everything before it is intact, and the last checksum identifies the content of the whole file.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import BinaryIO

MARKER = b"\x93record\n"
"""Beginning of each record. If it follows a record that is not intact, the file is damaged: a crash leaves no
record behind an unfinished one."""
MAX_RECORD_BYTES = 1 << 24
"""Limit for one record; a lesson has thousands of features at most, a few bytes each."""
CHECKSUM_SIZE = 16

_TITLE = b"lmclassify journal 1 "
_TITLE_LINE_SIZE = len(_TITLE) + 64 + 1
HEADER_SIZE = _TITLE_LINE_SIZE + CHECKSUM_SIZE
_LENGTH = struct.Struct("<I")


def header(model: str) -> bytes:
    """Return the header of the journal of the model with a checksum; its end is the first checksum."""
    line = _TITLE + model.encode("ascii") + b"\n"
    if len(line) != _TITLE_LINE_SIZE:
        raise ValueError(f"the checksum of a model has 64 digits, not {len(model)}")
    return line + _checksum(line)


def is_header(content: bytes) -> bool:
    """Return whether bytes are an intact header, of whichever model."""
    line, checksum = content[:_TITLE_LINE_SIZE], content[_TITLE_LINE_SIZE:]
    return line.startswith(_TITLE) and checksum == _checksum(line)


def encode(data: bytes, checksum: bytes) -> bytes:
    """Return the bytes of a record that follows a checksum; they end in its own.

    Raises ValueError if it is empty or longer than `MAX_RECORD_BYTES`.
    """
    if not 0 < len(data) <= MAX_RECORD_BYTES:
        raise ValueError(f"a record has 1 to {MAX_RECORD_BYTES:,} bytes, not {len(data):,}")
    length = _LENGTH.pack(len(data))
    return MARKER + length + data + _checksum(checksum + length + data)


def encode_all(model: str, records: Iterable[bytes]) -> bytes:
    """Return the content of a whole journal. Raises ValueError as `encode` does."""
    parts = [header(model)]
    for data in records:
        parts.append(encode(data, parts[-1][-CHECKSUM_SIZE:]))
    return b"".join(parts)


def read_record(file: BinaryIO, checksum: bytes) -> tuple[bytes, bytes] | None:
    """Read the record that follows a checksum; return its data and its own checksum.

    Returns None if there is no whole and intact one.
    """
    head = file.read(len(MARKER) + _LENGTH.size)
    if len(head) < len(MARKER) + _LENGTH.size or not head.startswith(MARKER):
        return None
    length = head[len(MARKER) :]
    (size,) = _LENGTH.unpack(length)
    if not 0 < size <= MAX_RECORD_BYTES:
        return None
    rest = file.read(size + CHECKSUM_SIZE)
    data, own = rest[:size], rest[size:]
    return (data, own) if own == _checksum(checksum + length + data) else None


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=CHECKSUM_SIZE).digest()
