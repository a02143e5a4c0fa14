"""Add the filter's headers to a message and remove a sender's; all other bytes stay unchanged."""

from __future__ import annotations

import base64
import re

PREFIX = "X-LMClassify-"

_FROM = re.compile(rb"From [^\n]*\n")
# Mail ends lines with CRLF or LF, but some readers also take a single carriage return as a line end.
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_OWN_HEADER = re.compile(rb"x-lmclassify-[!-9;-~]*[ \t]*:", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\n\r?\n")
_PLAIN_VALUE = re.compile(r"[!-~](?:[ -~]{0,898}[!-~])?")
_MAX_WORD_BYTES = 42  # of UTF-8 in an encoded word, which has at most 75 characters in base64 (RFC 2047)


def add_headers(message: bytes, label: str, score: float) -> list[bytes | memoryview]:
    """Return a message, in pieces, with headers that hold label and score.

    They come first, after a "From " line and after lines that would be read as their continuation. Existing
    headers of these names are removed up to the first blank line, where the header ends for any reader. No
    other byte changes.

    Parameters
    ----------
    message : bytes
    label : str
        If it is not printable ASCII, it is written as encoded words (RFC 2047).
    score : float
        Written with six decimal places.

    >>> b"".join(add_headers(b"Subject: hi\\nx-lmclassify-label: ham\\n ham\\n\\nho\\n", "spam", 0.98))
    b'X-LMClassify-Label: spam\\nX-LMClassify-Score: 0.980000\\nSubject: hi\\n\\nho\\n'
    """
    from_line = _FROM.match(message)
    start = from_line.end() if from_line else 0
    end = _header_end(message, start)
    kept = _without_own_headers(message, start, end)
    line_end = b"\r\n" if _LINE.match(message)[0].endswith(b"\r\n") else b"\n"  # type: ignore[index]
    headers = f"{PREFIX}Label: {_encode(label)}\n{PREFIX}Score: {score:.6f}\n".encode("ascii")
    position = _insert_position(kept)
    view = memoryview(message)
    return [view[:start], kept[:position], headers.replace(b"\n", line_end), kept[position:], view[end:]]


def _header_end(message: bytes, start: int) -> int:
    """Return where the first blank line begins, or the end of the message."""
    if message.startswith((b"\n", b"\r\n"), start):
        return start
    found = _BLANK_LINE.search(message, start)
    return len(message) if found is None else found.start() + 1


def _without_own_headers(message: bytes, start: int, end: int) -> bytes:
    """Return the header in message[start:end] without our own headers and their continuation lines."""
    if PREFIX.lower().encode() not in message[start:end].lower():
        return message[start:end]
    pieces: list[bytes] = []
    position = kept_from = start
    removing = False
    while position < end:
        line_end = _LINE.match(message, position, end).end()  # type: ignore[union-attr]
        was_removing = removing
        is_continuation = message[position : position + 1] in (b" ", b"\t")
        removing = bool(_OWN_HEADER.match(message, position, end)) or (removing and is_continuation)
        if removing and not was_removing:
            pieces.append(message[kept_from:position])
        elif was_removing and not removing:
            kept_from = position
        position = line_end
    if not removing:
        pieces.append(message[kept_from:end])
    return b"".join(pieces)


def _insert_position(header: bytes) -> int:
    """Return where headers can be inserted: after leading lines that begin with a blank."""
    position = 0
    while header[position : position + 1] in (b" ", b"\t"):
        found = _LINE.match(header, position)
        assert found is not None
        if not found[0].endswith(b"\n"):
            return 0  # the header consists of one such line without a line end
        position = found.end()
    return position


def _encode(label: str) -> str:
    """Return a label as a header value."""
    if _PLAIN_VALUE.fullmatch(label) and "=?" not in label:
        return label
    words, word = [], b""
    for character in label:
        encoded = character.encode("utf-8", "replace")
        if len(word) + len(encoded) > _MAX_WORD_BYTES:
            words.append(word)
            word = b""
        word += encoded
    words.append(word)
    return "\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words)
