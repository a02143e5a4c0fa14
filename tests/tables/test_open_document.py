"""OpenDocument spreadsheets whose cells are far apart."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from lmclassify import DataError
from lmclassify.datasets.sources import open_rows
from lmclassify.tables.open_document import open_document_extents

WORKBOOK = Path(__file__).with_name("workbooks") / "mail.ods"
END = b"</table:table>"


def rows(height: int, column: int) -> bytes:
    """Return blank rows, and a row with one value in a column, from 1."""
    blank = f'<table:table-cell table:number-columns-repeated="{column - 1}"/>' if column > 1 else ""
    return (
        f'<table:table-row table:number-rows-repeated="{height}"><table:table-cell '
        f'table:number-columns-repeated="16384"/></table:table-row><table:table-row>{blank}'
        '<table:table-cell office:value-type="string"><text:p>far</text:p></table:table-cell></table:table-row>'
    ).encode()


def content() -> bytes:
    with zipfile.ZipFile(WORKBOOK) as archive:
        return archive.read("content.xml")


def test_extents_count_repeated_rows_and_columns():
    whole = content()
    height, width = next(open_document_extents(io.BytesIO(whole)))
    far = whole.replace(END, rows(1000, 40) + END, 1)
    assert next(open_document_extents(io.BytesIO(far))) == (height + 1001, 40)
    blank = whole.replace(END, rows(1000, 1).split(b"</table:table-row>")[0] + b"</table:table-row>" + END, 1)
    assert next(open_document_extents(io.BytesIO(blank))) == (height, width)
    assert list(open_document_extents(io.BytesIO(b"no XML"))) == [(0, 0)]


@pytest.mark.parametrize(("column", "is_far"), [(1, False), (1000, True)])
def test_a_cell_far_from_the_table_does_not_fill_the_memory(tmp_path, column, is_far):
    path = tmp_path / "far.ods"
    with zipfile.ZipFile(WORKBOOK) as source, zipfile.ZipFile(path, "w") as archive:
        for item in source.infolist():
            far = rows(1_048_000 if is_far else 5000, column)
            archive.writestr(item, source.read(item).replace(END, far + END, 1))
    if not is_far:
        with open_rows(str(path)) as table:
            assert [row[0] for chunk in table.chunks() for row in chunk.cells][-1] == "far"
        return
    with pytest.raises(
        DataError, match=r"far\.ods: a sheet has cells down to row 1,048,\d+ in 1,000 columns; delete"
    ):
        open_rows(str(path))
