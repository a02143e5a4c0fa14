"""The milter as a mail server sees it: labels added, forged headers removed, and no message lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest

from lmclassify.errors import LMClassifyError
from lmclassify.mail.fields import MAX_MESSAGE_BYTES
from lmclassify.mail.messages import read_message
from lmclassify.mail.milter import MAX_FORGED_HEADERS, MilterSettings, serve_milter
from lmclassify.mail.verdicts import Verdict

ALL_ACTIONS = 0x1FF
ALL_STEPS = 0x1FFFFF
SKIP = 0x400
HEADERS = [("From", "a@b.example"), ("Subject", "Your free prize")]
LABELLED = [("i", (0, "X-LMClassify-Score", "0.980000")), ("i", (0, "X-LMClassify-Label", "spam"))]
ACCEPTED = [*LABELLED, ("c", None)]
SPAM = Verdict("spam", 0.98, 0)


class MailServer:
    """The other end of a connection: it speaks the protocol as Postfix does."""

    opened: ClassVar[list[asyncio.StreamWriter]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.steps = 0
        self.opened.append(writer)

    @classmethod
    async def close_all(cls) -> None:
        while cls.opened:
            writer = cls.opened.pop()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @classmethod
    async def connect(cls, address: Any, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> MailServer:
        server = cls(*await asyncio.open_connection(*address))
        server.send("O", struct.pack(">III", 6, actions, steps))
        command, data = await server.receive()
        assert command == "O"
        version, asked, server.steps = struct.unpack(">III", data)
        assert version == 6
        assert asked & ~actions == 0
        assert server.steps & ~steps == 0
        return server

    def send(self, command: str, data: bytes = b"") -> None:
        self.writer.write(struct.pack(">I", len(data) + 1) + command.encode() + data)

    async def receive(self) -> tuple[str, bytes]:
        (length,) = struct.unpack(">I", await self.reader.readexactly(4))
        packet = await self.reader.readexactly(length)
        return packet[:1].decode(), packet[1:]

    async def answer(self) -> tuple[str, Any]:
        """Return a command and its arguments."""
        command, data = await self.receive()
        if command in "im":
            name, value, rest = data[4:].split(b"\0")
            assert rest == b""
            return command, (int.from_bytes(data[:4], "big"), name.decode(), value.decode())
        return command, data.removesuffix(b"\0").decode() if data else None

    async def send_headers(self, headers: list[tuple[str, str]], queue_id: str = "4XyZ") -> None:
        self.send("D", b"Li\0" + queue_id.encode() + b"\0{x}\0y\0")
        for name, value in headers:
            self.send("L", name.encode() + b"\0" + value.encode("latin-1") + b"\0")
            if not self.steps & 0x80:
                assert await self.answer() == ("c", None)
        if not self.steps & 0x40:
            self.send("N")
            assert await self.answer() == ("c", None)

    async def send_body(self, body: bytes) -> int:
        """Send a body in blocks; return how many bytes of it were wanted."""
        for start in range(0, len(body), 65535):
            self.send("B", body[start : start + 65535])
            if self.steps & 0x80000:
                await self.writer.drain()
                continue
            answer = await self.answer()
            if answer == ("s", None):
                assert self.steps & SKIP
                return min(start + 65535, len(body))
            assert answer == ("c", None)
        return len(body)

    async def end(self) -> list[tuple[str, Any]]:
        """End a message and return all answers."""
        self.send("E")
        answers = [await self.answer()]
        while answers[-1][0] in "imq":
            answers.append(await self.answer())
        return answers

    async def message(
        self, headers: list[tuple[str, str]] = HEADERS, body: bytes = b"hello\r\n"
    ) -> list[tuple[str, Any]]:
        await self.send_headers(headers)
        await self.send_body(body)
        return await self.end()

    async def is_closed(self) -> bool:
        return await self.reader.read() == b""


def serving(settings: MilterSettings, talk: Callable[[Any], Awaitable[object]]) -> None:
    """Run a milter, let `talk` talk to it at an address, end it with SIGTERM."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
            started = asyncio.Event()
            milter = asyncio.create_task(serve_milter(settings, listener, started.set))
            waiting = asyncio.create_task(started.wait())
            await asyncio.wait({milter, waiting}, return_when=asyncio.FIRST_COMPLETED)
            try:
                if not milter.done():
                    await talk(address)
            finally:
                if not milter.done():  # else nothing handles the signal
                    os.kill(os.getpid(), signal.SIGTERM)
                waiting.cancel()
                await milter
                await MailServer.close_all()

    asyncio.run(run())


def talking(
    talk: Callable[[MailServer], Awaitable[object]], classify: Any = lambda message: SPAM, **settings: Any
) -> None:
    """Let `talk` be a mail server with one connection."""

    async def connect(address: Any) -> None:
        await talk(await MailServer.connect(address))

    serving(MilterSettings(classify, **settings), connect)


