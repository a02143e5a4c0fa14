"""Read Excel and OpenDocument workbooks with python-calamine: one sheet as a table of strings."""

from __future__ import annotations

import datetime
import itertools
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from lmclassify.errors import DataError, listing, shorten
from lmclassify.extras import install_extra
from lmclassify.tables.columns import Header, describe_columns
from lmclassify.tables.content import ENCRYPTED, old_office_kind
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.headers import find_names
from lmclassify.tables.inputs import Input
from lmclassify.tables.open_document import open_document_extents
from lmclassify.tables.recognition import SAMPLE_ROWS, Cells
from lmclassify.tables.rows import CHUNK_ROWS, ClosingReader, Rows

_CHUNK_CHARACTERS = 1 << 22
_MAX_CELLS = 1 << 27  # 128 columns of the longest sheet; calamine takes 32 bytes for each cell
_MAX_OLD_BYTES = 1 << 26
_BLOCK_BYTES = 1 << 20
_REFERENCE_BYTES = 16  # as long as the reference of a cell
_CELL_COLUMN = re.compile(rb'\br="([A-Z]{1,3})\d')
_CELL_ROW = re.compile(rb'\br="[A-Z]{1,3}(\d{1,7})"')
_TITLE_ROWS = 20  # rows in which a title above the header is looked for


class ExcelReader(ClosingReader):
    """Read one sheet of a workbook (.xlsx, .xlsm, .xlsb, .xls, .ods) in chunks.

    The header is the first row that is not blank; a title in one cell above it is left out, and so are
    blank rows, and blank columns without a name. Rows are numbered as the sheet shows them. Raises
    DataError if the file cannot be read, lacks the sheet, or has no rows.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    sheet : str, optional
        Name or number (from 1) of the sheet. By default the first one that is shown and not empty.
    source : Input, optional
        The open file, if it is open already.
    dialect : Dialect, optional
        Whether there is a header, as in CSV files. By default a sheet of two columns has none if one column
        holds texts and the other labels, and the label of the first row occurs in other rows too.

    Attributes
    ----------
    name : str
        For messages; with the sheet, if the workbook has several.
    """

    def __init__(
        self,
        path: str,
        sheet: str | None = None,
        source: Input | None = None,
        dialect: Dialect | None = None,
    ) -> None:
        calamine = _require_calamine(path)
        self._input = source or Input(path)
        self.name, self.size = self._input.name, self._input.size
        self.rows_read = 0
        self._row = 0
        self._short_name = ""
        self._dialect = dialect or Dialect()
        try:
            self._input.make_seekable()
            _check_extent(self._input.stream, self.name)
            try:
                self._workbook = calamine.CalamineWorkbook.from_filelike(self._input.stream)
                found = self._find_sheet(calamine, sheet)
            except calamine.PasswordError:
                raise DataError(f"{self.name} needs a password; save it without one") from None
            except (calamine.CalamineError, OSError, ValueError) as error:
                if isinstance(error, DataError):
                    raise
                self._input.stream.seek(0)
                kind = old_office_kind(self._input.stream.read(_MAX_OLD_BYTES))
                if kind == ENCRYPTED:
                    raise DataError(f"{self.name} needs a password; save it without one") from None
                if kind:
                    raise DataError(f"{self.name} is {kind}, not a table; save it as CSV or text") from None
                problem = " ".join(str(error).split())[:200]
                raise DataError(f"{self.name} is damaged, or is not a workbook ({problem})") from None
            self._read_header(_numbered_rows(found), (found.start or (0, 0))[1])
        except BaseException:
            self.close()
            raise

    def _find_sheet(self, calamine: Any, wanted: str | None) -> Any:
        """Return the sheet to read, and set the name for messages."""
        sheets = [
            meta for meta in self._workbook.sheets_metadata if meta.typ == calamine.SheetTypeEnum.WorkSheet
        ]
        names = [meta.name for meta in sheets]
        if not names:
            raise DataError(f"{self.name} has no sheet with cells")
        if wanted is None:
            shown = [meta.name for meta in sheets if meta.visible == calamine.SheetVisibleEnum.Visible]
            for chosen in shown or names:
                sheet = self._workbook.get_sheet_by_name(chosen)
                if sheet.start is not None:
                    break
        else:
            chosen = self._named(wanted, names)
            sheet = self._workbook.get_sheet_by_name(chosen)
        others = [shorten(name) for name in names if name != chosen]
        if others:
            self._short_name = f"{self.name} (sheet {shorten(chosen)})"
            more = f"; --sheet reads another: {listing(others)}" if wanted is None else ""
            self.name += f" (sheet {shorten(chosen)}{more})"
        return sheet

    def _named(self, wanted: str, names: Sequence[str]) -> str:
        for name in names:
            if name == wanted:
                return name
        folded = [name for name in names if name.strip().casefold() == wanted.strip().casefold()]
        if len(folded) == 1:
            return folded[0]
        if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
            return names[int(wanted) - 1]
        raise DataError(
            f"{self.name} has no sheet {shorten(wanted)}; its sheets: {listing(map(shorten, names))}"
        )

    def _read_header(self, rows: Iterator[tuple[int, list[str]]], first_column: int) -> None:
        first = list(itertools.islice(rows, _TITLE_ROWS))
        if not first:
            raise DataError(f"{self.name} is empty; expected a header and rows")
        wide = [index for index, (_, cells) in enumerate(first) if sum(map(bool, cells)) > 1]
        at = wide[0] if 2 * len(wide) > len(first) else 0
        number, top = first[at]
        table = [first[at], *first[at + 1 :], *rows]
        used = [index for index in range(len(top)) if any(cells[index] for _, cells in table)]
        filled = [(each, [cells[index] for index in used]) for each, cells in table]
        names = find_names(self.name, [cells for _, cells in filled[:SAMPLE_ROWS]], self._dialect)
        self._header, self._sample = names.header, names.sample
        self._notes = [names.note] if names.note else []
        self.columns = names.columns
        if names.header == "row":
            self._notes = [f"header in row {number:,}"] if at else []
            self.columns = [
                name or f"column {_letters(first_column + index)}"
                for name, index in zip(names.columns, used, strict=True)
            ]
            filled = filled[1:]
        elif at:
            self._notes.append(f"rows above row {number:,} left out")
        if not filled:
            raise DataError(f"{self.name} has a header ({listing(filter(None, top))}) but no rows")
        self._last = filled[-1][0]
        self._rows = iter(filled)

    @property
    def sample(self) -> Cells:
        """The first rows, to recognize columns by their content."""
        return self._sample

    @property
    def header(self) -> Header:
        """Where the names of the columns come from."""
        return self._header

    def close(self) -> None:
        """Close the file."""
        self._input.close()

    @property
    def bytes_read(self) -> int:
        """The approximate position in the file, in bytes."""
        return int((self.size or 0) * self._row / self._last)

    def describe(self, text_at: Sequence[int], label_at: int | None) -> str:
        """Return one line that names the columns in use.

        Raises DataError if text and label are the same column.
        """
        description = describe_columns(self.name, self.columns, text_at, label_at, self._notes)
        self.name = self._short_name or self.name  # the other sheets are named once
        return description

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Rows]:
        """Yield all rows, at most `rows` at a time; fewer if they are long, and up to the next blank row."""
        taken: list[list[str]] = []
        characters = 0
        for number, cells in self._rows:
            if taken and (number != self._row + 1 or len(taken) >= rows or characters >= _CHUNK_CHARACTERS):
                yield self._chunk(taken)
                taken, characters = [], 0
            taken.append(cells)
            characters += sum(map(len, cells))
            self._row = number
        if taken:
            yield self._chunk(taken)

    def _chunk(self, taken: list[list[str]]) -> Rows:
        self.rows_read += len(taken)
        return Rows(self.columns, taken, self._row - len(taken) + 1)


