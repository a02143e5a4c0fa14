from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import DataError
from lmclassify.tables.delimited import TableReader


def read(path, content: str | bytes):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with TableReader(str(path)) as table:
        return table.columns, [row for chunk in table.chunks() for row in chunk.cells]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("id;text\n1;a, b\n", ["id", "text"]),
        ("id|text\n1|a\n", ["id", "text"]),
        ("id\ttext\n1\ta\n", ["id", "text"]),
        ('"id; no.";"a\nb"\n1;"x;\ny"\n', ["id; no.", "a\nb"]),
        ("a,b;c\n1,2\n", ["a", "b;c"]),  # the comma, if it fits
        ("a, b;c\n1;2\n", ["a, b", "c"]),  # it does not
        ("a;b|c\n1;2\n", ["a", "b|c"]),
        ("a;b|c\n1|2\n", ["a;b", "c"]),
        ("text; more\nonly one\n", ["text; more"]),
        ("text\na;b\n", ["text"]),
        ("a;b\n\n1;2\n", ["a", "b"]),
    ],
)
def test_header_and_first_row_agree(tmp_path, content, columns):
    assert read(tmp_path / "t.csv", content)[0] == columns


def test_what_is_unusual_is_said(tmp_path):
    for name, content, said in [
        ("t.csv", "text;label\na;b\n", "'label'; semicolons between cells"),
        ("t.csv", "text\tlabel\na\tb\n", "'label'; tabs between cells"),
        ("t.csv", "text,label\na,b\n", "'label'"),
        ("t.tsv", "text\tlabel\na\tb\n", "'label'"),
    ]:
        (tmp_path / name).write_text(content)
        with TableReader(str(tmp_path / name)) as table:
            assert table.describe(0, 1).endswith(said)


@settings(max_examples=80, deadline=None)
@given(
    table=st.lists(
        st.lists(st.text(',;|\t"\n ab\r', max_size=5), min_size=3, max_size=3), min_size=2, max_size=5
    ),
    separator=st.sampled_from(",;|\t"),
)
def test_a_table_with_every_cell_quoted_is_read_by_any_separator(tmp_path_factory, table, separator):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(table)
    columns, cells = read(tmp_path_factory.mktemp("t") / "t.csv", text.getvalue())
    assert [columns, *cells] == table


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a;b\n1;\xff\n", r"row 1 \(line 2\): byte 6 "),
        (b"a;b\n1;2\n\xff;3\n", r"row 2 \(line 3\): byte 8 "),
        (b"a;b\n1;2\n3\n", r"row 2 \(line 3\): 1 fields"),
        (b'a;b\n"1\n2";3\n4\n', r"row 2 \(line 4\): 1 fields"),
        (b"a;\xff\n", r"header \(line 1\): byte 2 "),
        (b'"a;b\n', r"header \(line 1\): a quote that opens here is never closed"),
    ],
)
def test_places_are_right_after_looking_ahead(tmp_path, content, place):
    with pytest.raises(DataError, match=place):
        read(tmp_path / "t.csv", content)


def test_looking_ahead_does_not_take_the_whole_file(tmp_path):
    header = 'a,b\t"c\n'
    with pytest.raises(DataError, match="row 1 .line 2.: 1 fields"):
        read(tmp_path / "t.csv", header + "x\n" * 5000)
