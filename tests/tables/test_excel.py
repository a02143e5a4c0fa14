"""Workbooks: cells, rows as the sheet numbers them, sheets, and files that are no workbooks."""

from __future__ import annotations

import builtins
import zipfile

import pytest

from lmclassify import DataError, OptionError
from lmclassify.datasets.labelled import LabelledTableReader, read_tables
from lmclassify.datasets.multiple_files import open_many
from lmclassify.datasets.sources import open_rows
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.excel import ExcelReader
from tests.tables.workbooks import FOLDER, write_xlsx

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
MAIL = [["text", "label"], ["win a prize", 1], ["lunch", 0]]


def numbered_rows(path, **options) -> list[tuple[int, list[str]]]:
    with open_rows(str(path), **options) as table:
        return [row for chunk in table.chunks() for row in enumerate(chunk.cells, chunk.first)]


@pytest.mark.parametrize("name", ["mail.xls", "mail.ods"])
def test_other_formats_of_workbooks(name):
    said: list[str] = []
    read = read_tables([str(FOLDER / name)], say=said.append)
    assert (read.texts, read.labels) == (["win a prize", "lunch", "cheap pills"], ["1", "0", "1"])
    assert said == [
        f"{FOLDER / name} (sheet 'Mail'; --sheet reads another: 'Notes'): text column 'text', label column 'label'"
    ]
    assert numbered_rows(FOLDER / name) == [
        (2, ["win a prize", "1", "2024-01-05"]),
        (3, ["lunch", "0", "2024-01-05 13:05:00"]),
        (5, ["cheap pills", "1", ""]),
    ]


def test_cells_are_written_as_the_spreadsheet_shows_them(tmp_path):
    values = ["007", " a\nb ", "NA", 1.0, -2.50, 0.1 + 0.2, 1e20, 1e-7, 1234567890123456, True, False, None]
    path = write_xlsx(tmp_path / "t.xlsx", {"S": [[f"c{n}" for n in range(12)], values]})
    assert numbered_rows(path) == [
        (
            2,
            [
                "007",
                " a\nb ",
                "NA",
                "1",
                "-2.5",
                "0.3",
                "1e+20",
                "1e-07",
                "1.23456789012346e+15",
                "TRUE",
                "FALSE",
                "",
            ],
        )
    ]


def test_blank_rows_and_columns_are_left_out_and_rows_keep_their_numbers(tmp_path):
    rows = [
        ["Mail of May"],
        [],
        [None, "text", "label", None, None],
        [None, "win", 1, None, None],
        [None, " ", None],
        [],
        [None, "lunch", None, None, "see below"],
        [None, None, 1],
        [],
    ]
    path = write_xlsx(tmp_path / "t.xlsx", {"S": rows})
    assert numbered_rows(path) == [(4, ["win", "1", ""]), (7, ["lunch", "", "see below"]), (8, ["", "1", ""])]
    with open_rows(str(path)) as table:
        assert table.columns == ["text", "label", "column E"]
        assert table.describe([0], 1).endswith("label column 'label'; header in row 3")
        list(table.chunks())
        assert (table.rows_read, table.bytes_read) == (3, table.size)
    with pytest.raises(DataError, match=r"t\.xlsx, row 7: the label is missing"):
        read_tables([str(path)], LabelledTableReader(fail_on_bad_row=True), say=lambda line: None)
    with open_many([str(path), str(path)], open_rows) as table:
        assert [chunk.first for chunk in table.chunks()] == [4, 7, 12, 15]


def test_one_column_has_no_title(tmp_path):
    path = write_xlsx(tmp_path / "t.xlsx", {"S": [["text"], ["a"], ["b", "note"], ["c"], ["d"]]})
    assert [cells[0] for _, cells in numbered_rows(path)] == ["a", "b", "c", "d"]


def test_sheets(tmp_path):
    sheets = {"Empty": [], "Notes": [["note"], ["x"]], "Mail": MAIL, "3": [["text"], ["y"]], "Old": MAIL}
    path = write_xlsx(tmp_path / "t.xlsx", sheets, hidden=("Old",))
    assert numbered_rows(path) == [(2, ["x"])]
    for wanted, cells in {
        "Mail": "win a prize",
        " mail": "win a prize",
        "3": "y",
        "5": "win a prize",
    }.items():
        assert numbered_rows(path, sheet=wanted)[0][1][0] == cells
    with pytest.raises(
        DataError,
        match=r"sheet 'Notes'; --sheet reads another: 'Empty', 'Mail', '3', 'Old'\) has no text column",
    ):
        read_tables([str(path)], say=lambda line: None)
    with pytest.raises(
        DataError, match=r"no sheet 'Post'; its sheets: 'Empty', 'Notes', 'Mail', '3', 'Old'$"
    ):
        open_rows(str(path), sheet="Post")
    (tmp_path / "t.csv").write_text("text\na\n")
    with pytest.raises(OptionError, match=r"--sheet names a sheet of a workbook, but .*t\.csv is none"):
        open_rows(str(tmp_path / "t.csv"), sheet="Mail")


