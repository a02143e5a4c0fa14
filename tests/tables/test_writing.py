"""Tables written in every format."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import DataError, OptionError, OutputError
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import TableWriter, check_escape_formulas, choose_output_format, escape_formula


def test_formats():
    assert choose_output_format("a.tsv", None) == "tsv"
    assert choose_output_format("a.ndjson", None) == "jsonl"
    assert choose_output_format("-", None) == "csv"
    assert choose_output_format("a.tsv", "table") == "table"
    assert choose_output_format("out", None) == choose_output_format("out.txt", None) == "csv"
    with pytest.raises(DataError, match="out.xlsx does not tell the format"):
        choose_output_format("out.xlsx", None)
    with pytest.raises(DataError, match="csv, tsv, jsonl, parquet, table"):
        choose_output_format("-", "xml")


ROWS = Rows(["text"], [["a,b"], [""], ["é\x1b[31m"]], added={"p": np.array([0.25, np.nan, 1e-12])})


def test_cells_have_quotes_only_where_they_need_them(tmp_path):
    path = tmp_path / "out.csv"
    rows = [["cr\rhere", "tab\t"], [" a", 'say "hi"'], ["", "x\r\n"]]
    probability = np.array([1 / 3, np.nan, 2e-20])
    with TableWriter(str(path), "csv") as writer:
        writer.write(Rows(["a", "b,c"], rows, added={"predicted": ["x,y", "", "z"], "p": probability}))
    assert path.read_bytes() == (
        b'a,"b,c",predicted,p\n"cr\rhere",tab\t,"x,y",0.333333333\n a,"say ""hi""",,\n,"x\r\n",z,2e-20\n'
    )


def test_json_lines(tmp_path):
    path = tmp_path / "out.jsonl"
    with TableWriter(str(path), "jsonl") as writer:
        writer.write(ROWS)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"text": "a,b", "p": 0.25},
        {"text": "", "p": None},
        {"text": "é\x1b[31m", "p": 1e-12},
    ]


def test_parquet(tmp_path):
    path = tmp_path / "out.parquet"
    with TableWriter(str(path), "parquet") as writer:
        writer.write(ROWS)
        writer.write(ROWS)
    again = pd.read_parquet(path)
    assert again["text"].tolist() == ROWS.column(0) * 2
    assert again["p"].isna().tolist() == [False, True, False] * 2


def test_an_aligned_table_has_no_control_characters(tmp_path):
    path = tmp_path / "out.txt"
    with TableWriter(str(path), "table") as writer:
        writer.write(ROWS)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("text")
    assert "\x1b" not in path.read_text()
    assert "é\\x1b[31m  0.0000" in lines[3]


def test_a_table_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(KeyError), TableWriter(str(path), "csv") as writer:
        writer.write(ROWS)
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.csv"]
    with TableWriter(str(path), "csv") as writer:
        writer.write(ROWS)
        assert path.read_text() == "old"
    assert path.read_text().startswith("text,p\n")
    assert os.listdir(tmp_path) == ["out.csv"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_paths_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot write .*: No such file"):
        TableWriter(str(tmp_path / "nowhere" / "out.csv"), "csv")
    with pytest.raises(OutputError, match="cannot write .*: Is a directory"):
        TableWriter(str(tmp_path), "csv")

    for path in ("", str(tmp_path / "new") + "/"):
        with pytest.raises(OutputError, match="names no file"):
            TableWriter(path, "csv")
    assert os.listdir(tmp_path) == []


def test_links_and_modes_are_respected(tmp_path):
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    with TableWriter(str(link), "csv") as writer:
        writer.write(ROWS)
    assert link.is_symlink()
    assert target.read_text().startswith("text,p\n")
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_duplicate_column_names(tmp_path, format):
    with (
        pytest.raises(DataError, match="several of x"),
        TableWriter(str(tmp_path / "out"), format) as writer,
    ):
        writer.write(Rows(["x", "x"], [["a", "b"]]))
    assert os.listdir(tmp_path) == []


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_a_one_line_error():
    with (
        pytest.raises(OutputError, match="cannot write /dev/full: No space left"),
        TableWriter("/dev/full", "csv") as writer,
    ):
        writer.write(ROWS)


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n1", "\0", " =1", "\u00a0=1", "\ufeff=1", "＝1", "＋1", "－1", "＠1", "-", "--1", "+١"],
)  # fmt: skip
def test_formulas_get_an_apostrophe(cell):
    assert escape_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "1-1", "'=1", "3", "-3.5", "+1", "-.5e-10", "é"])
def test_other_cells_are_unchanged(cell):
    assert escape_formula(cell) == cell


@settings(max_examples=25, deadline=None)
@given(st.text("=+-@\t\r\n '1a＝", max_size=6))
def test_escaping_twice_changes_nothing_more(cell):
    safe = escape_formula(cell)
    assert safe.removeprefix("'") == cell.removeprefix("'") or safe == f"'{cell}"
    assert escape_formula(safe) == safe


def test_only_csv_and_tsv_have_formulas():
    check_escape_formulas(True, "csv")
    check_escape_formulas(False, "parquet")
    with pytest.raises(OptionError, match="--escape-formulas is for csv and tsv"):
        check_escape_formulas(True, "jsonl")
