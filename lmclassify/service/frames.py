"""Messages between the service and its scoring process: two lengths, JSON, and bytes that go with it."""

from __future__ import annotations

import asyncio
import gc
import json
import struct
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<II")

Frame = tuple[Any, bytes]


def write_frame(stream: BinaryIO | asyncio.StreamWriter, head: Any, rest: bytes = b"") -> None:
    """Write a message; `head` is plain data."""
    encoded = json.dumps(head, separators=(",", ":")).encode()
    stream.write(_LENGTHS.pack(len(encoded), len(rest)) + encoded + rest)


def read_frame(stream: BinaryIO) -> Frame | None:
    """Return the next message, or None at the end of the stream."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    of_head, of_rest = _LENGTHS.unpack(lengths)
    return json.loads(stream.read(of_head)), stream.read(of_rest)


async def read_frame_soon(stream: asyncio.StreamReader) -> Frame:
    """Return the next message.

    Raises
    ------
    asyncio.IncompleteReadError
        At the end of the stream.
    """
    of_head, of_rest = _LENGTHS.unpack(await stream.readexactly(_LENGTHS.size))
    head = json.loads(await stream.readexactly(of_head))
    return head, await stream.readexactly(of_rest)


def keep_for_good() -> None:
    """Take all objects that there are out of the garbage collector's rounds.

    Those rounds would else look at every imported module again and again while requests wait: p99 35 ms
    instead of 5.
    """
    gc.collect()
    gc.freeze()
