"""Tables and lists of texts, read strictly and in chunks, written whole or not at all.

Cells are strings, kept character for character: no guessing of types or of missing values.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import itertools
import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, get_args

import pandas as pd

from lmclassify.errors import DataError, OutputError, listing, printable, shorten

TEXT_COLUMNS = ("text", "subject", "message", "body", "title", "content")
LABEL_COLUMNS = ("label", "class", "category", "target", "spam/ham")

Format = Literal["csv", "tsv", "jsonl", "parquet", "table"]

_CHUNK_ROWS = 8192
_SEPARATORS = {"csv": ",", "tsv": "\t"}


class _BadBytesError(Exception):
    """Bytes that are no text; the reader that knows the row makes a DataError of it."""


class _Lines:
    """The lines of a binary stream as str, line ends kept, with a count of lines and bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.number = 0
        self.bytes = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            self.number += 1
            try:
                text = line.decode("utf-8-sig" if self.number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                found = " ".join(f"0x{byte:02x}" for byte in line[error.start : error.start + 1])
                raise _BadBytesError(
                    f"byte {self.bytes + error.start:,} ({found}) is not valid UTF-8; save the file as UTF-8"
                ) from None
            if "\0" in text:
                at = self.bytes + line.index(b"\0")
                raise _BadBytesError(f"byte {at:,} is NUL; no text holds it: is this a text file?")
            self.bytes += len(line)
            yield text


def _open(path: str) -> BinaryIO:
    if path == "-":
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise DataError(f"no such file: {path}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name a file in it") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


class TableReader:
    """Reads a CSV or TSV file (RFC 4180, UTF-8) in chunks.

    Parameters
    ----------
    path : str
        ``-`` is standard input. Tab separates cells where the name ends in ``.tsv`` or ``.tab``, or, with
        an ending other than ``.csv``, where the header holds a tab and no comma; else a comma does.

    Attributes
    ----------
    name : str
        For messages.
    columns : list of str
    size : int or None
        Bytes in all, where that is known.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or has a header but no row; later, while reading, if a row
        is broken. The message names file, row (from 1, without the header) and line.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else path
        self._stream = _open(path)
        self._lines = _Lines(self._stream)
        self._row = 0
        self.size = None if path == "-" else os.fstat(self._stream.fileno()).st_size or None
        try:
            self._begin(path)
        except BaseException:
            self.close()
            raise

    def _begin(self, path: str) -> None:
        lines = iter(self._lines)
        with self._errors():
            first = next((line for line in lines if line.strip("\r\n")), None)
        if first is None:
            raise DataError(f"{self.name} is empty; expected a header and rows")
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the csv module's 128 KB are too few for mail
        self._reader = csv.reader(
            itertools.chain([first], lines), delimiter=_separator(path, first), strict=True
        )
        with self._errors():
            self.columns = next(self._reader)
        self._first = self._next_row()
        if self._first is None:
            raise DataError(f"{self.name} has a header ({listing(self.columns)}) but no rows")

    def close(self) -> None:
        """Close the file."""
        if self._stream is not sys.stdin.buffer:
            self._stream.close()

    def __enter__(self) -> TableReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self, text_at: int, label_at: int | None) -> str:
        """Return one line that names the columns in use.

        Raises
        ------
        DataError
            If they are one and the same.
        """
        if text_at == label_at:
            raise DataError(
                f"{self.name}: {shorten(self.columns[text_at])} is asked for as text and as label; name "
                "another with --text-column or --label-column"
            )
        found = f"text column {self.columns[text_at]!r}"
        if label_at is not None:
            found += f", label column {self.columns[label_at]!r}"
        return f"{self.name}: {found}"

    @property
    def rows_read(self) -> int:
        """How many rows have been read."""
        return self._row

    @property
    def bytes_read(self) -> int:
        """How far reading has come."""
        return self._lines.bytes

    def chunks(self, rows: int = _CHUNK_ROWS) -> Iterator[pd.DataFrame]:
        """Yield frames of at most `rows` rows; the index counts rows from 1 through the file."""
        row: list[str] | None = self._first
        while row is not None:
            start = self._row
            chunk = []
            while row is not None:
                chunk.append(row)
                row = self._next_row() if len(chunk) < rows else None
            index = pd.RangeIndex(start, start + len(chunk))
            yield pd.DataFrame(chunk, index=index, columns=self.columns, dtype=object)
            row = self._next_row()

    def _next_row(self) -> list[str] | None:
        line = self._lines.number + 1
        with self._errors():
            for row in self._reader:
                if not row and len(self.columns) > 1:
                    continue  # a blank line is no row, but for a table of one column
                cells = row or [""]
                if len(cells) != len(self.columns):
                    raise DataError(
                        f"{self._place(line)}: {len(cells)} fields, but the header has {len(self.columns)}; "
                        "put quotes around a field that holds a separator"
                    )
                self._row += 1
                return cells
        return None

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        line = self._lines.number + 1
        try:
            yield
        except _BadBytesError as error:
            raise DataError(f"{self._place(self._lines.number)}: {error}") from None
        except csv.Error as error:
            what = str(error)
            if "unexpected end of data" in what:
                what = "a quote that opens here is never closed; close it, or double quotes inside quotes"
            elif "expected after" in what:
                what = "text after a closing quote; double quotes inside quoted fields"
            elif "new-line character" in what:
                what = "a carriage return outside quotes; end lines with a line feed"
            raise DataError(f"{self._place(line)}: {what}") from None

    def _place(self, line: int) -> str:
        """Name the row after the last good one, and where it stands."""
        if not hasattr(self, "columns"):
            return f"{self.name}, header (line {line:,})"
        return f"{self.name}, row {self._row + 1:,} (line {line:,})"


def _separator(path: str, header: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix in (".tsv", ".tab"):
        return "\t"
    return "\t" if suffix != ".csv" and "\t" in header and "," not in header else ","


def read_lines(path: str) -> list[str]:
    """Return the lines of a UTF-8 file without their ends: one text a line.

    Raises
    ------
    DataError
        If the file cannot be read or is no UTF-8 text; the message names the line and byte.
    """
    name = "standard input" if path == "-" else path
    stream = _open(path)
    lines = _Lines(stream)
    try:
        with stream if stream is not sys.stdin.buffer else contextlib.nullcontext():
            return [line.removesuffix("\n").removesuffix("\r") for line in lines]
    except _BadBytesError as error:
        raise DataError(f"{name}, line {lines.number:,}: {error}") from None


def find_column(columns: Sequence[str], wanted: str | None, usual: Sequence[str], name: str) -> int | None:
    """Return the position of a column.

    Parameters
    ----------
    columns : sequence of str
        The header.
    wanted : str or None
        Its exact name, where the user gave one.
    usual : sequence of str
        Else, names to look for, most usual first, upper and lower case alike.
    name : str
        Of the file, for messages.

    Returns
    -------
    int or None
        None if no name was given and no usual one is there.

    Raises
    ------
    DataError
        If the column asked for is not there, or a name stands there twice.
    """
    folded = list(columns) if wanted is not None else [column.strip().casefold() for column in columns]
    for candidate in usual if wanted is None else [wanted]:
        places = [place for place, column in enumerate(folded) if column == candidate]
        if len(places) > 1:
            raise DataError(
                f"{name} has {len(places)} columns named {shorten(candidate)}; rename one of them"
            )
        if places:
            return places[0]
    if wanted is not None:
        raise DataError(f"{name} has no column {shorten(wanted)}; its columns: {listing(columns)}")
    return None


def require_column(
    columns: Sequence[str], wanted: str | None, usual: Sequence[str], what: str, name: str
) -> int:
    """Return what `find_column` finds; `what` is ``text`` or ``label``, for messages.

    Raises
    ------
    DataError
        If it finds nothing.
    """
    place = find_column(columns, wanted, usual, name)
    if place is None:
        raise DataError(
            f"{name} has no {what} column: none of its columns ({listing(columns)}) is named "
            f"{', '.join(usual)}; name it with --{what}-column"
        )
    return place


def format_of(path: str, asked: str | None) -> Format:
    """Return the format to write: the one asked for, or the one that the file's name says, or CSV.

    Raises
    ------
    DataError
        If there is no such format.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    chosen = asked or ("jsonl" if ending == "ndjson" else ending)
    for known in get_args(Format):
        if chosen == known:
            return known  # type: ignore[no-any-return]
    if asked:
        raise DataError(f"no format {asked!r}; there are: {', '.join(get_args(Format))}")
    return "csv"


class TableWriter:
    """Writes frames of one kind to a file that appears only when it is complete.

    Parameters
    ----------
    path : str
        ``-`` is standard output. An existing file is replaced.
    format : {"csv", "tsv", "jsonl", "parquet", "table"}
        ``table`` is aligned for reading.

    Raises
    ------
    OutputError
        If the place cannot be written to; tried at once, before any work is done.
    """

    def __init__(self, path: str, format: Format) -> None:
        self._name = "standard output" if path == "-" else path
        self._path = os.path.realpath(path)  # where a link points to, not the link, is written
        self._format = format
        self._draft: str | None = None
        self._frames: list[pd.DataFrame] = []
        self._header = True
        self._parquet: Any = None
        if format == "parquet":
            _require_pyarrow()
        self._fits_terminal = path == "-" and sys.stdout.isatty()
        if path == "-":
            self._stream: Any = sys.stdout.buffer
            return
        if not path or path.endswith(("/", os.sep)):
            raise OutputError(f"cannot write {shorten(path)}: it names no file")
        try:
            if path.startswith(("/dev/", "/proc/")) or _is_special(self._path):
                self._stream = open(path, "wb")  # noqa: SIM115 (closed in __exit__)
                return
            if os.path.exists(self._path) and not os.access(self._path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            folder, name = os.path.split(self._path)
            descriptor, self._draft = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
            self._stream = open(descriptor, "wb")  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def write(self, frame: pd.DataFrame) -> None:
        """Append a frame; all frames have the same columns.

        Raises
        ------
        DataError
            If two columns have one name and the format has no room for that.
        OutputError
            If it cannot be written.
        """
        if self._format in ("jsonl", "parquet") and not frame.columns.is_unique:
            twice = sorted(set(frame.columns[frame.columns.duplicated()]))
            raise DataError(
                f"columns named alike ({listing(twice)}) fit only csv, tsv and table; rename them"
            )
        try:
            if self._format in _SEPARATORS:
                text = frame.to_csv(
                    None,
                    sep=_SEPARATORS[self._format],
                    index=False,
                    header=self._header,
                    lineterminator="\n",
                    float_format="%.9g",
                    quoting=csv.QUOTE_NONNUMERIC if _holds_carriage_return(frame) else csv.QUOTE_MINIMAL,
                )
                self._stream.write(text.encode())
            elif self._format == "jsonl":
                for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None):
                    record = dict(zip(frame.columns, row, strict=True))
                    self._stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            elif self._format == "parquet":
                self._write_parquet(frame)
            else:
                self._frames.append(frame)
            self._header = False
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write {self._name}: {error.strerror}") from error

    def _write_parquet(self, frame: pd.DataFrame) -> None:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        if self._parquet is None:
            self._parquet = pyarrow.parquet.ParquetWriter(self._stream, table.schema)
        self._parquet.write_table(table)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except OSError as failure:
            if isinstance(failure, BrokenPipeError):
                raise
            raise OutputError(f"cannot write {self._name}: {failure.strerror}") from failure
        finally:
            if self._stream is not sys.stdout.buffer:
                with contextlib.suppress(OSError):
                    self._stream.close()
            if self._draft is not None:
                with contextlib.suppress(FileNotFoundError):  # it has become the file
                    os.unlink(self._draft)

    def _finish(self) -> None:
        if self._frames:
            text = _aligned(pd.concat(self._frames), fit_terminal=self._fits_terminal)
            self._stream.write(text.encode())
        if self._parquet is not None:
            self._parquet.close()
        if not self._stream.closed:
            self._stream.flush()
        if self._draft is None:
            return
        if not self._stream.closed:
            os.fsync(self._stream.fileno())
            self._stream.close()
        mode = os.stat(self._path).st_mode if os.path.exists(self._path) else 0o666 & ~_umask()
        os.chmod(self._draft, stat.S_IMODE(mode))
        os.replace(self._draft, self._path)


def _holds_carriage_return(frame: pd.DataFrame) -> bool:
    """Return whether a cell or name holds a carriage return: minimal quoting leaves that bare."""
    texts = frame.select_dtypes(exclude="number")
    return "\r" in "".join(map(str, frame.columns)) or any(
        "\r" in cell for row in texts.itertuples(index=False, name=None) for cell in row
    )


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise OutputError('format parquet needs pyarrow: pip install "lmclassify[parquet]"') from None


def _is_special(path: str) -> bool:
    """Return whether a path is a pipe, a device or a folder: what cannot be replaced by a file."""
    return os.path.exists(path) and not os.path.isfile(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _aligned(frame: pd.DataFrame, *, fit_terminal: bool) -> str:
    """Return a frame as lines of aligned columns, control characters made visible."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in frame.columns:
        table.add_column(Text(printable(column)), overflow="fold")
    for row in frame.itertuples(index=False, name=None):
        cells = [f"{cell:.4f}" if isinstance(cell, float) and cell == cell else cell for cell in row]
        table.add_row(*(Text("" if cell != cell else printable(str(cell))) for cell in cells))
    width = None if fit_terminal else 10_000
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"
