"""Where messages lie: mbox files, Maildir folders, single messages and folders of them, gzipped or not."""

from __future__ import annotations

import os
import re
import sys
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from lmclassify.errors import DataError
from lmclassify.mail.fields import MOST_BYTES
from lmclassify.tables.compression import decompressed, split_compression

_LINE = 1 << 16  # bytes: longer lines are read in pieces
_HEAD = 4096  # bytes that tell whether a file is mail
_GZIP = b"\x1f\x8b"
_HEADER = rb"[!-9;-~]+[ \t]*:"
# An mbox file: "From ", a sender, a date, and then headers (in some, ">From " lines before).
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
    """The messages of a file or folder, one after the other.

    Parameters
    ----------
    path : str
        ``-`` is standard input.

    Attributes
    ----------
    size : int or None
        Bytes in all, where that is known.
    bytes_read : int

    Raises
    ------
    DataError
        If it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_folder = path != "-" and os.path.isdir(path)
        self._done = 0
        self._stream: BinaryIO | None = None
        self.size: int | None = None
        try:
            self._files = _files_of(Path(path)) if self._is_folder else []
            if path != "-":
                paths = [file for _, file in self._files] if self._is_folder else [Path(path)]
                self.size = sum(file.stat().st_size for file in paths if file.exists()) or None
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error

    @property
    def bytes_read(self) -> int:
        """How far it has come, in bytes of its files."""
        if self._stream is None or self._stream is sys.stdin.buffer or self._stream.closed:
            return self._done
        try:
            return self._done + self._stream.tell()
        except OSError:  # a pipe
            return self._done

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Yield each message's name (for those without Message-ID) and its beginning."""
        if self._is_folder:
            for name, file in self._files:
                if file.exists():  # else a mail reader has moved it meanwhile
                    yield _printable(name), self._whole(file)
        elif self._path == "-":
            self._stream = sys.stdin.buffer
            yield from self._messages(self._stream)
        elif _is_single(self._path):
            yield _printable(Path(self._path).name), self._whole(Path(self._path))
        else:
            yield from self._messages(self._open(Path(self._path)))

    def close(self) -> None:
        """Close the file that is read."""
        if self._stream is not None and self._stream is not sys.stdin.buffer:
            self._stream.close()

    def _open(self, path: Path) -> BinaryIO:
        try:
            stream = self._stream = open(path, "rb")  # noqa: SIM115 (closed by `close` or by who asks)
            return _unpacked(stream, str(path))
        except FileNotFoundError:
            raise DataError(f"no such file: {path}") from None
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error

    def _whole(self, path: Path) -> bytes:
        stream = self._open(path)
        assert self._stream is not None
        try:
            data = stream.read(MOST_BYTES)
            self._done += os.fstat(self._stream.fileno()).st_size
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"cannot read {path}: {error}") from error
        finally:
            self._stream.close()
        return data

    def _messages(self, stream: BinaryIO) -> Iterator[tuple[str, bytes]]:
        number = 0
        for number, data in enumerate(_split(self._lines(stream)), 1):
            name = "" if self._path == "-" else _printable(Path(self._path).name)
            yield f"{name}#{number}", data

    def _lines(self, stream: BinaryIO) -> Iterator[bytes]:
        try:
            while line := stream.readline(_LINE):
                yield line
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"cannot read {self._path}: {error}") from error


def _split(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the messages of an mbox file, without "From " lines and with the quoting of such lines undone.

    What stands before the first of them is a message, too.
    """
    pieces: list[bytes] = []
    size, blank, whole, begun = 0, True, True, False
    line = next(lines, b"")
    while line:
        following = next(lines, b"")
        starts = (
            blank
            and line.startswith(b"From ")
            and (_DATED.match(line) or (_BARE.match(line) and re.match(_HEADER, following)))
        )
        if starts:
            if begun or any(piece.strip() for piece in pieces):
                yield b"".join(pieces)
            pieces, size, begun = [], 0, True
        elif size < MOST_BYTES:
            if whole and _QUOTED.match(line):
                line = line[1:]
            pieces.append(line)
            size += len(line)
        whole = line.endswith(b"\n")
        blank = whole and not line.strip(b"\r\n")
        line = following
    if begun or any(piece.strip() for piece in pieces):
        yield b"".join(pieces)


def looks_like_mail(path: str) -> bool:
    """Say whether a path is a mailbox: mbox, Maildir, a message, a folder of messages, gzipped or not.

    Files are known by their endings (.mbox, .eml), or by a "From " line and a header; folders by a Maildir's
    ``cur`` and ``new``, by files that end in .eml, or by a first file that begins with a header of mail.
    """
    if path == "-":
        peek = getattr(sys.stdin.buffer, "peek", None)
        return bool(peek and _MBOX.match(peek(_HEAD)))
    where = Path(path)
    if where.is_dir():
        try:
            return _is_maildir(where) or bool(_files_of(where))
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error
    if _ending(where) in (".mbox", ".eml"):
        return True
    return where.suffix.lower() not in (".csv", ".tsv", ".tab") and bool(_MBOX.match(_head(where)))


def _printable(name: str) -> str:
    """Return a file's name as text, whatever its bytes."""
    return os.fsencode(name).decode(errors="replace")


def _ending(path: Path) -> str:
    """Return a file's ending in lower case, that of a compressed file left out."""
    return Path(split_compression(path.name.lower())[0]).suffix


def _head(path: Path) -> bytes:
    if not path.is_file():  # looking into a pipe would take from it
        return b""
    try:
        with open(path, "rb") as stream:
            return _unpacked(stream, str(path)).read(_HEAD)
    except (DataError, OSError, EOFError, zlib.error):
        return b""


def _unpacked(stream: BufferedReader, name: str) -> BinaryIO:
    """Return what a file holds: gzip is known by its first bytes, the rest by the file's name."""
    suffix = split_compression(name)[1]
    if suffix is not None and suffix != ".gz":
        return decompressed(stream, suffix, name)
    if stream.peek(2)[:2] != _GZIP:
        return stream
    import gzip

    return gzip.open(stream)  # type: ignore[return-value]


def _is_single(path: str) -> bool:
    return _ending(Path(path)) == ".eml"


def _is_maildir(folder: Path) -> bool:
    return (folder / "cur").is_dir() and (folder / "new").is_dir()


def _files_of(folder: Path) -> list[tuple[str, Path]]:
    """Return names and paths of the messages in a folder, in order; none if it is no folder of mail."""
    if _is_maildir(folder):
        found = [file for sub in ("cur", "new") for file in (folder / sub).iterdir()]
        kept = [(file.name.partition(":")[0], file) for file in found if not file.name.startswith(".")]
        return sorted(item for item in kept if item[1].is_file())
    files = sorted(
        Path(root, name) for root, _, names in os.walk(folder) for name in names if not name.startswith(".")
    )
    single = [file for file in files if _is_single(str(file))]
    if not single and files and _MESSAGE.match(_head(files[0])):
        single = files
    return [(file.relative_to(folder).as_posix(), file) for file in single]