def test_a_workbook_is_recognised_by_its_content(tmp_path):
    assert len(numbered_rows(write_xlsx(tmp_path / "t.csv", {"S": MAIL}))) == 2
    (tmp_path / "t.xls").write_text("text\tlabel\na, b\tx\n")
    assert numbered_rows(tmp_path / "t.xls") == [(1, ["a, b", "x"])]
    with pytest.raises(OptionError, match="--stream reads row by row, but reading a workbook"):
        open_rows(str(write_xlsx(tmp_path / "t.xlsx", {"S": MAIL})), stream=True)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (_OLE, "t.xls is damaged, or is not a workbook"),
        (_OLE + "WordDocument".encode("utf-16-le"), "t.xls is an old Word document, not a table"),
        (_OLE + "EncryptedPackage".encode("utf-16-le"), "t.xls needs a password; save it without one"),
        (_OLE + "__substg1.0_001A".encode("utf-16-le"), "t.xls is a message of Outlook, not a table"),
        (b"<html><table><tr><td>text</table>", "t.xls is an HTML page, not a table"),
        (
            b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>',
            "t.xls is an XML file, not a table",
        ),
        (b"PK\x03\x04" + bytes(60), "t.xls is damaged, or is not a zip file"),
    ],
)
def test_what_is_no_workbook(tmp_path, content, problem):
    (tmp_path / "t.xls").write_bytes(content)
    with pytest.raises(DataError, match=problem) as error:
        open_rows(str(tmp_path / "t.xls"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "has no sheet with cells|is empty; expected a header and rows"),
        (MAIL[:1], r"has a header \(text, label\) but no rows"),
    ],
)
def test_empty_sheets(tmp_path, rows, problem):
    with pytest.raises(DataError, match=problem):
        ExcelReader(str(write_xlsx(tmp_path / "t.xlsx", {"S": rows})))


def test_a_sheet_without_header(tmp_path):
    rows = [["spam", "win a prize"], ["ham", "see you soon"], ["spam", "cash for you"], ["ham", "the plan"]]
    path = str(write_xlsx(tmp_path / "t.xlsx", {"S": rows}))
    said: list[str] = []
    for dialect in (None, Dialect(header=False), Dialect(columns=("label", "text"))):
        texts = read_tables([path], LabelledTableReader(dialect=dialect), say=said.append)
        assert (texts.texts[0], texts.labels) == ("win a prize", ["spam", "ham", "spam", "ham"])
    assert "no header, column 1 is label, column 2 is text" in said[0]
    with pytest.raises(DataError, match="its first row has 2 columns, but --columns names 3"):
        open_rows(path, dialect=Dialect(columns=("a", "b", "c")))
    with pytest.raises(OptionError, match="--quoting: for CSV and TSV files only"):
        open_rows(path, dialect=Dialect(quoting="none", header=False))
    with open_rows(path, dialect=Dialect(header=True)) as table:
        assert table.columns == rows[0]


def test_text_and_label_are_recognized_by_their_content(tmp_path):
    rows = [["Kind", "Words"], ["a", "win a prize"], ["b", "see you"], ["a", "cash for you"], ["b", "a plan"]]
    texts = read_tables([str(write_xlsx(tmp_path / "t.xlsx", {"S": rows}))], say=lambda line: None)
    assert (texts.texts[0], texts.labels) == ("win a prize", ["a", "b", "a", "b"])


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    find = builtins.__import__

    def without_calamine(name, *more, **others):
        if name == "python_calamine":
            raise ImportError(name)
        return find(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without_calamine)
    with pytest.raises(
        DataError, match=r"t\.xlsx: reading a spreadsheet needs .*: .*pip install .*\[excel\]"
    ):
        open_rows(str(write_xlsx(tmp_path / "t.xlsx", {"S": MAIL})))


def test_a_cell_far_from_the_table_does_not_fill_the_memory(tmp_path):
    path = write_xlsx(tmp_path / "t.xlsx", {"S": MAIL})
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    sheet = contents["xl/worksheets/sheet1.xml"]
    for reference, is_far in ((b"B1048576", False), (b"XFD3", False), (b"XFD1048576", True)):
        contents["xl/worksheets/sheet1.xml"] = sheet.replace(b'r="B3"', b'r="' + reference + b'"')
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        if is_far:
            with pytest.raises(
                DataError, match="cells down to row 1,048,576 in 16,384 columns; delete the cells"
            ):
                open_rows(str(path))
        else:
            assert numbered_rows(path)[0][1][0] == "win a prize"
