"""Messages between the service and a worker process.

A message is two lengths (little-endian, 32 bits each), a JSON value, and raw bytes that belong to it.
"""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<II")

Message = tuple[Any, bytes]
"""A JSON value and the raw bytes that belong to it."""


def write_message(stream: BinaryIO | asyncio.StreamWriter, value: Any, payload: bytes = b"") -> None:
    """Write a message to a pipe."""
    encoded = json.dumps(value, separators=(",", ":")).encode()
    stream.write(_LENGTHS.pack(len(encoded), len(payload)) + encoded + payload)


def read_message(stream: BinaryIO) -> Message | None:
    """Read the next message; return None at the end of the stream."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    value_length, payload_length = _LENGTHS.unpack(lengths)
    return json.loads(stream.read(value_length)), stream.read(payload_length)


async def read_message_async(stream: asyncio.StreamReader) -> Message:
    """Read the next message.

    Raises
    ------
    asyncio.IncompleteReadError
        At the end of the stream.
    """
    value_length, payload_length = _LENGTHS.unpack(await stream.readexactly(_LENGTHS.size))
    value = json.loads(await stream.readexactly(value_length))
    return value, await stream.readexactly(payload_length)
