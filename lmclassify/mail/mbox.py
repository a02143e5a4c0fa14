"""Split an mbox or MMDF file into messages.

There is no standard. A line "From sender date" begins a message, but a line of a body may begin with "From ",
too: some programs write ">From " instead, others do not. The date and the next line tell which it is.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Iterator

from lmclassify.mail.normal_form import UTF8_MARK, NormalForm

BLOCK_BYTES = 1 << 16
"""Bytes read at a time."""
BLANK_LINES = re.compile(rb"(?:[ \t]*\r?\n)*")
"""Blank lines, possibly none."""
MMDF_LINE = re.compile(rb"^\x01{4}\r?\n", re.MULTILINE)
"""The line before and after a message of an MMDF file."""
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
_DIGIT = re.compile(rb"\d")
# Time zones, and "de" of Spanish and Portuguese
_NO_NAME = re.compile(rb"[A-Z]{2,5}|\([A-Za-z ]+\)|(?i:de|of)|-")
_MAX_DATE_NUMBERS, _MAX_DATE_NAMES = 6, 3  # year, month, day, time, zone; weekday, month and AM or PM
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
_FROM_LINES = re.compile(rb"(?:>?From [^\n]*\n)*")
_END_OF_HEADER = re.compile(rb"\n\r?\n")
_CONTENT_LENGTH = re.compile(
    rb"^content-length[ \t]*:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_MAX_GIVEN_BYTES = 1 << 24  # believed of Content-Length; so much is read ahead
_QUOTED = re.compile(rb"(?m)^>(?=>*From )")


def starts_message(data: bytes, start: int, *, after_blank: bool, at_end: bool = True) -> bool | None:
    """Return whether the line at `start`, which begins with "From ", begins a message.

    A line that ends with a date does if a header comes next, or if it names one sender and a blank line comes
    before. A line with one sender and a date in another form (in another language, without weekday) does if
    a header of mail comes next. So does a line with no date, or much else, if a blank line comes before, too.

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
    if not _MAIL_HEADER.match(following):
        return False
    if not _TIME.search(line) or not _ANY_YEAR.search(line):
        return after_blank and _BARE.match(line) is not None
    return _is_unusual_date(line) or bool(after_blank and _SENDER.match(line))


def _is_unusual_date(line: bytes) -> bool:
    """Return whether a "From " line has one sender and then a date, in any language."""
    parts = line.split()[2:]
    words = [part for part in parts if not _DIGIT.search(part)]
    names = [word for word in words if not _NO_NAME.fullmatch(word)]
    return 2 <= len(parts) - len(words) <= _MAX_DATE_NUMBERS and len(names) <= _MAX_DATE_NAMES


