"""Split a message into headers and parts (RFC 2045, 2046), however malformed, in linear time.

`email` of the standard library takes several times as long: it reads line by line. A part is a slice of the
message, and only headers that are asked for are read.
"""

from __future__ import annotations

import binascii
import contextlib
import re

from lmclassify.mail.encoded_words import decode_base64

_HEADER_BLOCK = re.compile(rb"(?:(?:>?From [^\n]*|[!-9;-~]*:[^\n]*|[ \t][^\n]*)(?:\n|\Z))*")
_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"?|[^;]*)')
_TYPE = re.compile(rb'\s*"?([^\s/;"]+/[^\s/;"]+)')
_ESCAPED = re.compile(rb"\\(.)")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_LINE_END = re.compile(rb"[\r\n]+")
_MAX_HEADER_BYTES = 1 << 16  # looked at of one header
_MAX_PARAMETERS = 1000
_MAX_PARTS = 1000  # of one part: more than any mailer writes
_UUENCODE = ("x-uuencode", "uuencode", "uue", "x-uue")


class Part:
    """A message or a part of one.

    Parameters
    ----------
    data : bytes
    default_type : str
        The type of a part that names none.

    Attributes
    ----------
    type : str
        Such as ``text/plain``, in lower case.
    body : bytes
        What comes after the headers, not decoded.
    """

    def __init__(self, data: bytes, default_type: str = "text/plain") -> None:
        block = _HEADER_BLOCK.match(data)
        end = 0 if block is None else block.end()
        self._headers = b"\n" + data[:end]
        self._lower = self._headers.lower()
        start = end + 2 if data.startswith(b"\r\n", end) else end + 1 if data.startswith(b"\n", end) else end
        self.body = data[start:]
        self._parts: tuple[list[Part] | None] | None = None
        self._content_type = self.header(b"content-type")
        found = _TYPE.match(self._content_type)
        self.type = found[1].decode("ascii", "replace").lower() if found else default_type

    def header(self, name: bytes) -> bytes:
        """Return the value of the first header of a name, in lower case, without line ends; else empty."""
        start = self._lower.find(b"\n" + name + b":")
        if start < 0:
            return b""
        return self._value(start + len(name) + 2)

    def _value(self, start: int) -> bytes:
        """Return the value of the header that begins here, without line ends."""
        end = self._headers.find(b"\n", start)
        while self._headers[end + 1 : end + 2] in (b" ", b"\t") and 0 <= end < start + _MAX_HEADER_BYTES:
            end = self._headers.find(b"\n", end + 1)
        return _LINE_END.sub(b"", self._headers[start : None if end < 0 else end]).strip()

    def headers(self, name: bytes, most: int) -> list[bytes]:
        """Return the first values of all headers of a name; see `header`."""
        values: list[bytes] = []
        start = -1
        while len(values) < most and (start := self._lower.find(b"\n" + name + b":", start + 1)) >= 0:
            values.append(self._value(start + len(name) + 2))
        return values

    @property
    def has_headers(self) -> bool:
        """Whether there is any header."""
        return len(self._headers) > 1

    def parameter(self, name: bytes) -> str:
        """Return a parameter of the content type; empty if there is none."""
        return _parameter(self._content_type, name)

    @property
    def is_attachment(self) -> bool:
        """Whether the part is an attachment, and not shown as text."""
        return self.header(b"content-disposition").lower().startswith(b"attachment")

    @property
    def file_name(self) -> str:
        """The name under which the part would be saved; empty if it has none."""
        return self.parameter(b"name") or _parameter(self.header(b"content-disposition"), b"filename")

    def parts(self) -> list[Part] | None:
        """Return the parts of a multipart type or message; None if there are none, as in a malformed one."""
        if self._parts is None:
            self._parts = (self._split(),)
        return self._parts[0]

    def _split(self) -> list[Part] | None:
        if self.type.startswith("message/"):
            if self.type in ("message/delivery-status", "message/partial", "message/external-body"):
                return []
            return [Part(self.content())]
        boundary = self.parameter(b"boundary").rstrip() if self.type.startswith("multipart/") else ""
        if not boundary:
            return None
        raw = re.escape(boundary.encode("utf-8", "surrogateescape"))
        pieces: list[bytes] = []
        start = -1
        for line in re.finditer(rb"(?m)^--" + raw + rb"(--)?[ \t]*\r?$", self.body):
            if start >= 0:
                pieces.append(self.body[start : line.start()])
            start = line.end() + 1
            if line[1] or len(pieces) == _MAX_PARTS:
                break
        else:
            if start < 0:
                return None
            pieces.append(self.body[start:])
        default = "message/rfc822" if self.type == "multipart/digest" else "text/plain"
        return [Part(piece, default) for piece in pieces]

    def content(self) -> bytes:
        """Return the body, decoded as its transfer encoding tells."""
        encoding = self.header(b"content-transfer-encoding").lower()
        if not encoding:
            return self.body
        kind = encoding.split()[0].strip(b"\"';").decode("ascii", "replace")
        if kind == "base64":
            return decode_base64(self.body)
        if kind == "quoted-printable":
            return binascii.a2b_qp(self.body)
        return _uudecoded(self.body) if kind in _UUENCODE else self.body


def _parameter(value: bytes, name: bytes) -> str:
    """Return a parameter of a header value, also one in numbered pieces or with a charset (RFC 2231)."""
    pieces: dict[int, bytes] = {}
    for number, found in enumerate(_PARAMETER.finditer(value)):
        key, *more = found[1].lower().split(b"*")
        if number >= _MAX_PARAMETERS:
            break
        if key != name:
            continue
        content = found[2].strip()
        if content.startswith(b'"'):
            content = _ESCAPED.sub(rb"\1", content[1:].removesuffix(b'"'))
        if not more:
            return content.decode("utf-8", "surrogateescape")
        order = int(more[0]) if more[0].isdigit() else 0
        if not more[-1]:  # the name ends with an asterisk
            content = _PERCENT.sub(lambda code: bytes([int(code[1], 16)]), content)
            content = content.rsplit(b"'", 1)[-1] if order == 0 else content
        pieces.setdefault(order, content)
    return b"".join(pieces[order] for order in sorted(pieces)).decode("utf-8", "surrogateescape")


def _uudecoded(data: bytes) -> bytes:
    decoded = []
    begun = False
    for line in data.splitlines():
        if not begun:
            begun = line.startswith(b"begin ")
        elif line.strip() == b"end":
            break
        else:
            with contextlib.suppress(binascii.Error):
                decoded.append(binascii.a2b_uu(line))
    return b"".join(decoded) if begun else data
