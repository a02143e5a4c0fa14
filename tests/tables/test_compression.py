from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tracemalloc

import pytest
import zstandard

from lmclassify import DataError, OutputError
from lmclassify.datasets.sources import open_source
from lmclassify.tables import compression
from lmclassify.tables.delimited import TableReader
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import TableWriter, format_of

TABLE = "text,label\n" + "".join(f"line {number},spam\n" for number in range(3000))
PACK = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def cells(path) -> list[list[str]]:
    with open_source(str(path)) as table:
        return [row for chunk in table.chunks() for row in chunk.cells]


@pytest.mark.parametrize("suffix", PACK)
def test_members_are_read_as_one(tmp_path, suffix):
    path = tmp_path / f"t.csv{suffix}"
    half = len(TABLE) // 2
    path.write_bytes(PACK[suffix](TABLE[:half].encode()) + PACK[suffix](TABLE[half:].encode()))
    assert cells(path) == [[f"line {number}", "spam"] for number in range(3000)]
    with TableReader(str(path)) as table:
        assert table.size == path.stat().st_size
        for _ in table.chunks(100):
            assert 0 < table.bytes_read <= table.size
        assert table.bytes_read == table.size


@pytest.mark.parametrize("suffix", PACK)
def test_what_is_cut_short_or_damaged_is_one_line(tmp_path, suffix):
    path = tmp_path / f"t.csv{suffix}"
    whole = PACK[suffix](os.urandom(1000).hex().encode() + TABLE.encode())
    for size in (len(whole) - 1, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(
            DataError, match=r"t\.csv.* is cut short: its \w+ data have no end; fetch it again$"
        ):
            cells(path)
    path.write_bytes(TABLE.encode())
    with pytest.raises(DataError, match=r"t\.csv.* is damaged, or no \w+ file"):
        cells(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="t.csv"):
        cells(path)


@pytest.mark.parametrize("suffix", PACK)
def test_a_bomb_takes_no_memory(tmp_path, suffix, monkeypatch):
    """A line of 100 MB in a file of some KB; lines are limited to 4 MB here, to be quick."""
    monkeypatch.setattr(compression, "_LONGEST_LINE", 1 << 22)
    path = tmp_path / f"t.csv{suffix}"
    path.write_bytes(PACK[suffix](b"text\n" + b"x" * 100_000_000))
    assert path.stat().st_size < 120_000
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="unpacks to a line of more than 4 MB"):
            cells(path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_skippable_and_empty_frames_of_zstandard(tmp_path):
    path = tmp_path / "t.csv.zst"
    pack, skip = PACK[".zst"], b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    path.write_bytes(skip + pack(b"text\n") + pack(b"") + skip + pack(b"one\n"))
    assert cells(path) == [["one"]]


@pytest.mark.parametrize("suffix", PACK)
def test_output_is_compressed(tmp_path, suffix):
    path = tmp_path / f"out.tsv{suffix}"
    assert format_of(str(path), None) == "tsv"
    rows = Rows(["a", "b"], [["1", "x,y"], ["2", ""]])
    with TableWriter(str(path), "tsv") as writer:
        writer.write(rows)
        writer.write(rows)
        assert os.listdir(tmp_path) != [path.name]
    assert cells(path) == rows.cells * 2
    content = path.read_bytes()
    assert not content.startswith(b"a\tb")
    with pytest.raises(KeyError), TableWriter(str(path), "tsv") as writer:
        writer.write(rows)
        raise KeyError
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("suffix", PACK)
def test_a_full_disk_is_one_line(tmp_path, suffix):
    path = tmp_path / f"out.csv{suffix}"
    path.symlink_to("/dev/full")
    with (
        pytest.raises(OutputError, match="cannot write .*: No space left"),
        TableWriter(str(path), "csv") as writer,
    ):
        writer.write(Rows(["a"], [[os.urandom(50_000).hex()]]))


def test_packages_and_formats_that_do_not_go(tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "_has_zstandard", lambda: False)
    path = tmp_path / "t.csv.zst"
    with pytest.raises(OutputError, match=r"zstandard: pip install .lmclassify\[zstd\]"):
        TableWriter(str(path), "csv")
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"zstandard: pip install .lmclassify\[zstd\]"):
        open_source(str(path))
    with pytest.raises(OutputError, match="Parquet is compressed within"):
        TableWriter(str(tmp_path / "t.parquet.gz"), "parquet")
    (tmp_path / "t.parquet.gz").write_bytes(b"")
    with pytest.raises(DataError, match="Parquet is compressed within"):
        open_source(str(tmp_path / "t.parquet.gz"))
