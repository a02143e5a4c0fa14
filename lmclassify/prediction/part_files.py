"""A folder of part files, each written whole or not at all, by several processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lmclassify.datasets.sources import InputFormat
from lmclassify.errors import OptionError, OutputError
from lmclassify.tables.rows import Rows
from lmclassify.tables.urls import file_system, is_url, told, upload, without_file_scheme
from lmclassify.tables.writing import FileWriter, Format, TableWriter

DONE = "_SUCCESS"
"""An empty file that says that all parts are there; what reads folders of parts leaves such names out."""


class PartFolder:
    """A folder to write part files to.

    A part has the same name and content however often it is written, so that who tries again doubles nothing.

    Parameters
    ----------
    path : str
        A folder, or the URL of one.
    format : {"csv", "tsv", "jsonl", "parquet"}
    escape_formulas : bool, default=False
        See `lmclassify.tables.writing.TableWriter`.
    """

    def __init__(self, path: str, format: Format, *, escape_formulas: bool = False) -> None:
        self._url = is_url(path) and without_file_scheme(path) == path
        self.name = path
        self._path = path.rstrip("/") if self._url else os.path.abspath(without_file_scheme(path))
        self._format: Format = format
        self._escape_formulas = escape_formulas

    def prepare(self) -> None:
        """Make the folder.

        Raises
        ------
        OutputError
            If it cannot be written to, or holds something already.
        """
        if self._url:
            files, path = file_system(self._path, OutputError)
            with told(self._path, OutputError):
                taken = files.exists(path) and (files.isfile(path) or bool(files.find(path)))
                if not taken:
                    files.makedirs(path, exist_ok=True)
        else:
            try:
                os.makedirs(self._path, exist_ok=True)
                taken = bool(os.listdir(self._path))
                with tempfile.TemporaryFile(dir=self._path):
                    pass
            except FileExistsError:
                raise OutputError(f"{self.name} is a file, and parts need a folder: -o FOLDER") from None
            except OSError as error:
                raise OutputError(f"cannot write to {self.name}: {error.strerror}") from error
        if taken:
            raise OutputError(f"{self.name} holds something already; empty it, or choose another folder")

    def part_name(self, file: int, first: int) -> str:
        """Return the name of the part that begins at a row of the input file of this number, from 0 up.

        Sorted by name, parts are in the order of the input.
        """
        return f"part-{file:06d}-{first:012d}.{self._format}"

    def write(self, name: str, rows: Rows) -> None:
        """Write a part, in place of one of that name.

        Raises
        ------
        DataError
            If the format has no room for what the rows hold.
        OutputError
            If it cannot be written.
        """
        if not self._url:
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
        if self._url:
            files, path = file_system(self._path, OutputError)
            for name in names:
                with told(self._path, OutputError):
                    files.rm_file(f"{path}/{name}")
            return
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._path, name))

    def tidy(self) -> None:
        """Remove the drafts of processes that were killed."""
        if not self._url:
            drafts = [name for name in os.listdir(self._path) if name.startswith(".part-")]
            self.remove(drafts)

    def finish(self) -> None:
        """Say in the folder that all parts are there."""
        if not self._url:
            with FileWriter(os.path.join(self._path, DONE)):
                return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, DONE)
            file.touch()
            upload(file, f"{self._path}/{DONE}", OutputError)


def format_of_parts(asked: Format | None, of_input: InputFormat | None) -> Format:
    """Return the format to write: the one asked for, else the input's, which is CSV for text and mail.

    Raises
    ------
    OptionError
        If it is none that a part can have.
    """
    if asked == "table":
        raise OptionError("--format table is for a terminal; parts are csv, tsv, jsonl or parquet")
    if asked is not None:
        return asked
    return "csv" if of_input is None or of_input == "text" or of_input == "mail" else of_input
