"""Decode header values: encoded words (RFC 2047), and text in a charset that the header does not name."""

from __future__ import annotations

import binascii
import re

from lmclassify.mail.charsets import decode_bytes, decode_unlabelled, repair

_MAX_CHARACTERS = 10_000  # decoded of a header: far more than a subject has
_LINE_END = re.compile(r"[\r\n]+")
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?(.*?)\?=")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


def decode_header(value: str, charset: str = "") -> str:
    """Return a header value on one line, with encoded words decoded.

    Parameters
    ----------
    value : str
        Bytes outside ASCII are surrogates, as the codec error handler ``surrogateescape`` makes them.
    charset : str
        The charset of text that names none.

    >>> decode_header("=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?x-unknown?b?IGF1cw==?=\\n Ulm")
    'Grüße aus Ulm'
    """
    value = _LINE_END.sub("", value[:_MAX_CHARACTERS])
    value = _decode_words(value, charset) if "=?" in value else _raw_text(value, charset)
    return " ".join(value.split())


def _decode_words(value: str, charset: str) -> str:
    pieces: list[str] = []
    pending, pending_charset = b"", ""  # a character may be cut in two between words of one charset
    position = 0
    for word in _WORD.finditer(value):
        between = value[position : word.start()]
        position = word.end()
        name = word[1].partition("*")[0].lower()
        if not pending_charset or between.strip() or name != pending_charset:
            pieces.append(decode_bytes(pending, pending_charset))
            pending = b""
            if not pending_charset or between.strip():
                pieces.append(_raw_text(between, charset))
        pending_charset = name
        content = _bytes_of(word[3])
        pending += decode_base64(content) if word[2] in "bB" else binascii.a2b_qp(content, header=True)
    pieces.append(decode_bytes(pending, pending_charset))
    pieces.append(_raw_text(value[position:], charset))
    return "".join(pieces)


def decode_base64(data: bytes) -> bytes:
    """Decode base64 that may be truncated, padded wrongly, or hold other characters."""
    digits = data.translate(None, _NOT_BASE64)
    return binascii.a2b_base64(digits[: len(digits) - (len(digits) % 4 == 1)] + b"==")


def _raw_text(text: str, charset: str) -> str:
    if text.isascii() and "\x1b" not in text and "~{" not in text:
        return text.replace("\0", "")
    try:
        return decode_unlabelled(text.encode("ascii", "surrogateescape"), charset)
    except UnicodeEncodeError:  # it is decoded already
        return repair(text)


def _bytes_of(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # other surrogates, which no decoder makes
        return text.encode("utf-8", "replace")
