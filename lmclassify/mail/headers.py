"""Add the filter's headers to a message and remove a sender's; all other bytes stay unchanged."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

PREFIX = "X-LMClassify-"
MAX_WORD_CHARACTERS = 40
"""Characters written of a word of the reason: enough to recognise it, and senders choose the words."""

_FROM = re.compile(rb"From [^\r\n]*\r?\n")
# Mail ends lines with CRLF or LF, but some readers also take a single carriage return as a line end.
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_OWN_HEADER = re.compile(rb"x-lmclassify-[!-9;-~]*[ \t]*:", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\n\r?\n")
_PLAIN_VALUE = re.compile(r"[!-~](?:[ -~]{0,898}[!-~])?")
_MAX_LINE = 76  # characters; RFC 5322 recommends at most 78
_JOINERS = "\u200c\u200d"  # letters of many scripts and emoji need them
_ENCODED = "=?utf-8?b?{}?="
_MAX_WORD_BYTES = 42  # of UTF-8 in an encoded word, which has at most 75 characters in base64 (RFC 2047)


def verdict_headers(label: str, score: float, reason: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return names and values of the headers that hold a verdict.

    Values are ASCII. Lines of a long one are separated by a line feed and a blank.

    Parameters
    ----------
    label : str
        If it is not printable ASCII, it is written as encoded words (RFC 2047).
    score : float
        Written with six decimal places.
    reason : sequence of str
        Words, separated by blanks in the header. Control characters and those that change the direction of
        text become visible escapes, and a long word is cut. Without words there is no such header.

    >>> verdict_headers("spam", 0.98, ["prize", "a\\nb"])[1:]
    [('X-LMClassify-Score', '0.980000'), ('X-LMClassify-Reason', 'prize a\\\\nb')]
    """
    headers = [_header(f"{PREFIX}Label", [label]), (f"{PREFIX}Score", f"{score:.6f}")]
    if reason:
        headers.append(_header(f"{PREFIX}Reason", list(map(_shown_word, reason))))
    return headers


def add_headers(
    message: bytes, label: str, score: float, reason: Sequence[str] = ()
) -> list[bytes | memoryview]:
    """Return a message, in pieces, with the headers of `verdict_headers`.

    They come first, after a "From " line and after lines that would be read as their continuation. Existing
    headers of these names are removed up to the first blank line, where the header ends for any reader. No
    other byte changes.

    Parameters
    ----------
    message : bytes
    label, score, reason
        See `verdict_headers`.

    >>> b"".join(add_headers(b"Subject: hi\\nx-lmclassify-label: ham\\n ham\\n\\nho\\n", "spam", 0.98))
    b'X-LMClassify-Label: spam\\nX-LMClassify-Score: 0.980000\\nSubject: hi\\n\\nho\\n'
    """
    from_line = _FROM.match(message)
    start = from_line.end() if from_line else 0
    end = _header_end(message, start)
    kept = _without_own_headers(message, start, end)
    line_end = b"\r\n" if _LINE.match(message)[0].endswith(b"\r\n") else b"\n"  # type: ignore[index]
    headers = "".join(f"{name}: {value}\n" for name, value in verdict_headers(label, score, reason)).encode(
        "ascii"
    )
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


def _header(name: str, words: Sequence[str]) -> tuple[str, str]:
    """Return a header's name and its value: words separated by blanks, or by line ends in a long value."""
    lines, room = [""], _MAX_LINE - len(f"{name}: ")
    text = " ".join(words)
    if "=?" in text or not _PLAIN_VALUE.fullmatch(text):
        words = _encoded_words(text, room)
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append("")
            room = _MAX_LINE - 1
        lines[-1] += f" {word}" if lines[-1] else word
    return name, "\n ".join(lines)


def _encoded_words(text: str, room: int) -> list[str]:
    """Return a text as encoded words (RFC 2047), the first of which has at most `room` characters."""
    words: list[bytes] = [b""]
    for character in text:
        encoded = character.encode("utf-8", "replace")
        most = min(_MAX_WORD_BYTES, (room - len(_ENCODED.format(""))) // 4 * 3)
        if len(words[-1]) + len(encoded) > most:
            words.append(b"")
            room = _MAX_LINE
        words[-1] += encoded
    return [_ENCODED.format(base64.b64encode(word).decode()) for word in words]


def _shown_word(word: str) -> str:
    shown = "".join(
        character if character.isprintable() or character in _JOINERS else repr(character)[1:-1]
        for character in word[: MAX_WORD_CHARACTERS + 1]
    )
    return shown if len(shown) <= MAX_WORD_CHARACTERS else f"{shown[:MAX_WORD_CHARACTERS]}..."
