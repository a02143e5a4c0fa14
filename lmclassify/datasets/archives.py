"""Members of zip and tar.gz files, read into memory within bounds; nothing is ever unpacked to a path."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lmclassify.errors import DataError, shorten

_MOST_MEMBERS = 100_000


def read_zip_member(path: Path, member: str, most: int) -> bytes:
    """Return the content of one file of a zip archive.

    Parameters
    ----------
    path : Path
    member : str
        Its whole name in the archive.
    most : int
        Bytes that it may have at most, whatever the archive declares.

    Raises
    ------
    DataError
        If the archive is damaged, lacks the member, or the member is larger.
    """
    with _errors(path), zipfile.ZipFile(path) as archive:
        try:
            info = archive.getinfo(member)
        except KeyError:
            raise DataError(f"{path.name} holds no file {shorten(member)}") from None
        with archive.open(info) as stream:
            return _bounded(stream, most, f"{path.name}: {shorten(member)}")


def read_tar_members(path: Path, most: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of the regular files of a tar.gz archive, one by one.

    Parameters
    ----------
    path : Path
    most : int
        Bytes that all of it may have at most once decompressed.

    Raises
    ------
    DataError
        If the archive is damaged or larger, or has very many members.
    """
    with _errors(path), gzip.open(path) as unzipped:
        bounded = _Bounded(unzipped, most, path.name)
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            for number, info in enumerate(archive):
                if number >= _MOST_MEMBERS:
                    raise DataError(f"{path.name} holds more than {_MOST_MEMBERS:,} files")
                stream = archive.extractfile(info) if info.isreg() else None
                if stream is not None:
                    yield info.name, stream.read()


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than so many bytes."""

    def __init__(self, stream: gzip.GzipFile, most: int, name: str) -> None:
        self._stream, self._left, self._most, self._name = stream, most, most, name

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(found)
        if self._left < 0:
            raise _too_large(self._name, self._most)
        return found


def _bounded(stream: IO[bytes], most: int, name: str) -> bytes:
    content = stream.read(most + 1)
    if len(content) > most:
        raise _too_large(name, most)
    return content


def _too_large(name: str, most: int) -> DataError:
    return DataError(f"{name} holds more than {most:,} bytes, which the set does not: not read")


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        NotImplementedError,  # a method of compression that is not known
        RuntimeError,  # encrypted
    ) as error:
        raise DataError(f"{path.name} is no archive that can be read: {error}") from None
