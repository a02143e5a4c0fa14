"""Quotes in CSV and TSV: which cells they enclose, and what is said about those that are unusual."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify import DataError
from lmclassify.datasets.sources import open_rows
from lmclassify.tables.delimited import DelimitedReader
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import TableWriter

MERGED = (  # the quotes belong to the texts of rows 2 and 4
    "label\ttext\n"
    "ham\tsee you at the station\n"
    'ham\t"lunch at noon\n'
    "spam\twin a free cruise now\n"
    'spam\tclaim your cash prize"\n'
    "ham\tdinner is in the oven\n"
)


def read(
    folder: Path, content: str, name: str = "t.csv", dialect: Dialect | None = None
) -> tuple[list[list[str]], list[str]]:
    """Return the rows and what is said about them."""
    (folder / name).write_text(content, encoding="utf-8", newline="")
    with DelimitedReader(str(folder / name), dialect=dialect) as table:
        rows = [cells for chunk in table.chunks() for cells in chunk.cells]
        return rows, [note.removeprefix(f"{folder}/") for note in table.notes]


def test_quotes_of_a_text_merge_no_rows_of_tsv(tmp_path):
    rows, notes = read(tmp_path, MERGED, "t.tsv")
    assert len(rows) == 5
    assert rows[1:4] == [
        ["ham", '"lunch at noon'],
        ["spam", "win a free cruise now"],
        ["spam", 'claim your cash prize"'],
    ]
    assert notes == [
        "t.tsv: 1 cell begins with a quote that is read as a character, in row 2 (line 3); "
        "--quoting none|minimal sets one rule for all"
    ]
    assert read(tmp_path, MERGED, "t.tsv", Dialect("none")) == (rows, [])
    assert read(tmp_path, MERGED, "t.csv")[0] == rows  # tab-separated by its content


def test_rows_that_quotes_merge_are_said(tmp_path):
    said = (
        "{}: 1 quoted cell spans lines that could be rows of their own, in row 2 (lines 3 to 5); if they are, "
        "use --quoting none"
    )
    rows, notes = read(tmp_path, MERGED, "t.tsv", Dialect("minimal"))
    assert (len(rows), notes) == (3, [said.format("t.tsv")])
    commas = MERGED.replace("\t", ",")
    rows, notes = read(tmp_path, commas)
    assert (len(rows), notes) == (3, [said.format("t.csv")])
    assert len(read(tmp_path, commas, dialect=Dialect("none"))[0]) == 5


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_cells_that_span_lines_are_said(tmp_path, name):
    content = 'label,text\nham,a\nham,"lunch\n\nat noon"\nham,"two\nlines"\n'
    rows, notes = read(tmp_path, content if name == "t.csv" else content.replace(",", "\t"), name)
    assert rows == [["ham", "a"], ["ham", "lunch\n\nat noon"], ["ham", "two\nlines"]]
    assert notes == [f"{name}: 2 quoted cells span lines, the first in row 2 (lines 3 to 5)"]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('ham\t"Quoted" she said', ["ham", '"Quoted" she said']),
        ('ham\t"Quoted"', ["ham", "Quoted"]),
        ('ham\t"a ""b"" c"', ["ham", 'a "b" c']),
        ('ham\t"a\tb"', ["ham", "a\tb"]),
        ('"ham"\tthe "x"', ["ham", 'the "x"']),
        ('ham\t"never closed', ["ham", '"never closed']),
        ('ham\t"', ["ham", '"']),
        ('ham\t""', ["ham", ""]),
        ('ham\t"a\nspam\tb" c', ["ham", '"a']),
        ('ham\t"a\n\nspam\t"b" c', ["ham", '"a']),
        ('"a\nb"\tham', ["a\nb", "ham"]),
        ('"a\nb"\t"c\n\nd"', ["a\nb", "c\n\nd"]),
        ("ham\t", ["ham", ""]),
    ],
)
def test_quotes_of_tsv(tmp_path, line, cells):
    rows, _ = read(tmp_path, f"label\ttext\n{line}\n", "t.tsv")
    assert rows[0] == cells


def test_a_quote_of_tsv_that_opens_no_row(tmp_path):
    with pytest.raises(DataError, match=r"row 1 \(line 2\): a quote that opens here .* --quoting none"):
        read(tmp_path, 'text\tlabel\n"a\nb\n', "t.tsv")
    with pytest.raises(DataError, match=r"row 1 \(line 2\): a carriage return outside quotes"):
        read(tmp_path, 'text\tlabel\na\rb\t"c"\n', "t.tsv")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('a,b\n"x" y,z\n', r"row 1 \(line 2\): text after a closing quote.*--quoting none"),
        ('a,b\n"x,z\n', r"row 1 \(line 2\): a quote that opens here is never closed.*--quoting none"),
    ],
)
def test_errors_name_the_option(tmp_path, content, problem):
    with pytest.raises(DataError, match=problem):
        read(tmp_path, content)
    rows, _ = read(tmp_path, content, dialect=Dialect("none"))
    assert rows == [content.splitlines()[1].split(",")]


def test_blanks_around_quotes(tmp_path):
    rows, _ = read(
        tmp_path,
        'label, text\nspam, "win, now"\n "ham" , "a ""b"", c" \nham,  x\nham, a "b"\nham, "a" b\nham," a "\n',
    )
    assert rows == [
        ["spam", "win, now"],
        ["ham", 'a "b", c'],
        ["ham", "  x"],
        ["ham", ' a "b"'],
        ["ham", ' "a" b'],
        ["ham", " a "],
    ]
    assert read(tmp_path, 'a,b\n"x"" , ""y","z , ""q"""\n')[0] == [['x" , "y', 'z , "q"']]
    assert read(tmp_path, 'a;b\n"x;y"; "z"\n')[0] == [["x;y", "z"]]


