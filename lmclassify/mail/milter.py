"""A milter: adds the filter's headers to the messages that a mail server receives. Standard library only.

The server (Postfix, Sendmail) sends each message over a connection and waits for the answer. Connections are
handled in one thread; messages are classified in others. Whatever fails, the server is told to go on with the
message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lmclassify.errors import LMClassifyError
from lmclassify.logs import log_unexpected
from lmclassify.mail import milter_protocol as protocol
from lmclassify.mail.fields import MAX_MESSAGE_BYTES
from lmclassify.mail.headers import PREFIX, verdict_headers
from lmclassify.mail.milter_protocol import Actions, ProtocolError, Steps
from lmclassify.mail.verdicts import POSITIVE, Verdict

_log = logging.getLogger("lmclassify.milter")

REJECTION = "550 5.7.1 This message was classified as spam"
QUARANTINE_REASON = "lmclassify"
MAX_FORGED_HEADERS = 100
"""Headers of a sender that only the filter may add. The mail server removes them one by one: Postfix took 7
seconds for 8,000, and the time grows almost with their square. So a message with more is rejected: only an
attacker sends one."""
TOO_MANY_FORGED = f"550 5.6.0 More than {MAX_FORGED_HEADERS} headers {PREFIX}"
SECONDS_TO_FINISH = 30.0
"""Time for messages under way after SIGTERM; supervisors such as systemd wait longer."""
_PREFIX = PREFIX.lower().encode()
_QUEUE_ID = b"i"  # the name of the macro, in Postfix and Sendmail


@dataclass(frozen=True)
class MilterSettings:
    """What a milter does with a message.

    Parameters
    ----------
    classify : callable
        Returns the verdict about a message, of which it gets the first `MAX_MESSAGE_BYTES`. Called in other
        threads. Any exception is a failure.
    num_threads : int
        Messages classified at the same time.
    timeout : float
        Seconds that the classification of a message may take, waiting included.
    reject_above, quarantine_above : float, optional
        Messages that get the positive label with a higher probability are rejected, or quarantined.
    """

    classify: Callable[[bytes], Verdict]
    num_threads: int = 1
    timeout: float = 5.0
    reject_above: float | None = None
    quarantine_above: float | None = None

    @property
    def actions(self) -> Actions:
        """What the mail server must allow."""
        actions = Actions.ADDHDRS | Actions.CHGHDRS
        return actions if self.quarantine_above is None else actions | Actions.QUARANTINE


def run_milter(
    settings: MilterSettings, listener: socket.socket, *, on_start: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the messages under way. A second signal ends at once.

    Parameters
    ----------
    listener : socket
        A listening socket.
    on_start : callable, optional
        Called when connections are accepted.
    """
    asyncio.run(serve_milter(settings, listener, on_start))


async def serve_milter(
    settings: MilterSettings, listener: socket.socket, on_start: Callable[[], None] = lambda: None
) -> None:
    """Do what `run_milter` does in a running event loop of the main thread."""
    await _Milter(settings).serve(listener, on_start)


