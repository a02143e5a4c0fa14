"""Read mailboxes: mbox files, Maildir folders, single messages and folders of them, compressed or not."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from lmclassify.errors import DataError
from lmclassify.mail.fields import MAX_MESSAGE_BYTES
from lmclassify.mail.file_kinds import (
    HEAD_BYTES,
    MAILDIR_FOLDERS,
    FileKind,
    is_index,
    is_table,
    kind_by_name,
    kind_of,
)
from lmclassify.mail.mbox import BLOCK_BYTES, split_mbox
from lmclassify.mail.normal_form import wide_encoding
from lmclassify.tables.compression import decompressed, split_compression
from lmclassify.tables.inputs import open_file

_GZIP = b"\x1f\x8b"
_NUL = b"\0"
_ENOUGH_FILES = 100
"""So many files of a folder, most of which begin with a header, tell that it is mail."""


class Mailbox:
    """The messages of a file or folder, in order.

    Raises DataError if it cannot be read.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    every_file : bool, default=False
        Read every file of a folder as mail, except hidden and binary files.
    max_message_bytes : int
        How much of each message is read.
    block_bytes : int
        How much of an mbox file is read at a time.

    Attributes
    ----------
    size : int or None
        Size in bytes, if known.
    left_out : list of str
        Names of the files so far that hold no mail, without hidden ones.
    sub_folders : list of str
        Names of a Maildir's sub-folders, which are not read.
    """

    def __init__(
        self,
        path: str,
        *,
        every_file: bool = False,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._path, self._every_file = path, every_file
        self._max_message_bytes, self._block_bytes = max_message_bytes, block_bytes
        self._is_folder = path != "-" and os.path.isdir(path)
        self._done = 0
        self._stream: BinaryIO | None = None
        self.size: int | None = None
        self.left_out: list[str] = []
        self._files_of_mail = self._texts_left_out = 0
        self._has_names_of_mail = False
        self.sub_folders: list[str] = []
        if self._is_folder:
            self._folder = _list_folder(path)
            self.sub_folders = [_printable(name) for name in self._folder.sub_folders]
            self.size = sum(size for *_, size in self._folder.files) or None
            self._has_names_of_mail = any(_has_name_of_mail(file) for _, file, _ in self._folder.files)
        elif path != "-":
            with contextlib.suppress(OSError):  # opening it reports the error
                self.size = os.stat(path).st_size or None

    @property
    def may_be_texts(self) -> bool:
        """Whether most files of a folder so far are texts that are no mail, and none has a name of mail."""
        return self._texts_left_out > self._files_of_mail and not self._has_names_of_mail

    @property
    def bytes_read(self) -> int:
        """The position in the files, in bytes."""
        if self._stream is None or self._stream is sys.stdin.buffer or self._stream.closed:
            return self._done
        try:
            return self._done + self._stream.tell()
        except OSError:  # a pipe
            return self._done

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Yield a name for each message, used if it has no Message-ID, and its beginning."""
        if not self._is_folder:
            yield from self._read_single_file()
            return
        for name, file, _ in self._folder.files:
            try:
                self._stream = open_file(file)
            except DataError:
                if os.path.lexists(file):
                    raise
                continue  # a mail reader has moved it meanwhile
            with self._stream:
                yield from self._read_file_of_folder(self._stream, name, file)
                self._done += os.fstat(self._stream.fileno()).st_size

    def close(self) -> None:
        """Close the file that is read."""
        if self._stream is not None and self._stream is not sys.stdin.buffer:
            self._stream.close()

    def _read_single_file(self) -> Iterator[tuple[str, bytes]]:
        self._stream = open_file(self._path)
        path = "" if self._path == "-" else self._path
        name = _printable(os.path.basename(path))
        with _read_errors(self._path):
            stream = _decompressed(self._stream, self._path)
            kind = kind_by_name(path) or kind_of(path, stream.peek(HEAD_BYTES)[:HEAD_BYTES]) or "mbox"
            if kind == "mbox":
                messages = split_mbox(stream, self._max_message_bytes, self._block_bytes)
                for number, data in enumerate(messages, 1):
                    yield f"{name}#{number}", data
            else:
                yield name, self._single_message(stream, kind)

    def _read_file_of_folder(self, file: BinaryIO, name: str, path: str) -> Iterator[tuple[str, bytes]]:
        with _read_errors(path):
            stream = _decompressed(file, path)
            head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
            kind = kind_of(path, head)
            hidden = any(part.startswith(".") for part in name.split("/"))
            is_binary = _NUL in head and wide_encoding(head) is None
            if kind is None and self._every_file and not is_binary and not hidden:
                kind = "message"
            self._files_of_mail += kind is not None
            if kind is None:
                if not hidden:
                    self.left_out.append(name)
                    is_text = bool(head) and not is_binary and not is_index(path)
                    self._texts_left_out += is_text
            elif kind == "mbox":
                yield from self._messages_of_mbox(stream, name)
            else:
                yield name, self._single_message(stream, kind)

    def _messages_of_mbox(self, stream: io.BufferedReader, name: str) -> Iterator[tuple[str, bytes]]:
        """Yield the messages of an mbox file in a folder; a single one has the name of the file."""
        messages = split_mbox(stream, self._max_message_bytes, self._block_bytes)
        data, following = next(messages, None), next(messages, None)
        number = 1
        while data is not None:
            yield name if number == 1 and following is None else f"{name}#{number}", data
            data, following = following, next(messages, None)
            number += 1

    def _single_message(self, stream: io.BufferedReader, kind: FileKind) -> bytes:
        if kind == "emlx":
            length = stream.readline(64).strip()
            limit = int(length) if length.isdigit() else self._max_message_bytes
            return stream.read(min(limit, self._max_message_bytes))
        return stream.read(self._max_message_bytes)


