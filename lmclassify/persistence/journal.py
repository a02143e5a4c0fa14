"""Journals: what is added to a saved model after its commit, one record at a time.

A journal is an append-only file beside config.json. A record counts once it is flushed to the disk. Each has
a checksum that covers everything before it (`lmclassify.persistence.journal_records`), so a reader gets the
records up to the first byte that is missing or wrong. The header names the model by its checksum; a new model
begins new journals.

Writers hold the lock of the model's folder, as those of the model do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lmclassify.errors import LMClassifyWarning, ModelError, OutputError, counted
from lmclassify.persistence import commit
from lmclassify.persistence.journal_records import (
    CHECKSUM_SIZE,
    HEADER_SIZE,
    MARKER,
    encode,
    encode_all,
    header,
    is_header,
    read_record,
)
from lmclassify.persistence.layout import CONFIG, JOURNAL_MODES, StoredModel, journal_name
from lmclassify.persistence.reading import (
    READ_ATTEMPTS,
    model_checksum,
    open_regular_file,
    read_config,
    read_model,
)

MAX_JOURNAL_BYTES = 1 << 28
"""Limit for one journal: its records are held in memory while it is read."""

_WRITE_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class _Signature(NamedTuple):
    """Tells whether a file was changed since it was last looked at."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Signature:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class JournalReplacedError(OutputError):
    """The model or its journal was replaced by another process: the model must be loaded again."""


