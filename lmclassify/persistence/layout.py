"""The layout of a saved model: a folder of data files, none of which can run code.

``config.json``
    The only commit point. Holds the format version, settings, labels and priors, the role, size and SHA-256
    of every other file, and a checksum of itself. It is replaced last, by one ``os.replace``.
``<number>.json``, ``<number>.safetensors``
    The model's other files. A number is never used twice in a folder, so that a commit overwrites nothing
    that the previous model needs. A file whose content has not changed is kept. Files that config.json does
    not list are ignored, and removed after the next commit.
``training.jsonl``
    The training record: times, dates and losses. Its first line names the checksum of its config.json. It is
    written under a number first and renamed once the model is committed.
``<number>.journal``, ``<number>.texts``
    Records that were added to the model since it was committed (`lmclassify.persistence.journal`): what it
    learned, and the texts that it keeps. Their number is the one before ``next_number`` of config.json, so a
    commit begins new ones, and those of older models are ignored and removed like other files.
``unfinished``
    A folder with the checkpoints of a fit that has not ended. It is not part of the model.

Every file has the word lmclassify near its beginning, so that no file of another program is taken for part of
a model. A crash at any moment leaves the old model or the new one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = "lmclassify model"
FORMAT_VERSION = 4
CONFIG = "config.json"
TRAINING = "training.jsonl"
UNFINISHED = "unfinished"
"""Subfolder for the checkpoints of a fit; see `lmclassify.classify.training.checkpoints`."""
UNFINISHED_FORMAT = "lmclassify unfinished fit"
FIT = "fit.json"
"""File in that subfolder that describes the fit; its format is `UNFINISHED_FORMAT`."""
RECORD_KEY = "lmclassify"
"""Key of the first line of the training record; its value is the checksum of config.json."""
NUMBERED_FILE = re.compile(r"([1-9][0-9]{0,17})\.(json|safetensors)")
JOURNAL_FILE = re.compile(r"([1-9][0-9]{0,17})\.(journal|texts)(\.draft)?")
JOURNAL_MODES = {"journal": 0o666, "texts": 0o600}
"""Permissions of a model's journals, by suffix, before the umask: nobody else reads kept texts."""

MAX_CONFIG_BYTES = 1 << 26
"""Limit for config.json: 64 MB hold hundreds of thousands of labels."""
MAX_JSON_VALUES = 1 << 20
"""Limit for any JSON file: a value takes up to 130 bytes of memory, however short it is in the file."""

_CHECKPOINT = re.compile(r"(\.)?(fit\.json|[1-9][0-9]{0,8}\.safetensors)(?(1)\.\w{8})")  # or its draft


@dataclass(frozen=True)
class ModelFile:
    """One file of a saved model, in memory."""

    role: str
    """What the file holds: ``tokenizer``, ``lm``."""
    content: bytes
    suffix: str
    """``json`` or ``safetensors``."""
    label: int | None = None
    """Index of the label that the file belongs to, if it belongs to one."""
    path: str = field(default="", compare=False)
    """Where the file was read, for error messages."""


@dataclass(frozen=True)
class StoredModel:
    """The content of a model's folder, as plain data."""

    config: dict[str, Any]
    """Content of config.json without format, files and checksum."""
    files: list[ModelFile]
    training: list[dict[str, Any]] = field(default_factory=list)
    """Entries of the training record."""
    path: str = field(default="", compare=False)
    """Where config.json was read, for error messages."""
    checksum: str = field(default="", compare=False)
    """Checksum of config.json, which identifies a model that was read."""
    next_number: int = field(default=0, compare=False)
    """First number that no file of the folder has had, when it was read."""


def only_file(files: Sequence[ModelFile], role: str) -> ModelFile:
    """Return the one file of a role. Raises ValueError if there is none or more than one."""
    found = [file for file in files if file.role == role]
    if len(found) != 1:
        raise ValueError(f"{len(found)} files with role {role}, expected 1")
    return found[0]


def journal_name(next_number: int, suffix: str) -> str:
    """Return the name of a journal of the model whose config.json holds `next_number`."""
    return f"{next_number - 1}.{suffix}"


def is_checkpoint(path: Path) -> bool:
    """Return whether a file of the subfolder `UNFINISHED` is named like a checkpoint or its draft."""
    return _CHECKPOINT.fullmatch(path.name) is not None


def render_config(config: dict[str, Any]) -> bytes:
    """Return the bytes of config.json. Raises ValueError or TypeError if JSON cannot hold a value."""
    return json.dumps(config, indent=1, allow_nan=False).encode("ascii") + b"\n"


def config_checksum(config: dict[str, Any]) -> str:
    """Return the checksum of a config: the SHA-256 of its rendering without the entry ``checksum``."""
    rest = {key: value for key, value in config.items() if key != "checksum"}
    return hashlib.sha256(render_config(rest)).hexdigest()


def with_correct_checksum(content: bytes) -> bytes:
    """Return rendered config bytes with their last entry, the checksum, replaced by the correct one."""
    end = len(b',\n "checksum": ""\n}\n') + 2 * hashlib.sha256().digest_size
    rest = content[:-end]
    checksum = hashlib.sha256(rest + b"\n}\n").hexdigest()
    return rest + f',\n "checksum": "{checksum}"\n}}\n'.encode()


def count_json_values(content: bytes) -> int:
    """Return an upper bound of the number of values in a JSON text."""
    return sum(map(content.count, (b",", b"[", b"{")))
