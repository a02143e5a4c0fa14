"""Files by URL, in an in-memory file system."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from lmclassify.datasets.multiple_files import expand_all
from lmclassify.datasets.sources import open_rows
from lmclassify.errors import DataError


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    files.pipe("/data/b.csv", b"id,text\n007,NA\n")
    files.pipe("/data/in/a.csv.gz", gzip.compress("id,text\n1,é\n".encode()))
    files.pipe("/data/in/notes.md", b"no data")
    files.pipe("/data/_SUCCESS", b"")
    files.pipe("/data/.hidden.csv", b"id,text\n")
    yield files
    files.rm("/data", recursive=True)


def test_urls_name_files_folders_and_wildcards(memory: Any) -> None:
    assert expand_all(["memory://data/b.csv"]) == ["memory://data/b.csv"]
    assert expand_all(["memory://data"]) == ["memory://data/b.csv", "memory://data/in/a.csv.gz"]
    assert expand_all(["memory://data/*.csv"]) == ["memory://data/b.csv"]
    with pytest.raises(DataError, match=r"no file matches memory://data/\*\.jsonl"):
        expand_all(["memory://data/*.jsonl"])


@pytest.mark.parametrize(("name", "cells"), [("b.csv", [["007", "NA"]]), ("in/a.csv.gz", [["1", "é"]])])
def test_a_url_is_read_like_a_file(memory: Any, name: str, cells: list[list[str]]) -> None:
    with open_rows(f"memory://data/{name}") as source:
        assert [chunk.cells for chunk in source.chunks()] == [cells]
        assert source.size == memory.size(f"/data/{name}")


def test_parquet_is_read_from_a_url(memory: Any, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"]}), tmp_path / "c.parquet")
    memory.put_file(str(tmp_path / "c.parquet"), "/data/c.parquet")
    with open_rows("memory://data/c.parquet") as source:
        assert [chunk.cells for chunk in source.chunks()] == [[["a"], ["b"]]]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://data/none.csv", "no such file: memory://data/none.csv"),
        ("nothing://data/none.csv", "cannot use nothing://data/none.csv: "),
    ],
)
def test_a_url_that_cannot_be_read_is_a_one_line_error(url: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        open_rows(url)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_local_folders_are_expanded_too(tmp_path: Path) -> None:
    for name in ("b.csv", "in/a.jsonl", "in/_temporary/c.csv", ".d.csv", "e.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text\n")
    expected = [str(tmp_path / "b.csv"), str(tmp_path / "in" / "a.jsonl")]
    assert expand_all([str(tmp_path)]) == expand_all([f"file://{tmp_path}"]) == expected
    assert expand_all([str(tmp_path)], any_suffix=True) == [
        *expected[:1],
        str(tmp_path / "e.md"),
        *expected[1:],
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file that ends in .csv"):
        expand_all([str(tmp_path / "empty")])