def split_mbox(
    stream: io.BufferedIOBase, max_message_bytes: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[bytes]:
    """Yield the messages of an mbox or MMDF file.

    "From " lines are left out and ">From " lines unquoted. Text before the first "From " line is a message,
    too. The messages of a file that is Unicode begin with a byte order mark.

    Parameters
    ----------
    max_message_bytes : int
        Only the beginning of a longer message is kept.
    """
    form = NormalForm()
    blocks = _converted(stream, form, block_bytes)
    first, at_end = b"", False
    while len(first) < len(b"\1\1\1\1\r\n") and not at_end:
        block, at_end = next(blocks)
        first += block
    blocks = itertools.chain([(first, at_end)], blocks)
    split = _split_mmdf if MMDF_LINE.match(first) else _Mbox().split
    for message in split(blocks, max_message_bytes):
        yield UTF8_MARK + message if form.is_unicode else message


def _converted(stream: io.BufferedIOBase, form: NormalForm, block_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the blocks of a file, and of each whether it is the last."""
    at_end = False
    while not at_end:
        block = stream.read1(block_bytes)
        at_end = not block
        yield form.convert(block, at_end=at_end), at_end


def _split_mmdf(blocks: Iterable[tuple[bytes, bool]], max_message_bytes: int) -> Iterator[bytes]:
    """Yield the messages of an MMDF file: a line of four Control-A stands before and after each."""
    buffer, taken, message = b"\n", 1, bytearray()
    for block, at_end in blocks:
        buffer += block
        if at_end and buffer.endswith(b"\n\1\1\1\1"):
            buffer += b"\n"
        for found in MMDF_LINE.finditer(buffer, taken):
            _extend(message, buffer, taken, found.start(), max_message_bytes)
            if message.strip():
                yield bytes(message)
            message, taken = bytearray(), found.end()
        limit = len(buffer) if at_end else max(taken, len(buffer) - len(b"\1\1\1\1\r"))
        _extend(message, buffer, taken, limit, max_message_bytes)
        buffer, taken = buffer[limit - 1 :], 1
    if message.strip():
        yield bytes(message)


class _Mbox:
    """Splits an mbox file.

    If the header of a message has Content-Length (mboxcl2), and a message begins or the file ends where it
    says, then "From " lines before that are text. Programs that do not know the header leave wrong ones.
    """

    def __init__(self) -> None:
        self._buffer, self._taken = b"\n\n", 2  # the first line counts as one after a blank line
        self._message, self._begun, self._size = bytearray(), False, 0
        self._end: int | None = None
        """Where the message ends by its Content-Length, from `taken`; None if that is not yet known."""

    def split(self, blocks: Iterable[tuple[bytes, bool]], max_message_bytes: int) -> Iterator[bytes]:
        """Yield the messages."""
        for block, at_end in blocks:
            self._buffer += block
            # The last bytes may be the beginning of a "From " line.
            limit = len(self._buffer) if at_end else len(self._buffer) - len(b"\nFrom ") + 1
            for found in _FROM.finditer(self._buffer, self._taken - 1):
                start = found.start() + 1
                if self._begun and start == self._taken and not self._size:
                    continue  # a second "From " line of the same message
                starts = self._starts_message(start, at_end)
                if starts is None:
                    limit = start
                    break
                if starts:
                    self._take(start, max_message_bytes)
                    if self._begun or self._message.strip():
                        yield _unquoted(self._message)
                    self._message, self._begun, self._size, self._end = bytearray(), True, 0, None
                    self._taken = self._buffer.index(b"\n", start) + 1
            self._take(max(limit, self._taken), max_message_bytes)
            unused = max(0, self._taken - 3)  # three bytes tell whether a blank line comes before
            self._buffer, self._taken = self._buffer[unused:], self._taken - unused
        if self._begun or self._message.strip():
            yield _unquoted(self._message)

    def _take(self, end: int, max_bytes: int) -> None:
        _extend(self._message, self._buffer, self._taken, end, max_bytes)
        taken = end - self._taken
        self._size += taken
        self._taken = end
        if self._end is not None:
            self._end -= taken

    def _starts_message(self, start: int, at_end: bool) -> bool | None:
        """Return whether a message begins at a "From " line; None if that depends on what follows."""
        if self._end is not None and start < self._taken + self._end:
            return False
        after_blank = self._buffer[max(0, start - 3) : start].endswith((b"\n\n", b"\n\r\n"))
        starts = starts_message(self._buffer, start, after_blank=after_blank, at_end=at_end)
        if not starts or not self._begun or self._end is not None:
            return starts
        head = bytes(self._message) + self._buffer[self._taken : start]
        end = self._taken + _given_size(head) - self._size
        ends = end > start and _message_ends(self._buffer, end, at_end)
        if ends is None:
            return None
        self._end = end - self._taken if ends else 0
        return not ends


def _given_size(message: bytes) -> int:
    """Return the size of a message by its Content-Length; 0 if it names none."""
    end = _END_OF_HEADER.search(message)
    given = None if end is None else _CONTENT_LENGTH.search(message, 0, end.start() + 1)
    if end is None or given is None or int(given[1]) > _MAX_GIVEN_BYTES:
        return 0
    return end.end() + int(given[1])


def _message_ends(data: bytes, end: int, at_end: bool) -> bool | None:
    """Return whether a message that ends at `end` is followed by another one, or by nothing."""
    if end > len(data):
        return False if at_end else None
    start = BLANK_LINES.match(data, end).end()  # type: ignore[union-attr]
    if start == len(data):
        return True if at_end else None
    if data[start - 1 : start] != b"\n" or not data.startswith(b"From ", start):
        return None if not at_end and b"From ".startswith(data[start:]) else False
    return starts_message(data, start, after_blank=True, at_end=at_end)


def without_leading_blank_lines(message: bytes) -> bytes:
    """Return a message without blank lines before its header; unchanged if none comes next."""
    start = BLANK_LINES.match(message).end()  # type: ignore[union-attr]
    found = _FROM_LINES.match(message, start)
    header = start if found is None else found.end()
    return message[start:] if _MAIL_HEADER.match(message, header) else message


def _extend(message: bytearray, buffer: bytes, start: int, end: int, max_bytes: int) -> None:
    message += buffer[start : min(end, start + max_bytes - len(message))]


def _unquoted(message: bytearray) -> bytes:
    return bytes(_QUOTED.sub(b"", message) if b">From " in message else message)
