"""A saved model: a folder of data that can run no code. The one place that knows its layout.

``config.json``
    the only commit point: format version, settings, labels and priors, every other file with its role,
    size and SHA-256, and a checksum of itself. Replaced last, by one ``os.replace``.
``<number>.json``, ``<number>.safetensors``
    the parts. A number is never used twice in a folder, so a commit overwrites nothing that the
    model before it needs; a part that has not changed stays where it is. Files that config.json
    does not list are ignored, and removed after the next commit.
``training.jsonl``
    the training record, the only place for times and dates. It names the model it belongs to. It is
    written beforehand, under a number, and takes its name once the model is committed.
``unfinished``
    a folder that is no part of the model: checkpoints of a fit that has not ended.

Each of them has the word lmclassify near its beginning, so that no file of another kind is taken for
part of a model. A crash at any moment leaves the old model or the new one.

A folder may come from anybody, and a checksum is soon made to fit: what is read is bounded in size, and is
of plain files alone, for a link leads anywhere and a pipe keeps its reader waiting.
"""

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError

from lmclassify.errors import ModelError, OptionError, OutputError, listing, printable, shorten
from lmclassify.persistence.training_record import is_entry

if sys.platform != "win32":
    import fcntl

FORMAT = "lmclassify model"
FORMAT_VERSION = 4
CONFIG = "config.json"
TRAINING = "training.jsonl"
UNFINISHED = "unfinished"
"""Folder in a model's for the checkpoints of a fit; see `lmclassify.classify.training.checkpoints`."""
UNFINISHED_FORMAT = "lmclassify unfinished fit"
FIT = "fit.json"
"""File there that says what is being fitted; its format is `UNFINISHED_FORMAT`."""

_CHECKPOINT = re.compile(r"(\.)?(fit\.json|[1-9][0-9]{0,8}\.safetensors)(?(1)\.\w{8})")  # or its draft
_PART = re.compile(r"([1-9][0-9]{0,17})\.(json|safetensors)")
_LARGEST_CONFIG = 1 << 26  # bytes
_LARGEST_TRAINING = 1 << 26
_MOST_VALUES = 1 << 20  # of a JSON file: each takes up to 130 bytes of memory, and few of the file
_HOLLOW = 1 << 27  # bytes from which on a file that is nearly all holes is refused
_LONGEST_PROBLEM = 200  # characters of a message that a file's content may have a part in
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_MARK = b"lmclassify"
_RECORD_OF = "lmclassify"
_MARK_WITHIN = 256  # bytes
_READ_ATTEMPTS = 20
_WRITE_ATTEMPTS = 20
UNUSABLE = (
    AttributeError,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    OverflowError,
    RecursionError,
    OptionError,
    SafetensorError,
)
"""What content that makes no sense leads to where it is read."""
_ENTRY_TYPES = {"name": str, "role": str, "size": int, "sha256": str}


@dataclass(frozen=True)
class Part:
    """One file of a model."""

    role: str
    """What it is for: ``tokenizer``, ``lm``."""
    content: bytes
    suffix: str
    """``json`` or ``safetensors``."""
    label: int | None = None
    """Index of the label that it belongs to."""
    path: str = field(default="", compare=False)
    """Where it was read."""


