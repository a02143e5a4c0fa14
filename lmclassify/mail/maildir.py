"""The folders of a Maildir and the messages in them. Symbolic links are not followed.

Both layouts are read: Maildir++, where the folder Work/Projects is ``.Work.Projects``, and folders in
folders, where it is ``Work/Projects``.
"""

from __future__ import annotations

import base64
import errno
import os
import re
import stat
from dataclasses import dataclass, field
from hashlib import blake2b

from lmclassify.errors import DataError, printable
from lmclassify.mail.fields import MAX_MESSAGE_BYTES
from lmclassify.mail.file_kinds import MAILDIR_FOLDERS
from lmclassify.mail.normal_form import normal_form
from lmclassify.tables.compression import decompressed

INBOX = "INBOX"

_FLAGS = re.compile(r"[:;!]2,[^/]*$")
_ENCODED = re.compile(r"&([A-Za-z0-9+,]*)-")
_GZIP = b"\x1f\x8b"
_HASH_BYTES = 16
_HASHED_BYTES = MAX_MESSAGE_BYTES // 2
"""Bytes of a message, with LF as line ends, that identify it: those that are read even if the file ends lines
with CRLF."""
_FIRST_HEADER = re.compile(rb"(?:>?From [^\n]*\n)*[!-9;-~]+[ \t]*:")
# Headers that mail programs add to a message or change when they copy it, and the filter's own ones.
_CHANGING_HEADERS = re.compile(
    rb"^(?:x-lmclassify-[!-9;-~]*|x-tuid|x-uid|x-uidl|x-keywords|x-mozilla-[!-9;-~]*|x-status|status|lines|"
    rb"content-length)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class MessageFile:
    """One message of a folder."""

    path: str
    key: bytes
    """Hash of the file's name without flags, which change."""
    is_new: bool
    """Whether it lies in ``new``: delivered, and not seen by a mail program yet."""


@dataclass
class Maildir:
    """What a Maildir holds."""

    folders: dict[str, list[MessageFile]] = field(default_factory=dict)
    """By path inside the Maildir; the path of the inbox is empty."""
    inodes: dict[str, int] = field(default_factory=dict)
    """Number of each folder in the file system, which it keeps when it is renamed."""
    problems: dict[str, str] = field(default_factory=dict)
    """Why a folder was not read, by its path."""

    def unreadable(self, folder: str) -> bool:
        """Return whether a folder, or one that it lies in, could not be read."""
        return any(not path or folder == path or folder.startswith(f"{path}/") for path in self.problems)


def list_maildir(root: str) -> Maildir:
    """List the messages of a Maildir and of its folders. Raises DataError if `root` cannot be read."""
    found = Maildir()
    remaining = [("", 0)]
    while remaining:
        folder, inode = remaining.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise DataError(f"cannot read the Maildir {root}: {error.strerror}") from error
            if not isinstance(error, FileNotFoundError):  # else renamed or deleted meanwhile
                found.problems[folder] = error.strerror or str(error)
            continue
        inner = {entry.name: entry.inode() for entry in inside if entry.is_dir(follow_symlinks=False)}
        if set(MAILDIR_FOLDERS) & set(inner):
            found.inodes[folder] = inode % (1 << 63)  # as SQLite can hold it
            _list_folder(found, root, folder, [name for name in MAILDIR_FOLDERS if name in inner])
        for entry in inside:
            path = os.path.join(folder, entry.name)
            if entry.is_symlink() and entry.is_dir():
                found.problems[path] = "it is a symbolic link"
        for name, inode in inner.items():
            path = os.path.join(folder, name)
            if not _is_utf8(name):
                found.problems[path] = "its name is not UTF-8"
            elif name not in (*MAILDIR_FOLDERS, "tmp"):
                remaining.append((path, inode))
    return found


def _list_folder(found: Maildir, root: str, folder: str, inner: list[str]) -> None:
    files = []
    for name in inner:
        try:
            with os.scandir(os.path.join(root, folder, name)) as entries:
                files += [
                    MessageFile(entry.path, _hash(os.fsencode(_FLAGS.sub("", entry.name)), 8), name == "new")
                    for entry in entries
                    if not entry.name.startswith(".") and not entry.is_dir(follow_symlinks=False)
                ]
        except FileNotFoundError:
            return  # renamed or deleted meanwhile
        except OSError as error:
            found.problems[folder] = error.strerror or str(error)
            return
    found.folders[folder] = files


def _is_utf8(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def folder_name(path: str) -> str:
    """Return the name of a folder, as mail programs show it, from its path inside the Maildir.

    >>> folder_name(""), folder_name(".Work.Caf&AOk-"), folder_name("Work/Projects")
    ('INBOX', 'Work/Café', 'Work/Projects')
    """
    path = path.strip("/")
    if path.startswith("."):
        path = path[1:].replace(".", "/")
    name = _ENCODED.sub(_decode, path)
    return INBOX if name.upper() in ("", INBOX) else name


def _decode(found: re.Match[str]) -> str:
    """Return a piece of a folder's name that is in modified UTF-7 (RFC 3501)."""
    if not found[1]:
        return "&"
    try:
        return base64.b64decode(found[1].replace(",", "/") + "===").decode("utf-16-be")
    except ValueError:
        return found[0]


def read_message_file(path: str, max_bytes: int) -> bytes:
    """Return the beginning of a message, as much as any command parses.

    Raises
    ------
    DataError
        If it is a symbolic link, too large, or no message.
    OSError
        If it cannot be read; FileNotFoundError if a mail program has moved it meanwhile.
    """
    name = printable(os.fsencode(path).decode(errors="replace"))
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would block
        with open(number, "rb") as stream:
            status = os.fstat(number)
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{name} is not a file")
            if status.st_size > max_bytes:
                raise DataError(f"{name} has {status.st_size:,} bytes, more than {max_bytes:,}")
            is_compressed = stream.peek(2)[:2] == _GZIP
            content = decompressed(stream, ".gz", name) if is_compressed else stream
            data = content.read(MAX_MESSAGE_BYTES)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DataError(f"{name} is a symbolic link") from None
        raise
    if _FIRST_HEADER.match(normal_form(data)) is None:
        raise DataError(f"{name} does not begin with the header of a message")
    return data


def message_hash(data: bytes) -> bytes:
    """Return a hash that is the same after a message was moved or copied, whatever its file is called.

    All headers count, also those that a mail system adds when it receives a message, so that two messages of
    one sender with the same text are two messages. Headers that mail programs change do not count.
    """
    data = data.replace(b"\r\n", b"\n")
    end = data.find(b"\n\n") + 1 or len(data)
    return _hash((_CHANGING_HEADERS.sub(b"", data[:end]) + data[end:])[:_HASHED_BYTES], _HASH_BYTES)


def _hash(data: bytes, size: int) -> bytes:
    return blake2b(data, digest_size=size).digest()
