"""Bytes to lines of text, in the encoding that a mark at the beginning or the user tells."""

from __future__ import annotations

import codecs
import importlib.util
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol, Self

from lmclassify.errors import DataError, OptionError, listing, shorten
from lmclassify.tables.inputs import Input

DETECT = "detect"
"""The name that asks for a guess."""

_SAMPLE = 1 << 20
_STEP = 1 << 16
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # in this order: UTF-32's little-endian mark begins with UTF-16's
_COMMON = {
    *(f"cp125{number}" for number in range(9)),
    *("iso8859_1", "iso8859_2", "iso8859_5", "iso8859_7", "iso8859_9", "iso8859_15", "koi8_r", "koi8_u"),
    *("cp932", "shift_jis", "euc_jp", "gb18030", "big5", "cp949", "euc_kr"),
}
"""What is preferred to rarer encodings (Mac's, EBCDIC) that fit a sample nearly as well."""

_NO_FILES = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape")
"""Python's encodings of text that no file of rows has."""

_NUL = (
    "byte {:,} is NUL; no text holds it: is this a text file? (--encoding utf-16-le or utf-16-be reads "
    "UTF-16 that does not begin with its mark)"
)


class BadBytesError(Exception):
    """Bytes that are no text; the reader that knows the row makes a DataError of it."""


class Lines(Protocol):
    """Lines of text, line ends kept."""

    number: int
    """How many have been read."""
    bytes: int
    """How many bytes of the input those are."""
    note: str
    """The encoding where it is not UTF-8, for the user; else empty."""

    def __iter__(self) -> Iterator[str]: ...


class LineReader:
    """What readers of lines have in common: closing, and how far they have come."""

    _input: Input
    _lines: Lines

    def close(self) -> None:
        """Close the file."""
        self._input.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def bytes_read(self) -> int:
        """How far reading has come."""
        return self._input.position(self._lines.bytes)


def lines_of(source: Input, encoding: str | None = None) -> Lines:
    """Return the lines of an input.

    Parameters
    ----------
    source : Input
    encoding : str, optional
        As Python names it, or ``detect``. By default UTF-16 or UTF-32 where the input begins with their
        mark, else UTF-8.

    Raises
    ------
    OptionError
        If there is no such encoding.
    DataError
        If it cannot be detected.
    """
    stream: BinaryIO = source.stream
    if encoding == DETECT:
        sample = stream.read(_SAMPLE)
        found = _detect(sample, source.name)
        return _lines(_Rewound(sample, stream), found, "found by --encoding detect")
    if encoding is not None:
        return _lines(stream, check_encoding(encoding))
    return _lines(stream, _by_mark(stream.peek(4)) or "utf-8")  # type: ignore[attr-defined]


