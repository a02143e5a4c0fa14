"""Files in object stores and elsewhere, by URL (fsspec; S3, Google Cloud Storage, Azure, HDFS by pyarrow)."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from lmclassify.errors import DataError, LMClassifyError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BY_PYARROW = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")


def is_url(path: str) -> bool:
    """Return whether a path is a URL, such as ``s3://bucket/folder/*.parquet``."""
    return _URL.match(path) is not None


def without_file_scheme(path: str) -> str:
    """Return the path that a URL of a local file names; anything else as it is."""
    if path[:7].lower() != "file://":
        return path
    from urllib.request import url2pathname

    return url2pathname(urlsplit(path).path)


def file_system(url: str, error: type[LMClassifyError]) -> tuple[Any, str]:
    """Return the file system of a URL, as fsspec has it, and the path there.

    Raises
    ------
    LMClassifyError
        Of the kind `error`, if there is none, or a package for it is missing.
    """
    try:
        import fsspec
        from fsspec.implementations.arrow import ArrowFSWrapper
    except ImportError:
        raise error(f"{url} needs fsspec: pip install 'lmclassify[ray]'") from None
    with told(url, error):
        if urlsplit(url).scheme.lower() in _BY_PYARROW:
            from pyarrow.fs import FileSystem

            scheme, rest, options = _split(url)
            bucket, slash, path = rest.partition("/")  # a path may hold wildcards: not for pyarrow
            files, base = FileSystem.from_uri(f"{scheme}://{bucket}{options}")
            return ArrowFSWrapper(files), f"{base}{slash}{path}"
        files, path = fsspec.url_to_fs(url)
        return files, path


@contextlib.contextmanager
def told(url: str, error: type[LMClassifyError]) -> Iterator[None]:
    """Turn what may go wrong with a URL into one line."""
    try:
        yield
    except LMClassifyError:
        raise
    except FileNotFoundError:
        raise error(f"no such file: {url}") from None
    except Exception as problem:  # each store has errors of its own
        why = " ".join(f"{problem}".split())[:300] or type(problem).__name__
        raise error(f"cannot use {url}: {why}") from None


def open_url(url: str) -> tuple[BinaryIO, int | None]:
    """Open a file for reading, and return its size in bytes, where that is known, beside it.

    Raises
    ------
    DataError
        If it cannot be opened.
    """
    files, path = file_system(url, DataError)
    with told(url, DataError):
        size = files.info(path).get("size")
        return io.BufferedReader(_Raw(files.open(path, "rb"), url)), size


def find(url: str, endings: tuple[str, ...] | None) -> list[str]:
    """Return the URLs of the files that a URL names: itself, those its wildcards match, or those in a folder.

    Parameters
    ----------
    url : str
    endings : tuple of str or None
        Of files to take from a folder; None: all. Names that begin with a dot or underscore are left out.

    Raises
    ------
    DataError
        If there are none, or they cannot be listed.
    """
    files, path = file_system(url, DataError)
    scheme, rest, options = _split(url)
    with told(url, DataError):
        if any(sign in rest for sign in "*["):
            found = [one for one in files.glob(path) if "/." not in one and not files.isdir(one)]
        elif files.isfile(path):
            return [url]
        else:
            found = [one for one in files.find(path) if is_data(one, path, endings)]
    if not found:
        raise DataError(f"no file matches {url}")
    return [f"{scheme}://{one.removeprefix(f'{scheme}://').lstrip('/')}{options}" for one in sorted(found)]


def _split(url: str) -> tuple[str, str, str]:
    """Return a URL's scheme, what follows it, and pyarrow's options behind a question mark, with that."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in _BY_PYARROW:
        return scheme, rest, ""  # a question mark may be part of a name, or what a server wants
    rest, sign, options = rest.partition("?")
    return scheme, rest, sign + options


def is_data(path: str, folder: str, endings: tuple[str, ...] | None) -> bool:
    """Return whether a file found in a folder is one to read: of these endings, and not hidden."""
    inner = path.removeprefix(folder).replace("\\", "/").strip("/").split("/")
    return not any(part.startswith((".", "_")) for part in inner) and (
        endings is None or inner[-1].lower().endswith(endings)
    )


def upload(file: Path, url: str, error: type[LMClassifyError]) -> None:
    """Copy a local file to a URL, where it appears only when it is whole.

    Raises
    ------
    LMClassifyError
        Of the kind `error`, if it cannot be written.
    """
    files, path = file_system(url, error)
    with told(url, error):
        if urlsplit(url).scheme.lower() in _OBJECT_STORES:  # what is put there is whole or not there
            files.put_file(str(file), path)
            return
        folder, _, name = path.rpartition("/")
        draft = f"{folder}/.{name}.draft"
        files.put_file(str(file), draft)
        if files.exists(path):
            files.rm_file(path)
        files.mv(draft, path)


class _Raw(io.RawIOBase):
    """A file of fsspec as Python's buffers want it."""

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
        with told(self._url, DataError):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
