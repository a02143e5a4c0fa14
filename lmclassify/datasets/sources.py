"""Open rows in any input format: the one function through which all commands open data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

from lmclassify.errors import DataError, OptionError
from lmclassify.mail.fields import DEFAULT_FIELDS
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.columns import Header, suffix_of
from lmclassify.tables.content import beginning, check_text, recognise_content, table_saved_as_text
from lmclassify.tables.delimited import DelimitedReader
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.inputs import Input
from lmclassify.tables.rows import CHUNK_ROWS, Rows

InputFormat = Literal["csv", "tsv", "jsonl", "parquet", "excel", "fasttext", "text", "mail"]

SUFFIXES: dict[str, InputFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
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
    files: int
    """Number of files that the rows come from."""

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

    def locate(self, row: int) -> tuple[str, int]:
        """Return the name of the file that a row comes from, and the row's number in it, from 1."""
        ...

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
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


@dataclass(frozen=True)
class _Reading:
    """How a file is read; the parameters of `open_rows`."""

    path: str
    format: InputFormat | None
    encoding: str | None
    dialect: Dialect
    stream: bool
    sheet: str | None
    named_columns: Sequence[str | None]
    default: InputFormat
    lines: bool


def open_rows(
    path: str,
    *,
    format: InputFormat | None = None,
    encoding: str | None = None,
    fields: Sequence[str] = DEFAULT_FIELDS,
    dialect: Dialect | None = None,
    stream: bool = False,
    sheet: str | None = None,
    named_columns: Sequence[str | None] = (),
    default: InputFormat = "csv",
    lines: bool = False,
) -> RowReader:
    """Open a file of rows, mail, or a folder of texts.

    Raises DataError if the file cannot be read in the format. Raises OptionError if there is no such
    encoding, the format cannot be streamed, it has no dialect, or a sheet is named for a file that is no
    workbook.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    format : {"csv", "tsv", "jsonl", "parquet", "excel", "fasttext", "text", "mail"}, optional
        By default what the first bytes of the file tell (mail, JSON, Parquet, workbooks, fastText), else the
        format of its suffix, else `default`. A text file with texts and labels, or one for which `dialect`
        says something, is a table. Each file of a folder without mail is one text.
    encoding : str, optional
        A Python encoding; ``detect`` guesses. By default UTF-8, or what a byte order mark tells.
    fields : sequence of str
        The text of a mail message: ``subject``, ``body`` or both.
    dialect : Dialect, optional
        Quotes and header of a CSV or TSV file; the header of a workbook.
    stream : bool, default=False
        Read no further ahead than the first row.
    sheet : str, optional
        Name or number of the sheet of a workbook.
    named_columns : sequence of str or None
        Columns that the user names; in JSON and Parquet they may be nested, such as ``message.body``.
    default : InputFormat
        The format if neither content nor suffix tells it.
    lines : bool, default=False
        Read CSV and TSV, too, as one text per line.
    """
    how = _Reading(path, format, encoding, dialect or Dialect(), stream, sheet, named_columns, default, lines)
    if format == "mail" or (format is None and looks_like_mail(path)):
        from lmclassify.mail.messages_table import MailReader

        _check_options(how, "mail")
        return MailReader(path, fields)
    if format in (None, "text") and os.path.isdir(path):
        from lmclassify.tables.text_files import TextFilesReader

        _check_options(how, "a folder of texts")
        return TextFilesReader(path, encoding, with_tables=format == "text")
    source = Input(path)
    try:
        head = beginning(source.stream)
        kind = format or _recognise(how, source.name, head)
        if kind not in ("excel", "parquet"):
            check_text(head, source.name, markup=kind in ("csv", "tsv"))
        if kind == "text" and not (format or lines):
            table = _table_in_text_file(how, source)
            if table is not None:
                return table
        _check_options(how, kind)
        return _open_table(how, source, kind)
    except BaseException:
        source.close()
        raise


def _recognise(how: _Reading, name: str, head: bytes) -> InputFormat:
    """Return the format of a file by its first bytes, else by its suffix."""
    kind = recognise_content(head, how.encoding) or SUFFIXES.get(suffix_of(name), how.default)
    if kind == "excel" and recognise_content(head) != "excel":
        return "csv"  # some programs give the suffix .xls to text
    if how.lines and kind in ("csv", "tsv"):
        return "text"
    saved = table_saved_as_text(head) if kind == "text" and not how.lines else None
    return saved or kind


def _check_options(how: _Reading, kind: str) -> None:
    """Raise OptionError if an option is not for a file of this kind."""
    if kind == "excel":
        replace(how.dialect, header=None, columns=None).require_delimited(how.path, kind)
    elif kind not in ("csv", "tsv"):
        how.dialect.require_delimited(how.path, kind)
    if how.sheet is not None and kind != "excel":
        raise OptionError(f"--sheet names a sheet of a workbook, but {how.path} is none")
    if how.stream and kind in ("excel", "parquet"):
        what = "a workbook" if kind == "excel" else "Parquet"
        raise OptionError(
            f"--stream reads row by row, but reading {what} ({how.path}) starts at the end of the file"
        )


def _open_table(how: _Reading, source: Input, kind: InputFormat) -> RowReader:
    path, encoding = how.path, how.encoding
    if kind == "jsonl":
        from lmclassify.tables.json_lines import JsonLinesReader

        return JsonLinesReader(
            path, encoding, stream=how.stream, source=source, named_columns=how.named_columns
        )
    if kind == "parquet":
        from lmclassify.tables.parquet import ParquetReader

        return ParquetReader(path, source, named_columns=how.named_columns)
    if kind == "excel":
        from lmclassify.tables.excel import ExcelReader

        return ExcelReader(path, how.sheet, source, how.dialect)
    if kind == "fasttext":
        from lmclassify.tables.fasttext import FastTextReader

        return FastTextReader(path, encoding, source)
    if kind == "text":
        from lmclassify.tables.plain_text import PlainTextReader

        return PlainTextReader(path, encoding, source)
    table_format = how.format or ("tsv" if kind == "tsv" else None)
    return DelimitedReader(source.name, table_format, encoding, how.dialect, stream=how.stream, source=source)


def _table_in_text_file(how: _Reading, source: Input) -> DelimitedReader | None:
    """Return the reader of a .txt file that is a table: so the user says, or it has texts and labels."""
    if how.dialect.options and not how.dialect.only_tables:
        _check_options(how, "csv")
        return DelimitedReader(source.name, None, how.encoding, how.dialect, stream=how.stream, source=source)
    if how.stream or not os.path.isfile(how.path):  # it cannot be opened twice
        return None
    try:
        table = DelimitedReader(source.name, None, how.encoding, how.dialect, source=Input(how.path))
    except DataError:  # not a table, or the error that reading lines gives too
        return None
    if not table.has_text_and_label:
        table.close()
        return None
    _check_options(how, "csv")
    source.close()
    return table