def test_a_message_gets_the_headers_of_its_verdict():
    received: list[bytes] = []

    def classify(message: bytes) -> Verdict:
        received.append(message)
        return Verdict("täglich", 0.98, 1, ["prize!", "日本語"])

    async def talk(server: MailServer) -> None:
        answers = await server.message([*HEADERS, ("X", "folded\n\tvalue\xe9")], b"hello\r\nyou\0\xff\r\n")
        assert answers == [
            ("i", (0, "X-LMClassify-Reason", "=?utf-8?b?cHJpemUhIOaXpeacrOiqng==?=")),
            ("i", (0, "X-LMClassify-Score", "0.980000")),
            ("i", (0, "X-LMClassify-Label", "=?utf-8?b?dMOkZ2xpY2g=?=")),
            ("c", None),
        ]

    talking(talk, classify)
    assert received == [
        b"From: a@b.example\nSubject: Your free prize\nX: folded\n\tvalue\xe9\n\nhello\r\nyou\0\xff\r\n"
    ]
    assert read_message(received[0]).text(("subject", "body")) == "Your free prize\nhello\nyouÿ"


def test_headers_of_the_sender_are_removed_first_and_from_the_last_to_the_first():
    forged = [("X-LMClassify-Label", "ham"), ("x-lmclassify-label", "ham"), ("X-LMCLASSIFY-Reason", "")]

    async def talk(server: MailServer) -> None:
        answers = await server.message([*forged[:1], *HEADERS, *forged[1:], ("XX-LMClassify-Label", "y")])
        assert answers[:3] == [
            ("m", (2, "x-lmclassify-label", "")),
            ("m", (1, "x-lmclassify-label", "")),
            ("m", (1, "x-lmclassify-reason", "")),
        ]
        assert answers[3:] == ACCEPTED
        assert await server.message() == ACCEPTED

    talking(talk)


def test_a_message_with_very_many_forged_headers_is_rejected():
    async def talk(server: MailServer) -> None:
        forged = [("X-LMClassify-Label", "ham")]
        answers = await server.message(forged * MAX_FORGED_HEADERS + HEADERS)
        assert len(answers) == MAX_FORGED_HEADERS + 3
        for number in (1, 5000):
            answers = await server.message(forged * (MAX_FORGED_HEADERS + number) + HEADERS)
            assert answers == [("y", "550 5.6.0 More than 100 headers X-LMClassify-")]
        assert await server.message() == ACCEPTED

    talking(talk)


def test_messages_of_a_connection_have_nothing_to_do_with_each_other():
    received: list[bytes] = []

    async def talk(server: MailServer) -> None:
        await server.send_headers([("X-LMClassify-Label", "ham"), ("Subject", "aborted")])
        await server.send_body(b"aborted")
        server.send("A")
        for number in range(3):
            assert await server.message([("Subject", str(number))], b"") == ACCEPTED
        server.send("K")  # another client of the mail server
        assert await server.message([("Subject", "3")], b"x") == ACCEPTED
        server.send("Q")
        assert await server.is_closed()

    talking(talk, lambda message: received.append(message) or SPAM)
    assert received == [
        b"Subject: 0\n\n",
        b"Subject: 1\n\n",
        b"Subject: 2\n\n",
        b"Subject: 3\n\nx",
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LMClassifyError("no service on x"), "4XyZ: accepted without a label: no service on x"),
        (KeyError("secret"), "4XyZ: accepted without a label: unexpected KeyError"),
        (MemoryError(), "4XyZ: accepted without a label: unexpected MemoryError"),
    ],
)
def test_after_a_failure_a_message_is_accepted_without_label(error, said, caplog):
    def classify(message: bytes) -> Verdict:
        if b"good" in message:
            return SPAM
        raise error

    async def talk(server: MailServer) -> None:
        answers = await server.message([*HEADERS, ("X-LMClassify-Label", "ham")])
        assert answers == [("m", (1, "x-lmclassify-label", "")), ("c", None)]
        assert await server.message([("Subject", "good")]) == ACCEPTED

    talking(talk, classify, reject_above=0.99, quarantine_above=0.99)
    assert said in caplog.messages
    assert "secret" not in caplog.text


def test_a_message_that_takes_too_long_is_accepted_without_label(caplog):
    released = threading.Event()

    def classify(message: bytes) -> Verdict:
        if b"slow" in message:
            released.wait()
        return SPAM

    async def talk(address: Any) -> None:
        slow = await MailServer.connect(address)
        assert await slow.message([("Subject", "slow")]) == [("c", None)]
        released.set()

    serving(MilterSettings(classify, timeout=0.05), talk)
    assert "4XyZ: accepted without a label: no verdict within 0.05 s" in caplog.messages


@pytest.mark.parametrize("steps", [ALL_STEPS, ALL_STEPS & ~SKIP, 0])
def test_only_the_beginning_of_a_large_message_is_kept(steps):
    received: list[bytes] = []
    body = b"x" * (3 * MAX_MESSAGE_BYTES)

    async def talk(address: Any) -> None:
        server = await MailServer.connect(address, steps=steps)
        await server.send_headers(HEADERS)
        wanted = await server.send_body(body)
        assert (wanted < len(body)) == bool(steps & SKIP)
        assert await server.end() == ACCEPTED
        large = [("Subject", "y" * MAX_MESSAGE_BYTES), ("X-LMClassify-Label", "ham")]
        assert await server.message(large) == [("m", (1, "x-lmclassify-label", "")), *ACCEPTED]

    serving(MilterSettings(lambda message: received.append(message) or SPAM), talk)
    assert [len(message) for message in received] == [MAX_MESSAGE_BYTES] * 2
    assert received[0].startswith(b"From: a@b.example\nSubject: Your free prize\n\nxxx")


