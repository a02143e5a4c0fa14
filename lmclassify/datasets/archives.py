"""Read members of zip and tar.gz files into memory, bounded in size; nothing is unpacked to disk."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from lmclassify.errors import DataError, shorten

MAX_MEMBERS = 100_000
"""Members of a tar archive, several times what any known data set has; bounds the time for a hostile one."""


def read_zip_member(path: Path, member: str, max_bytes: int) -> bytes:
    """Return the content of one file of a zip archive.

    Raises DataError if the archive is damaged, lacks the member, or the member is larger.

    Parameters
    ----------
    member : str
        Its full name in the archive.
    max_bytes : int
        Largest content to accept, whatever size the archive declares.
    """
    with _archive_errors(path), zipfile.ZipFile(path) as archive:
        try:
            info = archive.getinfo(member)
        except KeyError:
            raise DataError(f"{path.name} has no member {shorten(member)}") from None
        with archive.open(info) as stream:
            content = stream.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise _too_large(f"{path.name}: {shorten(member)}", max_bytes)
        return content


def read_tar_members(
    path: Path, max_bytes: int, *, max_members: int = MAX_MEMBERS
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each regular file of a tar.gz archive.

    Raises DataError if the archive is damaged, larger, or has more members.

    Parameters
    ----------
    max_bytes : int
        Largest size of the decompressed archive to accept.
    """
    with _archive_errors(path), gzip.open(path) as decompressed:
        bounded = _Bounded(decompressed, max_bytes, path.name)
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            for number, info in enumerate(archive):
                if number >= max_members:
                    raise DataError(f"{path.name} has more than {max_members:,} members")
                stream = archive.extractfile(info) if info.isreg() else None
                if stream is not None:
                    yield info.name, stream.read()


class _Bounded(io.RawIOBase):
    """A stream that raises DataError after a number of bytes."""

    def __init__(self, stream: gzip.GzipFile, max_bytes: int, name: str) -> None:
        self._stream, self._remaining, self._max_bytes, self._name = stream, max_bytes, max_bytes, name

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(self._remaining + 1 if size < 0 else min(size, self._remaining + 1))
        self._remaining -= len(data)
        if self._remaining < 0:
            raise _too_large(self._name, self._max_bytes)
        return data


def _too_large(name: str, max_bytes: int) -> DataError:
    return DataError(f"{name} has more than {max_bytes:,} bytes, more than the data set has: refused")


@contextlib.contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    """Turn the exceptions of archive modules into one-line errors."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        NotImplementedError,  # unknown compression method
        RuntimeError,  # encrypted
    ) as error:
        raise DataError(f"{path.name} is not a readable archive: {error}") from None
