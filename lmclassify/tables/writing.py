"""Files, tables above all, written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import operator
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Literal, Self, get_args

import numpy as np

from lmclassify.errors import DataError, OutputError, listing, printable, shorten
from lmclassify.tables.compression import compressing, split_compression
from lmclassify.tables.formulas import without_formula
from lmclassify.tables.rows import Column, Rows
from lmclassify.text.terminal import TerminalWriter

Format = Literal["csv", "tsv", "jsonl", "parquet", "table"]

_SEPARATORS = {"csv": ",", "tsv": "\t"}


def format_of(path: str, asked: str | None) -> Format:
    """Return the format to write: the one asked for, or the one that the file's name says, or CSV.

    Raises
    ------
    DataError
        If there is no such format.
    """
    ending = Path(split_compression(path)[0]).suffix.lower().removeprefix(".")
    chosen = asked or ("jsonl" if ending == "ndjson" else ending)
    for known in get_args(Format):
        if chosen == known:
            return known  # type: ignore[no-any-return]
    if asked:
        raise DataError(f"no format {asked!r}; there are: {', '.join(get_args(Format))}")
    if ending not in ("", "txt"):
        raise DataError(f"{path} does not tell the format to write; name it with --format")
    return "csv"


class FileWriter:
    """Writes bytes to a file that appears only when it is complete.

    Parameters
    ----------
    path : str
        ``-`` is standard output. An existing file is replaced; its permissions stay. New files have those
        that the umask leaves.

    Raises
    ------
    OutputError
        If the place cannot be written to; tried at once, before any work is done.
    """

    def __init__(self, path: str) -> None:
        self._name = "standard output" if path == "-" else path
        self._path = os.path.realpath(path)  # where a link points to, not the link, is written
        self._draft: str | None = None
        if path == "-":
            self._stream: Any = sys.stdout.buffer
            return
        if not path or path.endswith(("/", os.sep)):
            raise OutputError(f"cannot write {shorten(path)}: it names no file")
        if _is_planted(path):
            raise OutputError(
                f"cannot write {path}: it is another user's, in a folder that all may write to; name another"
            )
        try:
            if path.startswith(("/dev/", "/proc/")) or _is_special(self._path):
                self._stream = open(path, "wb")  # noqa: SIM115 (closed in __exit__)
                if self._stream.isatty():
                    self._stream = TerminalWriter(self._stream, "utf-8")
                return
            if os.path.exists(self._path) and not os.access(self._path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            folder, name = os.path.split(self._path)
            descriptor, self._draft = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
            self._stream = open(descriptor, "wb")  # noqa: SIM115
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def write_bytes(self, content: bytes) -> None:
        """Append bytes.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        with self._told():
            self._stream.write(content)

    def flush(self) -> None:
        """Hand what is written on to its reader.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        with self._told():
            self._stream.flush()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn a failure to write into an error that names the file."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write {self._name}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with self._told():
                    self._finish()
        finally:
            self._abandon()

    def _abandon(self) -> None:
        """Close what is open still, and remove the draft, unless it has become the file."""
        if self._stream is not sys.stdout.buffer:
            with contextlib.suppress(OSError):
                self._stream.close()
        if self._draft is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._draft)

    def _finish(self) -> None:
        if not self._stream.closed:
            self._stream.flush()
        if self._draft is None:
            return
        if not self._stream.closed:
            os.fsync(self._stream.fileno())
            self._stream.close()
        _take_over_permissions(self._path, self._draft)
        os.replace(self._draft, self._path)


class TableWriter(FileWriter):
    """Writes rows of one kind to a file that appears only when it is complete.

    Parameters
    ----------
    path : str
        ``-`` is standard output. An existing file is replaced. An ending such as ``.gz`` compresses it.
    format : {"csv", "tsv", "jsonl", "parquet", "table"}
        ``table`` is aligned for reading.
    escape_formulas : bool, default=False
        Put an apostrophe before names and cells that a spreadsheet would take for formulas; see
        `lmclassify.tables.formulas`. Of csv and tsv.

    Raises
    ------
    OutputError
        If the place cannot be written to; tried at once, before any work is done.
    """

    def __init__(self, path: str, format: Format, *, escape_formulas: bool = False) -> None:
        self._format = format
        self._escape_formulas = escape_formulas
        self._kept: list[Rows] = []
        self._header = True
        self._parquet: Any = None
        self._packed: Any = None
        compression = split_compression(path)[1]
        if format == "parquet":
            if compression is not None:
                raise OutputError(
                    f"cannot write {path}: Parquet is compressed within; end its name in .parquet"
                )
            from lmclassify.tables.parquet import require_pyarrow

            require_pyarrow(OutputError)
        self._fits_terminal = path == "-" and sys.stdout.isatty()
        super().__init__(path)
        if format == "parquet" and self._stream.isatty():
            self._abandon()
            raise OutputError("Parquet is nothing to read on a terminal; name a file with -o")
        self._sink = self._stream
        if compression is not None:
            try:
                self._sink = self._packed = compressing(self._stream, compression)
            except OutputError:
                self._abandon()
                raise

    def write(self, rows: Rows) -> None:
        """Append rows; all have the same columns.

        Raises
        ------
        DataError
            If two columns have one name and the format has no room for that.
        OutputError
            If it cannot be written.
        """
        names = rows.names
        if self._format in ("jsonl", "parquet") and len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise DataError(
                f"columns named alike ({listing(twice)}) fit only csv, tsv and table; rename them"
            )
        if rows.stray and self._format != "jsonl":
            raise DataError(rows.stray)
        with self._told():
            if self._format in _SEPARATORS:
                if self._escape_formulas:
                    rows = _without_formulas(rows)
                self._sink.write(_separated(rows, _SEPARATORS[self._format], header=self._header).encode())
            elif self._format == "jsonl":
                self._sink.write(_json_lines(rows).encode())
            elif self._format == "parquet":
                self._write_parquet(rows)
            else:
                self._kept.append(rows)
            self._header = False

    def _write_parquet(self, rows: Rows) -> None:
        import pyarrow
        import pyarrow.parquet

        from lmclassify.tables.parquet import with_added

        table = with_added(rows)
        if self._parquet is None:
            self._parquet = pyarrow.parquet.ParquetWriter(self._sink, table.schema)
        elif table.schema != self._parquet.schema:
            try:
                table = table.cast(self._parquet.schema)
            except (pyarrow.ArrowException, ValueError) as error:
                problem = " ".join(str(error).split())
                raise DataError(
                    f"from row {rows.first:,} on, columns have other types than before ({problem})"
                ) from None
        self._parquet.write_table(table)

    def _abandon(self) -> None:
        if self._parquet is not None:
            with contextlib.suppress(Exception):
                self._parquet.close()
            self._parquet.is_open = False  # else it tries again when it is collected, and complains
        if self._packed is not None:
            with contextlib.suppress(OSError, ValueError):
                self._packed.close()
        super()._abandon()

    def _finish(self) -> None:
        if self._kept:
            self._sink.write(_aligned(self._kept, fit_terminal=self._fits_terminal).encode())
        if self._parquet is not None:
            self._parquet.close()
        if self._packed is not None:
            self._packed.close()
        super()._finish()


def _records(rows: Rows, number: Callable[[float], str | float], missing: str | None) -> Iterator[list[Any]]:
    """Yield the values of each row; numbers go through `number`, and NaN is `missing`."""
    added: list[Sequence[Any]] = [
        [number(value) if value == value else missing for value in column.tolist()]
        if isinstance(column, np.ndarray) and column.dtype.kind == "f"
        else column.tolist()
        if isinstance(column, np.ndarray)
        else column
        for column in rows.added.values()
    ]
    if not added:
        return iter(rows.cells)
    return map(operator.add, rows.cells, map(list, zip(*added, strict=True)))


def _without_formulas(rows: Rows) -> Rows:
    added: dict[str, Column] = {
        without_formula(name): column if isinstance(column, np.ndarray) else [*map(without_formula, column)]
        for name, column in rows.added.items()
    }
    cells = [[*map(without_formula, row)] for row in rows.cells]
    return Rows([*map(without_formula, rows.columns)], cells, rows.first, added)


def _separated(rows: Rows, separator: str, *, header: bool) -> str:
    lines: list[str] = []
    # A writer quotes what its line end holds, so this one's quotes carriage returns, too.
    writer = csv.writer(SimpleNamespace(write=lines.append), delimiter=separator, lineterminator="\r\n")
    if header:
        writer.writerow(rows.names)
    writer.writerows(_records(rows, "%.9g".__mod__, ""))
    return "".join([line[:-2] + "\n" for line in lines])


def _json_lines(rows: Rows) -> str:
    names, encode = rows.names, json.JSONEncoder(ensure_ascii=False).encode
    if rows.original is None:
        return "".join(
            [encode(dict(zip(names, record, strict=True))) + "\n" for record in _records(rows, float, None)]
        )
    objects = rows.original.json_objects()
    if rows.stray and any(json.loads(one).keys() & rows.added.keys() for one in objects):
        raise DataError(rows.stray)
    new = _records(Rows([], [[] for _ in objects], added=rows.added), float, None)
    ends = [encode(dict(zip(rows.added, record, strict=True)))[1:] for record in new]
    return "".join([_extended(one, end) for one, end in zip(objects, ends, strict=True)])


def _extended(one: str, end: str) -> str:
    """Return a JSON object with more in it, before its last brace, as a line; the rest stays as written."""
    begun = one[:-1]
    if end == "}":
        return f"{one}\n"
    return f"{begun}{'' if begun.rstrip() == '{' else ', '}{end}\n"


def _is_special(path: str) -> bool:
    """Return whether a path is a pipe, a device or a folder: what cannot be replaced by a file."""
    return os.path.exists(path) and not os.path.isfile(path)


def _is_planted(path: str) -> bool:
    """Return whether a file or link was put in a shared folder such as /tmp by another user.

    Through a link of theirs one would overwrite a file of one's own. Linux refuses to follow it
    (fs.protected_symlinks), but the file is replaced by name here, which it would let pass.
    """
    if not hasattr(os, "geteuid"):  # Windows
        return False
    try:
        found, folder = os.lstat(path), os.stat(os.path.dirname(path) or ".")
    except OSError:
        return False
    shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    return bool(shared) and found.st_uid not in (os.geteuid(), folder.st_uid)


def _take_over_permissions(old: str, new: str) -> None:
    """Give a new file the mode and owner of the one that it replaces, else the mode that the umask leaves."""
    if not os.path.exists(old):
        os.chmod(new, 0o666 & ~_umask())
        return
    status = os.stat(old)
    mode = stat.S_IMODE(status.st_mode)
    if hasattr(os, "chown"):
        try:
            os.chown(new, status.st_uid, status.st_gid)
        except OSError:  # only root may give files away
            try:
                os.chown(new, -1, status.st_gid)
            except OSError:
                mode &= ~stat.S_IRWXG  # it would be another group's
    os.chmod(new, mode)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _aligned(parts: Sequence[Rows], *, fit_terminal: bool) -> str:
    """Return rows as lines of aligned columns, control characters made visible."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in parts[0].names:
        table.add_column(Text(printable(name)), overflow="fold")
    for rows in parts:
        for record in _records(rows, "{:.4f}".format, ""):
            table.add_row(*(Text(printable(cell)) for cell in record))
    width = None if fit_terminal else 10_000
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"
