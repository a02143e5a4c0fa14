"""Reads saved models that may come from anybody.

A checksum proves nothing about who made a file. So everything read is bounded in size, and only regular files
are read: a link may lead anywhere, and a pipe keeps its reader waiting.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError

from lmclassify.errors import ModelError, OptionError, cut, printable, shorten
from lmclassify.persistence.layout import (
    CONFIG,
    FORMAT,
    FORMAT_VERSION,
    MAX_CONFIG_BYTES,
    MAX_JSON_VALUES,
    NUMBERED_FILE,
    RECORD_KEY,
    TRAINING,
    UNFINISHED,
    ModelFile,
    StoredModel,
    count_json_values,
    with_correct_checksum,
)

CONTENT_ERRORS = (
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
"""Exceptions that code which interprets a file may raise when the file's content is wrong."""

MAX_TRAINING_BYTES = 1 << 26
"""Limit for the training record; a longer one is ignored."""
MAX_SPARSE_BYTES = 1 << 27
"""Sparse files (nearly all holes) are refused from this size on: they claim memory at no cost on the disk."""
MAX_PROBLEM_LENGTH = 200
"""Characters of an error message that a file's content may take part in."""
READ_ATTEMPTS = 20
"""Tries of a reader while other processes replace the model. Writing takes longer, so few suffice."""

_OPEN_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_ENTRY_TYPES = {"name": str, "role": str, "size": int, "sha256": str}

# What the entries of the training record must hold, so that code which shows them can rely on it.
_FIT_KEYS = ("started", "seconds", "texts", "texts_cut")
_LABEL_KEYS = ("label", "training_texts", "validation_texts", "epochs", "best_epoch", "validation_loss")
_EPOCH_KEYS = ("epoch", "training_loss", "validation_loss")
_REQUIRED_KEYS = {
    "fit": _FIT_KEYS,
    "label": _LABEL_KEYS,
    "epoch": ("label", *_EPOCH_KEYS),
    "background epoch": _EPOCH_KEYS,
}
_TEXT_KEYS = {"kind", "started"}
_NUMBER_KEYS = {*_FIT_KEYS, *_LABEL_KEYS, *_EPOCH_KEYS} - _TEXT_KEYS - {"label"}


def read_model(path: str | os.PathLike[str]) -> StoredModel:
    """Read a model and check every file of it.

    Raises ModelError if there is none, it is damaged, or a newer version made it.
    """
    folder = Path(path)
    config = read_config(folder)
    for _ in range(READ_ATTEMPTS):
        try:
            files = [_read_file(folder, entry) for entry in config["files"]]
            break
        except ModelError:
            again = read_config(folder)
            if again["checksum"] == config["checksum"]:
                raise
            config = again  # another process has replaced the model meanwhile
    else:
        raise ModelError(f"{folder} is replaced faster than it can be read; try again")
    training = read_training(folder, config)
    own = {"format", "format_version", "files", "next_number", "checksum"}
    rest = {key: value for key, value in config.items() if key not in own}
    return StoredModel(rest, files, training, str(folder / CONFIG), config["checksum"], config["next_number"])


