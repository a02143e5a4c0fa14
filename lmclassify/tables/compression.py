"""Streams that compress and decompress gzip, bzip2, xz and Zstandard, with bounded memory."""

from __future__ import annotations

import importlib.util
import io
import os
import re
from typing import Any, BinaryIO

from lmclassify.errors import DataError, OutputError
from lmclassify.extras import install_extra

COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}
"""Name of the format by file suffix."""

_FIRST_BYTES = {
    rb"\x1f\x8b\x08": ".gz",
    rb"BZh[1-9](1AY&SY|\x17rE8P\x90)": ".bz2",
    rb"\xfd7zXZ\0": ".xz",
    rb"\x28\xb5\x2f\xfd": ".zst",
}

MAX_LINE_BYTES = 1 << 26
"""Longest line of a compressed file. Lines are held in memory, and a small file can unpack to a huge one."""
_ZSTD_STEP = 1 << 10  # compressed bytes per step; they unpack to 32 MB at most


def split_compression(path: str) -> tuple[str, str | None]:
    """Return a path without its compression suffix, and that suffix or None."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in COMPRESSIONS:
        return path[: -len(suffix)], suffix
    return path, None


def decompressed(
    stream: BinaryIO, suffix: str, name: str, *, max_line_bytes: int = MAX_LINE_BYTES
) -> BinaryIO:
    """Return a stream of the decompressed content; concatenated members or frames are read as one.

    Raises DataError if the package that decompresses is missing; while reading, if the stream is damaged or
    truncated, or a line is too long.

    Parameters
    ----------
    stream : file
        Read from its current position; not closed.
    suffix : str
        A key of `COMPRESSIONS`.
    name : str
        Name of the file, for messages.
    max_line_bytes : int
        Longest line to accept.
    """
    if suffix == ".zst" and not _has_zstandard():
        raise DataError(f"{name}: .zst needs zstandard: {install_extra('zstd')}")
    file, damage_errors = _decompressor(stream, suffix)
    return as_stream(file, damage_errors, COMPRESSIONS[suffix], name, max_line_bytes)


def as_stream(
    file: Any,
    damage_errors: tuple[type[Exception], ...],
    kind: str,
    name: str,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> BinaryIO:
    """Return a buffered stream of a file that decompresses; damaged data become a DataError.

    Parameters
    ----------
    file : file
        Has the method ``read1``.
    damage_errors : tuple of exceptions
        What it raises for damaged data.
    kind, name : str
        Name of the compression and of the file, for messages.
    """
    return io.BufferedReader(_Decompressed(file, damage_errors, kind, name, max_line_bytes), 1 << 16)


def compression_of(head: bytes) -> str | None:
    """Return the suffix of the compression that the first bytes of a file tell, if any."""
    return next((suffix for pattern, suffix in _FIRST_BYTES.items() if re.match(pattern, head)), None)


def damaged(name: str, kind: str, error: Exception) -> DataError:
    """Return the error for a file with damaged data."""
    if isinstance(error, EOFError):
        problem = f"is truncated: its {kind} data end too early"
    elif isinstance(error, RuntimeError) and "encrypted" in str(error):
        return DataError(f"{name} is encrypted; unpack it with its password")
    else:
        problem = f"is damaged, or is not a {kind} file ({' '.join(str(error).split())})"
    return DataError(f"{name} {problem}; fetch it again")


def compressing(stream: BinaryIO, suffix: str) -> Any:
    """Return a file that compresses what is written to it into `stream`; closing it leaves `stream` open.

    Raises OutputError if the package that compresses is missing.
    """
    if suffix == ".gz":
        import gzip

        return gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0)
    if suffix == ".bz2":
        import bz2

        return bz2.BZ2File(stream, "wb")
    if suffix == ".xz":
        import lzma

        return lzma.LZMAFile(stream, "wb")
    require_package(suffix)
    import zstandard

    return zstandard.ZstdCompressor().stream_writer(stream, closefd=False)


def require_package(suffix: str | None) -> None:
    """Raise OutputError if files with a suffix of `COMPRESSIONS` cannot be written here."""
    if suffix == ".zst" and not _has_zstandard():
        raise OutputError(f"writing .zst needs zstandard: {install_extra('zstd')}")


def _has_zstandard() -> bool:
    return importlib.util.find_spec("zstandard") is not None


def _decompressor(stream: BinaryIO, suffix: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return a file that decompresses a stream, and the exceptions that it raises for damaged data."""
    if suffix == ".gz":
        import gzip
        import zlib

        return gzip.GzipFile(fileobj=stream, mode="rb"), (EOFError, OSError, zlib.error)
    if suffix == ".bz2":
        import bz2

        return bz2.BZ2File(stream), (EOFError, OSError, ValueError)
    if suffix == ".xz":
        import lzma

        return lzma.LZMAFile(stream), (EOFError, lzma.LZMAError)
    import zstandard

    return _ZstdFrames(stream), (EOFError, zstandard.ZstdError)


class _Decompressed(io.RawIOBase):
    """Decompressed bytes; damaged data and lines that are too long become a DataError."""

    def __init__(
        self,
        file: Any,
        damage_errors: tuple[type[Exception], ...],
        kind: str,
        name: str,
        max_line_bytes: int,
    ) -> None:
        self._file, self._damage_errors = file, damage_errors
        self._kind, self._name, self._max_line_bytes = kind, name, max_line_bytes
        self._line_bytes = 0  # length so far of the line being read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read1(len(buffer))
        except self._damage_errors as error:
            raise damaged(self._name, self._kind, error) from None
        line_end = data.rfind(b"\n")
        self._line_bytes = len(data) - line_end - 1 + (0 if line_end >= 0 else self._line_bytes)
        if self._line_bytes > self._max_line_bytes:
            limit = self._max_line_bytes >> 20
            raise DataError(f"{self._name} unpacks to a line of more than {limit} MB: is it a text file?")
        buffer[: len(data)] = data
        return len(data)


class _ZstdFrames:
    """Reads Zstandard frames; unlike the package's own reader, it notices a truncated frame."""

    def __init__(self, stream: BinaryIO) -> None:
        import zstandard

        self._stream = stream
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._compressed = b""
        self._output = memoryview(b"")

    def read1(self, size: int) -> bytes:
        while not self._output:
            compressed = self._compressed or self._stream.read(_ZSTD_STEP)
            if not compressed:
                if self._frame is not None:
                    raise EOFError
                return b""
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
            self._output, self._compressed = memoryview(self._frame.decompress(compressed)), b""
            if self._frame.eof:
                self._compressed, self._frame = self._frame.unused_data, None
        data, self._output = self._output[:size], self._output[size:]
        return bytes(data)
