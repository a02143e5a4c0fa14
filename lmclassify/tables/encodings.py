"""Decode bytes to lines of text: UTF-8, the encoding of a byte order mark, or the one the user names."""

from __future__ import annotations

import codecs
import importlib.util
import io
import itertools
import unicodedata
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol, TypeVar

from lmclassify.errors import DataError, OptionError, shorten
from lmclassify.extras import install_extra
from lmclassify.tables.inputs import Input
from lmclassify.tables.rows import CHUNK_BYTES, ClosingReader

T = TypeVar("T")

DETECT = "detect"
"""The value of --encoding that asks for detection."""

SAMPLE_BYTES = 1 << 20
"""Bytes that detection looks at: enough to contain rare characters, and read in a moment."""
BLOCK_BYTES = 1 << 16
"""Bytes decoded at a time."""
_PREVIEW = 30  # characters shown on both sides of one that is not UTF-8
_BYTE_ORDER_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # UTF-32 first: its little-endian mark begins with that of UTF-16
_COMMON = {
    *(f"cp125{number}" for number in range(9)),
    *("iso8859_1", "iso8859_2", "iso8859_5", "iso8859_7", "iso8859_9", "iso8859_15", "koi8_r", "koi8_u"),
    *("cp932", "shift_jis", "euc_jp", "gb18030", "big5", "cp949", "euc_kr"),
}
"""Encodings that detection prefers to rarer ones (Mac, EBCDIC) that fit a sample nearly as well."""
_WESTERN_LETTERS = "àçèêëîïñôù"
"""Letters of French, Spanish and other languages of cp1252. In other encodings their bytes are letters that
hardly any language has without some that are rare in cp1252, such as ð."""

_UTF8 = ("utf-8", "utf-8-sig")
_NOT_FOR_FILES = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape")
"""Python's text encodings that data files do not use."""

_NUL = (
    "byte {:,} is NUL, which text does not contain: is this a text file? (for UTF-16 without a byte order "
    "mark, use --encoding utf-16-le or utf-16-be)"
)


class DecodingError(Exception):
    """Bytes that are not valid text. A reader, which knows the row, turns it into a DataError."""


class Lines(Protocol):
    """Decoded lines, with their line ends."""

    number: int
    """How many lines have been read."""
    bytes: int
    """How many bytes of the input they take."""
    encoding: str
    note: str
    """The encoding, for the user, if it is not UTF-8; else empty."""

    def __iter__(self) -> Iterator[str]: ...


class LineReader(ClosingReader):
    """Base of readers that read an input line by line."""

    _input: Input
    _lines: Lines

    def _open(self, path: str, source: Input | None = None) -> None:
        """Open a file, unless it is open already as `source`."""
        self._input = source or Input(path)
        self.name = self._input.name
        self.size = self._input.size

    def _begin_lines(self, encoding: str | None, items: Iterator[T], expected: str) -> Iterator[T]:
        """Decode the lines, from which `items` are read; return these, the first one read already.

        Closes the file and raises DataError, which says what was expected, if there is none.
        """
        try:
            self._lines = decode_lines(self._input, encoding)
            first = next(items, None)
            if first is None:
                raise DataError(f"{self.name} is empty; expected {expected}")
        except BaseException:
            self.close()
            raise
        return itertools.chain([first], items)

    def close(self) -> None:
        """Close the file."""
        self._input.close()

    @property
    def bytes_read(self) -> int:
        """The position in the file, in bytes; compare with `size`."""
        return self._input.position(self._lines.bytes)

    def _take(self, items: Iterator[T], count: int) -> list[T]:
        """Return the next items, at most `count`; fewer if their lines are long."""
        taken: list[T] = []
        end = self._lines.bytes + CHUNK_BYTES
        for item in itertools.islice(items, count):
            taken.append(item)
            if self._lines.bytes >= end:
                break
        return taken


