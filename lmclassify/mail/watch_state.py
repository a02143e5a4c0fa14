"""What the Maildir watcher remembers between runs: which message was last seen in which folder.

The file is an SQLite database, so that each change is written as a whole or not at all. It holds hashes of
messages and of file names, paths of folders, and labels.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lmclassify.errors import LMClassifyError

_FORMAT = 1
_APPLICATION = 0x6C6D7761  # "lmwa", in the header of the database
_TABLES = """
CREATE TABLE folders (path TEXT PRIMARY KEY, inode INTEGER) WITHOUT ROWID;
CREATE TABLE files (folder TEXT, key BLOB, message BLOB, PRIMARY KEY (folder, key)) WITHOUT ROWID;
CREATE INDEX files_by_message ON files (message);
CREATE TABLE messages (
    hash BLOB PRIMARY KEY, folder TEXT NOT NULL, taught TEXT, moved_from TEXT, from_label TEXT,
    pending INTEGER NOT NULL, gone INTEGER
) WITHOUT ROWID;
CREATE INDEX pending_messages ON messages (pending) WHERE pending;
"""


@dataclass(frozen=True)
class SeenMessage:
    """One message, wherever copies of it lie."""

    hash: bytes
    folder: str
    """The folder that decides about its label: the last one it was seen in, apart from ignored ones."""
    taught: str | None = None
    """The label that it was last taught with."""
    pending: bool = False
    """Whether it has to be taught with the label of its folder."""
    moved_from: str | None = None
    """Of a pending message: the folder that it was in before."""
    from_label: str | None = None
    """Of a pending message: the label that it had before."""


class WatchState:
    """The state file of a watcher. Only one process can use it at a time.

    Raises LMClassifyError if it cannot be used.

    Attributes
    ----------
    is_first : bool
        Whether no scan has been completed with this file yet.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            raise LMClassifyError(f"cannot write {path}: {error.strerror}") from error
        self._database = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            with self._errors():
                self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.execute("BEGIN EXCLUSIVE")
                self._open()
                self._database.execute("COMMIT")
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        application = self._database.execute("PRAGMA application_id").fetchone()[0]
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        tables = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        self.is_first = not tables
        if tables and application != _APPLICATION:
            raise LMClassifyError(
                f"{self._path} is no state file of lmclassify watch: name another with --state"
            )
        if tables and version != _FORMAT:
            raise LMClassifyError(
                f"{self._path} was written by another version of lmclassify: delete it, or name another "
                "with --state"
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes inside at once; none if an exception leaves the block."""
        with self._errors():
            self._database.execute("BEGIN")
            try:
                if self.is_first:
                    for statement in _TABLES.split(";"):
                        self._database.execute(statement)
                    self._database.execute(f"PRAGMA application_id = {_APPLICATION}")
                    self._database.execute(f"PRAGMA user_version = {_FORMAT}")
                yield
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise
        self.is_first = False

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise LMClassifyError(f"{self._path} is in use: another watcher runs") from error
            raise LMClassifyError(f"cannot use {self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise LMClassifyError(
                f"{self._path} is damaged ({error}): delete it; what was moved since is then not learned"
            ) from error

    def folders(self) -> dict[str, int]:
        """Return the folders of the last scan, and their numbers in the file system."""
        return dict(self._database.execute("SELECT path, inode FROM folders"))

    def put_folder(self, path: str, inode: int) -> None:
        """Add a folder, or note its number."""
        self._database.execute("INSERT OR REPLACE INTO folders VALUES (?, ?)", (path, inode))

    def remove_folder(self, path: str) -> None:
        """Remove a folder, which holds no files any more."""
        self._database.execute("DELETE FROM folders WHERE path = ?", (path,))

    def files(self, folder: str) -> dict[bytes, bytes | None]:
        """Return the message in each file of a folder, by the file's key; None in a file without message."""
        return dict(self._database.execute("SELECT key, message FROM files WHERE folder = ?", (folder,)))

    def add_file(self, folder: str, key: bytes, message: bytes | None) -> None:
        """Note a file of a folder and its message."""
        self._database.execute("INSERT INTO files VALUES (?, ?, ?)", (folder, key, message))

    def remove_files(self, folder: str, keys: Iterable[bytes], now: int) -> None:
        """Forget files of a folder; messages without any file are gone since `now`, in seconds."""
        for key in keys:
            place = (folder, key)
            (message,) = self._database.execute(
                "SELECT message FROM files WHERE folder = ? AND key = ?", place
            ).fetchone()
            self._database.execute("DELETE FROM files WHERE folder = ? AND key = ?", place)
            self._database.execute(
                "UPDATE messages SET gone = ? WHERE hash = ? AND NOT EXISTS"
                " (SELECT 1 FROM files WHERE message = hash)",
                (now, message),
            )

    def places(self, message: bytes) -> list[tuple[str, bytes]]:
        """Return folder and key of each file that holds a message."""
        return self._database.execute(
            "SELECT folder, key FROM files WHERE message = ?", (message,)
        ).fetchall()

    def message(self, message: bytes) -> SeenMessage | None:
        """Return what is known of a message."""
        return next(self._messages("hash = ?", message), None)

    def pending(self) -> list[SeenMessage]:
        """Return the messages that have to be taught."""
        return list(self._messages("pending"))

    def _messages(self, condition: str, *values: object) -> Iterator[SeenMessage]:
        rows = self._database.execute(
            "SELECT hash, folder, taught, pending, moved_from, from_label FROM messages"
            f" WHERE {condition} ORDER BY hash",
            values,
        )
        for row in rows:
            message = SeenMessage(*row)
            yield replace(message, pending=bool(message.pending))

    def put(self, message: SeenMessage) -> None:
        """Note what is known of a message that lies in a folder."""
        self._database.execute(
            "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (
                message.hash,
                message.folder,
                message.taught,
                message.moved_from,
                message.from_label,
                message.pending,
            ),
        )

    def settle(self, message: bytes, taught: str | None) -> None:
        """Note that a message is not pending any more, and the label that it is taught with."""
        self._database.execute(
            "UPDATE messages SET pending = 0, moved_from = NULL, from_label = NULL, taught = ?"
            " WHERE hash = ?",
            (taught, message),
        )

    def forget(self, before: int) -> None:
        """Forget messages that are gone since a moment before this one, in seconds."""
        self._database.execute("DELETE FROM messages WHERE gone < ?", (before,))