@contextlib.contextmanager
def _read_errors(path: str) -> Iterator[None]:
    """Turn an OSError into a DataError that names the file or folder."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def looks_like_mail(path: str) -> bool:
    """Return whether a path is mail: mbox, Maildir, a message or a folder of messages, compressed or not.

    A file is mail if its suffix is .mbox, .eml or .emlx, or if it begins like an mbox file or a message. A
    folder is mail if it is a Maildir, if any of its files is mail, or an index that mail programs keep beside
    mailboxes, which may be empty, or if most of its files begin with a line that looks like a header.
    """
    if path == "-":
        peek = getattr(sys.stdin.buffer, "peek", None)
        return bool(peek and kind_of("", peek(HEAD_BYTES)[:HEAD_BYTES], sure=True))
    if os.path.isdir(path):
        if all(os.path.isdir(os.path.join(path, name)) for name in MAILDIR_FOLDERS):
            return True
        return _is_mail_folder([file for _, file, _ in _list_folder(path).files])
    return kind_by_name(path) is not None or (
        not is_table(path) and kind_of(path, _head(path), sure=True) is not None
    )


def _has_name_of_mail(path: str) -> bool:
    in_maildir = os.path.basename(os.path.dirname(path)) in MAILDIR_FOLDERS
    return in_maildir or is_index(path) or kind_by_name(path) is not None


def _is_mail_folder(files: Sequence[str]) -> bool:
    looks_like_header = 0
    for number, file in enumerate(files):
        if number >= _ENOUGH_FILES and looks_like_header > number / 2:
            return True
        if is_index(file) or kind_by_name(file) is not None:
            return True
        head = _head(file)
        if kind_of(file, head, sure=True) is not None:
            return True
        looks_like_header += kind_of(file, head) is not None
    return looks_like_header > len(files) / 2


@dataclass
class _Folder:
    """The files of a folder and of the folders in it."""

    files: list[tuple[str, str, int]] = field(default_factory=list)
    """Name inside the folder, path and size in bytes, sorted by name."""
    sub_folders: list[str] = field(default_factory=list)
    """Folders of a Maildir other than ``cur``, ``new`` and ``tmp``; their files are not listed."""


def _list_folder(folder: str) -> _Folder:
    """List the files of a folder. Raises DataError if it cannot be read."""
    found = _Folder()
    is_maildir = os.path.isdir(os.path.join(folder, "cur"))
    with _read_errors(folder):
        _add_files(found, folder, "", split=is_maildir)
    if is_maildir:
        found.files = [(_name_in_maildir(name), path, size) for name, path, size in found.files]
        found.sub_folders.sort()
    found.files.sort(key=lambda file: (file[0].split("/"), file[1]))
    return found


def _name_in_maildir(name: str) -> str:
    """Return the name of a message without its folder and flags, which change."""
    folder, _, inner = name.partition("/")
    return inner.partition(":")[0] if folder in MAILDIR_FOLDERS else name


def _add_files(found: _Folder, folder: str, inner: str, *, split: bool = False) -> None:
    """Add the files of a folder, called `inner` in the outermost one.

    `split` says that sub-folders are not read. Links to folders are followed in the outermost one only, so
    that there is no loop.
    """
    with os.scandir(folder) as entries:
        inside = list(entries)
    names = {entry.name for entry in inside}
    for entry in inside:
        if entry.is_dir(follow_symlinks=not inner):
            if entry.name == "tmp" and "cur" in names:
                continue  # not yet delivered
            if entry.name == "Attachments" and "Messages" in names:
                continue  # of Apple Mail: parts of the messages
            if split and entry.name not in MAILDIR_FOLDERS:
                if any(files for *_, files in os.walk(entry.path)):
                    found.sub_folders.append(entry.name)
                continue
            _add_files(found, entry.path, f"{inner}{entry.name}/")
        elif not entry.name.startswith(".") and entry.is_file():
            with contextlib.suppress(FileNotFoundError):  # a mail reader has moved it meanwhile
                found.files.append((_printable(inner + entry.name), entry.path, entry.stat().st_size))


def _printable(name: str) -> str:
    """Return a file name as valid text."""
    return os.fsencode(name).decode(errors="replace")


def _head(path: str) -> bytes:
    """Return the first bytes of a file, decompressed; empty if it cannot be read."""
    if not os.path.isfile(path):  # reading from a pipe would consume it
        return b""
    try:
        with open(path, "rb") as stream:
            return _decompressed(stream, path).read(HEAD_BYTES)
    except (DataError, OSError):
        return b""


def _decompressed(stream: BinaryIO, name: str) -> io.BufferedReader:
    """Return the decompressed content: gzip is recognised by its first bytes, the rest by the suffix."""
    assert isinstance(stream, io.BufferedReader)
    suffix = split_compression(name)[1]
    if suffix in (None, ".gz"):
        suffix = ".gz" if stream.peek(2)[:2] == _GZIP else None
    if suffix is None:
        return stream
    content = decompressed(stream, suffix, name, max_line_bytes=sys.maxsize)  # an mbox is read in blocks
    assert isinstance(content, io.BufferedReader)
    return content
