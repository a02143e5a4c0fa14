"""Rows to read, whatever their format: what all commands open data with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, Self

from lmclassify.errors import OptionError
from lmclassify.mail.fields import DEFAULT_FIELDS
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.compression import split_compression
from lmclassify.tables.delimited import CHUNK_ROWS, TableReader
from lmclassify.tables.rows import Rows

InputFormat = Literal["csv", "tsv", "jsonl", "parquet", "text", "mail"]

ENDINGS: dict[str, InputFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
}


class Source(Protocol):
    """Rows in chunks, from a file or from several."""

    name: str
    """For messages."""
    columns: list[str]
    """The header."""
    size: int | None
    """Bytes in all, where that is known."""

    @property
    def bytes_read(self) -> int:
        """How far reading has come."""
        ...

    @property
    def rows_read(self) -> int:
        """How many rows have been read."""
        ...

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that names the columns in use; a source may check them from then on."""
        ...

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def format_of_input(path: str) -> InputFormat | None:
    """Return the format that a path's ending tells, behind that of a compressed file."""
    return ENDINGS.get(Path(split_compression(path)[0]).suffix.lower())


def kind_of_input(path: str) -> InputFormat | None:
    """Return ``mail`` where a path looks like that, else what `format_of_input` does."""
    return "mail" if looks_like_mail(path) else format_of_input(path)


def open_source(
    path: str,
    *,
    format: InputFormat | None = None,
    encoding: str | None = None,
    fields: Sequence[str] = DEFAULT_FIELDS,
    stream: bool = False,
) -> Source:
    """Open a file of rows, or mail.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    format : {"csv", "tsv", "jsonl", "parquet", "text", "mail"}, optional
        By default mail where it looks like that, else what the path ends in; CSV where that tells nothing.
    encoding : str, optional
        Of text, as Python names it; ``detect`` guesses. By default UTF-8, or what a byte order mark tells.
    fields : sequence of str
        What texts of mail are: ``subject``, ``body`` or both.
    stream : bool, default=False
        Read no more ahead than the first row.

    Raises
    ------
    DataError
        If it cannot be read as that.
    OptionError
        If there is no such encoding.
    """
    kind = format or kind_of_input(path)
    if kind == "mail":
        from lmclassify.mail.messages_table import MailReader

        return MailReader(path, fields)
    if kind == "jsonl":
        from lmclassify.tables.json_lines import JsonLinesReader

        return JsonLinesReader(path, encoding, stream=stream)
    if kind == "parquet":
        from lmclassify.tables.parquet import ParquetReader

        if stream:
            raise OptionError(f"--stream reads text row by row, and Parquet ({path}) is read from its end")
        return ParquetReader(path)
    if kind == "text":
        from lmclassify.tables.plain_text import PlainTextReader

        return PlainTextReader(path, encoding)
    return TableReader(path, format, encoding)
