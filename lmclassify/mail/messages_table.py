"""Read mail as a table with one row per message."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence

from lmclassify.errors import DataError, counted, listing
from lmclassify.mail.fields import DEFAULT_FIELDS, TEXT_FIELDS
from lmclassify.mail.mailboxes import Mailbox, looks_like_mail
from lmclassify.mail.messages import read_message
from lmclassify.tables.rows import CHUNK_ROWS, ClosingReader, Rows

_CHUNK_CHARACTERS = 1 << 22  # of message bodies, so that chunks of long messages fit in memory
_MAX_NAMES = 5  # of files left out, in a message of one line


def read_texts(path: str, fields: Sequence[str] = DEFAULT_FIELDS) -> list[str]:
    """Return the text of every message, including blank ones."""
    with MailReader(path, fields) as mail:
        index = mail.columns.index("text")
        return [text for rows in mail.chunks() for text in rows.column(index)]


class MailReader(ClosingReader):
    """Read an mbox file, a Maildir, a message (.eml, .emlx) or a folder of them in chunks, compressed or not.

    Malformed messages are read as well as possible; none is an error. The first 256 KiB of each message are
    parsed, and the first 20,000 characters of its text are kept. Files of a folder that hold no mail are left
    out; `notes` counts them. If no file of the folder looks like mail, each is read
    as a message. Raises DataError if the path cannot be read, or holds no mail.

    Parameters
    ----------
    path : str
        ``-`` reads an mbox file from standard input.
    fields : sequence of str
        The content of the column ``text``: ``subject``, ``body`` or both.

    Attributes
    ----------
    name : str
        For messages.
    columns : list of str
        id (the Message-ID, else the file name or the position in the file), from, date, subject, body, text.
    size : int or None
        Size in bytes, if known.
    """

    def __init__(self, path: str, fields: Sequence[str] = DEFAULT_FIELDS) -> None:
        self.name = "standard input" if path == "-" else path
        self.columns = ["id", "from", "date", "subject", "body", "text"]
        self.rows_read = 0
        self._sealed = 0
        self._fields = tuple(fields)
        self._read = frozenset((*fields, *TEXT_FIELDS))
        self._mailbox = Mailbox(path, every_file=os.path.isdir(path) and not looks_like_mail(path))
        self.size = self._mailbox.size
        messages = iter(self._mailbox)
        try:
            first = next(messages, None)
        except BaseException:
            self.close()
            raise
        if first is None:
            self.close()
            inside = listing(self._mailbox.sub_folders, _MAX_NAMES)
            remedy = f"; name its sub-folders: {inside}" if inside else ""
            raise DataError(f"{self.name} holds no mail{remedy}")
        self._messages = itertools.chain([first], messages)

    def close(self) -> None:
        """Close the file."""
        self._mailbox.close()

    @property
    def bytes_read(self) -> int:
        """The position in the files, in bytes; compare with `size`."""
        return self._mailbox.bytes_read

    @property
    def notes(self) -> list[str]:
        """What was not read so far: sealed messages, files that are no mail, and sub-folders."""
        notes = []
        if self._sealed and "body" in self._fields:
            what = counted(self._sealed, "message is", "messages are")
            notes.append(
                f"{self.name}: {what} encrypted or sealed (PGP, S/MIME); what is sealed counts as no text"
            )
        files, folders = self._mailbox.left_out, self._mailbox.sub_folders
        if files:
            what = counted(len(files), "file that is no mail", "files that are no mail")
            remedy = (
                "; to read each file as one text: --input-format text" if self._mailbox.may_be_texts else ""
            )
            notes.append(f"{self.name}: {what} left out: {listing(files, _MAX_NAMES)}{remedy}")
        if folders:
            what = "its sub-folder" if len(folders) == 1 else f"its {len(folders):,} sub-folders"
            notes.append(
                f"{self.name}: {what} left out: {listing(folders, _MAX_NAMES)}; name those to be read, too"
            )
        return notes

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that says which fields are read."""
        columns = [self.columns[at] for at in text_at]
        fields = listing(self._fields if columns == ["text"] else columns)
        more = " (see --fields)" if columns == ["text"] else ""
        return f"{self.name}: mail, text is its {fields}{more}"

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all messages, at most `rows` at a time; fewer if they are long."""
        while True:
            cells: list[list[str]] = []
            remaining = _CHUNK_CHARACTERS
            while len(cells) < rows and remaining > 0 and (found := next(self._messages, None)) is not None:
                name, data = found
                mail = read_message(data, self._read)
                self._sealed += mail.is_sealed
                cells.append([mail.id or name, mail.sender, mail.date, mail.subject, mail.body])
                cells[-1].append(mail.text(self._fields))
                remaining -= len(mail.body)
            if not cells:
                return
            yield Rows(self.columns, cells, self.rows_read + 1)
            self.rows_read += len(cells)
