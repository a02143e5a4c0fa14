"""Learn from the moves of messages between the folders of a Maildir.

A scan compares the Maildir with what was seen before. If a message appears in a folder of another label than
that of its folder before, this is a lesson. A lesson is noted before it is taught, and taught again if the
program was killed in between: the model counts it once. What a message says decides nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lmclassify.errors import DataError, LMClassifyError, OptionError, cut, printable
from lmclassify.extras import install_extra
from lmclassify.mail.encoded_words import decode_header
from lmclassify.mail.file_kinds import MAILDIR_FOLDERS
from lmclassify.mail.folder_labels import FolderLabels
from lmclassify.mail.headers import PREFIX
from lmclassify.mail.maildir import (
    INBOX,
    Maildir,
    MessageFile,
    folder_name,
    list_maildir,
    message_hash,
    read_message_file,
)
from lmclassify.mail.messages import read_message
from lmclassify.mail.watch_state import SeenMessage, WatchState

MAX_FILE_BYTES = 1 << 27
"""Larger files are not read: mail systems accept messages of a tenth of this size."""
_KEPT_SECONDS = 100 * 24 * 3600
"""How long a message that is gone is remembered, in case it comes back."""
_PAUSE_SECONDS = 0.2
"""Pause between a change and the scan, so that many moves are one scan."""
_SUBJECT_CHARACTERS = 60
_LABEL_HEADER = re.compile(
    rb"^%s[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)" % f"{PREFIX}Label".encode(), re.IGNORECASE | re.MULTILINE
)


class Teach(Protocol):
    """Teaches a model a message; returns whether the model learned something new.

    Raises DataError or OptionError if the message is refused for good, another LMClassifyError if the lesson
    can be tried again later.
    """

    def __call__(self, message: bytes, label: str, from_label: str | None, *, undo: bool) -> bool: ...


@dataclass(frozen=True)
class _Appearance:
    """A message that was not in this folder before."""

    message: bytes
    folder: str
    is_new: bool
    verdict: str | None
    """The label in the header that the filter adds."""


class MaildirWatcher:
    """Teaches a model what was moved in a Maildir.

    Parameters
    ----------
    root : str
        The Maildir.
    learn_existing : bool
        Teach the messages that the first scan finds, too.
    say : callable
        Gets one line per lesson.
    warn : callable
        Gets one line per problem.
    with_subjects : bool
        Whether the line of a lesson has the message's subject.
    max_file_bytes : int
        Larger files are skipped.
    clock : callable
        Returns the time in seconds.
    """

    def __init__(
        self,
        root: str,
        state: WatchState,
        folders: FolderLabels,
        teach: Teach,
        *,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        learn_existing: bool = False,
        with_subjects: bool = False,
        max_file_bytes: int = MAX_FILE_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root, self._state, self._folders, self._teach = root, state, folders, teach
        self._learn_existing, self._with_subjects = learn_existing, with_subjects
        self._max_file_bytes = max_file_bytes
        self._say, self._warn, self._clock = say, warn, clock
        self._problems: set[str] = set()  # of this scan
        self._said: set[str] = set()  # problems of the last scan

    def watch(self, interval: float, changed: threading.Event, until: Callable[[], bool]) -> None:
        """Scan after each change and at intervals, until a function says that it is enough.

        Parameters
        ----------
        interval : float
            Seconds to the next scan if nothing changes.
        changed : Event
            Set by `noticed_changes`.
        """
        while not until():
            changed.clear()
            started = time.monotonic()
            try:
                self.scan()
            except LMClassifyError as error:
                self._report(str(error))
            pause = max(_PAUSE_SECONDS, time.monotonic() - started)
            if changed.wait(interval):
                time.sleep(min(pause, interval))

    def scan(self) -> bool:
        """Teach what was moved since the last scan; return whether nothing has to be tried again.

        Problems with single folders and messages are said, and the scan goes on. Raises LMClassifyError if
        the Maildir or the state file cannot be used.
        """
        self._said, self._problems = self._problems, set()
        try:
            found = list_maildir(self._root)
            for folder, reason in found.problems.items():
                self._report(f"folder {printable(folder_name(folder))} is not read: {reason}")
            with self._state.transaction():
                self._note_changes(found)
            return self._teach_pending(found)
        except LMClassifyError:
            self._problems |= self._said
            raise

    def _report(self, problem: str) -> None:
        """Report a problem, unless the last scan reported it."""
        if problem not in self._said | self._problems:
            self._warn(problem)
        self._problems.add(problem)

    def _note_changes(self, found: Maildir) -> None:
        """Compare the Maildir with the state; note where messages are now, and which of them to teach."""
        state, now = self._state, int(self._clock())
        is_first, known = state.is_first, state.folders()
        appearances: list[_Appearance] = []
        for folder, files in found.folders.items():
            messages = state.files(folder)
            present = set(messages.values())
            for file in files:
                if file.key not in messages:
                    appearances += self._read_file(folder, file, present)
            state.remove_files(folder, messages.keys() - {file.key for file in files}, now)
            state.put_folder(folder, found.inodes[folder])
        gone = {folder for folder in known.keys() - found.folders.keys() if not found.unreadable(folder)}
        for folder in gone:
            state.remove_files(folder, state.files(folder), now)
            state.remove_folder(folder)
        at_first_sight: set[bytes] = set()
        # A new message in two folders was moved to the one that stands for a label.
        appearances.sort(key=lambda appearance: self._folders.role(appearance.folder).is_explicit)
        for appearance in appearances:
            previous = state.message(appearance.message)
            if previous is None or is_first or (appearance.is_new and appearance.message in at_first_sight):
                at_first_sight.add(appearance.message)
                state.put(self._at_first_sight(appearance, is_first))
            else:
                is_renamed = appearance.folder not in known and (
                    previous.folder not in found.folders
                    or known.get(previous.folder) == found.inodes[appearance.folder]
                )
                state.put(self._after_move(appearance, previous, is_renamed))
        state.forget(now - _KEPT_SECONDS)

    def _read_file(self, folder: str, file: MessageFile, present: set[bytes | None]) -> Iterator[_Appearance]:
        """Note the message in a file; yield it if it is not among those that the folder had before."""
        try:
            data = read_message_file(file.path, self._max_file_bytes)
        except FileNotFoundError:
            return  # a mail program has moved it meanwhile
        except OSError as error:
            self._report(f"cannot read {_shown(file.path)}: {error.strerror}")
            return
        except DataError as error:
            self._state.add_file(folder, file.key, None)
            self._report(f"skipped: {error}")
            return
        message = message_hash(data)
        self._state.add_file(folder, file.key, message)
        if message not in present:
            yield _Appearance(message, folder, file.is_new, _verdict(data))

    def _at_first_sight(self, appearance: _Appearance, is_first: bool) -> SeenMessage:
        """Return what to note of a message that was in no folder before.

        What the filter has put into a folder is no lesson, nor is what was delivered there. Other messages in
        a folder that stands for a label come from elsewhere, or were moved before they were seen.
        """
        role = self._folders.role(appearance.folder)
        if is_first:
            in_inbox = folder_name(appearance.folder) == INBOX
            teaches = self._learn_existing and not (in_inbox and appearance.is_new)
        else:
            teaches = role.is_explicit and not appearance.is_new
        pending = teaches and role.label is not None and role.label != appearance.verdict
        return SeenMessage(appearance.message, appearance.folder, pending=pending)

    def _after_move(self, appearance: _Appearance, previous: SeenMessage, is_renamed: bool) -> SeenMessage:
        """Return what to note of a message that was in another folder before.

        `is_renamed` says that the folder was renamed, not the message moved.
        """
        role, before = self._folders.role(appearance.folder), self._folders.role(previous.folder)
        if role.is_ignored and not before.is_ignored:
            return previous
        moved = replace(previous, folder=appearance.folder)
        if role.is_ignored or (role.label == before.label and not before.is_ignored):
            return moved
        if is_renamed or not (role.is_explicit or before.is_explicit):
            return replace(moved, pending=False)
        # A pending lesson may have been taught just before the program was killed.
        was_sorted = before.is_explicit and role.label is not None
        from_label = (before.label if was_sorted or previous.pending else None) or previous.taught
        pending = from_label is not None if role.label is None else role.label != from_label
        return replace(moved, pending=pending, moved_from=previous.folder, from_label=from_label)

    def _teach_pending(self, found: Maildir) -> bool:
        """Teach the lessons that are noted; return whether all of them are done."""
        pending = self._state.pending()
        paths = (
            {(folder, file.key): file.path for folder, files in found.folders.items() for file in files}
            if pending
            else {}
        )
        all_done = True
        for message in pending:
            places = self._state.places(message.hash)
            data = self._read_any([paths[place] for place in places if place in paths])
            if data is None and places:
                all_done = False
                continue
            taught = message.taught
            if data is None:
                self._report("a message was deleted before it could be learned")
            else:
                try:
                    taught = self._teach_message(data, message)
                except (DataError, OptionError) as error:
                    self._report(f"a message in {_folder_shown(message.folder)} is not learned: {error}")
                except LMClassifyError as error:
                    self._report(f"{error}; what was moved is learned later")
                    return False
            with self._state.transaction():
                self._state.settle(message.hash, taught)
        return all_done

    def _read_any(self, paths: list[str]) -> bytes | None:
        for path in paths:
            with contextlib.suppress(OSError, DataError):
                return read_message_file(path, self._max_file_bytes)
        return None

    def _teach_message(self, data: bytes, message: SeenMessage) -> str | None:
        """Teach a message; return the label that it now is taught with."""
        label, from_label = self._folders.role(message.folder).label, message.from_label
        if label is not None:
            changed = self._teach(data, label, from_label, undo=False)
            what = f"{'learned 1 message' if changed else 'already learned'} as {label}"
        elif from_label is not None:
            self._teach(data, from_label, None, undo=True)
            what = f"1 message is not {from_label} any more"
        else:
            return message.taught
        where = f"in {_folder_shown(message.folder)}"
        if message.moved_from is not None:
            where = f"{_folder_shown(message.moved_from)} to {_folder_shown(message.folder)}"
        subject = ""
        if self._with_subjects:
            subject = f": {cut(read_message(data, ('subject',)).subject, _SUBJECT_CHARACTERS)}"
        self._say(printable(f"{what} ({where}){subject}"))
        return label


def _verdict(data: bytes) -> str | None:
    """Return the label in the header that the filter adds; None if there is none."""
    data = data.replace(b"\r\n", b"\n")
    found = _LABEL_HEADER.search(data, 0, data.find(b"\n\n") + 1 or len(data))
    return decode_header(found[1].decode("ascii", "surrogateescape")) if found else None


def _shown(path: str) -> str:
    return printable(os.fsencode(path).decode(errors="replace"))


def _folder_shown(path: str) -> str:
    return printable(folder_name(path))


@contextlib.contextmanager
def noticed_changes(root: str, warn: Callable[[str], None]) -> Iterator[threading.Event]:
    """Return an event that is set whenever a message or a folder of a Maildir is added, moved or deleted.

    Raises LMClassifyError if watchdog is missing. If the system cannot watch the Maildir, this is said, and
    the event is never set.
    """
    try:
        from watchdog import events
        from watchdog.observers import Observer
    except ImportError:
        raise LMClassifyError(
            f"watching needs watchdog: {install_extra('mail')}; --once does without it"
        ) from None
    changed = threading.Event()

    class Handler(events.FileSystemEventHandler):
        def on_any_event(self, event: Any) -> None:
            paths = [os.fsdecode(path) for path in (event.src_path, event.dest_path) if path]
            inner = {os.path.basename(os.path.dirname(path)) for path in paths}
            if event.is_directory or inner & set(MAILDIR_FOLDERS):
                changed.set()

    kinds: list[Any] = [
        events.FileCreatedEvent, events.FileMovedEvent, events.FileDeletedEvent,
        events.DirCreatedEvent, events.DirMovedEvent, events.DirDeletedEvent,
    ]  # fmt: skip
    observer = Observer()
    try:
        observer.schedule(Handler(), os.path.realpath(root), recursive=True, event_filter=kinds)
        observer.start()
    except OSError as error:
        warn(f"changes of {_shown(root)} are not noticed at once: {error.strerror or error}")
        yield changed
        return
    try:
        yield changed
    finally:
        observer.stop()
        observer.join()
