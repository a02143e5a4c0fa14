"""Mail as a table: a row a message, with the same interface as the reader of CSV files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from lmclassify.errors import DataError
from lmclassify.mail.fields import DEFAULT_FIELDS
from lmclassify.mail.mailboxes import Mailbox, looks_like_mail
from lmclassify.mail.messages import read_message
from lmclassify.tables.rows import Rows

__all__ = ["MailReader", "looks_like_mail", "read_texts"]

_CHUNK_ROWS = 8192
_CHUNK_CHARACTERS = 1 << 22


def read_texts(path: str, fields: Sequence[str] = DEFAULT_FIELDS) -> list[str]:
    """Return the text of every message, blank ones too."""
    with MailReader(path, fields) as mail:
        place = mail.columns.index("text")
        return [text for rows in mail.chunks() for text in rows.column(place)]


class MailReader:
    """Reads mail in chunks: an mbox file, a Maildir, a message (.eml), a folder of these, gzipped or not.

    Odd messages are read as well as possible; none is an error. Of each its first 256 KiB are parsed, and the
    first 20,000 characters of its text are kept.

    Parameters
    ----------
    path : str
        ``-`` is standard input, an mbox file.
    fields : sequence of str
        What the column ``text`` holds: ``subject``, ``body`` or both.

    Attributes
    ----------
    name : str
        For messages to people.
    columns : list of str
        id (the Message-ID, or else the file's name or the place in it), from, date, subject, body, text.
    size : int or None
        Bytes in all, where that is known.

    Raises
    ------
    DataError
        If it cannot be read, or holds no mail.
    """

    def __init__(self, path: str, fields: Sequence[str] = DEFAULT_FIELDS) -> None:
        self.name = "standard input" if path == "-" else path
        self.columns = ["id", "from", "date", "subject", "body", "text"]
        self.rows_read = 0
        self._fields = tuple(fields)
        self._mailbox = Mailbox(path)
        self.size = self._mailbox.size
        messages = iter(self._mailbox)
        try:
            first = next(messages, None)
        except BaseException:
            self.close()
            raise
        if first is None:
            self.close()
            raise DataError(f"{self.name} holds no mail")
        self._messages = itertools.chain([first], messages)

    def close(self) -> None:
        """Close the file."""
        self._mailbox.close()

    def __enter__(self) -> MailReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def bytes_read(self) -> int:
        """How far it has come."""
        return self._mailbox.bytes_read

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that says what is read."""
        column = self.columns[text_at]
        what = " and ".join(self._fields) if column == "text" else column
        return f"{self.name}: mail, text is its {what}" + (" (see --fields)" if column == "text" else "")

    def chunks(self, rows: int = _CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all messages, at most `rows` at a time; fewer where they are long."""
        while True:
            cells: list[list[str]] = []
            room = _CHUNK_CHARACTERS
            while len(cells) < rows and room > 0 and (found := next(self._messages, None)) is not None:
                name, data = found
                mail = read_message(data)
                cells.append([mail.id or name, mail.sender, mail.date, mail.subject, mail.body])
                cells[-1].append(mail.text(self._fields))
                room -= len(mail.body)
            if not cells:
                return
            yield Rows(self.columns, cells, self.rows_read + 1)
            self.rows_read += len(cells)
