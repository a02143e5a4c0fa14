"""CSV and TSV: cells, separators, and errors that name the row."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import DataError
from lmclassify.tables.delimited import DelimitedReader
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import TableWriter

cells = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)


def read(path: Path, rows: int = 8192, dialect: Dialect | None = None) -> list[list[str]]:
    with DelimitedReader(str(path), dialect=dialect) as reader:
        return [row for chunk in reader.chunks(rows) for row in chunk.cells]


def columns_of(path: Path) -> list[str]:
    with DelimitedReader(str(path)) as reader:
        return reader.columns


def written(tmp_path: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_cells_stay_as_they_are(tmp_path):
    path = written(
        tmp_path,
        'id,text,label\n007,"NA",null\n1e5,"a, ""b""\r\nc",\n  x ,nan,"\t"\n',
    )
    assert read(path) == [
        ["007", "NA", "null"],
        ["1e5", 'a, "b"\r\nc', ""],
        ["  x ", "nan", "\t"],
    ]
    with DelimitedReader(str(path)) as reader:
        assert [(chunk.first, len(chunk)) for chunk in reader.chunks(2)] == [(1, 2), (3, 1)]


@settings(max_examples=25, deadline=None)
@given(
    header=st.lists(cells, min_size=2, max_size=4).filter(lambda names: names[0][:1] != "\ufeff"),
    body=st.data(),
    separator=st.sampled_from(["csv", "tsv"]),
    rows=st.integers(1, 3),
)
def test_written_tables_are_read_back(tmp_path_factory, header, body, separator, rows):
    row = st.lists(cells, min_size=len(header), max_size=len(header))
    table = body.draw(st.lists(row, min_size=1, max_size=6))
    path = tmp_path_factory.mktemp("t") / f"table.{separator}"
    with TableWriter(str(path), separator) as writer:
        for start in range(0, len(table), rows):
            writer.write(Rows(header, table[start : start + rows]))
    with DelimitedReader(str(path), dialect=Dialect("minimal", header=True)) as reader:
        assert reader.columns == header
        chunks = list(reader.chunks(rows))
    assert [row for chunk in chunks for row in chunk.cells] == table
    assert all(len(chunk) <= rows for chunk in chunks)
    # Python's own reader sees the same
    delimiter = "," if separator == "csv" else "\t"
    text = path.read_bytes().decode()
    assert list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) == [header, *table]


def test_line_ends_byte_order_marks_and_blank_lines(tmp_path):
    assert read(written(tmp_path, "\ufefftext,label\r\na,b\r\n\r\nc,d\r\n\r\n")) == [
        ["a", "b"],
        ["c", "d"],
    ]
    assert read(written(tmp_path, "text,label\na,b")) == [["a", "b"]]
    one_column = read(written(tmp_path, 'text\na\n\n""\nb\n'))
    assert one_column == [["a"], [""], [""], ["b"]]


def test_separator_by_name_or_header(tmp_path):
    assert columns_of(written(tmp_path, "a\tb\n1\t2\n", "t.tsv")) == ["a", "b"]
    assert columns_of(written(tmp_path, "a\tb\n1\t2\n", "t.txt")) == ["a", "b"]
    assert columns_of(written(tmp_path, "a\tb\n1\n", "t.csv")) == ["a\tb"]
    assert columns_of(written(tmp_path, "a,b\tc\n1,2\n", "t.txt")) == ["a", "b\tc"]


def test_a_cell_may_be_long(tmp_path):
    long = "x" * 500_000
    assert read(written(tmp_path, f"text\n{long}\n")) == [[long]]


def test_chunks_of_long_rows_are_smaller(tmp_path):
    path = written(tmp_path, "text\n" + f"{'x' * 20_000}\n" * 2000)
    with DelimitedReader(str(path)) as reader:
        chunks = [(chunk.first, len(chunk)) for chunk in reader.chunks()]
    assert [first for first, _ in chunks] == [
        1 + sum(size for _, size in chunks[:k]) for k in range(len(chunks))
    ]
    assert sum(size for _, size in chunks) == 2000
    assert max(size for _, size in chunks) < 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "table.csv is empty"),
        (b"\n\n", "empty"),
        (b"text,label\n", "has a header \\(text, label\\) but no rows"),
        (b"text,label\n\n", "but no rows"),
        (b"text,label\na,b\nc\xff,d\n", r"table.csv, row 2 \(line 3\): byte 16 \(0xff\) is not valid UTF-8"),
        (b'text,label\n"a\nb",c\n\xe9,d\n', r"row 2 \(line 4\): byte 19 \(0xe9\) is not valid UTF-8"),
        (b"t\xe9xt,label\na,b\n", r"header \(line 1\): byte 1 \(0xe9\)"),
        (b"\xfft\0", r"byte 0 \(0xff\) is not valid UTF-8.*--encoding"),
        (b"\xff\xfet\0,\0l\0\n\0a\0\n\0", r"row 1 \(line 2\): 1 fields, but the header has 2"),
        (b"text,label\na\0,b\n", r"row 1 \(line 2\): byte 12 is NUL"),
        (b'text,label\na,b\n"c,d\ne,f\n', r"row 2 \(line 3\): a quote that opens here is never closed"),
        (b'text,label\n"a,b\n', r"row 1 \(line 2\): a quote that opens here is never closed"),
        (b'text,label\n"a"b,c\n', r"row 1 \(line 2\): text after a closing quote"),
        (b"text,label\na,b\nc,d,e\n", r"row 2 \(line 3\): 3 fields, but the header has 2"),
        (b"text,label\na\n", r"row 1 \(line 2\): 1 fields, but the header has 2"),
        (b"text,label\na\rb,c\n", r"row 1 \(line 2\): a carriage return outside quotes"),
    ],
)
def test_broken_tables_are_named_by_row(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        read(written(tmp_path, content))
    assert "\n" not in str(error.value)
    assert "table.csv" in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="no such file: .*nothing.csv"):
        DelimitedReader(str(tmp_path / "nothing.csv"))
    with pytest.raises(DataError, match="is a folder"):
        DelimitedReader(str(tmp_path))


def test_progress_is_counted_in_bytes(tmp_path):
    path = written(tmp_path, "text\n" + "line\n" * 1000)
    with DelimitedReader(str(path)) as reader:
        assert reader.size == path.stat().st_size
        for _ in reader.chunks(100):
            assert 0 < reader.bytes_read <= reader.size
        assert reader.bytes_read == reader.size
        assert reader.rows_read == 1000


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
    assert columns_of(written(tmp_path, content)) == columns


def test_unusual_separators_are_reported(tmp_path):
    for name, content, said in [
        ("t.csv", "text;label\na;b\n", "'label'; semicolon-separated"),
        ("t.csv", "text\tlabel\na\tb\n", "'label'; tab-separated"),
        ("t.csv", "text,label\na,b\n", "'label'"),
        ("t.tsv", "text\tlabel\na\tb\n", "'label'"),
    ]:
        (tmp_path / name).write_text(content)
        with DelimitedReader(str(tmp_path / name)) as table:
            assert table.describe([0], 1).endswith(said)


@settings(max_examples=25, deadline=None)
@given(
    table=st.lists(
        st.lists(st.text(',;|\t"\n ab\r', max_size=5), min_size=3, max_size=3), min_size=2, max_size=5
    ),
    separator=st.sampled_from(",;|\t"),
)
def test_a_table_with_every_cell_quoted_is_read_by_any_separator(tmp_path_factory, table, separator):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(table)
    path = written(tmp_path_factory.mktemp("t"), text.getvalue())
    assert read(path, dialect=Dialect("minimal", header=False)) == table


@pytest.mark.parametrize(
    ("content", "position"),
    [
        (b"a;b\n1;\xff\n", r"row 1 \(line 2\): byte 6 "),
        (b"a;b\n1;2\n\xff;3\n", r"row 2 \(line 3\): byte 8 "),
        (b"a;b\n1;2\n3\n", r"row 2 \(line 3\): 1 fields"),
        (b'a;b\n"1\n2";3\n4\n', r"row 2 \(line 4\): 1 fields"),
        (b"a;\xff\n", r"header \(line 1\): byte 2 "),
        (b'"a;b\n', r"header \(line 1\): a quote that opens here is never closed"),
    ],
)
def test_positions_are_right_after_looking_ahead(tmp_path, content, position):
    with pytest.raises(DataError, match=position):
        read(written(tmp_path, content))


def test_looking_ahead_does_not_read_the_whole_file(tmp_path):
    header = 'a,b\t"c\n'
    with pytest.raises(DataError, match="row 1 .line 2.: 1 fields"):
        read(written(tmp_path, header + "x\n" * 5000))
