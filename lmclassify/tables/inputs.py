"""Files and standard input opened for reading, unpacked where they are compressed."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from lmclassify.errors import DataError
from lmclassify.tables.compression import decompressed, split_compression
from lmclassify.tables.urls import is_url, open_url


class Input:
    """A file's bytes, or standard input's.

    Parameters
    ----------
    path : str
        Of a file, or its URL; ``-`` is standard input. An ending such as ``.gz`` says that it is compressed.

    Attributes
    ----------
    name : str
        For messages.
    stream : file
        What it holds, unpacked.
    size : int or None
        Bytes in all, packed, where that is known.

    Raises
    ------
    DataError
        If it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else path
        if is_url(path):
            self._file, self.size = open_url(path)
        else:
            self._file = _open(path)
            self.size = None if path == "-" else os.fstat(self._file.fileno()).st_size or None
        self.stream = self._file
        suffix = split_compression(path)[1]
        self._packed = suffix is not None
        if suffix is not None:
            try:
                self.stream = decompressed(self._file, suffix, self.name)
            except BaseException:
                self.close()
                raise

    def position(self, unpacked: int) -> int:
        """Return how far reading has come, on the scale of `size`, when so many bytes have been used."""
        return self._file.tell() if self._packed and not self._file.closed else unpacked

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._file is not sys.stdin.buffer:
            self._file.close()


def _open(path: str) -> BinaryIO:
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
