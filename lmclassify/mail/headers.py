"""A message's bytes with a filter's own headers in place of a sender's; all else as it was."""

from __future__ import annotations

import base64
import re

PREFIX = "X-LMClassify-"

_FROM = re.compile(rb"From [^\n]*\n")
# Mail ends lines with CRLF or LF, but some readers take a carriage return alone for a line end, too.
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_OWN = re.compile(rb"x-lmclassify-[!-9;-~]*[ \t]*:", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\n\r?\n")
_PLAIN = re.compile(r"[!-~](?:[ -~]{0,898}[!-~])?")


def with_headers(message: bytes, label: str, score: float) -> list[bytes | memoryview]:
    """Return a message, in pieces, with headers that say label and score.

    They stand first in its header (after a "From " line, and after lines that would read as their
    continuation). Headers of such names that it had are removed as a whole, up to the first blank line,
    which is the longest header that any reader sees. No other byte is changed.

    Parameters
    ----------
    message : bytes
    label : str
        One that is not printable ASCII is written as encoded words (RFC 2047).
    score : float
        Written with six decimal places.

    >>> b"".join(with_headers(b"Subject: hi\\nx-lmclassify-label: ham\\n ham\\n\\nho\\n", "spam", 0.98))
    b'X-LMClassify-Label: spam\\nX-LMClassify-Score: 0.980000\\nSubject: hi\\n\\nho\\n'
    """
    first = _FROM.match(message)
    start = first.end() if first else 0
    end = _header_end(message, start)
    kept = _without_own(message, start, end)
    line_end = b"\r\n" if _LINE.match(message)[0].endswith(b"\r\n") else b"\n"  # type: ignore[index]
    headers = f"{PREFIX}Label: {_value(label)}\n{PREFIX}Score: {score:.6f}\n".encode("ascii")
    place = _place(kept)
    view = memoryview(message)
    return [view[:start], kept[:place], headers.replace(b"\n", line_end), kept[place:], view[end:]]


def _header_end(message: bytes, start: int) -> int:
    """Return where the first blank line begins, or the message's end."""
    if message.startswith((b"\n", b"\r\n"), start):
        return start
    found = _BLANK_LINE.search(message, start)
    return len(message) if found is None else found.start() + 1


def _without_own(message: bytes, start: int, end: int) -> bytes:
    """Return the header between two places without headers of our names and their continuation lines."""
    if PREFIX.lower().encode() not in message[start:end].lower():
        return message[start:end]
    pieces: list[bytes] = []
    place = since = start
    removing = False
    while place < end:
        line_end = _LINE.match(message, place, end).end()  # type: ignore[union-attr]
        was = removing
        is_continuation = message[place : place + 1] in (b" ", b"\t")
        removing = bool(_OWN.match(message, place, end)) or (removing and is_continuation)
        if removing and not was:
            pieces.append(message[since:place])
        elif was and not removing:
            since = place
        place = line_end
    if not removing:
        pieces.append(message[since:end])
    return b"".join(pieces)


def _place(header: bytes) -> int:
    """Return where headers can go: after lines that begin with a blank, which would continue them."""
    place = 0
    while header[place : place + 1] in (b" ", b"\t"):
        found = _LINE.match(header, place)
        assert found is not None
        if not found[0].endswith(b"\n"):
            return 0  # nothing but such a line, and no end of it
        place = found.end()
    return place


def _value(label: str) -> str:
    """Return a label as a header can hold it."""
    if _PLAIN.fullmatch(label) and "=?" not in label:
        return label
    words, piece = [], b""
    for character in label:
        more = character.encode("utf-8", "replace")
        if len(piece) + len(more) > 42:  # an encoded word has at most 75 characters
            words.append(piece)
            piece = b""
        piece += more
    words.append(piece)
    return "\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words)
