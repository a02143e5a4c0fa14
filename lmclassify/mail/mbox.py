"""Split an mbox file into messages.

There is no standard. A line "From sender date" begins a message, but a line of a body may begin with "From ",
too: some programs write ">From " instead, others do not. The date and the next line tell which it is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

BLOCK_BYTES = 1 << 16
"""Bytes read at a time."""
_MAX_LINE_BYTES = 1000  # of a "From " line; longer ones are text
_MAX_NAME_BYTES = 100  # of the name of a header

_MONTH = rb"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATED = re.compile(
    rb"from (?:.*?[\s>\"])??(?:"
    rb"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+" + _MONTH + rb"\s+\d{1,2},?"  # Sat Jan  3
    rb"|(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?\d{1,2}[\s-]" + _MONTH + rb"[\s-]\d{4}"  # 3 Jan 1996
    rb"|\d{4}-\d\d-\d\dt?"  # 1996-01-03
    rb")\s*\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:z|\s*[ap]m)?"
    rb"(?:\s+(?:(?-i:[A-Z]{2,5})|[+-]\d\d:?\d\d|\d{4}|\([a-z ]+\))|[+-]\d\d:?\d\d)*"
    rb"(?:\s+remote from \S+)?\s*$",
    re.IGNORECASE,
)
_ONE_SENDER = re.compile(rb"From +\S+ +[A-Z\d]")
_YEAR = re.compile(rb"\b\d{4}\b")
_ANY_YEAR = re.compile(rb"\b\d{4}\b|[ .]\d\d\s*$")
_SENDER = re.compile(rb"From (?:\S*[@!]\S*|-|MAILER-DAEMON) ")
_TIME = re.compile(rb"\d:\d\d")
_BARE = re.compile(rb"From \S*\s*$")
_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|>From ")
MAIL_HEADER = (
    rb"(?:return-path|received(?:-spf)?|delivered-to|envelope-to|message-id|from|to|cc|bcc|subject|date|sender|"
    rb"reply-to|mime-version|content-[a-z-]+|x-[!-9;-~]+|status|in-reply-to|references|errors-to|precedence|"
    rb"(?:list|resent|arc|thread|dkim|domainkey|authentication|auto|return-receipt|disposition)-[a-z-]+|"
    rb"apparently-to|newsgroups|path|xref|organi[sz]ation|lines|user-agent|importance|priority)[ \t]*:"
)
"""Pattern of the headers that messages have."""
_MAIL_HEADER = re.compile(MAIL_HEADER + rb"|>From ", re.IGNORECASE)
_FROM = re.compile(rb"\nFrom ")
_QUOTED = re.compile(rb"(?m)^>(?=>*From )")


def starts_message(data: bytes, start: int, *, after_blank: bool, at_end: bool = True) -> bool | None:
    """Return whether the line at `start`, which begins with "From ", begins a message.

    A line that ends with a date does if a header comes next, or if it names one sender and a blank line comes
    before. With no date, or one in an unusual form, it does if a header of mail comes next and a blank line
    before.

    Parameters
    ----------
    after_blank : bool
        Whether a blank line comes before.
    at_end : bool
        Whether `data` ends where the file does. If not, the result is None where it depends on what follows.
    """
    end = data.find(b"\n", start, start + _MAX_LINE_BYTES)
    if end < 0:
        return None if not at_end and len(data) < start + _MAX_LINE_BYTES else False
    line, following = data[start:end], data[end + 1 : end + 1 + _MAX_NAME_BYTES]
    if not at_end and len(following) < _MAX_NAME_BYTES and b"\n" not in following and b":" not in following:
        return None
    if _DATED.match(line) and _YEAR.search(line):
        return bool(_HEADER.match(following) or (after_blank and _ONE_SENDER.match(line)))
    if not after_blank or not _MAIL_HEADER.match(following):
        return False
    if _BARE.match(line):
        return True
    # A date in another language, or with a year of two digits
    return bool(_SENDER.match(line) and _TIME.search(line) and _ANY_YEAR.search(line))


def split_mbox(
    stream: io.BufferedIOBase, max_message_bytes: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[bytes]:
    """Yield the messages of an mbox file, without "From " lines and with ">From " lines unquoted.

    Text before the first "From " line is a message, too.

    Parameters
    ----------
    max_message_bytes : int
        Only the beginning of a longer message is kept.
    """
    buffer, taken = b"\n\n", 2  # the first line counts as one after a blank line
    message, begun, at_end = bytearray(), False, False
    while not at_end:
        block = stream.read1(block_bytes)
        at_end = not block
        buffer += block
        # The last bytes may be the beginning of a "From " line.
        limit = len(buffer) if at_end else max(taken, len(buffer) - len(b"\nFrom ") + 1)
        for found in _FROM.finditer(buffer, taken - 1):
            start = found.start() + 1
            if begun and start == taken and not message:
                continue  # a second "From " line of the same message
            after_blank = buffer[max(0, start - 3) : start].endswith((b"\n\n", b"\n\r\n"))
            starts = starts_message(buffer, start, after_blank=after_blank, at_end=at_end)
            if starts is None:
                limit = start
                break
            if starts:
                _extend(message, buffer, taken, start, max_message_bytes)
                if begun or message.strip():
                    yield _unquoted(message)
                message, begun = bytearray(), True
                taken = buffer.index(b"\n", start) + 1
                limit = max(limit, taken)
        _extend(message, buffer, taken, limit, max_message_bytes)
        unused = max(0, limit - 3)  # three bytes tell whether a blank line comes before
        buffer, taken = buffer[unused:], limit - unused
    if begun or message.strip():
        yield _unquoted(message)


def _extend(message: bytearray, buffer: bytes, start: int, end: int, max_bytes: int) -> None:
    message += buffer[start : min(end, start + max_bytes - len(message))]


def _unquoted(message: bytearray) -> bytes:
    return bytes(_QUOTED.sub(b"", message) if b">From " in message else message)
