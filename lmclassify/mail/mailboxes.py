"""Read mailboxes: mbox files, Maildir folders, single messages and folders of them, compressed or not."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lmclassify.errors import DataError
from lmclassify.mail.fields import MAX_MESSAGE_BYTES
from lmclassify.tables.compression import decompressed, split_compression
from lmclassify.tables.inputs import open_file

_LINE_BYTES = 1 << 16  # longer lines are read in pieces, so that no line fills the memory
_HEAD_BYTES = 4096  # read to find out whether a file is mail
_GZIP = b"\x1f\x8b"
_HEADER = rb"[!-9;-~]+[ \t]*:"
# An mbox file begins with "From ", a sender, a date; then come headers, in some files after ">From " lines.
_MBOX = re.compile(rb"From [^\r\n]*\r?\n(>From [^\r\n]*\r?\n)*" + _HEADER)
_MESSAGE = re.compile(
    rb"(\xef\xbb\xbf)?(From [^\r\n]*\r?\n)?(return-path|received|delivered-to|message-id|from|to|subject|"
    rb"date|mime-version|x-[!-9;-~]+|content-type)[ \t]*:",
    re.IGNORECASE,
)
_DATED = re.compile(rb"From \S.*\d:\d\d.*\b\d{4}\b")
_BARE = re.compile(rb"From \S+\s*$")
_QUOTED = re.compile(rb">+From ")


class Mailbox:
    """The messages of a file or folder, in order.

    Raises DataError if it cannot be read.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    max_message_bytes : int
        How much of each message is read.
    line_bytes : int
        Longer lines are read in pieces of this size.

    Attributes
    ----------
    size : int or None
        Size in bytes, if known.
    """

    def __init__(
        self, path: str, *, max_message_bytes: int = MAX_MESSAGE_BYTES, line_bytes: int = _LINE_BYTES
    ) -> None:
        self._path = path
        self._max_message_bytes, self._line_bytes = max_message_bytes, line_bytes
        self._is_folder = path != "-" and os.path.isdir(path)
        self._done = 0
        self._stream: BinaryIO | None = None
        self.size: int | None = None
        with _read_errors(path):
            self._files = _files_of(Path(path)) if self._is_folder else []
            if path != "-":
                paths = [file for _, file in self._files] if self._is_folder else [Path(path)]
                self.size = sum(file.stat().st_size for file in paths if file.exists()) or None

    @property
    def bytes_read(self) -> int:
        """The position in the files, in bytes."""
        if self._stream is None or self._stream is sys.stdin.buffer or self._stream.closed:
            return self._done
        try:
            return self._done + self._stream.tell()
        except OSError:  # a pipe
            return self._done

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Yield a name for each message, used if it has no Message-ID, and its beginning."""
        if self._is_folder:
            for name, file in self._files:
                if file.exists():  # a mail reader may have moved it meanwhile
                    yield _printable(name), self._whole(file)
        elif self._path == "-":
            self._stream = sys.stdin.buffer
            yield from self._messages(self._stream)
        elif _is_single_message(self._path):
            yield _printable(Path(self._path).name), self._whole(Path(self._path))
        else:
            self._stream = open_file(self._path)
            with _read_errors(self._path):
                stream = _decompressed(self._stream, self._path)
            yield from self._messages(stream)

    def close(self) -> None:
        """Close the file that is read."""
        if self._stream is not None and self._stream is not sys.stdin.buffer:
            self._stream.close()

    def _whole(self, path: Path) -> bytes:
        with open_file(str(path)) as file:
            with _read_errors(str(path)):
                data = _decompressed(file, str(path)).read(self._max_message_bytes)
            self._done += os.fstat(file.fileno()).st_size
        return data

    def _messages(self, stream: BinaryIO) -> Iterator[tuple[str, bytes]]:
        number = 0
        for number, data in enumerate(_split(self._lines(stream), self._max_message_bytes), 1):
            name = "" if self._path == "-" else _printable(Path(self._path).name)
            yield f"{name}#{number}", data

    def _lines(self, stream: BinaryIO) -> Iterator[bytes]:
        with _read_errors(self._path):
            while line := stream.readline(self._line_bytes):
                yield line


