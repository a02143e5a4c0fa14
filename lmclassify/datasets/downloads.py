"""Files of public sets kept until the set is complete, each checked against its SHA-256.

A file with no published SHA-256 is taken as it first comes; its own is remembered in the cache folder and
checked from then on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from lmclassify.datasets.download import Download, Progress
from lmclassify.datasets.public_sets import PublicFile, PublicSet
from lmclassify.errors import DataError, DownloadError, OutputError
from lmclassify.persistence.atomic_file import FileWriter

Say = Callable[[str], object]


def default_cache() -> Path:
    """Return the folder for unfinished downloads and remembered checksums."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "lmclassify"


@contextlib.contextmanager
def fetched(
    chosen: PublicSet,
    cache: Path,
    *,
    urls: Mapping[str, str],
    checksums: Mapping[str, str],
    progress: Callable[[PublicFile], contextlib.AbstractContextManager[Progress]],
    say: Say,
    how: Download | None = None,
) -> Iterator[list[Path]]:
    """Yield the files of a set, fetched and checked; they are removed after the block, if it succeeds.

    Parameters
    ----------
    chosen : PublicSet
    cache : Path
    urls, checksums : mapping of str to str
        By file name: where else to get it, and the SHA-256 that it must have.
    progress : callable
        Shows how far a file has come.
    say : callable
    how : Download, optional

    Raises
    ------
    DownloadError
        If a file cannot be had, or has another SHA-256 than expected.
    OutputError
        If the cache cannot be written to.
    """
    how = how or Download()
    folder = cache / "downloads" / chosen.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}; --cache names another folder") from None
    known = _Checksums(cache / "checksums.json")
    with _alone(folder / "lock"):
        finished = _Checksums(folder / "finished.json")  # by address, until the whole set is there
        new: dict[str, str] = {}
        paths = []
        for file in chosen.files:
            path, url, name = (
                folder / file.name,
                urls.get(file.name, file.url),
                f"{chosen.folder}/{file.name}",
            )
            if not path.exists() or finished.get(url) != _sha256(path):
                with progress(file) as shown:
                    how.fetch(url, path, file.most, shown, say)
            found = _sha256(path)
            expected = checksums.get(file.name) or file.sha256 or known.get(name)
            if expected is None:
                say(f"{file.name}: SHA-256 {found}, checked from now on")
            elif found != expected:
                path.unlink()
                raise DownloadError(
                    f"{file.name} has SHA-256 {found}, not {expected}: refused (if it has rightly changed: "
                    f"--sha256 {file.name}={found})"
                )
            if file.sha256 is None:
                new[name] = found
            finished.keep({url: found})
            paths.append(path)
        try:
            yield paths
        except DataError:  # not what it should be: fetched anew the next time
            _remove(paths)
            raise
        known.keep(new)
        _remove([*paths, folder / "finished.json"])


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Checksums:
    """The SHA-256 of files that came before, by name."""

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
        # Forgetting them all unasked would let anything pass.
        raise DownloadError(f"{self._path} cannot be read as checksums; remove it to begin anew")

    def get(self, name: str) -> str | None:
        return self._known.get(name)

    def keep(self, new: Mapping[str, str]) -> None:
        if new.items() <= self._known.items():
            return
        self._known = self._read() | dict(new)  # another set may have come meanwhile
        with FileWriter(str(self._path)) as file:
            file.write_bytes(json.dumps(self._known, indent=1, sort_keys=True).encode() + b"\n")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from downloading into the same folder meanwhile."""
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