def decode_lines(
    source: Input,
    encoding: str | None = None,
    *,
    sample_bytes: int = SAMPLE_BYTES,
    block_bytes: int = BLOCK_BYTES,
) -> Lines:
    """Return the decoded lines of an input.

    Raises OptionError if there is no such encoding. Raises DataError if the encoding cannot be detected.

    Parameters
    ----------
    encoding : str, optional
        A Python encoding, or ``detect``. By default UTF-16 or UTF-32 if the input begins with a byte order
        mark of theirs, else UTF-8.
    sample_bytes : int
        Bytes from which an encoding is detected.
    block_bytes : int
        Bytes decoded at a time, for encodings other than UTF-8.
    """
    stream: BinaryIO = source.stream
    if encoding == DETECT:
        sample = stream.read(sample_bytes)
        found = _detect(sample, source.name)
        stream = io.BufferedReader(_Joined(sample, stream), BLOCK_BYTES)
        note = f"encoding {found} (found by --encoding detect)"
    else:
        mark = _from_byte_order_mark(stream.peek(4))  # type: ignore[attr-defined]
        found = check_encoding(encoding) if encoding is not None else mark or "utf-8"
        note = "" if found in _UTF8 else f"encoding {found}"
    if found in _UTF8:
        return _Utf8Lines(stream, note, source)
    return _DecodedLines(stream, found, note, block_bytes)


def check_encoding(encoding: str) -> str:
    """Return Python's name of a text encoding. Raises OptionError if there is no such encoding."""
    try:
        info = codecs.lookup(encoding)
    except (LookupError, ValueError):
        info = None
    is_text = info is not None and info._is_text_encoding and info.incrementaldecoder is not None
    if info is None or not is_text or info.name in _NOT_FOR_FILES:
        raise OptionError(
            f"--encoding {shorten(encoding)}: Python knows no such text encoding; use for example latin-1, "
            f"cp1252, utf-16-le or shift_jis, or {DETECT}"
        )
    return info.name


def _from_byte_order_mark(beginning: bytes) -> str | None:
    return next((name for mark, name in _BYTE_ORDER_MARKS.items() if beginning.startswith(mark)), None)


def _detect(sample: bytes, name: str) -> str:
    marked = _from_byte_order_mark(sample)
    if marked is not None:
        return marked
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    if importlib.util.find_spec("charset_normalizer") is None:
        raise DataError(
            f"{name} is not UTF-8, and --encoding detect needs charset-normalizer: "
            f"{install_extra('encodings')}"
        )
    import charset_normalizer

    matches = charset_normalizer.from_bytes(sample)
    best = matches.best()
    if best is None:
        raise DataError(f"{name}: its encoding cannot be detected; name it with --encoding")
    likely = [match for match in matches if match.encoding in _COMMON and match.chaos <= best.chaos + 0.05]
    chosen = (likely or [best])[0]
    equivalent = chosen.could_be_from_charset  # encodings that decode the sample to the same characters
    is_western = "cp1252" in equivalent or _is_western(sample, chosen.encoding)
    return check_encoding("cp1252" if is_western else chosen.encoding)


def _is_western(sample: bytes, other: str) -> bool:
    """Return whether a sample is rather in cp1252 than in another encoding of Latin script.

    The characters that the two read differently decide: by how many are well placed, which are letters beside
    a letter, and signs, such as £, that do not have letters on both sides; else by which letters they are.
    """
    try:
        western, second = sample.decode("cp1252"), sample.decode(other)
    except ValueError:
        return False
    differing = [at for at, (a, b) in enumerate(zip(western, second, strict=False)) if a != b]
    if len(western) != len(second) or any(_is_other_script(second[at]) for at in differing):
        return False
    placed = [sum(_is_well_placed(text, at) for at in differing) for text in (western, second)]
    if placed[0] != placed[1]:
        return placed[0] > placed[1]
    letters = [western[at].lower() for at in differing if western[at].isalpha()]
    frequent = [letter for letter in letters if letter in _WESTERN_LETTERS]
    return len({*frequent}) > 1 and len(frequent) >= 0.9 * len(letters)


def _is_other_script(character: str) -> bool:
    return character.isalpha() and not unicodedata.name(character, "").startswith("LATIN")


def _is_well_placed(text: str, at: int) -> bool:
    before, after = text[at - 1 : at].isalpha(), text[at + 1 : at + 2].isalpha()
    if not text[at].isprintable():
        return False
    return before or after if text[at].isalpha() else not (before and after)


