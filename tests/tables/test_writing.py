from __future__ import annotations

import json
import os
import stat

import numpy as np
import pandas as pd
import pytest

from lmclassify import DataError, OutputError
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import FileWriter, TableWriter, format_of


def test_formats():
    assert format_of("a.tsv", None) == "tsv"
    assert format_of("a.ndjson", None) == "jsonl"
    assert format_of("-", None) == "csv"
    assert format_of("a.tsv", "table") == "table"
    assert format_of("out", None) == format_of("out.txt", None) == "csv"
    with pytest.raises(DataError, match="out.xlsx does not tell the format"):
        format_of("out.xlsx", None)
    with pytest.raises(DataError, match="csv, tsv, jsonl, parquet, table"):
        format_of("-", "xml")


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


def test_table_is_aligned_and_cannot_steer_a_terminal(tmp_path):
    path = tmp_path / "out.txt"
    with TableWriter(str(path), "table") as writer:
        writer.write(ROWS)
    lines = path.read_text().splitlines()
    assert lines[0].startswith("text")
    assert "\x1b" not in path.read_text()
    assert "é\\x1b[31m  0.0000" in lines[3]


def test_a_file_appears_only_when_it_is_complete(tmp_path):
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


def test_places_that_cannot_be_written(tmp_path):
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
def test_columns_named_alike_that_do_not_fit(tmp_path, format):
    with (
        pytest.raises(DataError, match="columns named alike .x."),
        TableWriter(str(tmp_path / "out"), format) as writer,
    ):
        writer.write(Rows(["x", "x"], [["a", "b"]]))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line():
    with (
        pytest.raises(OutputError, match="cannot write /dev/full: No space left"),
        TableWriter("/dev/full", "csv") as writer,
    ):
        writer.write(ROWS)


def test_bytes_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "page.html"
    with FileWriter(str(path)) as writer:
        writer.write_bytes("né".encode())
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "né"
    with pytest.raises(RuntimeError), FileWriter(str(path)) as writer:
        writer.write_bytes(b"half")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["page.html"]
    assert path.read_text(encoding="utf-8") == "né"
    with pytest.raises(OutputError, match="cannot write .*nowhere.page.html: No such file"):
        FileWriter(str(tmp_path / "nowhere" / "page.html"))


def write(path, content=b"new"):
    with FileWriter(str(path)) as file:
        file.write_bytes(content)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_files_have_the_permissions_that_the_umask_leaves(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions_and_owner(tmp_path, mode):
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    before = path.stat()
    write(path)
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_where_the_group_cannot_be_kept_no_other_group_may_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o640)
    monkeypatch.setattr(os, "chown", refuse)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_what_another_user_put_into_a_shared_folder_is_left_alone(tmp_path, monkeypatch, kind):
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o1777)
    if kind != "dangling link":
        own.write_bytes(b"precious")
    path = shared / "out.csv"
    path.symlink_to(own) if kind != "file" else path.write_bytes(b"precious")
    write(path)  # one's own is fine
    own.write_bytes(b"precious")
    real = os.lstat

    def of_another_user(asked, **options):
        found = real(asked, **options)
        if os.fspath(asked) != str(path):
            return found
        return os.stat_result([*found[:4], found.st_uid + 1, *found[5:10]])

    monkeypatch.setattr(os, "lstat", of_another_user)
    with pytest.raises(OutputError, match="another user's"):
        FileWriter(str(path))
    shared.chmod(0o755)  # only its owner puts files there
    write(path)
    assert own.read_bytes() == (b"precious" if kind == "file" else b"new")


def test_a_draft_is_nobodys_but_ones_own(tmp_path):
    with FileWriter(str(tmp_path / "new")) as file:
        file.write_bytes(b"half")
        (draft,) = tmp_path.iterdir()
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
