"""Which files can be labelled in place: tables of text with a header."""

from __future__ import annotations

import os

from lmclassify.datasets.sources import InputFormat, detect_format, open_rows
from lmclassify.errors import DataError, OptionError
from lmclassify.tables.compression import COMPRESSIONS, compression_of, split_compression
from lmclassify.tables.delimited import DelimitedReader
from lmclassify.tables.dialect import Dialect, Quoting
from lmclassify.tables.inputs import open_file
from lmclassify.tables.plain_text import PlainTextReader
from lmclassify.tables.urls import is_url

_KINDS: dict[InputFormat | None, str] = {
    "jsonl": "JSON",
    "parquet": "Parquet",
    "excel": "a workbook",
    "fasttext": "fastText",
    "mail": "mail",
}
_ANSWERS = "answers are written into CSV and TSV files only"


def open_table(path: str, encoding: str | None, quoting: Quoting | None) -> DelimitedReader:
    """Open a file that is to be labelled.

    Raises OptionError for what is no file. Raises DataError if it is no CSV or TSV file, has no header, or
    cannot be read or written.
    """
    if path == "-" or is_url(path):
        what = "standard input" if path == "-" else path
        raise OptionError(f"{what} cannot be labelled: {_ANSWERS}; save the texts in one")
    if os.path.isdir(path) and detect_format(path) != "mail":
        raise DataError(f"{path} is a folder; name a CSV or TSV file in it")
    kind = _KINDS.get(detect_format(path))
    if kind is not None:
        raise _other_format(path, kind)
    with open_file(path) as file:
        head = file.read(16)
    compression = split_compression(path)[1] or compression_of(head)
    if compression is not None or head.startswith(b"PK\x03\x04"):
        how = COMPRESSIONS.get(compression or "", "zip")
        raise DataError(f"{path} is compressed ({how}): {_ANSWERS}; unpack it first")
    if not os.access(path, os.W_OK):
        raise DataError(f"{path} cannot be written, as each answer does; change its permissions, or copy it")
    dialect = Dialect(quoting=quoting, only_tables=True)
    with open_rows(path, encoding=encoding, dialect=dialect) as reader:
        if isinstance(reader, PlainTextReader):
            raise DataError(
                f"{path} has one text per line: {_ANSWERS}; make one with (echo text; cat {path}) > texts.tsv"
            )
        if not isinstance(reader, DelimitedReader):
            raise _other_format(path, "no CSV or TSV file")
    table = DelimitedReader(path, None, encoding, dialect, keep_line_numbers=True)
    if table.header == "none":
        table.close()
        raise DataError(f"{path} has no header; add a first line that names its columns, such as text,label")
    return table


def _other_format(path: str, kind: str) -> DataError:
    return DataError(f"{path} is {kind}: {_ANSWERS}; save the texts as CSV, in a column text")