def _preview(source: Input, line: bytes, at: int) -> str:
    """Return what detection makes of a line that is not UTF-8 at byte `at`, in brackets, for a message.

    Returns an empty string if the encoding cannot be detected.
    """
    sample = line
    if source.size is not None and source.stream.seekable():
        source.stream.seek(0)
        sample = source.stream.read(SAMPLE_BYTES)
    try:
        found = _detect(sample, source.name)
        found = _detect(line, source.name) if found in _UTF8 else found
    except DataError:
        return ""
    if b"\0" in sample or found in _UTF8:
        return ""
    before, after = line[:at].decode(found, "replace"), line[at:].decode(found, "replace")
    return f" (it finds {found}, which reads {(before[-_PREVIEW:] + after[:_PREVIEW]).strip()!r})"


class _Utf8Lines:
    """Lines of UTF-8, with or without a byte order mark: the usual case, and fast."""

    def __init__(self, stream: BinaryIO, note: str, source: Input) -> None:
        self._stream = stream
        self._source = source
        self.number = 0
        self.bytes = 0
        self.encoding = "utf-8"
        self.note = note

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            self.number += 1
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                invalid = line[error.start : error.start + 1].hex()
                preview = _preview(self._source, line, error.start)
                raise DecodingError(
                    f"byte {self.bytes + error.start:,} (0x{invalid}) is not valid UTF-8; use --encoding "
                    f"{DETECT}{preview}, name the encoding with --encoding, or save the file as UTF-8"
                ) from None
            if "\0" in text:
                raise DecodingError(_NUL.format(self.bytes + line.index(b"\0")))
            self.bytes += len(line)
            if self.number == 1:
                text = text.removeprefix("\ufeff")
                if not text:  # the file holds only a byte order mark
                    return
            yield text


class _DecodedLines:
    """Lines of any other encoding, decoded block by block."""

    def __init__(self, stream: BinaryIO, encoding: str, note: str, block_bytes: int) -> None:
        self._stream = stream
        self.encoding = encoding
        self._block_bytes = block_bytes
        self.number = 0
        self.bytes = 0
        self.note = note

    def __iter__(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self.encoding)()
        pending: list[str] = []  # the line whose end has not been read yet
        consumed, at_end = 0, False
        while not at_end:
            block = self._stream.read1(self._block_bytes)  # type: ignore[attr-defined]
            at_end = not block
            text, problem = _decode_block(decoder, block, consumed)
            consumed += len(block)
            *complete, rest = text.split("\n")
            for line in complete:
                yield from self._checked("".join([*pending, line, "\n"]))
                pending = []
            pending.append(rest)
            self.bytes = consumed
            if problem:
                self.number += 1
                raise DecodingError(f"{problem} in {self.encoding}; name another encoding with --encoding")
        if last := "".join(pending):
            yield from self._checked(last)

    def _checked(self, line: str) -> Iterator[str]:
        self.number += 1
        if self.number == 1:
            line = line.removeprefix("\ufeff")
            if not line:
                return
        if "\0" in line:
            raise DecodingError(
                "a NUL character, which text does not contain: is this a text file in that encoding?"
            )
        if self.encoding == "utf-7" and any("\ud800" <= character <= "\udfff" for character in line):
            raise DecodingError("half of a surrogate pair, which is not valid text")
        yield line


def _decode_block(decoder: Any, block: bytes, consumed: int) -> tuple[str, str]:
    """Return the text of a block up to the first invalid byte, and what is wrong there."""
    before = decoder.getstate()
    try:
        return decoder.decode(block, not block), ""
    except UnicodeDecodeError as error:
        buffered = len(error.object) - len(block)  # bytes of an incomplete character of the block before
        at = consumed - buffered + error.start
        invalid = error.object[error.start : error.start + 1].hex()
        problem = f"byte {at:,} (0x{invalid}) is not valid"
        decoder.setstate(before)
        good = block[: max(0, error.start - buffered)]
        try:
            return decoder.decode(good) if good else "", problem
        except UnicodeError:  # UTF-16 without a byte order mark
            return "", problem
    except UnicodeError as error:  # a codec that does not report the position
        return "", f"after byte {consumed:,}: {' '.join(str(error).split())}: not valid"


class _Joined(io.RawIOBase):
    """A stream whose first bytes have already been read, from its beginning."""

    def __init__(self, beginning: bytes, stream: BinaryIO) -> None:
        self._beginning = memoryview(beginning)
        self._stream: Any = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._beginning:
            data, self._beginning = self._beginning[: len(buffer)], self._beginning[len(buffer) :]
        else:
            data = self._stream.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)