@contextlib.contextmanager
def _read_errors(path: str) -> Iterator[None]:
    """Turn an OSError into a DataError that names the file or folder."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _split(lines: Iterator[bytes], max_message_bytes: int) -> Iterator[bytes]:
    """Yield the messages of an mbox file, without "From " lines and with quoted ">From " lines unquoted.

    Text before the first "From " line is a message, too.
    """
    pieces: list[bytes] = []
    size, after_blank, complete, begun = 0, True, True, False
    line = next(lines, b"")
    while line:
        following = next(lines, b"")
        starts = (
            after_blank
            and line.startswith(b"From ")
            and (_DATED.match(line) or (_BARE.match(line) and re.match(_HEADER, following)))
        )
        if starts:
            if begun or any(piece.strip() for piece in pieces):
                yield b"".join(pieces)
            pieces, size, begun = [], 0, True
        elif size < max_message_bytes:
            if complete and _QUOTED.match(line):
                line = line[1:]
            pieces.append(line)
            size += len(line)
        complete = line.endswith(b"\n")
        after_blank = complete and not line.strip(b"\r\n")
        line = following
    if begun or any(piece.strip() for piece in pieces):
        yield b"".join(pieces)


def looks_like_mail(path: str) -> bool:
    """Return whether a path is mail: mbox, Maildir, a message or a folder of messages, compressed or not.

    A file is mail if its suffix is .mbox or .eml, or if it begins with a "From " line and a header. A folder
    is mail if it has a Maildir's ``cur`` and ``new``, if it holds .eml files, or if its first file begins
    with a mail header.
    """
    if path == "-":
        peek = getattr(sys.stdin.buffer, "peek", None)
        return bool(peek and _MBOX.match(peek(_HEAD_BYTES)))
    location = Path(path)
    if location.is_dir():
        with _read_errors(path):
            return _is_maildir(location) or bool(_files_of(location))
    if _suffix(location) in (".mbox", ".eml"):
        return True
    return location.suffix.lower() not in (".csv", ".tsv", ".tab") and bool(_MBOX.match(_head(location)))


def _printable(name: str) -> str:
    """Return a file name as valid text."""
    return os.fsencode(name).decode(errors="replace")


def _suffix(path: Path) -> str:
    """Return a file's suffix in lower case, without the suffix of its compression."""
    return Path(split_compression(path.name.lower())[0]).suffix


def _head(path: Path) -> bytes:
    if not path.is_file():  # reading from a pipe would consume it
        return b""
    try:
        with open(path, "rb") as stream:
            return _decompressed(stream, str(path)).read(_HEAD_BYTES)
    except (DataError, OSError):
        return b""


def _decompressed(stream: BinaryIO, name: str) -> BinaryIO:
    """Return the decompressed content: gzip is recognised by its first bytes, the rest by the suffix."""
    suffix = split_compression(name)[1]
    if suffix in (None, ".gz"):
        suffix = ".gz" if stream.peek(2)[:2] == _GZIP else None  # type: ignore[attr-defined]
    if suffix is None:
        return stream
    return decompressed(stream, suffix, name, max_line_bytes=sys.maxsize)  # lines are read in pieces


def _is_single_message(path: str) -> bool:
    return _suffix(Path(path)) == ".eml"


def _is_maildir(folder: Path) -> bool:
    return (folder / "cur").is_dir() and (folder / "new").is_dir()


def _files_of(folder: Path) -> list[tuple[str, Path]]:
    """Return names and paths of the messages in a folder, sorted; empty if the folder is not mail."""
    if _is_maildir(folder):
        found = [file for sub in ("cur", "new") for file in (folder / sub).iterdir()]
        kept = [(file.name.partition(":")[0], file) for file in found if not file.name.startswith(".")]
        return sorted(item for item in kept if item[1].is_file())
    files = sorted(
        Path(root, name) for root, _, names in os.walk(folder) for name in names if not name.startswith(".")
    )
    single = [file for file in files if _is_single_message(str(file))]
    if not single and files and _MESSAGE.match(_head(files[0])):
        single = files
    return [(file.relative_to(folder).as_posix(), file) for file in single]
