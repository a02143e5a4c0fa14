"""Texts without a column of labels: one file per label, and unlabelled texts, of several formats."""

from __future__ import annotations

import functools
import zipfile

import pytest

from lmclassify import DataError
from lmclassify.datasets.multiple_files import open_labelled
from lmclassify.datasets.sources import open_rows
from lmclassify.datasets.texts import read_files, read_unlabelled
from lmclassify.errors import OptionError
from lmclassify.tables.dialect import Dialect
from tests.tables.workbooks import write_xlsx

ROWS = ["spam\twin a cruise", "ham\tsee you there", "spam\tcash prize now", "ham\tlunch at noon"]
TEXTS = [row.split("\t")[1] for row in ROWS]
HEADERLESS = "\n".join(ROWS) + "\n"


def test_unlabelled_texts_of_files_of_different_formats(tmp_path):
    (tmp_path / "a.txt").write_text("one line\nanother\n")
    (tmp_path / "b.txt").write_text(HEADERLESS)
    (tmp_path / "c.tsv").write_text('text\n"quoted" word\n')
    write_xlsx(tmp_path / "d.xlsx", {"A": [["text"], ["in a sheet"]]})
    (tmp_path / "e.json").write_text('[{"text": "in a list"}]')
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "1").write_text("in a folder\n")
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    found = read_unlabelled(files, dialect=Dialect("none"), say=lambda line: None)
    assert found == ["one line", "another", *TEXTS, '"quoted" word', "in a sheet", "in a list", "in a folder"]
    with pytest.raises(DataError, match=r"d\.xlsx: its first row is the header that --columns names"):
        read_unlabelled(files[3:4], dialect=Dialect(columns=("text",)), say=lambda line: None)
    with pytest.raises(OptionError, match=r"--columns: .* but .*/f is a folder of texts"):
        read_unlabelled(files[5:], dialect=Dialect(columns=("text",)), say=lambda line: None)


@pytest.mark.parametrize("sheet_of", ["a.txt", "f", "a.eml"])
def test_sheets_are_of_workbooks_only(tmp_path, sheet_of):
    (tmp_path / "a.txt").write_text("one line\n")
    (tmp_path / "a.eml").write_text("Subject: x\n\ny\n")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "1").write_text("x")
    with pytest.raises(OptionError, match="--sheet names a sheet of a workbook, but .* is none"):
        read_unlabelled([str(tmp_path / sheet_of)], sheet="A", say=lambda line: None)


def test_files_per_label_are_lines_even_if_they_look_like_tables(tmp_path):
    for name in ("a.txt", "a.tsv", "a"):
        (tmp_path / name).write_text(HEADERLESS)
        assert read_files({"x": str(tmp_path / name)}, say=lambda line: None).texts == ROWS
    texts = read_files(
        {"x": str(tmp_path / "a.tsv")}, format="tsv", dialect=Dialect("none"), say=lambda line: None
    ).texts
    assert texts == TEXTS


def test_a_zipped_table_without_header(tmp_path):
    with zipfile.ZipFile(tmp_path / "sms.zip", "w") as archive:
        archive.writestr("SMSSpamCollection", HEADERLESS)
        archive.writestr("readme", "about")
    with open_rows(str(tmp_path / "sms.zip")) as table:
        assert table.columns == ["label", "text"]
        assert [len(chunk) for chunk in table.chunks()] == [4]
    with pytest.raises(DataError, match="sms.zip/SMSSpamCollection: its first row has 2 columns, but"):
        open_rows(str(tmp_path / "sms.zip"), dialect=Dialect(columns=("label", "x", "text")))


@pytest.mark.parametrize("name", ["t.csv", "t.txt"])
def test_a_named_separator_goes_with_quotes_and_no_header(tmp_path, name):
    rows = [row.replace("\t", ";") for row in ROWS]
    (tmp_path / name).write_text("sep=;\n" + "\n".join([*rows, 'spam;"win" now']) + "\n")
    for dialect in (Dialect("none"), Dialect("none", columns=("label", "text"))):
        with open_rows(str(tmp_path / name), dialect=dialect) as table:
            assert table.columns == ["label", "text"]
            texts = [row[1] for chunk in table.chunks() for row in chunk.cells]
        assert texts == [*TEXTS, '"win" now']


def test_evaluation_by_file_has_distinct_row_numbers_and_all_notes(tmp_path):
    write_xlsx(tmp_path / "a.xlsx", {"A": [["text"], ["one"], [], ["two"]]})
    (tmp_path / "b.txt").write_text("__label__b three\n__label__c four\n")
    files = [("a", str(tmp_path / "a.xlsx")), ("b", str(tmp_path / "b.txt"))]
    opened = functools.partial(open_rows, default="text", lines=True)
    with open_labelled(files, opened) as table:
        rows = [
            (chunk.first + at, *cells) for chunk in table.chunks() for at, cells in enumerate(chunk.cells)
        ]
        assert [row[1:] for row in rows] == [("one", "a"), ("two", "a"), ("three", "b"), ("four", "b")]
        assert len({row[0] for row in rows}) == 4
        assert table.notes == [
            f"{tmp_path / 'b.txt'}: the labels of the texts (__label__b, __label__c) are not read as text"
        ]
