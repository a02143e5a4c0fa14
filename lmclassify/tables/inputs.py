"""Open files, URLs and standard input for reading, decompressed if needed."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from lmclassify.errors import DataError
from lmclassify.tables.compression import decompressed, split_compression
from lmclassify.tables.urls import is_url, open_url


class Input:
    """The bytes of a file, a URL or standard input.

    Raises DataError if it cannot be opened.

    Parameters
    ----------
    path : str
        A path or URL; ``-`` is standard input. A suffix such as ``.gz`` means that it is compressed.

    Attributes
    ----------
    name : str
        For messages.
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
        suffix = split_compression(path)[1]
        self._is_compressed = suffix is not None
        if suffix is not None:
            try:
                self.stream = decompressed(self._file, suffix, self.name)
            except BaseException:
                self.close()
                raise

    def position(self, decompressed_bytes: int) -> int:
        """Return the read position on the scale of `size`, given the number of decompressed bytes used."""
        if self._is_compressed and not self._file.closed:
            return self._file.tell()
        return decompressed_bytes

    def close(self) -> None:
        """Close the file; standard input stays open."""
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