class _Milter:
    def __init__(self, settings: MilterSettings) -> None:
        self.settings = settings
        self.stopping = False
        self._threads = ThreadPoolExecutor(settings.num_threads, thread_name_prefix="classify")
        self._sessions: dict[_Session, asyncio.Task[None]] = {}
        self._signals = 0
        self._stop_requested = asyncio.Event()
        self._end_requested = asyncio.Event()

    async def serve(self, listener: socket.socket, on_start: Callable[[], None]) -> None:
        """Serve until a signal comes and the messages under way are finished."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        server = await asyncio.start_server(self._connected, sock=listener)
        on_start()
        await self._stop_requested.wait()
        self.stopping = True
        server.close()
        for session in [*self._sessions]:
            session.close_if_idle()
        if self._sessions:
            _log.info("stopping after the messages under way")
            finished = asyncio.ensure_future(asyncio.wait([*self._sessions.values()]))
            ended = asyncio.ensure_future(self._end_requested.wait())
            await asyncio.wait(
                {finished, ended}, timeout=SECONDS_TO_FINISH, return_when=asyncio.FIRST_COMPLETED
            )
            finished.cancel()
            ended.cancel()
        for task in [*self._sessions.values()]:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _stop(self) -> None:
        self._signals += 1
        self._stop_requested.set()
        if self._signals > 1:
            self._end_requested.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        if connection.family != socket.AF_UNIX:  # so that the death of another machine is noticed
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        session = _Session(self, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._sessions[session] = task
        try:
            await session.run()
        except ProtocolError as error:
            _log.error("%s", error)
        except (OSError, asyncio.IncompleteReadError):
            _log.info("%s: the mail server closed the connection", session.name)
        except asyncio.CancelledError:  # the milter ends
            pass
        except Exception as error:
            log_unexpected(_log, error, "talking to the mail server")
        finally:
            del self._sessions[session]
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def verdict(self, message: bytes, name: str) -> Verdict | None:
        """Return the verdict about a message; None after a failure, which is logged."""
        loop = asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(self._threads, self.settings.classify, message)
            return await asyncio.wait_for(future, self.settings.timeout)
        except TimeoutError:
            problem = f"no verdict within {self.settings.timeout:g} s"
        except LMClassifyError as error:
            problem = str(error)
        except Exception as error:
            log_unexpected(_log, error, "classifying a message")
            problem = f"unexpected {type(error).__name__}"
        _log.error("%s: accepted without a label: %s", name, problem)
        return None


class _Message:
    """The beginning of a message, and the number of headers that only the filter may add."""

    def __init__(self) -> None:
        self.forged: Counter[bytes] = Counter()
        self._pieces: list[bytes] = []
        self._room = MAX_MESSAGE_BYTES
        self._in_header = True

    @property
    def is_full(self) -> bool:
        """Whether no more of the message is kept."""
        return self._room == 0

    @property
    def has_too_many_forged(self) -> bool:
        """Whether there are more than `MAX_FORGED_HEADERS`; further ones are not counted."""
        return self.forged.total() > MAX_FORGED_HEADERS

    def add_header(self, name: bytes, value: bytes) -> None:
        if name.lower().startswith(_PREFIX) and not self.has_too_many_forged:
            self.forged[name.lower()] += 1
        self._add(name + b": " + value + b"\n")

    def add_body(self, block: bytes) -> None:
        if self._in_header:
            self._in_header = False
            self._add(b"\n")
        self._add(block)

    def content(self) -> bytes:
        return b"".join(self._pieces)

    def _add(self, piece: bytes) -> None:
        if self._room and piece:
            self._pieces.append(piece[: self._room])
            self._room -= len(self._pieces[-1])


class _Session:
    """A connection from a mail server; it brings any number of messages, one after the other."""

    def __init__(self, milter: _Milter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._milter = milter
        self._reader = reader
        self._writer = writer
        self._steps = Steps(0)
        self._message: _Message | None = None
        self._queue_id = b""

    @property
    def name(self) -> str:
        """The server's identifier of the message, for the log."""
        return self._queue_id.decode("ascii", "replace") or "message"

    def close_if_idle(self) -> None:
        """Close the connection unless a message is under way."""
        if self._message is None:
            self._writer.close()

    async def run(self) -> None:
        """Answer the server until it ends the connection, or the milter stops and no message is under way."""
        while (received := await protocol.read_packet(self._reader)) is not None:
            command, data = received
            if command == protocol.QUIT:
                return
            answer = await self._answer(command, data)
            if answer:
                self._writer.write(answer)
                await self._writer.drain()
            if self._milter.stopping and self._message is None:
                return

    async def _answer(self, command: bytes, data: bytes) -> bytes:
        """Return the answer to a command; it is empty where the server waits for none."""
        if command == protocol.NEGOTIATE:
            answer, self._steps = protocol.negotiate(data, self._milter.settings.actions)
            return answer
        if command == protocol.MACRO:
            self._queue_id = protocol.parse_macros(data).get(_QUEUE_ID, self._queue_id)
            return b""
        if command in (protocol.ABORT, protocol.QUIT_CONNECTION):
            self._forget()
            return b""
        if command in protocol.WITHOUT_DECISION:
            return protocol.packet(protocol.CONTINUE)
        if self._message is None:
            self._message = _Message()
        if command == protocol.HEADER:
            self._message.add_header(*protocol.parse_header(data))
            return b"" if self._steps & Steps.NR_HDR else protocol.packet(protocol.CONTINUE)
        if command == protocol.BODY:
            self._message.add_body(data)
            if self._steps & Steps.NR_BODY:
                return b""
            skip = self._message.is_full and self._steps & Steps.SKIP
            return protocol.packet(protocol.SKIP if skip else protocol.CONTINUE)
        if command == protocol.END_OF_MESSAGE:
            self._message.add_body(data)
            try:
                return await self._decide(self._message)
            finally:
                self._forget()
        raise ProtocolError(f"the mail server sent an unknown command {command!r}")

    def _forget(self) -> None:
        """Be ready for the next message."""
        self._message = None
        self._queue_id = b""

    async def _decide(self, message: _Message) -> bytes:
        """Return the changes of a message and what happens with it."""
        if message.has_too_many_forged:
            _log.warning("%s: rejected: more than %d headers %s", self.name, MAX_FORGED_HEADERS, PREFIX)
            return protocol.reject(TOO_MANY_FORGED)
        changes = [
            protocol.delete_header(name, number)
            for name, count in message.forged.items()
            for number in range(count, 0, -1)  # numbers of those that are left stay the same
        ]
        verdict = await self._milter.verdict(message.content(), self.name)
        end = protocol.packet(protocol.CONTINUE)
        if verdict is not None:
            settings, what = self._milter.settings, "accepted"
            for header in reversed(verdict_headers(verdict.label, verdict.score, verdict.reason)):
                changes.append(protocol.insert_header(*header))
            if _is_above(verdict, settings.reject_above):
                changes, end, what = [], protocol.reject(REJECTION), "rejected"
            elif _is_above(verdict, settings.quarantine_above):
                changes.append(protocol.quarantine(QUARANTINE_REASON))
                what = "quarantined"
            _log.info("%s: %s: %s, %.6f", self.name, what, verdict.label, verdict.score)
        return b"".join([*changes, end])


def _is_above(verdict: Verdict, limit: float | None) -> bool:
    return limit is not None and verdict.status == POSITIVE and verdict.score > limit
