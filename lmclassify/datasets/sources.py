"""Open rows in any input format: the one function through which all commands open data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, Self

from lmclassify.errors import OptionError
from lmclassify.mail.fields import DEFAULT_FIELDS
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.columns import suffix_of
from lmclassify.tables.content import beginning, check_text, recognise_content, table_saved_as_text
from lmclassify.tables.delimited import DelimitedReader
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

    @property
    def bytes_read(self) -> int:
        """The position in the file, in bytes; compare with `size`."""
        ...

    @property
    def rows_read(self) -> int:
        """How many rows have been read."""
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
    stream: bool = False,
    sheet: str | None = None,
    named_columns: Sequence[str | None] = (),
    default: InputFormat = "csv",
    lines: bool = False,
) -> RowReader:
    """Open a file of rows, or mail.

    Raises DataError if the file cannot be read in the format. Raises OptionError if there is no such
    encoding, the format cannot be streamed, or a sheet is named for a file that is no workbook.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    format : {"csv", "tsv", "jsonl", "parquet", "excel", "fasttext", "text", "mail"}, optional
        By default what the first bytes of the file tell (mail, JSON, Parquet, workbooks, fastText), else the
        format of its suffix, else `default`.
    encoding : str, optional
        A Python encoding; ``detect`` guesses. By default UTF-8, or what a byte order mark tells.
    fields : sequence of str
        The text of a mail message: ``subject``, ``body`` or both.
    stream : bool, default=False
        Read no further ahead than the first row.
    sheet : str, optional
        Name or number of the sheet of a workbook.
    named_columns : sequence of str or None
        Columns that the user names; of JSON they may be in nested objects, such as ``message.body``.
    default : InputFormat
        The format if neither content nor suffix tells it.
    lines : bool, default=False
        Read CSV and TSV, too, as one text per line.
    """
    kind = format or ("mail" if looks_like_mail(path) else None)
    if kind == "mail":
        from lmclassify.mail.messages_table import MailReader

        return MailReader(path, fields)
    source = Input(path)
    try:
        head = beginning(source.stream)
        if kind is None:
            kind = recognise_content(head, encoding) or SUFFIXES.get(suffix_of(source.name), default)
            kind = _correct(kind, head, lines)
        if kind not in ("excel", "parquet"):
            check_text(head, source.name, markup=kind in ("csv", "tsv"))
        if sheet is not None and kind != "excel":
            raise OptionError(f"--sheet names a sheet of a workbook, but {source.name} is none")
        if stream and kind in ("excel", "parquet"):
            what = "a workbook" if kind == "excel" else "Parquet"
            raise OptionError(
                f"--stream reads row by row, but reading {what} ({path}) starts at the end of the file"
            )
        return _open_table(source, path, kind, format, encoding, stream, sheet, named_columns)
    except BaseException:
        source.close()
        raise


def _correct(kind: InputFormat, head: bytes, lines: bool) -> InputFormat:
    """Return the format of a file whose suffix tells another one than its first bytes."""
    if kind == "excel" and recognise_content(head) != "excel":
        return "csv"  # some programs give the suffix .xls to text
    if lines and kind in ("csv", "tsv"):
        return "text"
    saved = table_saved_as_text(head) if kind == "text" and not lines else None
    return saved or kind


def _open_table(
    source: Input,
    path: str,
    kind: InputFormat,
    format: InputFormat | None,
    encoding: str | None,
    stream: bool,
    sheet: str | None,
    named_columns: Sequence[str | None],
) -> RowReader:
    if kind == "jsonl":
        from lmclassify.tables.json_lines import JsonLinesReader

        return JsonLinesReader(path, encoding, stream=stream, source=source, named_columns=named_columns)
    if kind == "parquet":
        from lmclassify.tables.parquet import ParquetReader

        return ParquetReader(path, source)
    if kind == "excel":
        from lmclassify.tables.excel import ExcelReader

        return ExcelReader(path, sheet, source)
    if kind == "fasttext":
        from lmclassify.tables.fasttext import FastTextReader

        return FastTextReader(path, encoding, source)
    if kind == "text":
        from lmclassify.tables.plain_text import PlainTextReader

        return PlainTextReader(path, encoding, source)
    return DelimitedReader(source.name, format or ("tsv" if kind == "tsv" else None), encoding, source)
