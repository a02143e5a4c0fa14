"""Rows from files of any format, several files and wildcards."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import DataError, OptionError
from lmclassify.datasets.labelled import LabelledTableReader, read_tables
from lmclassify.datasets.multiple_files import expand, open_many
from lmclassify.datasets.sources import detect_format, open_rows
from lmclassify.datasets.texts import read_files, read_unlabelled
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import TableWriter

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)


def cells(*paths) -> list[list[str]]:
    with open_many([str(path) for path in paths], open_rows) as table:
        return [row for chunk in table.chunks(2) for row in chunk.cells]


def test_formats_by_suffix():
    for path, expected in {
        "a.CSV": "csv", "a.tab": "tsv", "a.ndjson.gz": "jsonl", "a.jsonl": "jsonl", "a.txt.zst": "text",
        "a.parquet": "parquet", "a.xlsx": "excel", "a.json": "jsonl", "-": None, "a.gz": None, "a": None, "a.xyz": None,
    }.items():  # fmt: skip
        assert detect_format(path) == expected


@settings(max_examples=25, deadline=None)
@given(
    header=st.lists(text.filter(lambda name: name[:1] != "\ufeff"), min_size=2, max_size=3, unique=True),
    body=st.data(),
    ways=st.permutations(["csv.gz", "tsv", "jsonl.bz2", "parquet", "jsonl", "csv.zst"]),
)
def test_cells_survive_every_format(tmp_path_factory, header, body, ways):
    row = st.lists(text, min_size=len(header), max_size=len(header))
    table = body.draw(st.lists(row, min_size=1, max_size=4))
    folder = tmp_path_factory.mktemp("t")
    rows = [Rows(header, table)]
    for step, way in enumerate(ways):
        path = folder / f"{step}.{way}"
        with TableWriter(str(path), way.split(".")[0]) as writer:
            for chunk in rows:
                writer.write(chunk)
        with open_rows(str(path)) as source:
            assert source.columns == header
            rows = list(source.chunks(2))
        assert [cells for chunk in rows for cells in chunk.cells] == table


def test_plain_text(tmp_path):
    path = tmp_path / "t.txt.bz2"
    path.write_bytes(bz2.compress("\ufeffone, two\r\n\n\u2028three".encode()))
    with open_rows(str(path)) as source:
        assert source.columns == ["text"]
        assert source.describe([0], None) == f"{path}: one text per line"
        chunks = list(source.chunks(2))
        assert [(rows.first, rows.cells) for rows in chunks] == [
            (1, [["one, two"], [""]]),
            (3, [["\u2028three"]]),
        ]
        assert (source.rows_read, source.bytes_read) == (3, source.size)
    for content, problem in (
        (b"", "t.txt is empty; expected one text per line"),
        (b"a\n\xff", "line 2: byte 2 "),
    ):
        (tmp_path / "t.txt").write_bytes(content)
        with pytest.raises(DataError, match=problem):
            cells(tmp_path / "t.txt")


def test_a_requested_format(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("text,label\na,b\n")
    assert cells(path) == [["text,label"], ["a,b"]]
    with open_rows(str(path), format="csv") as source:
        assert source.columns == ["text", "label"]
    path.write_text("text\tlabel\na\tb\n")
    for asked in ("csv", "tsv"):
        with open_rows(str(path), format=asked) as source:
            assert source.columns == ["text", "label"]
    path.write_text('{"text": "a"}\n')
    with open_rows(str(path), format="jsonl") as source:
        assert source.columns == ["text"]
    path.write_text("text,label\na,b\n")
    with pytest.raises(
        DataError,
        match="no label column: a .txt file is read as one text per line; .*--columns label,text .*--input-format csv .*fasttext",
    ):
        read_tables([str(path)], say=lambda line: None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(OptionError, match="--stream reads row by row"):
        open_rows(str(tmp_path / "t.parquet"), stream=True)


def test_several_files(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.jsonl"
    a.write_text("id,text\n1,a\n2,b\n3,c\n")
    b.write_text('{"id": 4, "text": "d"}\n')
    assert cells(a, b, a) == [
        ["1", "a"],
        ["2", "b"],
        ["3", "c"],
        ["4", "d"],
        ["1", "a"],
        ["2", "b"],
        ["3", "c"],
    ]
    with open_many([str(a), str(b)], open_rows) as table:
        assert table.describe([1], None) == f"{a}: text column 'text'; 2 files"
        assert table.size == a.stat().st_size + b.stat().st_size
        assert [rows.first for rows in table.chunks(2)] == [1, 3, 4]
        assert (table.rows_read, table.bytes_read) == (4, table.size)


def test_files_read_otherwise_than_the_first_are_reported(tmp_path):
    a, b, c = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv"
    a.write_text("id,text\n1,a\n")
    b.write_text("id;text\n2;b\n")
    c.write_text("id,text\n3,c\n")
    with open_many([str(a), str(b), str(c)], open_rows) as table:
        assert table.describe([1], None) == (
            f"{a}: text column 'text'; 3 files; {b}: text column 'text'; semicolon-separated"
        )
    assert cells(a, b, c) == [["1", "a"], ["2", "b"], ["3", "c"]]


def test_json_keys_have_no_order(tmp_path):
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    a.write_text('{"id": 1, "text": "a"}\n')
    b.write_text('{"text": "b", "id": 2}\n')
    assert cells(a, b) == [["1", "a"], ["2", "b"]]
    b.write_text('{"text": "b"}\n')
    with pytest.raises(DataError, match="it lacks 'id'"):
        cells(a, b)


def test_pipes_are_opened_once(tmp_path):
    (tmp_path / "a.csv").write_text("text\nb\n")
    pipes = [tmp_path / "p1", tmp_path / "p2"]
    for pipe in pipes:
        os.mkfifo(pipe)
    line = "cat a.csv > p1 & cat a.csv > p2 & wait"
    with subprocess.Popen(["sh", "-c", line], cwd=tmp_path) as process:
        with open_many([str(path) for path in (pipes[0], tmp_path / "a.csv", pipes[1])], open_rows) as table:
            assert table.describe([0], None).endswith("'text'; 3 files")
            assert [row for chunk in table.chunks() for row in chunk.cells] == [["b"]] * 3
        assert process.wait(20) == 0


ANY_FILE = st.fixed_dictionaries(
    {
        "content": st.binary(max_size=60) | st.text('{}[]":,;\\\n\tatex1u ', max_size=40).map(str.encode),
        "name": st.sampled_from(
            [
                "t.csv",
                "t.tsv",
                "t",
                "t.jsonl",
                "t.txt",
                "t.parquet",
                "t.xlsx",
                "t.csv.gz",
                "t.csv.zst",
                "t.csv.xz",
            ]
        ),
        "encoding": st.sampled_from(
            [None, "utf-16", "cp1252", "gb18030", "utf-7", "detect", "shift_jis", "utf-8"]
        ),
        "packed": st.booleans(),
    }
)


@settings(max_examples=25, deadline=None)
@given(file=ANY_FILE)
def test_any_bytes_are_rows_or_a_one_line_error(tmp_path_factory, file):
    check_rows_or_one_line_error(tmp_path_factory.mktemp("t"), **file)


@pytest.mark.long
@settings(max_examples=1000, deadline=None)
@given(file=ANY_FILE)
def test_many_more_bytes_are_rows_or_a_one_line_error(tmp_path_factory, file):
    check_rows_or_one_line_error(tmp_path_factory.mktemp("t"), **file)


def check_rows_or_one_line_error(folder, content, name, encoding, packed):
    path = folder / name
    if packed and name.endswith(".gz"):
        content = gzip.compress(content)
    if packed and name.endswith(".xz"):
        content = lzma.compress(content)
    path.write_bytes(content)
    problem = name
    try:
        with open_rows(str(path), encoding=encoding) as source:
            source.describe([0], None)
            for rows in source.chunks():
                assert all(len(row) == len(source.columns) for row in rows.cells)
    except DataError as error:
        problem = str(error)
    assert name in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("header", "difference"),
    [
        ("id,text,more", "it also has 'more'"),
        ("id", "it lacks 'text'"),
        ("id,txt", "it lacks 'text' and it also has 'txt'"),
        ("text,id", "text, id instead of id, text"),
    ],
)
def test_columns_that_differ(tmp_path, header, difference):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text("id,text\n1,a\n")
    b.write_text(header + "\n" + header + "\n")
    with pytest.raises(DataError, match=rf"b\.csv has other columns than .*a\.csv: {difference}; "):
        cells(a, b)


def test_wildcards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.csv", "a.csv", "odd[1].csv", "*.tsv", "x.tsv"):
        (tmp_path / name).write_text("text\na\n")
    os.makedirs("deep/er.csv")
    (tmp_path / "deep" / "c.csv").write_text("text\na\n")
    assert expand(["?.csv"]) == ["a.csv", "b.csv"]
    assert expand(["odd[1].csv", "-", "*.tsv"]) == ["odd[1].csv", "-", "*.tsv"]
    assert expand(["deep/*.csv", "b.csv"]) == ["deep/c.csv", "b.csv"]
    assert expand(["**/?.csv"]) == ["a.csv", "b.csv", "deep/c.csv"]
    with pytest.raises(DataError, match=r"no file matches no\*\.csv"):
        expand(["no*.csv"])
    with pytest.raises(OptionError, match="can be read only once"):
        expand(["-", "-"])
    with pytest.raises(DataError, match="no such file: nothing.csv"):
        cells("a.csv", "nothing.csv")


def test_texts_and_labels_of_any_format(tmp_path):
    said: list[str] = []
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n{"label": 0}\n{"text": "b", "label": 0}\n')
    (tmp_path / "b.csv").write_bytes("text;label\né;1\n".encode("cp1252"))
    paths = [str(tmp_path / name) for name in ("a.jsonl", "b.csv")]
    read = read_tables(paths, LabelledTableReader(encoding="cp1252"), say=said.append)
    assert (read.texts, read.labels) == (["a", "b", "é"], ["1", "0", "1"])
    assert said[-1].endswith("label column 'label'; semicolon-separated; encoding cp1252")
    assert read_unlabelled(paths, encoding="cp1252", say=said.append) == ["a", "b", "é"]
    assert read_files({"x": paths[1]}, encoding="cp1252", say=said.append).texts == ["text;label", "é;1"]
