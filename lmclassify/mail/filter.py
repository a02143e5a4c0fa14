"""Filter one message from standard input to standard output without ever losing it. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence

from lmclassify.errors import LMClassifyError, printable
from lmclassify.mail.headers import add_headers
from lmclassify.mail.verdicts import Verdict

FAILED = 75
"""Exit status after a failure: EX_TEMPFAIL of sysexits.h, so that the mail system tries again."""
FAILED_WITH_EXIT_CODE = 3
"""Exit status after a failure with --exit-code, the same as bogofilter's."""
EXIT_CODE = "--exit-code"

TYPE_CHECKING = False  # importing typing takes too long
if TYPE_CHECKING:
    from typing import Any, BinaryIO

_SIGNALS = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGTERM,)


class FilteredMessage:
    """A message in the filter.

    Attributes
    ----------
    verdict : Verdict or None
        Set by the function that classifies the message. None means that it failed.
    """

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.verdict: Verdict | None = None


def filter_standard_input(arguments: Sequence[str], classify: Callable[[FilteredMessage], object]) -> int:
    """Copy a message and add headers with its verdict; after any failure copy it unchanged.

    The message is read before anything can fail, and nothing else is written to standard output.

    Parameters
    ----------
    arguments : sequence of str
        Command-line arguments; only ``--exit-code`` is looked for.
    classify : callable
        Parses the command line and sets the verdict. Any exception, and a missing verdict, is a failure;
        `SystemExit` means that the reason has already been printed.

    Returns
    -------
    int
        Exit status: 0, or 75 after a failure; with ``--exit-code`` that of the verdict, or 3.
    """
    with_exit_code = EXIT_CODE in arguments
    failed = FAILED_WITH_EXIT_CODE if with_exit_code else FAILED
    if sys.stdin is None or sys.stdout is None:
        _print_error("standard input and output must be open")
        return failed
    out, signals = sys.stdout, _Signals()
    try:
        message = sys.stdin.buffer.read()
    except OSError as error:
        _print_error(f"cannot read standard input: {error.strerror}")
        return failed
    filtered = FilteredMessage(message)
    pieces: list[Any] = [message]
    status = failed
    sys.stdout = sys.stderr  # what a library prints must not become part of the message
    try:
        signals.enable()
        if not message:
            raise LMClassifyError("no message on standard input")
        classify(filtered)
        status, pieces = _result(filtered, with_exit_code, failed)
        signals.ignore()
    except SystemExit as error:  # command-line parsers exit, after success and after an error
        signals.ignore()
        if isinstance(error.code, str):
            _print_error(error.code)
        with contextlib.suppress(Exception):
            status, pieces = _result(filtered, with_exit_code, failed)
    except LMClassifyError as error:
        signals.ignore()
        _print_error(str(error))
    except BaseException as error:
        signals.ignore()
        _print_error(f"unexpected {' '.join(f'{type(error).__name__}: {error}'.split())}")
    sys.stdout = out
    return status if _write(out.buffer, pieces) else failed


def _result(filtered: FilteredMessage, with_exit_code: bool, failed: int) -> tuple[int, list[Any]]:
    """Return the exit status, and the pieces of the message to write."""
    verdict = filtered.verdict
    if verdict is None:
        return failed, [filtered.message]
    pieces = add_headers(filtered.message, verdict.label, verdict.score, verdict.reason)
    return verdict.status if with_exit_code else 0, pieces


def _write(out: BinaryIO, pieces: Sequence[Any]) -> bool:
    try:
        for piece in pieces:
            out.write(piece)
        out.flush()
    except OSError as error:
        _print_error(f"cannot write standard output: {error.strerror}")
        with contextlib.suppress(OSError, ValueError):  # discard the rest of the buffer at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return False
    return True


def _print_error(text: str) -> None:
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        print(f"lmclassify: error: {printable(text)}", file=sys.stderr, flush=True)


class _Signals:
    """Delays signals that end the program until the message is read; then they end classification, once."""

    def __init__(self) -> None:
        self._pending = 0
        self._enabled = False
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._receive)

    def _receive(self, number: int, _: object) -> None:
        if self._enabled:
            self._enabled = False
            raise LMClassifyError(f"ended by signal {number}")
        if self._pending:  # a second signal while the message is being read ends the program
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._pending = number

    def enable(self) -> None:
        """Raise an exception for signals from now on, and for one that is pending."""
        self._enabled = True
        if self._pending:
            self._receive(self._pending, None)

    def ignore(self) -> None:
        """Ignore signals from now on, so that the message is written."""
        self._enabled = False
        for number in (*_SIGNALS, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
