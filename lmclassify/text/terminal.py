"""Terminals do what control characters say, so none that comes from data, names or models may reach one.

On a terminal every character that is not printable is shown as an escape, whatever writes it; so are those
that turn text around (Boucher & Anderson 2021). Files and pipes get each character as it is. Standard library
only.
"""

from __future__ import annotations

import codecs
import io
import re
import sys

from lmclassify.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, TextIO

_SHOWN = re.compile(r"[^\n\t]+")  # all but what a line and a cell end with


class TerminalWriter(io.BufferedIOBase):
    """Writes bytes of text to a terminal, with escapes in place of what is not printable.

    Parameters
    ----------
    stream : binary file
    encoding : str
        The terminal's.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("backslashreplace")

    def write(self, data: Any) -> int:
        """Write bytes; returns their number."""
        text = self._decoder.decode(bytes(data))
        if not text.isprintable():
            text = _SHOWN.sub(lambda run: printable(run[0]), text)
        self._stream.write(text.encode(self._encoding, "backslashreplace"))
        return len(data)

    def flush(self) -> None:
        """Hand what is written on to the terminal."""
        if not self._stream.closed:
            self._stream.flush()

    def close(self) -> None:
        """Close the file, unless it is a standard stream."""
        if not self.closed and self._stream.fileno() > 2:
            self._stream.close()
        super().close()

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True

    def fileno(self) -> int:
        """Return the terminal's number."""
        return self._stream.fileno()


class _Guarded(io.TextIOWrapper):
    """A standard stream that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.unescaped = stream
        writer: Any = TerminalWriter(stream.buffer, stream.encoding)
        super().__init__(writer, stream.encoding, "backslashreplace", line_buffering=True)


def guard_standard_streams() -> None:
    """Guard the terminal from what is written to standard output and standard error.

    Elsewhere a character that a stream's encoding lacks becomes an escape, too, and no error.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, _Guarded):
            stream.reconfigure(errors="backslashreplace")
            if stream.isatty():
                setattr(sys, name, _Guarded(stream))


def unescaped(stream: TextIO) -> TextIO:
    """Return what writes to a standard stream as it is: for colours and bars, around printable text."""
    return getattr(stream, "unescaped", stream)
