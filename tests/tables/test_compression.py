"""Compressed input and output."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tracemalloc

import pytest
import zstandard

from lmclassify import DataError, OutputError
from lmclassify.datasets.sources import open_rows
from lmclassify.tables import compression
from lmclassify.tables.compression import decompressed
from lmclassify.tables.delimited import DelimitedReader
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import TableWriter, choose_output_format

TABLE = "text,label\n" + "".join(f"line {number},spam\n" for number in range(3000))
COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def cells(path) -> list[list[str]]:
    with open_rows(str(path)) as table:
        return [row for chunk in table.chunks() for row in chunk.cells]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_members_are_read_as_one(tmp_path, suffix):
    path = tmp_path / f"t.csv{suffix}"
    half = len(TABLE) // 2
    path.write_bytes(COMPRESS[suffix](TABLE[:half].encode()) + COMPRESS[suffix](TABLE[half:].encode()))
    assert cells(path) == [[f"line {number}", "spam"] for number in range(3000)]
    with DelimitedReader(str(path)) as table:
        assert table.size == path.stat().st_size
        for _ in table.chunks(100):
            assert 0 < table.bytes_read <= table.size
        assert table.bytes_read == table.size


@pytest.mark.parametrize("suffix", COMPRESS)
def test_truncated_and_damaged_files_are_one_line_errors(tmp_path, suffix):
    path = tmp_path / f"t.csv{suffix}"
    whole = COMPRESS[suffix](os.urandom(1000).hex().encode() + TABLE.encode())
    for size in (len(whole) - 1, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(
            DataError, match=r"t\.csv.* is truncated: its \w+ data end too early; fetch it again$"
        ):
            cells(path)
    path.write_bytes(TABLE.encode())
    with pytest.raises(DataError, match=r"t\.csv.* is damaged, or is not a \w+ file"):
        cells(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="t.csv"):
        cells(path)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_line_that_is_too_long_is_refused(suffix):
    packed = io.BytesIO(COMPRESS[suffix](b"text\n" + b"x" * (1 << 20) + b"\n" + b"y" * (3 << 20)))
    stream = decompressed(packed, suffix, "t.csv", max_line_bytes=2 << 20)
    assert stream.readline() == b"text\n"
    assert len(stream.readline()) == (1 << 20) + 1
    with pytest.raises(DataError, match="t.csv unpacks to a line of more than 2 MB"):
        stream.readline()


@pytest.mark.long
@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_decompression_bomb_takes_little_memory(suffix):
    """A line of 100 MB in a file of some KB."""
    packed = COMPRESS[suffix](b"text\n" + b"x" * 100_000_000)
    assert len(packed) < 120_000
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="unpacks to a line of more than 4 MB"):
            decompressed(io.BytesIO(packed), suffix, "t.csv", max_line_bytes=4 << 20).read()
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_skippable_and_empty_frames_of_zstandard(tmp_path):
    path = tmp_path / "t.csv.zst"
    compress, skippable = COMPRESS[".zst"], b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    path.write_bytes(skippable + compress(b"text\n") + compress(b"") + skippable + compress(b"one\n"))
    assert cells(path) == [["one"]]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_output_is_compressed(tmp_path, suffix):
    path = tmp_path / f"out.tsv{suffix}"
    assert choose_output_format(str(path), None) == "tsv"
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


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_full_disk_is_a_one_line_error(tmp_path, suffix):
    path = tmp_path / f"out.csv{suffix}"
    path.symlink_to("/dev/full")
    with (
        pytest.raises(OutputError, match="cannot write .*: No space left"),
        TableWriter(str(path), "csv") as writer,
    ):
        writer.write(Rows(["a"], [[os.urandom(50_000).hex()]]))


def test_missing_packages_and_impossible_formats(tmp_path, monkeypatch):
    monkeypatch.setattr(compression.importlib.util, "find_spec", lambda name: None)
    path = tmp_path / "t.csv.zst"
    with pytest.raises(OutputError, match=r"zstandard: .*pip install .*\[zstd\]"):
        TableWriter(str(path), "csv")
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"zstandard: .*pip install .*\[zstd\]"):
        open_rows(str(path))
    monkeypatch.undo()
    with pytest.raises(OutputError, match="Parquet compresses its columns itself"):
        TableWriter(str(tmp_path / "t.parquet.gz"), "parquet")
    (tmp_path / "t.parquet.gz").write_bytes(b"")
    with pytest.raises(DataError, match="Parquet compresses its columns itself"):
        open_rows(str(tmp_path / "t.parquet.gz"))
