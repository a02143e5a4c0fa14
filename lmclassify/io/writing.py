"""Tables written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import stat
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

import pandas as pd

from lmclassify.errors import DataError, OutputError, listing, printable, shorten

Format = Literal["csv", "tsv", "jsonl", "parquet", "table"]

_SEPARATORS = {"csv": ",", "tsv": "\t"}


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
    if ending not in ("", "txt"):
        raise DataError(f"{path} does not tell the format to write; name it with --format")
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