class Journal:
    """A file of records that belong to a saved model.

    Threads may share one. Other processes may append to the same file; `read_new` returns their records.

    Parameters
    ----------
    path : str or path
        The file, in the folder of the model. It is created with the first record.
    model : str
        Checksum of the model (`lmclassify.persistence.reading.model_checksum`).
    mode : int, default=0o666
        Permissions of the file, before the umask.
    """

    def __init__(self, path: str | os.PathLike[str], *, model: str, mode: int = 0o666) -> None:
        self.path = Path(path)
        self.model = model
        self._mode = mode
        self._guard = threading.RLock()
        self._config: _Signature | None = None
        self._forget()

    def _forget(self) -> None:
        self._seen: _Signature | None = None
        self._checksum = b""
        self._unread: list[bytes] = []
        self.records = 0
        """Number of records, as far as the file has been read."""
        self.size = 0
        """Bytes of the header and these records."""
        self.ignored_bytes = 0
        """Bytes after the last intact record: one that a crash cut off, or damage."""
        self.other_model = False
        """Whether the file belongs to another model; it is then read as an empty one."""

    def read(self) -> list[bytes]:
        """Return all intact records. Later ones are returned by `read_new`.

        Raises ModelError if the file cannot be read or is not a regular one, and JournalReplacedError if the
        model was replaced.
        """
        with self._guard:
            self._forget()
            return self.read_new()

    def read_new(self) -> list[bytes]:
        """Return the records that were added since the last call, except by `append` of this object.

        It costs next to nothing if there are none. Raises like `read`, and JournalReplacedError also if what
        was read before is no longer there.
        """
        with self._guard:
            self._require_model()
            self._scan()
            found, self._unread = self._unread, []
            return found

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the model's folder, for what must not be interrupted by another writer.

        `append`, `reset` and `lmclassify.persistence.commit.write_model` may be called inside. Raises
        OutputError if the folder cannot be locked.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._guard)
            try:
                stack.enter_context(commit.locked(self.path.parent))
            except OSError as error:
                raise self._cannot_write(error) from error
            yield

    def append(self, record: bytes) -> None:
        """Append a record and flush it to the disk. After an error, the file is as it was before.

        Raises JournalReplacedError if the model or the journal was replaced, and OutputError if the file is
        damaged or cannot be written. ValueError: the record is empty or too long.
        """
        with self.locked():
            self._require_model()
            self._scan(in_full=True)
            self._require_intact()
            start = header(self.model) if self.size == 0 else b""
            added = start + encode(record, start[-CHECKSUM_SIZE:] or self._checksum)
            if self.size + len(added) > MAX_JOURNAL_BYTES:
                raise OutputError(f"{self.path} is full: run `lmclassify learn --compact`, then try again")
            try:
                self._seen = self._write(added)
            except OSError as error:
                raise self._cannot_write(error) from error
            self._advance(added, 1)

    def reset(self, records: Iterable[bytes] = ()) -> None:
        """Replace the file by one with other records; a crash leaves the old one or the new one.

        Without records the file is removed. Raises like `append`, but not if the file is damaged.
        """
        listed = list(records)
        content = encode_all(self.model, listed)
        draft = self.path.with_name(f"{self.path.name}.draft")
        with self.locked():
            self._require_model()
            try:
                draft.unlink(missing_ok=True)  # of a writer that was killed
                if listed:
                    commit.write_file(draft, content, [], self._mode)
                    os.replace(draft, self.path)
                else:
                    self.path.unlink(missing_ok=True)
                commit.sync_folder(self.path.parent)
                signature = _Signature.of(os.stat(self.path)) if listed else None
            except BaseException as error:
                with contextlib.suppress(OSError):
                    draft.unlink(missing_ok=True)
                if isinstance(error, OSError):
                    raise self._cannot_write(error) from error
                raise
            self._forget()
            if listed:
                self._seen = signature
                self._advance(content, len(listed))

    def _advance(self, added: bytes, records: int) -> None:
        self.records += records
        self.size += len(added)
        self._checksum = added[-CHECKSUM_SIZE:]
        self.ignored_bytes, self.other_model = 0, False

    def _require_model(self) -> None:
        """Raise JournalReplacedError unless the folder holds the model that the journal belongs to."""
        try:
            signature = _Signature.of(os.stat(self.path.parent / CONFIG))
            if signature == self._config:
                return
            if model_checksum(self.path.parent) == self.model:
                self._config = signature
                return
        except (OSError, ModelError):
            pass
        raise self._replaced()

    def _scan(self, *, in_full: bool = False) -> None:
        """Read what was added to the file since the last scan. Readers need no lock: they see whole records.

        Parameters
        ----------
        in_full : bool
            Compare the checksum of what was read before, even if the file looks unchanged.
        """
        try:
            if not in_full and self._seen == _Signature.of(os.stat(self.path)):
                return
            with open_regular_file(self.path) as file:
                signature = _Signature.of(os.fstat(file.fileno()))
                if signature.size > MAX_JOURNAL_BYTES:
                    raise ModelError(f"{self.path} is damaged: it is too large; restore it from a copy")
                if self.size:
                    file.seek(self.size - CHECKSUM_SIZE)
                    if file.read(CHECKSUM_SIZE) != self._checksum:
                        raise self._replaced()
                else:
                    content = file.read(HEADER_SIZE)
                    if content == header(self.model):
                        self.size, self._checksum = HEADER_SIZE, content[-CHECKSUM_SIZE:]
                    self.other_model = not self.size and is_header(content)
                while self.size and (found := read_record(file, self._checksum)):
                    data, self._checksum = found
                    self._unread.append(data)
                    self.records += 1
                    self.size = file.tell()
        except FileNotFoundError:
            if self.size:
                raise self._replaced() from None
            signature = None
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise ModelError(f"cannot read {self.path}: {error.strerror}") from error
        self.ignored_bytes = 0 if signature is None else signature.size - self.size
        # A file with an unfinished record is read again next time: another process may be writing it.
        self._seen = None if self.ignored_bytes else signature

    def _require_intact(self) -> None:
        """Raise OutputError if the file holds more than a crash can have left after the last record."""
        if not self.ignored_bytes or self.other_model:
            return
        with open_regular_file(self.path) as file:
            file.seek(self.size)
            rest = file.read()
        if self.size:
            is_damaged = rest.find(MARKER, 1) >= 0
        else:
            begun = rest[:HEADER_SIZE].rstrip(b"\0")
            is_damaged = not header(self.model).startswith(begun) or rest.count(MARKER) > 1
        if is_damaged:
            raise OutputError(
                f"{self.path} is damaged after {counted(self.records, 'record')}: restore it from a copy, or "
                "run `lmclassify learn --compact` to go on without the rest"
            )

    def _write(self, added: bytes) -> _Signature:
        """Write bytes after the last intact record. After an error, the file is as it was before."""
        descriptor = os.open(self.path, _WRITE_FLAGS, self._mode)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is not a plain file")
            try:
                os.ftruncate(descriptor, self.size)
                os.lseek(descriptor, self.size, os.SEEK_SET)
                rest = memoryview(added)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
                if not self.size:
                    commit.sync_folder(self.path.parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, self.size)
                    if not self.size:
                        os.unlink(self.path)
                raise
            return _Signature.of(os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def _replaced(self) -> JournalReplacedError:
        return JournalReplacedError(
            f"{self.path.parent} was changed by another process meanwhile: run this again"
        )

    def _cannot_write(self, error: OSError) -> OutputError:
        remedy = "try again"
        if error.errno in _NO_ROOM:
            remedy = "make room on the disk, then try again"
        elif error.errno in _READ_ONLY:
            remedy = "get permission to write there, or copy the model to a folder of your own"
        return OutputError(f"cannot write {self.path}: {error.strerror or error}: {remedy}")


def read_model_with_journal(
    path: str | os.PathLike[str], suffix: str = "journal"
) -> tuple[StoredModel, Journal, list[bytes]]:
    """Read a model, and the records that one of its journals holds. Warns if some of them cannot be read.

    Raises ModelError if there is no model, it is damaged, or its journal cannot be read.
    """
    for _ in range(READ_ATTEMPTS):
        model = read_model(path)
        journal = model_journal(model, suffix)
        with contextlib.suppress(JournalReplacedError):
            records = journal.read()
            if journal.ignored_bytes:
                warnings.warn(
                    f"{journal.path}: {counted(journal.ignored_bytes, 'byte')} after "
                    f"{counted(journal.records, 'record')} cannot be read and are ignored; a crash has cut "
                    "the last record off, or the file is damaged",
                    LMClassifyWarning,
                    stacklevel=2,
                )
            return model, journal, records
    raise ModelError(f"{path} is replaced faster than it can be read; try again")


def model_state(path: str | os.PathLike[str]) -> str:
    """Return what identifies a saved model and how much it has learned since its commit.

    Raises ModelError if there is no model.
    """
    for _ in range(READ_ATTEMPTS):
        journal = folder_journal(path)
        with contextlib.suppress(JournalReplacedError):
            journal.read()
            return f"{journal.model} {journal.records}"
    raise ModelError(f"{path} is replaced faster than it can be read; try again")


def replace_model(path: str | os.PathLike[str], model: StoredModel, state: str) -> None:
    """Replace a model by one that was made from it; the texts that it keeps stay.

    Raises OutputError if it was replaced or has learned more since its `model_state` was taken, or the folder
    cannot be written. The existing model is then unchanged.
    """
    texts = folder_journal(path, "texts")
    with texts.locked():
        if model_state(path) != state:
            raise OutputError(f"{path} was changed by another process meanwhile: run this again")
        commit.write_model(path, model, journals={"texts": texts.read()})


def model_journal(model: StoredModel, suffix: str = "journal") -> Journal:
    """Return a journal of a model that was read from a folder; it has not been read yet.

    Parameters
    ----------
    suffix : str, default="journal"
        Which one: a key of `lmclassify.persistence.layout.JOURNAL_MODES`.
    """
    path = Path(model.path).with_name(journal_name(model.next_number, suffix))
    return Journal(path, model=model.checksum, mode=JOURNAL_MODES[suffix])


def folder_journal(path: str | os.PathLike[str], suffix: str = "journal") -> Journal:
    """Return a journal of the model in a folder, of which only config.json is read.

    Raises ModelError if there is no model.
    """
    config = read_config(Path(path))
    name = journal_name(config["next_number"], suffix)
    return Journal(Path(path) / name, model=config["checksum"], mode=JOURNAL_MODES[suffix])
