"""Parquet: cells, types, chunks and damaged files."""

from __future__ import annotations

import datetime
import decimal
import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from lmclassify import DataError
from lmclassify.tables import parquet
from lmclassify.tables.parquet import ParquetReader
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import TableWriter

TABLE = pyarrow.table(
    {
        "id": pyarrow.array([7, None, 2**60], pyarrow.int64()),
        "text": pyarrow.array(["a,b", None, "é"]),
        "kind": pyarrow.array(["x", "y", None]).dictionary_encode(),
        "score": pyarrow.array([0.5, float("nan"), float("inf")]),
        "ok": [True, False, None],
        "day": [datetime.date(2024, 2, 29), None, None],
        "at": pyarrow.array([datetime.datetime(2024, 2, 29, 1, 2, 3), None, None], pyarrow.timestamp("ns")),
        "price": [decimal.Decimal("1.50"), None, None],
        "raw": [b"ab", b"\xff", None],
        "tags": [["x", "y"], [], None],
        "deep": [{"t": datetime.date(2024, 2, 29), "n": 1}, None, None],
    }
)


@pytest.fixture
def path(tmp_path):
    pyarrow.parquet.write_table(TABLE, tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def chunks(path, rows=8192) -> list[Rows]:
    with ParquetReader(str(path)) as table:
        return list(table.chunks(rows))


def test_values_become_cells_and_json(path):
    (rows,) = chunks(path)
    assert rows.columns == TABLE.column_names
    first, second, third = rows.cells
    assert first == [
        "7", "a,b", "x", "0.5", "true", "2024-02-29", "2024-02-29 01:02:03.000000000", "1.50", "ab", '["x", "y"]',
        '{"t": "2024-02-29", "n": 1}',
    ]  # fmt: skip
    assert second == ["", "", "y", "", "false", "", "", "", "/w==", "[]", ""]
    assert third == [str(2**60), "é", "", "inf", *[""] * 7]
    objects = [json.loads(one) for one in rows.original.json_objects()]
    assert objects[0]["id"] == 7
    assert objects[0]["deep"] == {"t": "2024-02-29", "n": 1}
    assert objects[1]["score"] is None


def test_types_are_kept(path, tmp_path):
    out = tmp_path / "out.parquet"
    with TableWriter(str(out), "parquet") as writer:
        for rows in chunks(path, 2):
            writer.write(rows.with_columns({"kind": ["k"] * len(rows), "label": ["l"] * len(rows)}))
    again = pyarrow.parquet.read_table(out)
    assert again.schema.field("id").type == pyarrow.int64()
    assert again.column_names == [*(name for name in TABLE.column_names if name != "kind"), "kind", "label"]
    assert again.select(["id", "text", "deep"]).equals(TABLE.select(["id", "text", "deep"]))


def test_chunks_are_numbered_and_small(path, tmp_path):
    with ParquetReader(str(path)) as table:
        assert [(rows.first, len(rows)) for rows in table.chunks(2)] == [(1, 2), (3, 1)]
        assert (table.rows_read, table.bytes_read) == (3, table.size)
    long = tmp_path / "long.parquet"
    texts = [f"{number}".zfill(20_000) for number in range(2000)]
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), long, use_dictionary=False)
    assert max(map(len, chunks(long))) < 1000


def test_the_text_column_must_hold_strings(path):
    with ParquetReader(str(path)) as table:
        assert table.describe([1], 2) == f"{path}: text column 'text', label column 'kind'"
        assert "text column 'kind'" in table.describe([2], None)
        with pytest.raises(DataError, match=r"t\.parquet: 'id' holds int64, but texts must be strings"):
            table.describe([0], None)


def test_damaged_files(path, tmp_path, monkeypatch):
    pyarrow.parquet.write_table(TABLE.slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="has columns .* but no rows"):
        ParquetReader(str(tmp_path / "none.parquet"))
    whole = path.read_bytes()
    for content in (b"", b"text,label\n", whole[:-9], b"PAR1" + b"\xff" * (len(whole) - 500) + whole[-496:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="t.parquet is damaged, or is not a Parquet file") as error:
            chunks(path)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="no such file"):
        ParquetReader("nothing.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"needs pyarrow: .*pip install .*\[parquet\]"):
        parquet.ParquetReader(str(path))


def test_types_that_change_later(path, tmp_path):
    cells = Rows(["id"], [["x"]], first=4)
    numbers = Rows(["id"], [["7"]], first=1)
    typed = Rows(["id"], [["7"]], original=parquet.ArrowRows(TABLE.select(["id"])))
    with (
        pytest.raises(DataError, match="from row 4 on, columns have other types than before"),
        TableWriter(str(tmp_path / "out.parquet"), "parquet") as writer,
    ):
        writer.write(typed)
        writer.write(cells)
    assert not (tmp_path / "out.parquet").exists()
    with TableWriter(str(tmp_path / "out.parquet"), "parquet") as writer:
        writer.write(numbers)
        writer.write(typed)
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["id"].to_pylist() == [
        "7",
        "7",
        None,
        str(2**60),
    ]


def test_fields_of_structs_have_dotted_names(tmp_path):
    table = pyarrow.table(
        {
            "id": [1, 2],
            "message": [{"body": "see you", "meta": {"kind": "ham"}}, {"body": None, "meta": None}],
            "a.b": ["x", "y"],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    named = ("message.body", "message.meta.kind", "a.b", "message.nothing", "id.x", None)
    with ParquetReader(str(tmp_path / "t.parquet"), named_columns=named) as reader:
        assert reader.columns == ["id", "message", "a.b", "message.body", "message.meta.kind"]
        assert [row[3:] for row in reader.sample] == [["see you", "ham"], ["", ""]]
        assert reader.describe([3], 4).endswith(
            "text column 'message.body', label column 'message.meta.kind'"
        )
        with pytest.raises(DataError, match="'message' holds struct"):
            reader.describe([1], None)
        (rows,) = reader.chunks()
        assert rows.labels(4, "t") == ["ham", ""]
        assert json.loads(rows.original.json_objects()[0])["message"]["body"] == "see you"


def test_rows_of_added_columns_only(tmp_path):
    rows = Rows([], [[], []], added={"row": np.array([3, 7]), "text": ["a", "b"]})
    with TableWriter(str(tmp_path / "out.parquet"), "parquet") as writer:
        writer.write(rows)
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.to_pydict() == {"row": [3, 7], "text": ["a", "b"]}
    assert table.schema.field("row").type == pyarrow.int64()
