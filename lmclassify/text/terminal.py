"""Protects terminals from control characters in data, names and models.

On a terminal, every character that is not printable is shown as an escape sequence, including zero-width
joiners and characters that reverse the direction of text (Boucher & Anderson 2021). Files and pipes receive
each character unchanged.
Uses the standard library only.
"""

from __future__ import annotations

import codecs
import io
import re
import shutil
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, TextIO

_SHOWN = re.compile(r"[^\n\t]+")  # all but line ends and tabs
ISOLATE, END_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
"""They keep the direction of a text to itself (`lmclassify.text.display`), so terminals receive them."""


def visible(text: str) -> str:
    """Return a text with every character that is not printable as a visible escape, except the isolates."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in (ISOLATE, END_ISOLATE) else repr(character)[1:-1]
        for character in text
    )


class TerminalWriter(io.BufferedIOBase):
    """Writes bytes of text to a terminal, with escapes for characters that are not printable.

    Parameters
    ----------
    encoding : str
        Encoding of the terminal.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("backslashreplace")

    def write(self, data: Any) -> int:
        """Write bytes and return their number."""
        text = self._decoder.decode(bytes(data))
        if not text.isprintable():
            text = _SHOWN.sub(lambda run: visible(run[0]), text)
        self._stream.write(text.encode(self._encoding, "backslashreplace"))
        return len(data)

    def flush(self) -> None:
        """Flush the terminal's stream."""
        if not self._stream.closed:
            self._stream.flush()

    def close(self) -> None:
        """Close the file, unless it is a standard stream."""
        if not self.closed and self._stream.fileno() > 2:
            self._stream.close()
        super().close()

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the terminal's file descriptor."""
        return self._stream.fileno()


class _Guarded(io.TextIOWrapper):
    """A standard stream that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.unescaped = stream
        writer: Any = TerminalWriter(stream.buffer, stream.encoding)
        super().__init__(writer, stream.encoding, "backslashreplace", line_buffering=True)


def guard_standard_streams() -> None:
    """Replace standard output and standard error by streams that protect the terminal.

    Streams that are not terminals write escapes for characters that their encoding lacks, instead of failing.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, _Guarded):
            stream.reconfigure(errors="backslashreplace")
            if stream.isatty():
                setattr(sys, name, _Guarded(stream))


def unescaped(stream: TextIO) -> TextIO:
    """Return a standard stream without protection, for colours and progress bars around printable text."""
    return getattr(stream, "unescaped", stream)


def terminal_columns(stream: TextIO) -> int | None:
    """Return how many columns the terminal has that a stream writes to; None if it is no terminal."""
    return shutil.get_terminal_size().columns if stream.isatty() else None