def model_checksum(path: str | os.PathLike[str]) -> str:
    """Return the checksum that identifies a saved model. Raises ModelError if there is no model."""
    return str(read_config(Path(path))["checksum"])


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of config.json, checked except for what it says about labels and settings.

    Raises ModelError if there is no model, it is damaged, or another version made it.
    """
    remedy = "make one with `lmclassify fit`, or name another with -m"
    if not folder.exists():
        raise ModelError(f"no model at {folder}: {remedy}")
    if not folder.is_dir():
        raise ModelError(f"{folder} is a file; a model is a folder: {remedy}")
    path = folder / CONFIG
    if not os.path.lexists(path):
        if (folder / UNFINISHED).is_dir():
            remedy = "its fit was not finished: run the same `lmclassify fit` with --resume"
        raise ModelError(f"{folder} holds no model (it has no {CONFIG}): {remedy}")
    content = read_regular_file(path, MAX_CONFIG_BYTES)
    try:
        config = parse_json(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not JSON ({summarize_error(error)})") from None
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
    if type(version) is not int or content != with_correct_checksum(content):
        raise _damaged(path, "its checksum is wrong")
    if not _has_valid_files(config):
        raise _damaged(path, "its list of files is invalid")
    return config


def _has_valid_files(config: dict[str, Any]) -> bool:
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
    # Names are distinct; otherwise one small file could be read many times.
    return len({entry["name"] for entry in files}) == len(files)


def _read_file(folder: Path, entry: dict[str, Any]) -> ModelFile:
    name = entry["name"]
    match = NUMBERED_FILE.fullmatch(name)
    if match is None:
        raise _damaged(folder / CONFIG, f"it lists a file named {shorten(name)}")
    path = folder / name
    content = read_regular_file(path, entry["size"])
    if len(content) != entry["size"] or hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _damaged(path, "its size or checksum is wrong")
    return ModelFile(entry["role"], content, match[2], entry.get("label"), str(path))


def read_regular_file(path: Path, limit: int) -> bytes:
    """Return a regular file's bytes.

    Raises ModelError if it is missing or not a regular file, cannot be read, or holds more than `limit`
    bytes.
    """
    try:
        with open_regular_file(path) as file:
            status = os.fstat(file.fileno())
            if status.st_size > limit:
                raise _damaged(path, "its size or checksum is wrong")
            if status.st_size > MAX_SPARSE_BYTES and _is_sparse(file, status):
                raise _damaged(path, "nearly all of it is missing")
            return file.read(status.st_size + 1)
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def open_regular_file(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises ModelError if it is something else. Raises OSError if it cannot be opened.
    """
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            return open(path, "rb", opener=lambda name, flags: os.open(name, flags | _OPEN_FLAGS))
    except OSError as error:
        if error.errno != errno.ELOOP:  # became a link after lstat
            raise
    raise ModelError(
        f"{path} is a link, a folder or a device, and a model's files are plain files: copy the model "
        "with what its links lead to (cp -rL)"
    )


def _is_sparse(file: BinaryIO, status: os.stat_result) -> bool:
    """Return whether a file takes hardly any room on the disk for another reason than compression."""
    if not hasattr(os, "SEEK_HOLE") or status.st_blocks * 512 * 16 > status.st_size:
        return False
    hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return hole < status.st_size


def parse_json(content: bytes) -> Any:
    """Parse a JSON file of a model.

    Raises ValueError or RecursionError if it is not JSON, holds NaN or an infinite number, or has more than
    `MAX_JSON_VALUES` values.
    """
    require_few_values(content)
    return json.loads(content, parse_constant=_refuse_constant)


def require_few_values(content: bytes) -> None:
    """Raise ValueError if a JSON text would take far more memory than its bytes."""
    if count_json_values(content) > MAX_JSON_VALUES:
        raise ValueError("too many values")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"the number {name}")


def read_training(folder: Path, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the training record; an empty one where it is absent, damaged or another model's."""
    draft = f"{config['next_number'] - 1}.json"  # its name if the writer was killed before it renamed it
    for name in (TRAINING, draft):
        with contextlib.suppress(ModelError, ValueError, RecursionError):
            content = read_regular_file(folder / name, MAX_TRAINING_BYTES)
            require_few_values(content)
            first, *entries = [json.loads(line) for line in content.splitlines()]
            if first == {RECORD_KEY: config["checksum"]} and all(map(is_record_entry, entries)):
                return entries
    return []


def is_record_entry(entry: Any) -> bool:
    """Return whether something is an entry of the training record, with the keys and types of its kind."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        return False
    if not entry.keys() >= set(_REQUIRED_KEYS.get(entry["kind"], ())):
        return False
    return all(_has_valid_type(name, value) for name, value in entry.items())


def _has_valid_type(name: str, value: Any) -> bool:
    if name in _TEXT_KEYS:
        return isinstance(value, str) and value.isprintable()
    if name == "label":
        return isinstance(value, (str, int, float))
    if name in _NUMBER_KEYS:
        small = isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 63)
        return small or (value is None and name == "validation_loss")
    return True


def _damaged(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} is damaged: {what}; make the model again or restore it from a copy")


@contextlib.contextmanager
def as_model_error(path: str) -> Iterator[None]:
    """Turn errors in a file's content into a ModelError that names the file."""
    try:
        yield
    except CONTENT_ERRORS as error:
        raise ModelError(
            f"{path} holds no usable model: {summarize_error(error)}; "
            "make the model again or restore it from a copy"
        ) from error


def summarize_error(error: BaseException) -> str:
    """Return an error's text as a short part of a line."""
    text = f"no entry {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return cut(" ".join(printable(text[: 4 * MAX_PROBLEM_LENGTH]).split()), MAX_PROBLEM_LENGTH)