@dataclass(frozen=True)
class StoredModel:
    """What a folder holds, in plain data."""

    config: dict[str, Any]
    """All of config.json but format, files and checksum."""
    parts: list[Part]
    training: list[dict[str, Any]] = field(default_factory=list)
    path: str = field(default="", compare=False)
    """Where config.json was read."""


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return a folder's path if a model may be written there: it is new, empty, or holds a model alone.

    Raises
    ------
    OutputError
        If it is something else, or nothing can be written there.
    """
    folder = Path(path)
    new = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file; a model is a folder: choose another name")
        folder.mkdir(parents=True, exist_ok=True)
        others = [entry.name for entry in folder.iterdir() if not _is_ours(entry)]
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write the model to {folder}: {error.strerror}") from error
    finally:
        for place in new:
            with contextlib.suppress(OSError):
                place.rmdir()
    if others:
        raise OutputError(
            f"{folder} holds files that are no model's ({listing(sorted(others), 3)}); choose another folder"
        )
    return folder


def _is_ours(path: Path) -> bool:
    if path.name == UNFINISHED and path.is_dir() and not path.is_symlink():
        return _is_unfinished_fit(path)
    if path.name not in (CONFIG, TRAINING) and not _PART.fullmatch(path.name):
        return False
    try:
        with _open(path) as file:
            head = file.read(_MARK_WITHIN)
    except FileNotFoundError:  # another writer has just tidied it away
        return True
    except ModelError:
        return False
    return not head or _MARK in head  # a crash may leave an empty file


def is_checkpoint(path: Path) -> bool:
    """Return whether a file of the folder `UNFINISHED` has a name of ours."""
    return _CHECKPOINT.fullmatch(path.name) is not None


def _is_unfinished_fit(folder: Path) -> bool:
    entries = list(folder.iterdir())
    if not all(is_checkpoint(entry) and stat.S_ISREG(entry.lstat().st_mode) for entry in entries):
        return False
    fit = folder / FIT
    if fit in entries:
        with _open(fit) as file:
            return UNFINISHED_FORMAT.encode() in file.read(_MARK_WITHIN)
    return all(entry.name.startswith(".") for entry in entries)  # killed before it was written


def write_model(path: str | os.PathLike[str], model: StoredModel, *, replaces: str | None = None) -> None:
    """Write a model, replacing one that is there as a whole.

    Parameters
    ----------
    path : path
    model : StoredModel
    replaces : str, optional
        What `checksum_of` said of the model there that this one was made from.

    Raises
    ------
    OutputError
        If the folder holds something else, cannot be written, or holds another model than the one that is
        to be replaced; what is there is then whole.
    """
    folder = check_target(path)
    _render(model.config)  # what JSON cannot hold fails before anything is written
    record = "".join(json.dumps(entry) + "\n" for entry in model.training)
    new_folder = not folder.exists()
    for attempt in range(_WRITE_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                if replaces is not None and checksum_of(folder) != replaces:
                    raise OutputError(f"{folder} was changed by another process meanwhile: run this again")
                _commit(folder, model, record)
            return
        except OSError as error:
            if attempt + 1 < _WRITE_ATTEMPTS and new_folder and not folder.exists():
                continue  # another process has tried whether it can write there, and tidied up
            if new_folder:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"cannot write the model to {folder}: {error.strerror or error}") from error


def checksum_of(path: str | os.PathLike[str]) -> str:
    """Return what tells a saved model from any other.

    Raises
    ------
    ModelError
        If there is none.
    """
    return str(_read_config(Path(path))["checksum"])


def _commit(folder: Path, model: StoredModel, record: str) -> None:
    written: list[Path] = []
    try:
        number = _next_number(folder)
        there = _parts_there(folder)
        files = []
        for part in model.parts:
            entry = _entry(part)
            name = there.pop((part.suffix, entry["sha256"]), None)
            if name is None or not _holds(folder / name, part.content):
                name = f"{number}.{part.suffix}"
                _write(folder / name, part.content, written)
                number += 1
            files.append({"name": name, **entry})
        config = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **model.config,
            "files": files,
            "next_number": number + 2,
        }
        config["checksum"] = _checksum(config)
        draft, record_draft = folder / f"{number}.json", folder / f"{number + 1}.json"
        content = _render(config)
        if len(content) > _LARGEST_CONFIG or _values(content) > _MOST_VALUES:
            raise OutputError(f"cannot write the model to {folder}: it has too many labels")
        _write(draft, content, written)
        first = json.dumps({_RECORD_OF: config["checksum"]}) + "\n"
        _write(record_draft, (first + record).encode("ascii"), written)
        _sync_folder(folder)
        os.replace(draft, folder / CONFIG)
    except OSError:
        for file in written:
            file.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # the model is committed
        os.replace(record_draft, folder / TRAINING)
        _sync_folder(folder)
    _tidy(folder, {entry["name"] for entry in files})


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Let one writer in at a time. The lock ends with its process, come what may.

    Raises
    ------
    BlockingIOError
        If another one has it, and it is not to be waited for.
    OSError
        If the folder cannot be opened.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # not every file system has locks
        yield
    finally:
        os.close(descriptor)


def _parts_there(folder: Path) -> dict[tuple[str, str], str]:
    """Return the names of the files of the model that a folder holds, by suffix and SHA-256.

    What does not change is not written again, so that a label's files stay as they are beside another's.
    """
    with contextlib.suppress(ModelError):
        files = [(_PART.fullmatch(entry["name"]), entry["sha256"]) for entry in _read_config(folder)["files"]]
        return {(match[2], sha256): match[0] for match, sha256 in files if match}
    return {}


def _holds(path: Path, content: bytes) -> bool:
    with contextlib.suppress(OSError):
        return path.read_bytes() == content
    return False


def _next_number(folder: Path) -> int:
    numbers = [int(match[1]) for entry in folder.iterdir() if (match := _PART.fullmatch(entry.name))]
    with contextlib.suppress(ModelError):
        numbers.append(_read_config(folder)["next_number"] - 1)
    return max(numbers, default=0) + 1


def _entry(part: Part) -> dict[str, Any]:
    """Return what config.json says of a part besides its name."""
    entry: dict[str, Any] = {"role": part.role}
    if part.label is not None:
        entry["label"] = part.label
    return {**entry, "size": len(part.content), "sha256": hashlib.sha256(part.content).hexdigest()}


def _write(path: Path, content: bytes, written: list[Path]) -> None:
    with open(path, "xb") as file:
        written.append(path)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tidy(folder: Path, keep: set[str]) -> None:
    """Remove the parts of older models, and what crashes left."""
    for entry in folder.iterdir():
        if _PART.fullmatch(entry.name) and entry.name not in keep:
            with contextlib.suppress(OSError):
                entry.unlink()


def _render(config: dict[str, Any]) -> bytes:
    return json.dumps(config, indent=1, allow_nan=False).encode("ascii") + b"\n"


def _checksum(config: dict[str, Any]) -> str:
    rest = {key: value for key, value in config.items() if key != "checksum"}
    return hashlib.sha256(_render(rest)).hexdigest()


def _with_checksum(content: bytes) -> bytes:
    """Return what `_render` made with the checksum that it should have, which stands last."""
    end = len(b',\n "checksum": ""\n}\n') + 2 * hashlib.sha256().digest_size
    rest = content[:-end]
    checksum = hashlib.sha256(rest + b"\n}\n").hexdigest()
    return rest + f',\n "checksum": "{checksum}"\n}}\n'.encode()


def read_model(path: str | os.PathLike[str]) -> StoredModel:
    """Read a model and check every file of it.

    Raises
    ------
    ModelError
        If there is none, it is damaged, or a newer version made it.
    """
    folder = Path(path)
    config = _read_config(folder)
    for _ in range(_READ_ATTEMPTS):
        try:
            parts = [_read_part(folder, entry) for entry in config["files"]]
            break
        except ModelError:
            again = _read_config(folder)
            if again["checksum"] == config["checksum"]:
                raise
            config = again  # another process has replaced the model meanwhile
    else:
        raise ModelError(f"{folder} is replaced faster than it can be read; try again")
    training = _read_training(folder, config)
    own = {"format", "format_version", "files", "next_number", "checksum"}
    rest = {key: value for key, value in config.items() if key not in own}
    return StoredModel(rest, parts, training, str(folder / CONFIG))


def _read_config(folder: Path) -> dict[str, Any]:
    remedy = "make one with `lmclassify fit`, or name another with -m"
    if not folder.exists():
        raise ModelError(f"no model at {folder}: {remedy}")
    if not folder.is_dir():
        raise ModelError(f"{folder} is a file; a model is a folder: {remedy}")
    path = folder / CONFIG
    if not os.path.lexists(path):
        if (folder / UNFINISHED).is_dir():
            remedy = "its fit was not finished: go on with the same `lmclassify fit` and --resume"
        raise ModelError(f"{folder} holds no model (it has no {CONFIG}): {remedy}")
    content = read_plain(path, _LARGEST_CONFIG)
    try:
        config = parse_json(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is no JSON ({problem(error)})") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ModelError(f"{path} is not the config of an lmclassify model")
    version = config.get("format_version")
    if isinstance(version, int) and version != FORMAT_VERSION:
        newer = version > FORMAT_VERSION
        other, remedy = ("a newer", "upgrade lmclassify") if newer else ("an older", "fit the model again")
        raise ModelError(
            f"{path}: {other} lmclassify made this model (format {version}; this one reads format "
            f"{FORMAT_VERSION}): {remedy}"
        )
    if type(version) is not int or content != _with_checksum(content):
        raise _damaged(path, "its checksum is wrong")
    if not _lists_files(config):
        raise _damaged(path, "its list of files makes no sense")
    return config


def _lists_files(config: dict[str, Any]) -> bool:
    files, next_number = config.get("files"), config.get("next_number")
    if not isinstance(files, list) or type(next_number) is not int or not 0 < next_number < 10**17:
        return False
    for entry in files:
        if not isinstance(entry, dict):
            return False
        if any(type(entry.get(key)) is not kind for key, kind in _ENTRY_TYPES.items()):
            return False
        if not 0 <= entry["size"] < 1 << 48 or type(entry.get("label", 0)) is not int:
            return False
    return len({entry["name"] for entry in files}) == len(files)  # else a small file could be read often


def _read_part(folder: Path, entry: dict[str, Any]) -> Part:
    name = entry["name"]
    match = _PART.fullmatch(name)
    if match is None:
        raise _damaged(folder / CONFIG, f"it lists a file named {shorten(name)}")
    path = folder / name
    content = read_plain(path, entry["size"])
    if len(content) != entry["size"] or hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _damaged(path, "its size or checksum is wrong")
    return Part(entry["role"], content, match[2], entry.get("label"), str(path))


def read_plain(path: Path, limit: int) -> bytes:
    """Return a plain file's bytes.

    Raises
    ------
    ModelError
        If it is missing or no plain file, cannot be read, or holds more than `limit` bytes.
    """
    try:
        with _open(path) as file:
            about = os.fstat(file.fileno())
            if about.st_size > limit:
                raise _damaged(path, "its size or checksum is wrong")
            if about.st_size > _HOLLOW and _is_hollow(file, about):
                raise _damaged(path, "nearly all of it is missing")
            return file.read(about.st_size + 1)
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def _open(path: Path) -> BinaryIO:
    """Open a plain file.

    Raises
    ------
    ModelError
        If it is something else.
    OSError
        If it cannot be opened.
    """
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            return open(path, "rb", opener=lambda name, flags: os.open(name, flags | _PLAIN))
    except OSError as error:
        if error.errno != errno.ELOOP:  # a link that has just come
            raise
    raise ModelError(
        f"{path} is a link, a folder or a device, and a model's files are plain files: copy the model "
        "with what its links lead to (cp -rL)"
    )


def _is_hollow(file: BinaryIO, about: os.stat_result) -> bool:
    """Return whether a file takes hardly any room on the disk, and is not merely compressed there."""
    if not hasattr(os, "SEEK_HOLE") or about.st_blocks * 512 * 16 > about.st_size:
        return False
    hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return hole < about.st_size


def parse_json(content: bytes) -> Any:
    """Parse a JSON file of a model.

    Raises
    ------
    ValueError, RecursionError
        If it is no JSON, holds NaN or an infinite number, or has more values than a model's may.
    """
    require_few_values(content)
    return json.loads(content, parse_constant=_refuse_constant)


def require_few_values(content: bytes) -> None:
    """Raise ValueError if some JSON text would take far more memory than its bytes."""
    if _values(content) > _MOST_VALUES:
        raise ValueError("too many values")


def _values(content: bytes) -> int:
    """Return how many values some JSON text holds, at most."""
    return sum(map(content.count, (b",", b"[", b"{")))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"the number {name}")


def _read_training(folder: Path, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the training record, empty where it is absent, damaged or another model's."""
    draft = f"{config['next_number'] - 1}.json"  # its name if the writer ended before it got the other
    for name in (TRAINING, draft):
        with contextlib.suppress(ModelError, ValueError, RecursionError):
            content = read_plain(folder / name, _LARGEST_TRAINING)
            require_few_values(content)
            first, *entries = [json.loads(line) for line in content.splitlines()]
            if first == {_RECORD_OF: config["checksum"]} and all(map(is_entry, entries)):
                return entries
    return []


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} is damaged: {what}; make the model again or restore it from a copy")


def only_part(parts: Sequence[Part], role: str) -> Part:
    """Return the one part of a role.

    Raises
    ------
    ValueError
        If there is none or more than one.
    """
    found = [part for part in parts if part.role == role]
    if len(found) != 1:
        raise ValueError(f"{len(found)} files with role {role}, expected 1")
    return found[0]


@contextlib.contextmanager
def content_of(path: str) -> Iterator[None]:
    """Name the file whose content is not what a model needs, in a ModelError."""
    try:
        yield
    except UNUSABLE as error:
        raise ModelError(
            f"{path} holds no usable model: {problem(error)}; make the model again or restore it from a copy"
        ) from error


def problem(error: BaseException) -> str:
    """Return an error's text as a short part of a line."""
    what = f"no entry {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    what = " ".join(printable(what[: 4 * _LONGEST_PROBLEM]).split())
    return what if len(what) <= _LONGEST_PROBLEM else what[: _LONGEST_PROBLEM - 1] + "…"
