"""Files of mail in the form that is parsed: a superset of ASCII, with line feeds.

Editors and shells save mail as UTF-16, programs of old Macintoshes end lines with carriage returns.
"""

from __future__ import annotations

import codecs
import io
import re

UTF8_MARK = b"\xef\xbb\xbf"
"""UTF-8's byte order mark. A message that begins with it is UTF-8, whatever charset its headers name."""
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_PROBE_BYTES = 8  # four characters of UTF-16: the name of a header, or "From"
_MAX_FIRST_LINE = 1 << 16  # bytes in which the first line end is looked for
_FIRST_LINE_END = re.compile(rb"\n|\r+(?:\n|([^\r\n]))")


def wide_encoding(head: bytes) -> str | None:
    """Return the encoding of a file that begins as UTF-16 or UTF-32 does; None for other files."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    probe = head[:_PROBE_BYTES]
    if len(probe) == _PROBE_BYTES:
        if not any(probe[1::2]) and all(probe[::2]):
            return "utf-16-le"
        if not any(probe[::2]) and all(probe[1::2]):
            return "utf-16-be"
    return None


class NormalForm:
    """Converts a file block by block.

    Attributes
    ----------
    is_unicode : bool
        Whether the file has a byte order mark, or is UTF-16 or UTF-32; the result is then UTF-8.
    """

    def __init__(self) -> None:
        self.is_unicode = False
        self._pending = b""
        self._encoding_is_known = self._line_end_is_known = False
        self._wide: codecs.IncrementalDecoder | None = None
        self._returns: io.IncrementalNewlineDecoder | None = None

    def convert(self, block: bytes, *, at_end: bool) -> bytes:
        """Return the next bytes, without a byte order mark; empty while the form is not yet known."""
        if not self._encoding_is_known:
            block, self._pending = self._pending + block, b""
            if not at_end and len(block) < _PROBE_BYTES:
                self._pending = block
                return b""
            self._encoding_is_known = True
            wide = wide_encoding(block)
            self._wide = None if wide is None else codecs.getincrementaldecoder(wide)("replace")
            self.is_unicode = wide is not None or block.startswith(UTF8_MARK)
            block = block.removeprefix(UTF8_MARK)
        if self._wide is not None:
            block = self._wide.decode(block, at_end).encode("utf-8", "replace").removeprefix(UTF8_MARK)
        if not self._line_end_is_known:
            block, self._pending = self._pending + block, b""
            has_returns = _has_returns(block)
            if has_returns is None and not at_end and len(block) < _MAX_FIRST_LINE:
                self._pending = block
                return b""
            self._line_end_is_known = True
            if has_returns:
                self._returns = io.IncrementalNewlineDecoder(None, translate=True)
        if self._returns is not None:
            return self._returns.decode(block.decode("latin-1"), at_end).encode("latin-1")
        return block


def _has_returns(block: bytes) -> bool | None:
    """Return whether the first line ends with a carriage return and no line feed; None if not known yet."""
    found = _FIRST_LINE_END.search(block)
    return None if found is None else found[1] is not None


def normal_form(data: bytes) -> bytes:
    """Return the beginning of a file in the normal form; see `NormalForm`."""
    return NormalForm().convert(data, at_end=True)
