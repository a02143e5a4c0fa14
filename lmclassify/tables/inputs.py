"""Open files, URLs and standard input for reading, decompressed if needed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import BinaryIO

from lmclassify.errors import DataError
from lmclassify.tables.compression import compression_of, decompressed, split_compression
from lmclassify.tables.urls import is_url, open_url

_MAGIC_BYTES = 16
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # the second is an empty one


class Input:
    """The bytes of a file, a URL or standard input.

    Raises DataError if it cannot be opened.

    Parameters
    ----------
    path : str
        A path or URL; ``-`` is standard input. It is decompressed if its suffix, such as ``.gz``, or its
        first bytes say so; of a zip file, its only table is read.

    Attributes
    ----------
    name : str
        For messages; of a zip file, with the name of the table in it.
    stream : file
        The decompressed content.
    size : int or None
        Size in bytes before decompression, if known.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else path
        if is_url(path):
            self._file, self.size = open_url(path)
        else:
            self._file = open_file(path)
            self.size = None if path == "-" else os.fstat(self._file.fileno()).st_size or None
        self.stream = self._file
        self._copy: BinaryIO | None = None
        self._is_compressed = False
        try:
            self._decompress(split_compression(path)[1])
        except BaseException:
            self.close()
            raise

    def _decompress(self, suffix: str | None) -> None:
        head = self._peek()
        suffix = suffix or compression_of(head)
        if suffix is not None:
            self._is_compressed = True
            self.stream = decompressed(self.stream, suffix, self.name)
            head = self._peek()
        if head.startswith(_ZIP):
            from lmclassify.tables.zip_files import open_zip

            self.make_seekable()
            self.stream, member = open_zip(self.stream, self.name)
            if member:
                self._is_compressed = True
                self.name = f"{self.name}/{member}"
                suffix = compression_of(self._peek())
                if suffix is not None:
                    self.stream = decompressed(self.stream, suffix, self.name)

    def _peek(self) -> bytes:
        return bytes(self.stream.peek(_MAGIC_BYTES))  # type: ignore[attr-defined]

    def make_seekable(self) -> None:
        """Replace a stream that cannot seek, such as standard input, by a temporary copy."""
        if self._copy is None and (self.stream is sys.stdin.buffer or not self.stream.seekable()):
            self._copy = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
            shutil.copyfileobj(self.stream, self._copy)
            self._copy.seek(0)
            self.stream = self._copy

    def position(self, decompressed_bytes: int) -> int:
        """Return the read position on the scale of `size`, given the number of decompressed bytes used."""
        if self._is_compressed and self.size is not None and not self._file.closed:
            return self._file.tell()
        return decompressed_bytes

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._copy is not None:
            self._copy.close()
        if self._file is not sys.stdin.buffer:
            self._file.close()


def open_file(path: str) -> BinaryIO:
    """Open a file, or standard input for ``-``. Raises DataError if it cannot be opened."""
    if path == "-":
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise DataError(f"no such file: {path}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name a file in it") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
