"""A filter of one message, standard input to standard output, that never loses it. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence

from lmclassify.errors import LMClassifyError, printable
from lmclassify.mail.headers import with_headers
from lmclassify.mail.verdicts import Verdict

FAILED = 75
"""Exit status of a failure: EX_TEMPFAIL of sysexits.h, so that mail is tried again."""
FAILED_WITH_EXIT_CODE = 3
"""The same with --exit-code: an error, as bogofilter has it."""
EXIT_CODE = "--exit-code"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

_SIGNALS = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGTERM,)


class Filtering:
    """One message on its way.

    Attributes
    ----------
    message : bytes
    verdict : Verdict or None
        Set by whoever judges the message; as long as it is None, judging has failed.
    """

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.verdict: Verdict | None = None


def filter_standard_input(arguments: Sequence[str], judge: Callable[[Filtering], object]) -> int:
    """Copy a message with its verdict in headers; in every failure copy it unchanged.

    The message is read before anything can go wrong, and nothing but it reaches standard output.

    Parameters
    ----------
    arguments : sequence of str
        The command line's; looked at for ``--exit-code`` alone.
    judge : callable
        Reads the command line and sets the verdict. Whatever it raises, or leaving without a verdict, is a
        failure; a `SystemExit` has said why.

    Returns
    -------
    int
        Exit status: 0, or 75 for a failure; with ``--exit-code`` that of the verdict, or 3.
    """
    asked = EXIT_CODE in arguments
    failed = FAILED_WITH_EXIT_CODE if asked else FAILED
    if sys.stdin is None or sys.stdout is None:
        _say("standard input and output must be open")
        return failed
    out, signals = sys.stdout, _Signals()
    try:
        message = sys.stdin.buffer.read()
    except OSError as error:
        _say(f"cannot read standard input: {error.strerror}")
        return failed
    pieces: list[Any] = [message]
    status = failed
    sys.stdout = sys.stderr  # what a library may print is no mail
    try:
        signals.obey()
        if not message:
            raise LMClassifyError("no message on standard input")
        filtering = Filtering(message)
        judge(filtering)
        status, pieces = _outcome(filtering, asked, failed)
        signals.ignore()
    except SystemExit as error:  # a command line's parser ends so, done or not
        signals.ignore()
        if isinstance(error.code, str):
            _say(error.code)
        with contextlib.suppress(Exception):
            status, pieces = _outcome(filtering, asked, failed)
    except LMClassifyError as error:
        signals.ignore()
        _say(str(error))
    except BaseException as error:
        signals.ignore()
        _say(f"unexpected {' '.join(f'{type(error).__name__}: {error}'.split())}")
    sys.stdout = out
    return status if _write(out.buffer, pieces) else failed


def _outcome(filtering: Filtering, asked: bool, failed: int) -> tuple[int, list[Any]]:
    verdict = filtering.verdict
    if verdict is None:
        return failed, [filtering.message]
    pieces = with_headers(filtering.message, verdict.label, verdict.score)
    return verdict.status if asked else 0, pieces


def _write(out: BinaryIO, pieces: Sequence[Any]) -> bool:
    try:
        for piece in pieces:
            out.write(piece)
        out.flush()
    except OSError as error:
        _say(f"cannot write standard output: {error.strerror}")
        with contextlib.suppress(OSError, ValueError):  # what is left in its buffer goes nowhere at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return False
    return True


def _say(what: str) -> None:
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        print(f"lmclassify: error: {printable(what)}", file=sys.stderr, flush=True)


class _Signals:
    """Signals that ask the program to end: they wait for the message, then end the judging, once."""

    def __init__(self) -> None:
        self._waiting = 0
        self._obeys = False
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._take)

    def _take(self, number: int, _: object) -> None:
        if self._obeys:
            self._obeys = False
            raise LMClassifyError(f"ended by signal {number}")
        if self._waiting:  # asked twice while the message does not come
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._waiting = number

    def obey(self) -> None:
        """From now on they raise; one that came before does so now."""
        self._obeys = True
        if self._waiting:
            self._take(self._waiting, None)

    def ignore(self) -> None:
        """From now on nothing keeps the message from being written."""
        self._obeys = False
        for number in (*_SIGNALS, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
