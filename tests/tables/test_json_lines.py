"""JSON Lines: cells, original text, and errors that name the row."""

from __future__ import annotations

import json

import pytest

from lmclassify import DataError
from lmclassify.tables.json_lines import JsonLinesReader
from lmclassify.tables.writing import TableWriter


def written(path, *lines: str):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def chunks(path, rows=8192):
    with JsonLinesReader(str(path)) as table:
        return list(table.chunks(rows))


def test_values_become_cells(tmp_path):
    path = written(
        tmp_path / "t.jsonl",
        '{"id": 7, "text": "a, \\"b\\"\\u00e9", "n": 1.5}',
        "",
        '  {"text": null, "tags": ["x", {"y": null}], "ok": true}\r',
        "{}",
    )
    with JsonLinesReader(str(path)) as table:
        assert table.columns == ["id", "text", "n", "tags", "ok"]
        assert table.describe([1], None) == f"{path}: text column 'text'"
        (rows,) = table.chunks()
        assert (table.rows_read, table.bytes_read) == (3, table.size)
    assert rows.cells == [
        ["7", 'a, "b"é', "1.5", "", ""],
        ["", "", "", '["x", {"y": null}]', "true"],
        ["", "", "", "", ""],
    ]


def test_rows_keep_their_original_text(tmp_path):
    lines = [
        '{"text":"a","id":1.10,"n":12345678901234567890123}',
        '{ "text" : "b" }',
        "{ }",
        '{"x": {"text": 1}}',
    ]
    path = written(tmp_path / "t.jsonl", *lines)
    out = tmp_path / "out.jsonl"
    with TableWriter(str(out), "jsonl") as writer:
        for rows in chunks(path, 3):
            writer.write(rows.with_columns({"label": ["l"] * len(rows)}))
    assert out.read_text().splitlines() == [
        '{"text":"a","id":1.10,"n":12345678901234567890123, "label": "l"}',
        '{ "text" : "b" , "label": "l"}',
        '{ "label": "l"}',
        '{"x": {"text": 1}, "label": "l"}',
    ]
    with TableWriter(str(out), "jsonl") as writer:
        for rows in chunks(path):
            writer.write(rows.with_columns({"text": ["new"] * 4}))
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"id": 1.1, "n": 12345678901234567890123, "text": "new"}, {"text": "new"}, {"text": "new"}, {"x": {"text": 1}, "text": "new"},
    ]  # fmt: skip


def test_keys_that_appear_later(tmp_path):
    path = written(tmp_path / "t.jsonl", *['{"text": "a"}'] * 9000, '{"text": "b", "p": 1}')
    with TableWriter(str(tmp_path / "out.jsonl"), "jsonl") as writer:
        for rows in chunks(path):
            assert rows.columns == ["text"]
            writer.write(rows.with_columns({"q": ["x"] * len(rows)}))
    last = (tmp_path / "out.jsonl").read_text().splitlines()[-1]
    assert json.loads(last) == {"text": "b", "p": 1, "q": "x"}
    for ending, added in (("csv", "q"), ("parquet", "q"), ("table", "q"), ("jsonl", "p")):
        out = tmp_path / f"other.{ending}"
        with (
            pytest.raises(DataError, match=r"t\.jsonl, row 9,001: key 'p' is in none of the first rows"),
            TableWriter(str(out), ending) as writer,
        ):
            for rows in chunks(path):
                writer.write(rows.with_columns({added: ["x"] * len(rows)}))
        assert not out.exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "t.jsonl is empty; expected one JSON object per line"),
        (["", " "], "is empty"),
        (['{"text": "a"}', '{"text": "a'], r"row 2 \(line 2\): not valid JSON \(Unterminated"),
        (['{"text": "a"}', "", "text"], r"row 2 \(line 3\): not valid JSON"),
        (["[[]]"], "row 1: expected an object, not a list"),
        (["["], r"t.jsonl is empty|row 1 .* not valid JSON"),
        (["7"], "expected an object, not a number"),
        (['"x"'], "expected an object, not a string"),
        (["null"], "expected an object, not null"),
        (["[" * 100_000], "not valid JSON"),
        (['{"text": ' + "9" * 5000 + "}"], "not valid JSON"),
        (
            ['{"text": "a"}', '{"text": 12}'],
            r"row 2: 'text' is a number \('12'\); texts must be strings, or null",
        ),
        (['{"text": ["a"]}'], "row 1: 'text' is a list"),
        (['{"text": "\\ud800"}'], "row 1: 'text' holds half of a surrogate pair"),
    ],
)
def test_broken_lines_are_named(tmp_path, lines, message):
    path = written(tmp_path / "t.jsonl", *lines)
    with pytest.raises(DataError, match=message) as error, JsonLinesReader(str(path)) as table:
        table.describe([0], None)
        list(table.chunks())
    assert "\n" not in str(error.value)
    assert "t.jsonl" in str(error.value)


def test_invalid_bytes_and_single_surrogates(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "\xe9"}\n')
    with pytest.raises(DataError, match=r"row 2 \(line 2\): byte 24 \(0xe9\)"):
        chunks(path)
    written(path, '{"text": "\\ud83d\\ude00"}')
    assert chunks(path)[0].cells == [["😀"]]


@pytest.mark.parametrize("content", ["{}\n{}\n", '{"data": [{}]}', "[{}]"])
def test_objects_without_fields_are_an_error(tmp_path, content):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(DataError, match=r"t\.json: its JSON objects are empty"):
        JsonLinesReader(str(tmp_path / "t.json"))