def _require_calamine(path: str) -> Any:
    try:
        import python_calamine
    except ImportError:
        raise DataError(
            f"{path}: reading a spreadsheet needs python-calamine: {install_extra('excel')}"
        ) from None
    return python_calamine


def _check_extent(stream: BinaryIO, name: str) -> None:
    """Raise DataError if a sheet has cells so far apart that it does not fit in memory.

    calamine holds the whole rectangle of a sheet, and ends the process if it does not fit. Sheets of .xls
    files are small enough.
    """
    try:
        archive = zipfile.ZipFile(stream)
        if "content.xml" in archive.namelist():
            with archive.open("content.xml") as file:
                for height, width in open_document_extents(file):
                    _require_small(name, height, width)
        sheets = [member for member in archive.namelist() if member.startswith("xl/worksheets/sheet")]
        for sheet in sheets:
            columns: set[bytes] = set()
            rows: set[bytes] = set()
            with archive.open(sheet) as file:
                end = b""
                while block := file.read(_BLOCK_BYTES):
                    block = end + block
                    columns.update(_CELL_COLUMN.findall(block))
                    rows.update(_CELL_ROW.findall(block))
                    end = block[-_REFERENCE_BYTES:]
            width = max((_number(letters.decode()) for letters in columns), default=0)
            height = max(map(int, rows), default=0)
            _require_small(name, height, width)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        pass  # .xls, or damaged, which calamine reports
    finally:
        stream.seek(0)


def _require_small(name: str, height: int, width: int) -> None:
    if width * height > _MAX_CELLS:
        raise DataError(
            f"{name}: a sheet has cells down to row {height:,} in {width:,} columns; delete the cells that "
            "are far from the table, or save the table as CSV"
        )


def _numbered_rows(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of each row that is not blank."""
    for number, values in enumerate(sheet.iter_rows(), 1):
        cells = [_to_cell(value) for value in values]
        if any(cells):
            yield number, cells


def _to_cell(value: Any) -> str:
    """Return a value as the spreadsheet program shows it in its general format."""
    if isinstance(value, str):
        return value if value.strip() else ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        return str(value.date() if value.time() == datetime.time() else value)
    return str(value)


def _number(letters: str) -> int:
    """Return the number of a column, from 1, by its letters."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _letters(column: int) -> str:
    """Return the name of a column, as spreadsheet programs count: A, B, ... Z, AA."""
    letters = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters
