"""Open rows in any input format: the one function through which all commands open data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, Self

from lmclassify.errors import DataError, OptionError
from lmclassify.mail.fields import DEFAULT_FIELDS
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.columns import Header, suffix_of
from lmclassify.tables.delimited import DelimitedReader
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.rows import CHUNK_ROWS, Rows

InputFormat = Literal["csv", "tsv", "jsonl", "parquet", "text", "mail"]

SUFFIXES: dict[str, InputFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
}
"""Input format by file suffix."""


class RowReader(Protocol):
    """Reads rows in chunks, from one file or several."""

    name: str
    """For messages."""
    columns: list[str]
    """The header."""
    size: int | None
    """Size in bytes, if known."""

    @property
    def bytes_read(self) -> int:
        """The position in the file, in bytes; compare with `size`."""
        ...

    @property
    def rows_read(self) -> int:
        """How many rows have been read."""
        ...

    @property
    def sample(self) -> Sequence[Sequence[str]]:
        """The first rows, to recognize columns by their content; may be empty."""
        ...

    @property
    def header(self) -> Header:
        """Where the names of the columns come from."""
        ...

    @property
    def notes(self) -> list[str]:
        """What the user should know of the rows read so far, one line each."""
        ...

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that names the columns in use; a reader may check their values from then on."""
        ...

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def detect_format(path: str) -> InputFormat | None:
    """Return ``mail`` if a path looks like mail, else the format of its suffix, None if unknown."""
    return "mail" if looks_like_mail(path) else SUFFIXES.get(suffix_of(path))


def open_rows(
    path: str,
    *,
    format: InputFormat | None = None,
    encoding: str | None = None,
    fields: Sequence[str] = DEFAULT_FIELDS,
    dialect: Dialect | None = None,
    stream: bool = False,
) -> RowReader:
    """Open a file of rows, mail, or a folder of texts.

    Raises DataError if the file cannot be read in the format. Raises OptionError if there is no such
    encoding, the format cannot be streamed, or it has no dialect.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    format : {"csv", "tsv", "jsonl", "parquet", "text", "mail"}, optional
        By default as `detect_format` finds; if it finds nothing, a file is CSV, and each file of a folder is
        one text.
    encoding : str, optional
        A Python encoding; ``detect`` guesses. By default UTF-8, or what a byte order mark tells.
    fields : sequence of str
        The text of a mail message: ``subject``, ``body`` or both.
    dialect : Dialect, optional
        Quotes and header of a CSV or TSV file.
    stream : bool, default=False
        Read no further ahead than the first row.
    """
    kind = format or detect_format(path)
    dialect = dialect or Dialect()
    if kind not in ("csv", "tsv", None) and (kind != "text" or format is not None):
        dialect.require_delimited(path, kind)
    if kind in (None, "text") and os.path.isdir(path):
        from lmclassify.tables.text_files import TextFilesReader

        return TextFilesReader(path, encoding, with_tables=format == "text")
    if kind == "mail":
        from lmclassify.mail.messages_table import MailReader

        return MailReader(path, fields)
    if kind == "jsonl":
        from lmclassify.tables.json_lines import JsonLinesReader

        return JsonLinesReader(path, encoding, stream=stream)
    if kind == "parquet":
        from lmclassify.tables.parquet import ParquetReader

        if stream:
            raise OptionError(
                f"--stream reads row by row, but reading Parquet ({path}) starts at the end of the file"
            )
        return ParquetReader(path)
    if kind == "text":
        table = None if format else _table_in_text_file(path, encoding, dialect, stream)
        if table is not None:
            return table
        from lmclassify.tables.plain_text import PlainTextReader

        return PlainTextReader(path, encoding)
    return DelimitedReader(path, format, encoding, dialect, stream=stream)


def _table_in_text_file(
    path: str, encoding: str | None, dialect: Dialect, stream: bool
) -> DelimitedReader | None:
    """Return the reader of a .txt file that is a table: so the user says, or it has texts and labels."""
    if dialect.options:
        return DelimitedReader(path, None, encoding, dialect, stream=stream)
    if stream or not os.path.isfile(path):  # it cannot be opened twice
        return None
    try:
        table = DelimitedReader(path, None, encoding)
    except DataError:  # not a table, or the error that reading lines gives too
        return None
    if table.has_text_and_label:
        return table
    table.close()
    return None
