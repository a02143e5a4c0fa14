"""Writes saved models: a crash at any moment leaves the old model or the new one, whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lmclassify.errors import ModelError, OutputError, listing
from lmclassify.persistence import journal_records
from lmclassify.persistence.layout import (
    CONFIG,
    FIT,
    FORMAT,
    FORMAT_VERSION,
    JOURNAL_FILE,
    JOURNAL_MODES,
    MAX_CONFIG_BYTES,
    MAX_JSON_VALUES,
    NUMBERED_FILE,
    RECORD_KEY,
    TRAINING,
    UNFINISHED,
    UNFINISHED_FORMAT,
    ModelFile,
    StoredModel,
    config_checksum,
    count_json_values,
    is_checkpoint,
    journal_name,
    render_config,
)
from lmclassify.persistence.reading import open_regular_file, read_config

if sys.platform != "win32":
    import fcntl

MAX_ATTEMPTS = 100
"""Tries to work in a new folder that other processes remove after checking that they can write there."""

_MARK = b"lmclassify"
_MARK_WITHIN = 256  # bytes: every file of ours has the mark in its first few
_held = threading.local()  # its `folders`: device and inode of the folders that this thread has locked


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return the path of a folder that a model may be written to: it is new, empty, or holds only a model.

    Raises OutputError if it is something else, or nothing can be written there.
    """
    folder = Path(path)

    def check() -> None:
        _require_only_model(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass

    _work_in(folder, check)
    return folder


def _work_in(folder: Path, work: Callable[[], None]) -> None:
    """Do some work in a folder. A new folder is created before, and removed after if it is empty.

    Raises OutputError if it fails.
    """
    created = [parent for parent in (folder, *folder.parents) if not os.path.lexists(parent)]
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file; a model is a folder: choose another name")
        for attempt in range(MAX_ATTEMPTS):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                work()
                return
            except (FileNotFoundError, FileExistsError):  # another process has just removed the folder
                if attempt + 1 == MAX_ATTEMPTS:
                    raise
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write the model to {folder}: {error.strerror or error}") from error
    finally:
        for parent in created:
            with contextlib.suppress(OSError), locked(parent, wait=False):
                parent.rmdir()


def _require_only_model(folder: Path) -> None:
    others = [entry.name for entry in folder.iterdir() if not _is_ours(entry)]
    if others:
        raise OutputError(
            f"{folder} holds files that are no model's ({listing(sorted(others), 3)}); choose another folder"
        )


def _is_ours(path: Path) -> bool:
    if path.name == UNFINISHED and path.is_dir() and not path.is_symlink():
        return _is_unfinished_fit(path)
    if path.name not in (CONFIG, TRAINING) and not _numbered(path.name):
        return False
    try:
        with open_regular_file(path) as file:
            head = file.read(_MARK_WITHIN)
    except FileNotFoundError:  # another writer has just removed it
        return True
    except ModelError:
        return False
    return not head.strip(b"\0") or _MARK in head  # a crash may leave an empty file, or one of zeros


def _numbered(name: str) -> re.Match[str] | None:
    return NUMBERED_FILE.fullmatch(name) or JOURNAL_FILE.fullmatch(name)


def _is_unfinished_fit(folder: Path) -> bool:
    entries = list(folder.iterdir())
    if not all(is_checkpoint(entry) and stat.S_ISREG(entry.lstat().st_mode) for entry in entries):
        return False
    fit = folder / FIT
    if fit in entries:
        with open_regular_file(fit) as file:
            return UNFINISHED_FORMAT.encode() in file.read(_MARK_WITHIN)
    return all(entry.name.startswith(".") for entry in entries)  # killed before it was written


def write_model(
    path: str | os.PathLike[str],
    model: StoredModel,
    *,
    journals: Mapping[str, Iterable[bytes]] | None = None,
) -> None:
    """Write a model, replacing an existing one with its journals as a whole.

    Raises OutputError if the folder holds something else or cannot be written. The existing model is then
    unchanged.

    Parameters
    ----------
    journals : dict of str to records, optional
        Records of the new model's journals, by suffix (`lmclassify.persistence.layout.JOURNAL_MODES`). To
        carry over what the existing ones hold, read them and write the model inside ``with locked(folder)``.
    """
    folder = Path(path)
    render_config(model.config)  # a value that JSON cannot hold fails before anything is written
    record = "".join(json.dumps(entry) + "\n" for entry in model.training)

    def commit() -> None:
        with locked(folder):
            _require_only_model(folder)
            _commit(folder, model, record, journals or {})

    _work_in(folder, commit)


def _commit(folder: Path, model: StoredModel, record: str, journals: Mapping[str, Iterable[bytes]]) -> None:
    written: list[Path] = []
    try:
        number = _next_number(folder)
        reusable = _names_by_content(folder)
        entries = []
        for file in model.files:
            entry = _entry(file)
            name = reusable.pop((file.suffix, entry["sha256"]), None)
            if name is None or not _has_content(folder / name, file.content):
                name = f"{number}.{file.suffix}"
                write_file(folder / name, file.content, written)
                number += 1
            entries.append({"name": name, **entry})
        config = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **model.config,
            "files": entries,
            "next_number": number + 2,
        }
        config["checksum"] = config_checksum(config)
        draft, record_draft = folder / f"{number}.json", folder / f"{number + 1}.json"
        content = render_config(config)
        if len(content) > MAX_CONFIG_BYTES or count_json_values(content) > MAX_JSON_VALUES:
            raise OutputError(f"cannot write the model to {folder}: it has too many labels")
        write_file(draft, content, written)
        first = json.dumps({RECORD_KEY: config["checksum"]}) + "\n"
        write_file(record_draft, (first + record).encode("ascii"), written)
        keep = {record_draft.name, *(entry["name"] for entry in entries)}
        header = journal_records.header(config["checksum"])
        for suffix, records in journals.items():
            name = journal_name(config["next_number"], suffix)
            if (content := journal_records.encode_all(config["checksum"], records)) != header:
                write_file(folder / name, content, written, JOURNAL_MODES[suffix])
                keep.add(name)
        sync_folder(folder)
        os.replace(draft, folder / CONFIG)
    except (OSError, ValueError):
        for path in written:
            path.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # the model is committed
        os.replace(record_draft, folder / TRAINING)
        sync_folder(folder)
    # The record's draft is still there if it could not be renamed; a reader finds it.
    _remove_unlisted(folder, keep)


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder's lock. The lock ends with the process, however that ends.

    A thread that holds the lock may ask for it again, unless `wait` is False.

    Raises BlockingIOError if somebody holds it and `wait` is False. Raises OSError if the folder
    cannot be opened, or was removed while this process waited.

    Parameters
    ----------
    wait : bool, default=True
        Wait for another process or thread that holds the lock.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        identity = status.st_dev, status.st_ino
        held: set[tuple[int, int]] = _held.__dict__.setdefault("folders", set())
        if wait and identity in held:
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # not every file system has locks
        if not os.path.samestat(status, os.stat(folder)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        held.add(identity)
        try:
            yield
        finally:
            held.discard(identity)
    finally:
        os.close(descriptor)


def _names_by_content(folder: Path) -> dict[tuple[str, str], str]:
    """Return the existing model's file names by suffix and SHA-256: unchanged files are kept."""
    with contextlib.suppress(ModelError):
        entries = read_config(folder)["files"]
        files = [(NUMBERED_FILE.fullmatch(entry["name"]), entry["sha256"]) for entry in entries]
        return {(match[2], sha256): match[0] for match, sha256 in files if match}
    return {}


def _has_content(path: Path, content: bytes) -> bool:
    with contextlib.suppress(OSError):
        return path.read_bytes() == content
    return False


def _next_number(folder: Path) -> int:
    numbers = [int(match[1]) for entry in folder.iterdir() if (match := _numbered(entry.name))]
    with contextlib.suppress(ModelError):
        numbers.append(read_config(folder)["next_number"] - 1)
    return max(numbers, default=0) + 1


def _entry(file: ModelFile) -> dict[str, Any]:
    """Return the entry of a file in config.json, without its name."""
    entry: dict[str, Any] = {"role": file.role}
    if file.label is not None:
        entry["label"] = file.label
    return {**entry, "size": len(file.content), "sha256": hashlib.sha256(file.content).hexdigest()}


def write_file(path: Path, content: bytes, written: list[Path], mode: int = 0o666) -> None:
    """Write a new file, flushed to the disk, and add its path to a list once it exists."""
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        written.append(path)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unlisted(folder: Path, keep: set[str]) -> None:
    """Remove the files of older models and of crashed writers."""
    for entry in folder.iterdir():
        if _numbered(entry.name) and entry.name not in keep:
            with contextlib.suppress(OSError):
                entry.unlink()
