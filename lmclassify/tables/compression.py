"""Files compressed with gzip, bzip2, xz or Zstandard, as streams: no more is unpacked than is asked for."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any, BinaryIO

from lmclassify.errors import DataError, OutputError

COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard"}
"""What an ending says."""

_LONGEST_LINE = 1 << 26  # a line is held in memory as a whole, and a small file can unpack to a huge one
_ZSTD_STEP = 1 << 10  # compressed bytes a step; they unpack to 32 MB at most


def split_compression(path: str) -> tuple[str, str | None]:
    """Return a path without its ending of a compressed file, and that ending or None."""
    suffix = Path(path).suffix.lower()
    if suffix in COMPRESSIONS:
        return path[: -len(suffix)], suffix
    return path, None


def decompressed(stream: BinaryIO, suffix: str, name: str) -> BinaryIO:
    """Return what a compressed stream holds; several members or frames are read as one.

    Parameters
    ----------
    stream : file
        Read from where it stands; not closed.
    suffix : str
        One of `COMPRESSIONS`.
    name : str
        Of the file, for messages.

    Raises
    ------
    DataError
        If the package that unpacks it is missing; while reading, if the stream is damaged or cut short.
    """
    if suffix == ".zst" and not _has_zstandard():
        raise DataError(f'{name}: .zst needs zstandard: pip install "lmclassify[zstd]"')
    return io.BufferedReader(_Unpacked(_unpacking(stream, suffix), suffix, name), 1 << 16)


def compressing(stream: BinaryIO, suffix: str) -> Any:
    """Return a file to write to that compresses into `stream`, which its `close` leaves open.

    Raises
    ------
    OutputError
        If the package that compresses is missing.
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
    if not _has_zstandard():
        raise OutputError('writing .zst needs zstandard: pip install "lmclassify[zstd]"')
    import zstandard

    return zstandard.ZstdCompressor().stream_writer(stream, closefd=False)


def _has_zstandard() -> bool:
    return importlib.util.find_spec("zstandard") is not None


def _unpacking(stream: BinaryIO, suffix: str) -> Any:
    if suffix == ".gz":
        import gzip

        return gzip.GzipFile(fileobj=stream, mode="rb")
    if suffix == ".bz2":
        import bz2

        return bz2.BZ2File(stream)
    if suffix == ".xz":
        import lzma

        return lzma.LZMAFile(stream)
    return _ZstdFrames(stream)


def _errors(suffix: str) -> tuple[type[Exception], ...]:
    """Return what tells of damage."""
    if suffix == ".gz":
        import zlib

        return (EOFError, OSError, zlib.error)
    if suffix == ".xz":
        import lzma

        return (EOFError, lzma.LZMAError)
    if suffix == ".zst":
        import zstandard

        return (EOFError, zstandard.ZstdError)
    return (EOFError, OSError, ValueError)


class _Unpacked(io.RawIOBase):
    def __init__(self, file: Any, suffix: str, name: str) -> None:
        self._file, self._suffix, self._name = file, suffix, name
        self._errors = _errors(suffix)
        self._without_end = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read1(len(buffer))
        except self._errors as error:
            kind = COMPRESSIONS[self._suffix]
            if isinstance(error, EOFError):
                problem = f"is cut short: its {kind} data have no end"
            else:
                problem = f"is damaged, or no {kind} file ({' '.join(str(error).split())})"
            raise DataError(f"{self._name} {problem}; fetch it again") from None
        self._without_end = len(data) - data.rfind(b"\n") - 1 + (0 if b"\n" in data else self._without_end)
        if self._without_end > _LONGEST_LINE:
            raise DataError(f"{self._name} unpacks to a line of more than {_LONGEST_LINE >> 20} MB: no text")
        buffer[: len(data)] = data
        return len(data)


class _ZstdFrames:
    """Reads Zstandard frames; unlike the package's own reader, it notices a frame that is cut short."""

    def __init__(self, stream: BinaryIO) -> None:
        import zstandard

        self._stream = stream
        self._unpacker = zstandard.ZstdDecompressor()
        self._frame: Any = None
        self._packed = b""
        self._ready = memoryview(b"")

    def read1(self, size: int) -> bytes:
        while not self._ready:
            packed = self._packed or self._stream.read(_ZSTD_STEP)
            if not packed:
                if self._frame is not None:
                    raise EOFError
                return b""
            if self._frame is None:
                self._frame = self._unpacker.decompressobj()
            self._ready, self._packed = memoryview(self._frame.decompress(packed)), b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        data, self._ready = self._ready[:size], self._ready[size:]
        return bytes(data)
