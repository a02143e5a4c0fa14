"""Download the files of a public data set, keep them until the set is complete, and verify their SHA-256.

A file without a published SHA-256 is accepted the first time. Its SHA-256 is stored in the cache folder and
required from then on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from lmclassify.datasets.http_download import Downloader, Progress
from lmclassify.datasets.public_sets import PublicFile, PublicSet
from lmclassify.errors import DataError, DownloadError, OutputError
from lmclassify.persistence.atomic_file import FileWriter

Say = Callable[[str], object]


def default_cache() -> Path:
    """Return the folder for unfinished downloads and checksums."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "lmclassify"


@contextlib.contextmanager
def download_set(
    chosen: PublicSet,
    cache: Path,
    *,
    urls: Mapping[str, str],
    checksums: Mapping[str, str],
    progress: Callable[[PublicFile], contextlib.AbstractContextManager[Progress]],
    say: Say,
    downloader: Downloader | None = None,
) -> Iterator[list[Path]]:
    """Yield the downloaded and verified files of a set; they are removed after the block, if it succeeds.

    Raises DownloadError if a file cannot be downloaded, or has another SHA-256 than required. Raises
    OutputError if the cache cannot be written to.

    Parameters
    ----------
    urls, checksums : mapping of str to str
        By file name: another address, and the required SHA-256.
    progress : callable
        Shows the progress of a file.
    say : callable
        Receives lines for the user.
    """
    downloader = downloader or Downloader()
    folder = cache / "downloads" / chosen.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror}; use --cache to name another folder"
        ) from None
    known = _Checksums(cache / "checksums.json")
    with _locked(folder / "lock"):
        finished = _Checksums(folder / "finished.json")  # by address, until the whole set is complete
        new: dict[str, str] = {}
        paths = []
        for file in chosen.files:
            path, url = folder / file.name, urls.get(file.name, file.url)
            name = f"{chosen.folder}/{file.name}"
            if not path.exists() or finished.get(url) != _sha256(path):
                with progress(file) as show:
                    downloader.download(url, path, max_bytes=file.max_bytes, progress=show, say=say)
            found = _sha256(path)
            expected = checksums.get(file.name) or file.sha256 or known.get(name)
            if expected is None:
                say(f"{file.name}: SHA-256 {found}, required from now on")
            elif found != expected:
                path.unlink()
                raise DownloadError(
                    f"{file.name} has SHA-256 {found}, not {expected}: refused (if the file was changed on "
                    f"purpose, use --sha256 {file.name}={found})"
                )
            if file.sha256 is None:
                new[name] = found
            finished.update({url: found})
            paths.append(path)
        try:
            yield paths
        except DataError:  # the content is not the data set: download it anew the next time
            _remove(paths)
            raise
        known.update(new)
        _remove([*paths, folder / "finished.json"])


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Checksums:
    """A JSON file with the SHA-256 of files by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = self._read()

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            found = None
        if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
            return found
        # Starting anew without asking would accept any file.
        raise DownloadError(f"{self._path} does not hold checksums; remove it to start anew")

    def get(self, name: str) -> str | None:
        return self._known.get(name)

    def update(self, new: Mapping[str, str]) -> None:
        if new.items() <= self._known.items():
            return
        self._known = self._read() | dict(new)  # another process may have changed it meanwhile
        with FileWriter(str(self._path)) as file:
            file.write_bytes(json.dumps(self._known, indent=1, sort_keys=True).encode() + b"\n")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Prevent other processes from downloading into the same folder."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DownloadError(
                f"another process is downloading into {path.parent}; wait for it, or name another --cache"
            ) from None
        yield
