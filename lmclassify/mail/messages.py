"""Read the text of one message, however malformed, with the standard library's parser.

Imports little, and only from the standard library: the mail filter starts anew for every message.
"""

from __future__ import annotations

import binascii
import codecs
import contextlib
import functools
import re
from collections.abc import Iterator, Sequence
from email.headerregistry import UnstructuredHeader
from email.message import Message
from email.parser import BytesParser
from email.policy import EmailPolicy, Policy, compat32

from lmclassify.mail.fields import FIELDS, MAX_MESSAGE_BYTES, MAX_TEXT_CHARACTERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_HEADER_CHARACTERS = 10_000  # decoded of a header: far more than a subject has
_MAX_PARSED_CHARACTERS = 2_000  # parsed of a structured header, whose parser takes quadratic time
_MAX_DEPTH = 40  # of nested parts, well below Python's recursion limit
_UNDECODED = re.compile("[\udc80-\udcff]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_HTML = re.compile(r"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
_NOT_BASE64 = re.compile("[^A-Za-z0-9+/]+")
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_SKIPPED_TEXT_TYPES = ("calendar", "css", "csv", "directory", "javascript", "vcard", "x-vcard")
# Slow, or not used in mail.
_REFUSED_CHARSETS = ("idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7")
_SUPERSETS = {"ascii": "utf-8", "iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}


class _Policy(EmailPolicy):
    """The modern policy, without its quadratic time for long headers, and with a cache of parsed headers."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return _parsed_header(name, value[:_MAX_PARSED_CHARACTERS])


@functools.lru_cache(256)
def _parsed_header(name: str, value: str) -> Any:
    """Return a parsed header; the parser asks for the same headers many times."""
    return EmailPolicy().header_fetch_parse(name, value)


_POLICIES: tuple[Policy[Any], ...] = (_Policy(), compat32)


class Mail:
    """The text of one message; each field is one line, except the body.

    Parameters
    ----------
    id : str
        The Message-ID, or empty.
    sender, date, subject, body : str
    """

    def __init__(self, id: str, sender: str, date: str, subject: str, body: str) -> None:
        self.id, self.sender, self.date, self.subject, self.body = id, sender, date, subject, body

    def text(self, fields: Sequence[str]) -> str:
        """Return the text to classify: the fields, separated by line ends."""
        parts = [self.subject if field == "subject" else self.body for field in fields]
        return "\n".join(part for part in parts if part.strip())[:MAX_TEXT_CHARACTERS]


def read_message(data: bytes, fields: Sequence[str] = FIELDS) -> Mail:
    """Read a message; a malformed one is read as well as possible.

    Parameters
    ----------
    data : bytes
        Only the first `MAX_MESSAGE_BYTES` are parsed.
    fields : sequence of str
        Without ``body``, the body is not parsed, which saves time.
    """
    data = data[:MAX_MESSAGE_BYTES].removeprefix(b"\xef\xbb\xbf")
    if "body" not in fields:
        end = _END_OF_HEADER.search(data)
        if end is not None:
            data = data[: end.end()]
    message = _parse(data)
    return Mail(
        _header(message, "message-id"),
        _header(message, "from"),
        _header(message, "date"),
        _header(message, "subject"),
        _body(message) if "body" in fields else "",
    )


def _parse(data: bytes) -> Message:
    """Parse with the modern policy; if it fails, as for some headers, with the older one."""
    for policy in _POLICIES:
        with contextlib.suppress(Exception):
            message: Message = BytesParser(policy=policy).parsebytes(data)
            return message
    return BytesParser(policy=compat32).parsebytes(data, headersonly=True)  # parts are nested too deeply


def _header(message: Message, name: str) -> str:
    for key, value in message.raw_items():
        if key.lower() == name:
            return decode_header(str(value))
    return ""


def decode_header(value: str) -> str:
    """Return a header value on one line, with encoded words decoded.

    >>> decode_header("=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?x-unknown?b?IGF1cw==?=\\n Ulm")
    'Grüße aus Ulm'
    """
    value = repair(value[:_MAX_HEADER_CHARACTERS])
    if "=?" in value:
        with contextlib.suppress(Exception):  # the parser fails on some malformed words
            value = repair(str(UnstructuredHeader.value_parser("".join(value.splitlines()))))
    return " ".join(value.split())


def repair(text: str) -> str:
    """Decode the bytes that the parser left undecoded (as surrogates), and remove NUL.

    >>> repair("caf\\udcc3\\udca9, caf\\udce9, \\ud800\\0")
    'café, café, \ufffd'
    """
    if _SURROGATE.search(text):
        text = _UNDECODED.sub(lambda run: _guess(run[0].encode("ascii", "surrogateescape")), text)
        text = _SURROGATE.sub("\ufffd", text)
    return text.replace("\0", "")


def _guess(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        # Damaged UTF-8 still has valid sequences; without any, it is most likely a single-byte charset.
        return data.decode("utf-8" if _UTF8_SEQUENCE.search(data) else "cp1252", "replace")


def decode_bytes(data: bytes, charset: str) -> str:
    """Decode text in a charset that may be unknown or wrong.

    >>> decode_bytes("naïve".encode(), "us-ascii"), decode_bytes("naïve".encode("latin-1"), "nonsense")
    ('naïve', 'naïve')
    """
    try:
        known = codecs.lookup(charset.strip("\"' ")).name
    except (LookupError, ValueError):
        known = "utf-8"
    known = _SUPERSETS.get(known, known)  # mail often names a subset of the charset that it uses
    if known == "utf-8" or known.replace("_", "-") in _REFUSED_CHARSETS:
        return repair(_guess(data))
    try:
        return repair(data.decode(known))
    except (LookupError, ValueError):  # not a text charset, or invalid bytes
        with contextlib.suppress(UnicodeDecodeError):
            return repair(data.decode())
    try:
        return repair(data.decode(known, "replace"))
    except (LookupError, ValueError):
        return repair(_guess(data))


def _body(message: Message) -> str:
    pieces: list[str] = []
    remaining = MAX_TEXT_CHARACTERS
    with contextlib.suppress(Exception):  # a parser error keeps the text read so far
        for text in _texts(message, 0):
            pieces.append(text.strip())
            remaining -= len(pieces[-1])
            if remaining < 0:
                break
    return "\n".join(piece for piece in pieces if piece)[:MAX_TEXT_CHARACTERS]


def _texts(part: Message, depth: int) -> Iterator[str]:
    """Yield the texts of a part and its nested parts, without attachments."""
    kind = _kind(part)
    payload: Any = part.get_payload()
    if isinstance(payload, list):
        if depth > _MAX_DEPTH:
            return
        inner = [child for child in payload if isinstance(child, Message) and not _is_attached(child)]
        if kind == "multipart/alternative":
            inner.sort(key=lambda child: _kind(child) != "text/plain")
            yield next((text for child in inner for text in _texts(child, depth + 1) if text.strip()), "")
            return
        for child in inner:
            yield from _texts(child, depth + 1)
        return
    main, _, sub = kind.partition("/")
    if main == "text" and sub in _SKIPPED_TEXT_TYPES:
        return
    if main not in ("text", "multipart", "message") and sub != "xhtml+xml":
        return
    text = _content(part)
    if sub in ("html", "xhtml+xml") or _HTML.match(text):
        from lmclassify.mail.html_text import text_of_html

        text = text_of_html(text, MAX_TEXT_CHARACTERS)
    yield text.replace("\r\n", "\n").replace("\r", "\n")


def _content(part: Message) -> str:
    data: Any = None
    with contextlib.suppress(Exception):
        if str(part.get("content-transfer-encoding", "")).strip().lower() == "base64":
            # The parser does not decode some truncated base64, and we truncate long messages.
            digits = _NOT_BASE64.sub("", str(part.get_payload()))
            data = binascii.a2b_base64(digits[: len(digits) - (len(digits) % 4 == 1)] + "==")
        else:
            data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        data = str(part.get_payload()).encode("utf-8", "surrogateescape")
    charset = ""
    with contextlib.suppress(Exception):
        charset = str(part.get_param("charset", "") or "")
    return decode_bytes(data, charset)


def _kind(part: Message) -> str:
    with contextlib.suppress(Exception):
        return part.get_content_type()
    return "text/plain"


def _is_attached(part: Message) -> bool:
    with contextlib.suppress(Exception):
        return part.get_content_disposition() == "attachment"
    return False
