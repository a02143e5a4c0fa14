"""Tests of `CellEditor`, which changes single cells and leaves all other bytes as they are."""

from __future__ import annotations

import pytest

from lmclassify.tables.cell_editor import CellEditor, CellError


@pytest.mark.parametrize(
    ("separator", "quoting", "record", "values", "expected"),
    [
        (",", None, 'a, "b,c" ,d\r\n', {2: "x,y"}, 'a, "b,c" ,"x,y"\r\n'),
        (",", None, '"two\nlines",b', {1: 'say "x"', 2: "new"}, '"two\nlines","say ""x""",new'),
        ("\t", None, '"Quoted" she said\tham\n', {1: "spam"}, '"Quoted" she said\tspam\n'),
        (",", "backslash", '"a \\" b",c\n', {1: 'd"'}, '"a \\" b","d\\""\n'),
        ("\t", "none", '"a\tb\n', {1: '"c'}, '"a\t"c\n'),
    ],
)
def test_other_cells_stay_as_they_are(separator, quoting, record, values, expected):
    assert CellEditor(separator, quoting).replace(record, values) == expected


def test_values_that_cannot_stand_in_the_file():
    with pytest.raises(CellError, match="needs quotes"):
        CellEditor(",", "none").replace("a,b\n", {1: "c,d"})


def test_a_quote_that_a_change_would_leave_open():
    with pytest.raises(CellError, match="its quotes"):
        CellEditor("\t", None).replace('"one\ttwo";\n', {1: "spam"})
