"""Access files by URL with fsspec; pyarrow serves S3, Google Cloud Storage, Azure and HDFS."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from lmclassify.errors import DataError, LMClassifyError
from lmclassify.extras import install_extra

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BY_PYARROW = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")


def is_url(path: str) -> bool:
    """Return whether a path is a URL, such as ``s3://bucket/folder/*.parquet``."""
    return _URL.match(path) is not None


def without_file_scheme(path: str) -> str:
    """Return the path of a ``file://`` URL; any other path or URL unchanged."""
    if path[:7].lower() != "file://":
        return path
    from urllib.request import url2pathname

    return url2pathname(urlsplit(path).path)


def file_system(url: str, error: type[LMClassifyError]) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it.

    Raises
    ------
    LMClassifyError
        Of the type `error`, if there is no such file system, or its package is missing.
    """
    try:
        import fsspec
        from fsspec.implementations.arrow import ArrowFSWrapper
    except ImportError:
        raise error(f"{url} needs fsspec: {install_extra('ray')}") from None
    with url_errors(url, error):
        if urlsplit(url).scheme.lower() in _BY_PYARROW:
            from pyarrow.fs import FileSystem

            scheme, rest, options = _split(url)
            bucket, slash, path = rest.partition("/")  # pyarrow must not see wildcards
            files, base = FileSystem.from_uri(f"{scheme}://{bucket}{options}")
            return ArrowFSWrapper(files), f"{base}{slash}{path}"
        files, path = fsspec.url_to_fs(url)
        return files, path


@contextlib.contextmanager
def url_errors(url: str, error: type[LMClassifyError]) -> Iterator[None]:
    """Turn any exception of a file system into a one-line `error`."""
    try:
        yield
    except LMClassifyError:
        raise
    except FileNotFoundError:
        raise error(f"no such file: {url}") from None
    except Exception as problem:  # every store has its own exceptions
        reason = " ".join(f"{problem}".split())[:300] or type(problem).__name__
        raise error(f"cannot use {url}: {reason}") from None


def open_url(url: str) -> tuple[BinaryIO, int | None]:
    """Open a file for reading; return it and its size in bytes, if known.

    Raises DataError if it cannot be opened.
    """
    files, path = file_system(url, DataError)
    with url_errors(url, DataError):
        size = files.info(path).get("size")
        return io.BufferedReader(_Raw(files.open(path, "rb"), url)), size


def list_files(url: str, suffixes: tuple[str, ...] | None) -> list[str]:
    """Return the URLs of the files that a URL names: one file, those that match wildcards, or a folder's.

    Raises DataError if there is none, or they cannot be listed.

    Parameters
    ----------
    suffixes : tuple of str or None
        Suffixes of the files to take from a folder; None takes all. Names that begin with a dot or
        underscore are left out.
    """
    files, path = file_system(url, DataError)
    scheme, rest, options = _split(url)
    with url_errors(url, DataError):
        if any(wildcard in rest for wildcard in "*["):
            found = [match for match in files.glob(path) if "/." not in match and not files.isdir(match)]
        elif files.isfile(path):
            return [url]
        else:
            found = [inside for inside in files.find(path) if is_data_file(inside, path, suffixes)]
    if not found:
        raise DataError(f"no file matches {url}")
    prefix = f"{scheme}://"
    return [f"{prefix}{match.removeprefix(prefix).lstrip('/')}{options}" for match in sorted(found)]


def _split(url: str) -> tuple[str, str, str]:
    """Return a URL's scheme, its path, and the query that holds pyarrow's options."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in _BY_PYARROW:
        return scheme, rest, ""  # a question mark may be part of a file name
    rest, sign, options = rest.partition("?")
    return scheme, rest, sign + options


def is_data_file(path: str, folder: str, suffixes: tuple[str, ...] | None) -> bool:
    """Return whether a file in a folder is to be read: it has one of the suffixes and is not hidden."""
    inner = path.removeprefix(folder).replace("\\", "/").strip("/").split("/")
    return not any(part.startswith((".", "_")) for part in inner) and (
        suffixes is None or inner[-1].lower().endswith(suffixes)
    )


def upload(file: Path, url: str, error: type[LMClassifyError]) -> None:
    """Copy a local file to a URL, where it appears only when it is complete.

    Raises
    ------
    LMClassifyError
        Of the type `error`, if it cannot be written.
    """
    files, path = file_system(url, error)
    with url_errors(url, error):
        if urlsplit(url).scheme.lower() in _OBJECT_STORES:  # an upload there is atomic
            files.put_file(str(file), path)
            return
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/.{name}.draft"
        files.put_file(str(file), temporary)
        if files.exists(path):
            files.rm_file(path)
        files.mv(temporary, path)


class _Raw(io.RawIOBase):
    """An fsspec file as a raw stream for `io.BufferedReader`."""

    def __init__(self, file: Any, url: str) -> None:
        self._file, self._url = file, url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with url_errors(self._url, DataError):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
