"""Packets of the milter protocol, by which Postfix and Sendmail talk to mail filters. Standard library only.

A packet is its length (four bytes, without these), a command (one byte) and data. Texts in data end with a
zero byte. The names of constants are those of Sendmail's libmilter without their prefix.
"""

from __future__ import annotations

import asyncio
import struct
from enum import IntFlag

from lmclassify.errors import LMClassifyError

MAX_PACKET_BYTES = 1 << 21
"""Length of a packet that is accepted: twice the largest block of a body that the protocol knows."""

# Commands of a mail server.
ABORT, BODY, END_OF_MESSAGE, HEADER, MACRO = b"A", b"B", b"E", b"L", b"D"
NEGOTIATE, QUIT, QUIT_CONNECTION = b"O", b"Q", b"K"
WITHOUT_DECISION = (b"C", b"H", b"M", b"N", b"R", b"T", b"U")
"""Connect, HELO, MAIL, end of header, RCPT, DATA and unknown commands of a client."""

# Answers.
CONTINUE, SKIP = b"c", b"s"

_VERSION = 6
_OLDEST_VERSION = 2


class ProtocolError(LMClassifyError):
    """A mail server does not speak the milter protocol, or a version that is not supported."""


class Actions(IntFlag):
    """What a filter may do with a message."""

    ADDHDRS = 0x01
    CHGHDRS = 0x10
    QUARANTINE = 0x20


class Steps(IntFlag):
    """Commands that a server does not send (NO), or sends without waiting for an answer (NR)."""

    NOCONNECT = 0x1
    NOHELO = 0x2
    NOMAIL = 0x4
    NORCPT = 0x8
    NOEOH = 0x40
    NR_HDR = 0x80
    NOUNKNOWN = 0x100
    NODATA = 0x200
    SKIP = 0x400
    """The server takes the answer `SKIP` to a block of a body: it sends no more of this body."""
    NR_BODY = 0x80000


WANTED_STEPS = (
    Steps.NOCONNECT
    | Steps.NOHELO
    | Steps.NOMAIL
    | Steps.NORCPT
    | Steps.NOEOH
    | Steps.NR_HDR
    | Steps.NOUNKNOWN
    | Steps.NODATA
    | Steps.SKIP
)


async def read_packet(reader: asyncio.StreamReader) -> tuple[bytes, bytes] | None:
    """Return command and data of the next packet; None at the end of the connection.

    Raises ProtocolError if what comes is no packet, IncompleteReadError if the connection ends within one.
    """
    try:
        head = await reader.readexactly(4)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    (length,) = struct.unpack(">I", head)
    if not 0 < length <= MAX_PACKET_BYTES:
        raise ProtocolError("what comes from the mail server is not the milter protocol")
    packet = await reader.readexactly(length)
    return packet[:1], packet[1:]


def packet(command: bytes, data: bytes = b"") -> bytes:
    """Return a packet."""
    return struct.pack(">I", len(data) + 1) + command + data


def negotiate(data: bytes, actions: Actions) -> tuple[bytes, Steps]:
    """Return the answer to a server's `NEGOTIATE`, and which steps it will leave out.

    Raises ProtocolError if the server is too old, or does not allow the actions that are needed.
    """
    try:
        version, offered_actions, offered_steps = struct.unpack(">III", data[:12])
    except struct.error:
        raise ProtocolError("the mail server's first packet is too short") from None
    if version < _OLDEST_VERSION:
        raise ProtocolError(
            f"the mail server's milter protocol is too old: version {version}, not 2 or newer"
        )
    if actions & ~offered_actions:
        missing = ", ".join(action.name or "" for action in Actions if action & actions & ~offered_actions)
        raise ProtocolError(f"the mail server does not allow what this milter does ({missing})")
    steps = WANTED_STEPS & Steps(offered_steps & WANTED_STEPS)
    if not steps & Steps.SKIP:
        steps |= Steps.NR_BODY & Steps(offered_steps & Steps.NR_BODY)
    return packet(NEGOTIATE, struct.pack(">III", min(version, _VERSION), actions, steps)), steps


def parse_header(data: bytes) -> tuple[bytes, bytes]:
    """Return name and value of a `HEADER`."""
    name, _, value = data.partition(b"\0")
    return name, value.removesuffix(b"\0")


def parse_macros(data: bytes) -> dict[bytes, bytes]:
    """Return the values that a `MACRO` gives to names."""
    parts = data[1:].split(b"\0")
    return dict(zip(parts[::2], parts[1::2], strict=False))


def insert_header(name: str, value: str) -> bytes:
    """Return the request to insert a header in front of all others."""
    return packet(b"i", struct.pack(">I", 0) + name.encode() + b"\0" + value.encode() + b"\0")


def delete_header(name: bytes, number: int) -> bytes:
    """Return the request to delete a header: the first of this name is number 1."""
    return packet(b"m", struct.pack(">I", number) + name + b"\0\0")


def quarantine(reason: str) -> bytes:
    """Return the request to keep a message back until the server's administrator has seen it."""
    return packet(b"q", reason.encode() + b"\0")


def reject(reply: str) -> bytes:
    """Return the answer that refuses a message with a reply of SMTP, such as ``550 5.7.1 No.``."""
    return packet(b"y", reply.encode() + b"\0")