def check_encoding(encoding: str) -> str:
    """Return Python's name of an encoding of text.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    try:
        info = codecs.lookup(encoding)
    except (LookupError, ValueError):
        info = None
    fits = info is not None and info._is_text_encoding and info.incrementaldecoder is not None
    if info is None or not fits or info.name in _NO_FILES:
        raise OptionError(
            f"--encoding {shorten(encoding)}: Python knows no such encoding of text; latin-1, cp1252, "
            f"utf-16-le and shift_jis are some, and {DETECT} guesses"
        )
    return info.name


def _by_mark(beginning: bytes) -> str | None:
    return next((name for mark, name in _MARKS.items() if beginning.startswith(mark)), None)


def _detect(sample: bytes, name: str) -> str:
    marked = _by_mark(sample)
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
            'pip install "lmclassify[encodings]"'
        )
    import charset_normalizer

    matches = charset_normalizer.from_bytes(sample)
    best = matches.best()
    if best is None:
        raise DataError(f"{name}: its encoding cannot be told; name it with --encoding")
    likely = [match for match in matches if match.encoding in _COMMON and match.chaos <= best.chaos + 0.05]
    chosen = (likely or [best])[0]
    same = chosen.could_be_from_charset  # encodings that give the sample's very characters
    return check_encoding("cp1252" if "cp1252" in same else chosen.encoding)


def _lines(stream: BinaryIO, encoding: str, how: str = "") -> Lines:
    note = "" if encoding in ("utf-8", "utf-8-sig") and not how else f"encoding {encoding}"
    note += f" ({how})" if how else ""
    if encoding in ("utf-8", "utf-8-sig"):
        return _Utf8Lines(stream, note)
    return _DecodedLines(stream, encoding, note)


class _Utf8Lines:
    """Lines of UTF-8, with or without its mark: what is usual, and fast."""

    def __init__(self, stream: BinaryIO, note: str) -> None:
        self._stream = stream
        self.number = 0
        self.bytes = 0
        self.note = note

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            self.number += 1
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise BadBytesError(
                    f"byte {self.bytes + error.start:,} ({_hex(line, error)}) is not valid UTF-8; save the "
                    f"file as UTF-8, or name its encoding with --encoding ({DETECT} guesses)"
                ) from None
            if "\0" in text:
                raise BadBytesError(_NUL.format(self.bytes + line.index(b"\0")))
            self.bytes += len(line)
            if self.number == 1:
                text = text.removeprefix("\ufeff")
                if not text:  # there is nothing but the mark
                    return
            yield text


class _DecodedLines:
    """Lines of any other encoding, decoded piece by piece."""

    def __init__(self, stream: BinaryIO, encoding: str, note: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self.number = 0
        self.bytes = 0
        self.note = note

    def __iter__(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self._encoding)()
        begun: list[str] = []  # pieces of a line whose end is not there yet
        taken, ended = 0, False
        while not ended:
            piece = self._stream.read1(_STEP)  # type: ignore[attr-defined]
            ended = not piece
            text, problem = _decoded(decoder, piece, taken)
            taken += len(piece)
            *whole, rest = text.split("\n")
            for line in whole:
                yield from self._line("".join([*begun, line, "\n"]))
                begun = []
            begun.append(rest)
            self.bytes = taken
            if problem:
                self.number += 1
                raise BadBytesError(f"{problem} in {self._encoding}; name another with --encoding")
        if begun := [part for part in begun if part]:
            yield from self._line("".join(begun))

    def _line(self, line: str) -> Iterator[str]:
        self.number += 1
        if self.number == 1:
            line = line.removeprefix("\ufeff")
            if not line:
                return
        if "\0" in line:
            raise BadBytesError(
                "a NUL character; no text holds it: is this a text file, and that its encoding?"
            )
        if self._encoding == "utf-7" and any("\ud800" <= character <= "\udfff" for character in line):
            raise BadBytesError("half of a surrogate pair, which is no text")
        yield line


def _decoded(decoder: Any, piece: bytes, taken: int) -> tuple[str, str]:
    """Return a piece's text as far as it is good, and what is wrong with the rest."""
    before = decoder.getstate()
    try:
        return decoder.decode(piece, not piece), ""
    except UnicodeDecodeError as error:
        waiting = len(error.object) - len(piece)  # bytes of the piece before, whose character was not whole
        at = taken - waiting + error.start
        problem = f"byte {at:,} ({_hex(error.object, error)}) is not valid"
        decoder.setstate(before)
        good = piece[: max(0, error.start - waiting)]
        try:
            return decoder.decode(good) if good else "", problem
        except UnicodeError:  # UTF-16 without its mark
            return "", problem
    except UnicodeError as error:  # a codec that does not say where
        return "", f"after byte {taken:,}: {' '.join(str(error).split())}: not valid"


def _hex(data: bytes, error: UnicodeDecodeError) -> str:
    return listing(f"0x{byte:02x}" for byte in data[error.start : error.start + 1])


class _Rewound(io.BufferedReader):
    """A stream whose beginning has been read already."""

    def __init__(self, beginning: bytes, stream: BinaryIO) -> None:
        super().__init__(_Joined(beginning, stream), _STEP)


class _Joined(io.RawIOBase):
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