@pytest.mark.parametrize(
    ("verdict", "settings", "end"),
    [
        (SPAM, {"reject_above": 0.98}, ACCEPTED),
        (SPAM, {"reject_above": 0.97}, [("y", "550 5.7.1 This message was classified as spam")]),
        (SPAM, {"quarantine_above": 0.97}, [*LABELLED, ("q", "lmclassify"), ("c", None)]),
        (SPAM, {"quarantine_above": 0.97, "reject_above": 0.99}, [*LABELLED, ("q", "lmclassify"), ("c", None)]),
        (SPAM, {"quarantine_above": 0.5, "reject_above": 0.9}, [("y", "550 5.7.1 This message was classified as spam")]),
        (Verdict("spam", 0.98, 2), {"reject_above": 0.5}, ACCEPTED),  # unsure
        (Verdict("spam", 0.98, 1), {"quarantine_above": 0.5}, ACCEPTED),  # not the positive label
    ],
)  # fmt: skip
def test_spam_is_rejected_or_quarantined_if_asked_for(verdict, settings, end):
    async def talk(server: MailServer) -> None:
        assert await server.message() == end
        assert await server.message() == end

    talking(talk, lambda message: verdict, **settings)


def test_many_connections_at_once():
    """All messages are begun before the first one is answered."""
    begun = threading.Event()

    def classify(message: bytes) -> Verdict:
        begun.wait()
        return Verdict(message.split()[1].decode(), 0.5, 1)

    async def talk(address: Any) -> None:
        servers = [await MailServer.connect(address) for _ in range(100)]
        for number, server in enumerate(servers):
            await server.send_headers([("Subject", f"label{number}")])
            server.send("E")
        begun.set()
        for number, server in enumerate(servers):
            score, label, end = [await server.answer() for _ in range(3)]
            assert (score[0], label, end) == (
                "i",
                ("i", (0, "X-LMClassify-Label", f"label{number}")),
                ("c", None),
            )

    serving(MilterSettings(classify, num_threads=4, timeout=300), talk)


def test_what_does_not_speak_the_protocol_is_disconnected(caplog):
    old = struct.pack(">III", 1, ALL_ACTIONS, 0)
    rubbish = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x01?",
        b"\0\0\0\x02O\0",
        b"\0\0\0\x0dO" + old,
        b"\0\0\0\x0dO" + struct.pack(">III", 6, 1, 0),
        b"\0\0\0\x05L",
    ]

    async def talk(address: Any) -> None:
        for piece in rubbish:
            client = MailServer(*await asyncio.open_connection(*address))
            client.writer.write(piece)
            client.writer.write_eof()
            assert await client.is_closed()
        assert await (await MailServer.connect(address)).message() == ACCEPTED

    serving(MilterSettings(lambda message: SPAM), talk)
    assert "the mail server does not allow what this milter does (CHGHDRS)" in caplog.messages
    assert "the mail server's milter protocol is too old: version 1, not 2 or newer" in caplog.messages
    assert "unexpected" not in caplog.text


def test_sigterm_finishes_the_messages_under_way(caplog):
    caplog.set_level(logging.INFO)
    begun, released = threading.Event(), threading.Event()

    def classify(message: bytes) -> Verdict:
        begun.set()
        released.wait()
        return SPAM

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
            settings = MilterSettings(classify, num_threads=2, timeout=300)
            milter = asyncio.create_task(serve_milter(settings, listener))
            idle, classified, receiving = [await MailServer.connect(address) for _ in range(3)]
            await classified.send_headers(HEADERS)
            classified.send("E")
            await receiving.send_headers(HEADERS)
            await receiving.send_body(b"the first half")  # it is answered, so the message is under way
            await asyncio.to_thread(begun.wait)
            os.kill(os.getpid(), signal.SIGTERM)
            assert await idle.is_closed()
            with pytest.raises(ConnectionError):
                await MailServer.connect(address)
            await receiving.send_body(b"the second half")
            receiving.send("E")
            released.set()
            for server in (classified, receiving):
                assert [await server.answer() for _ in range(3)] == ACCEPTED
                assert await server.is_closed()
            await milter
            await MailServer.close_all()

    asyncio.run(run())
    assert "stopping after the messages under way" in caplog.messages


def test_a_second_signal_ends_at_once():
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            milter = asyncio.create_task(serve_milter(MilterSettings(lambda message: SPAM), listener))
            server = await MailServer.connect(listener.getsockname())
            await server.send_headers(HEADERS)
            await server.send_body(b"under way")
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
            await milter
            assert await server.is_closed()
            await MailServer.close_all()

    asyncio.run(run())
