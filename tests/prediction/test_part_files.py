"""Folders of part files, local and by URL."""

import os
from pathlib import Path

import numpy as np
import pytest

from lmclassify.errors import DataError, OptionError, OutputError
from lmclassify.prediction.part_files import DONE, PartFolder, choose_part_format
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import OutputFormat

ROWS = Rows(["text"], [["a"], ["b"]], 1, {"row_number": np.array([1, 2]), "p": np.array([0.5, np.nan])})


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("csv", "text,row_number,p\na,1,0.5\nb,2,\n"),
        ("jsonl", '{"text": "a", "row_number": 1, "p": 0.5}\n{"text": "b", "row_number": 2, "p": null}\n'),
    ],
)
def test_a_part_written_twice_is_there_once(tmp_path: Path, format: OutputFormat, expected: str) -> None:
    folder = PartFolder(str(tmp_path / "new" / "out"), format)
    folder.prepare()
    name = folder.part_name(3, 8193)
    for _ in range(2):
        folder.write(name, ROWS)
    assert os.listdir(tmp_path / "new" / "out") == [f"part-000003-000000008193.{format}"]
    assert (tmp_path / "new" / "out" / name).read_text() == expected


def test_formulas_are_escaped_on_request(tmp_path: Path) -> None:
    folder = PartFolder(str(tmp_path), "csv", escape_formulas=True)
    folder.prepare()
    folder.write("part.csv", Rows(["=text"], [["=1+1"], ["b"]]))
    assert (tmp_path / "part.csv").read_text() == "'=text\n'=1+1\nb\n"


def test_integers_stay_integers_in_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet

    folder = PartFolder(str(tmp_path), "parquet")
    folder.prepare()
    folder.write("part.parquet", ROWS)
    table = pyarrow.parquet.read_table(tmp_path / "part.parquet")
    assert [str(kind) for kind in table.schema.types] == ["string", "int64", "double"]


def test_a_part_that_fails_leaves_nothing(tmp_path: Path) -> None:
    folder = PartFolder(str(tmp_path), "parquet")
    folder.prepare()
    with pytest.raises(DataError, match="unique column names"):
        folder.write("part.parquet", Rows(["a", "a"], [["1", "2"]]))
    assert not os.listdir(tmp_path)


def test_temporary_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    folder = PartFolder(str(tmp_path), "csv")
    folder.prepare()
    folder.write(folder.part_name(0, 1), ROWS)
    (tmp_path / ".part-000000-000000000009.csv.abc").write_text("hal")
    folder.remove_temporary_files()
    folder.finish()
    assert sorted(os.listdir(tmp_path)) == [DONE, "part-000000-000000000001.csv"]


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "old.csv").write_text("x")
    with pytest.raises(OutputError, match="is not empty; empty it, or choose another folder$"):
        PartFolder(str(tmp_path / "full"), "csv").prepare()
    with pytest.raises(OutputError, match="is a file, but parts need a folder"):
        PartFolder(str(tmp_path / "full" / "old.csv"), "csv").prepare()


def test_parts_go_to_a_url(tmp_path: Path) -> None:
    import fsspec

    folder = PartFolder("memory://bucket/out", "csv")
    folder.prepare()
    for _ in range(2):
        folder.write(folder.part_name(0, 1), ROWS)
    folder.write(folder.part_name(1, 1), ROWS)
    folder.remove([folder.part_name(1, 1)])
    folder.finish()
    memory = fsspec.filesystem("memory")
    assert sorted(memory.find("/bucket/out")) == [
        f"/bucket/out/{DONE}",
        "/bucket/out/part-000000-000000000001.csv",
    ]
    assert memory.cat("/bucket/out/part-000000-000000000001.csv") == b"text,row_number,p\na,1,0.5\nb,2,\n"
    with pytest.raises(OutputError, match="is not empty"):
        PartFolder("memory://bucket/out", "csv").prepare()
    inside = PartFolder(f"file://{tmp_path}/x", "csv")
    inside.prepare()
    assert (tmp_path / "x").is_dir()


def test_the_default_format_is_that_of_the_input() -> None:
    assert [choose_part_format(None, kind) for kind in ("csv", "tsv", "jsonl", "parquet")] == [
        *("csv", "tsv", "jsonl", "parquet")
    ]
    assert [choose_part_format(None, kind) for kind in (None, "text", "mail")] == ["csv"] * 3
    assert choose_part_format("jsonl", "parquet") == "jsonl"
    with pytest.raises(OptionError, match="table"):
        choose_part_format("table", None)
