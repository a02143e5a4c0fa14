"""Write a folder of part files from several processes, each part atomically."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lmclassify.datasets.sources import InputFormat
from lmclassify.errors import OptionError, OutputError
from lmclassify.persistence.atomic_file import FileWriter
from lmclassify.tables.rows import Rows
from lmclassify.tables.urls import file_system, is_url, upload, url_errors, without_file_scheme
from lmclassify.tables.writing import OutputFormat, TableWriter

DONE = "_SUCCESS"
"""Name of an empty file that says that all parts are written. Readers of folders skip such names."""


class PartFolder:
    """A folder to write part files to.

    A part always has the same name and content, so a task that is run again does not duplicate rows.

    Parameters
    ----------
    path : str
        Path or URL of the folder.
    format : {"csv", "tsv", "jsonl", "parquet"}
    escape_formulas : bool, default=False
        See `lmclassify.tables.writing.TableWriter`.
    """

    def __init__(self, path: str, format: OutputFormat, *, escape_formulas: bool = False) -> None:
        self._is_url = is_url(path) and without_file_scheme(path) == path
        self.name = path
        self._path = path.rstrip("/") if self._is_url else os.path.abspath(without_file_scheme(path))
        self._format: OutputFormat = format
        self._escape_formulas = escape_formulas

    def prepare(self) -> None:
        """Create the folder. Raises OutputError if it cannot be written to, or is not empty."""
        if self._is_url:
            files, path = file_system(self._path, OutputError)
            with url_errors(self._path, OutputError):
                is_used = files.exists(path) and (files.isfile(path) or bool(files.find(path)))
                if not is_used:
                    files.makedirs(path, exist_ok=True)
        else:
            try:
                os.makedirs(self._path, exist_ok=True)
                is_used = bool(os.listdir(self._path))
                with tempfile.TemporaryFile(dir=self._path):
                    pass
            except FileExistsError:
                raise OutputError(f"{self.name} is a file, but parts need a folder: -o FOLDER") from None
            except OSError as error:
                raise OutputError(f"cannot write to {self.name}: {error.strerror}") from error
        if is_used:
            raise OutputError(f"{self.name} is not empty; empty it, or choose another folder")

    def part_name(self, file: int, first: int) -> str:
        """Return the name of the part that begins at row `first` of input file number `file`, from 0.

        Sorted by name, the parts are in the order of the input.
        """
        return f"part-{file:06d}-{first:012d}.{self._format}"

    def write(self, name: str, rows: Rows) -> None:
        """Write a part; it replaces an existing one of that name.

        Raises DataError if the format cannot represent the rows. Raises OutputError if it cannot be written.
        """
        if not self._is_url:
            self._write(os.path.join(self._path, name), rows)
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, name)
            self._write(str(file), rows)
            upload(file, f"{self._path}/{name}", OutputError)

    def _write(self, path: str, rows: Rows) -> None:
        with TableWriter(path, self._format, escape_formulas=self._escape_formulas) as writer:
            writer.write(rows)

    def remove(self, names: Iterable[str]) -> None:
        """Remove parts."""
        if self._is_url:
            files, path = file_system(self._path, OutputError)
            for name in names:
                with url_errors(self._path, OutputError):
                    files.rm_file(f"{path}/{name}")
            return
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._path, name))

    def remove_temporary_files(self) -> None:
        """Remove temporary files that killed processes left behind."""
        if not self._is_url:
            self.remove([name for name in os.listdir(self._path) if name.startswith(".part-")])

    def finish(self) -> None:
        """Mark the folder as complete."""
        if not self._is_url:
            with FileWriter(os.path.join(self._path, DONE)):
                return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, DONE)
            file.touch()
            upload(file, f"{self._path}/{DONE}", OutputError)


def choose_part_format(requested: OutputFormat | None, input_format: InputFormat | None) -> OutputFormat:
    """Return the format to write: the requested one, else that of the input, else CSV.

    Raises OptionError if parts cannot have the requested format.
    """
    if requested == "table":
        raise OptionError("--format table is for a terminal; parts are csv, tsv, jsonl or parquet")
    if requested is not None:
        return requested
    if input_format in ("tsv", "jsonl", "parquet"):
        return input_format
    return "csv"