def test_no_quotes_at_all(tmp_path):
    none = Dialect("none")
    assert read(tmp_path, 'a,b\r\n"x,"y"\r\n\r\n,\r\n', dialect=none)[0] == [['"x', '"y"'], ["", ""]]
    with pytest.raises(DataError, match=r"row 1 \(line 2\): 3 fields, but the header has 2"):
        read(tmp_path, 'a,b\n"x,y",z\n', dialect=none)
    with pytest.raises(DataError, match="a carriage return outside quotes"):
        read(tmp_path, "a,b\nx\ry,z\n", dialect=none)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\t"), max_size=8)


@given(table=st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=5))
def test_written_tsv_is_read_back(tmp_path_factory, table):
    path = str(tmp_path_factory.mktemp("t") / "t.tsv")
    with TableWriter(path, "tsv") as writer:
        writer.write(Rows(["text", "label"], table))
    with DelimitedReader(path, dialect=Dialect(header=True)) as reader:
        assert [row for chunk in reader.chunks() for row in chunk.cells] == table


@pytest.mark.parametrize("separator", [",", ";"])
def test_backslashes_before_quotes(tmp_path, separator):
    rows = [
        ["text", "label"],
        ['He said "no", twice', "ham"],
        ["C:\\temp", "ham"],
        ['"', "spam"],
        ["a\nb", "ham"],
    ]
    lines = [
        separator.join('"' + cell.replace("\\", "\\\\").replace('"', '\\"') + '"' for cell in row) + "\n"
        for row in rows
    ]
    (tmp_path / "a.csv").write_text("".join(lines), newline="")
    for quoting in (None, "backslash"):
        with open_rows(str(tmp_path / "a.csv"), dialect=Dialect(quoting)) as table:
            assert "backslashes stand before quotes" in table.describe([0], 1)
            assert [row for chunk in table.chunks() for row in chunk.cells] == rows[1:]


def test_backslashes_that_escape_nothing(tmp_path):
    (tmp_path / "a.csv").write_text('text,label\n"C:\\",ham\n"say ""\\"" now",spam\n')
    with open_rows(str(tmp_path / "a.csv")) as table:
        assert "backslashes stand" not in table.describe([0], 1)
        assert [row for chunk in table.chunks() for row in chunk.cells] == [
            ["C:\\", "ham"],
            ['say "\\" now', "spam"],
        ]


@pytest.mark.parametrize("row", ['"He said \\"no\\" twice",ham\n', '"one \\", two",ham\n'])
def test_backslashes_far_below_are_an_error_that_names_the_option(tmp_path, row):
    (tmp_path / "a.csv").write_text("text,label\n" + "some words,ham\n" * 2000 + row)
    with open_rows(str(tmp_path / "a.csv")) as table, pytest.raises(DataError) as caught:
        list(table.chunks())
    assert "row 2,001" in str(caught.value)
    assert str(caught.value).endswith(
        "if backslashes stand before quotes that are characters, use --quoting backslash"
    )
    with open_rows(str(tmp_path / "a.csv"), dialect=Dialect("backslash")) as table:
        assert sum(map(len, table.chunks())) == 2001
