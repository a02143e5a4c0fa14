"""JSON that is not JSON Lines: lists, objects over several lines, tables of pandas, nested fields."""

from __future__ import annotations

import json

import pytest

from lmclassify import DataError
from lmclassify.datasets.labelled import LabelledTableReader, read_tables
from lmclassify.datasets.sources import open_rows
from lmclassify.datasets.texts import read_files
from lmclassify.tables.writing import TableWriter

ROWS = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
MESSAGES = [
    {"id": 1, "message": {"body": "a", "parts": [{"n": "p"}]}, "meta": {"label": "x"}},
    {"id": 2, "message": {"body": "b"}, "meta": {"label": "y"}},
    {"id": 3, "message": None},
]


def labelled(path, **options) -> list[tuple[str, str]]:
    read = read_tables([str(path)], LabelledTableReader(**options), say=lambda line: None)
    return list(zip(read.texts, read.labels, strict=True))


@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.csv", "t.txt", "t"])
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "\ufeff \n" + json.dumps(ROWS, indent="\t").replace("\n", "\r\n"),
        "\n".join(map(json.dumps, ROWS)),
        "\n".join(json.dumps(row, indent=1) for row in ROWS),
        json.dumps({"text": {"0": "a", "2": "b"}, "label": {"0": "x", "2": "y"}}),
        json.dumps({"4": ROWS[0], "7": ROWS[1]}, indent=1),
        json.dumps({"columns": ["text", "label"], "index": [0, 1], "data": [["a", "x"], ["b", "y"]]}),
        json.dumps({"schema": {"fields": [{"name": "text"}]}, "data": ROWS}, indent=2),
        json.dumps({"text": ["a", "b"], "label": ["x", "y"]}),
        json.dumps({"mails": ROWS}),
    ],
)
def test_json_is_recognised_by_its_content(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert labelled(tmp_path / name) == [("a", "x"), ("b", "y")]


def test_json_in_utf_16_and_in_files_of_a_label(tmp_path):
    (tmp_path / "t.txt").write_bytes(json.dumps(ROWS).encode("utf-16"))
    assert labelled(tmp_path / "t.txt") == [("a", "x"), ("b", "y")]
    assert read_files({"x": str(tmp_path / "t.txt")}, say=lambda line: None).texts == ["a", "b"]


def test_rows_of_a_list_are_written_as_they_are(tmp_path):
    (tmp_path / "t.json").write_text(
        '[\n {"text": "a\\n",\n  "n": 1.50},\n {"text": "b", "more": {"k": [1]}}\n]\n'
    )
    with (
        open_rows(str(tmp_path / "t.json")) as table,
        TableWriter(str(tmp_path / "o.jsonl"), "jsonl") as writer,
    ):
        for rows in table.chunks():
            writer.write(rows)
    assert (
        tmp_path / "o.jsonl"
    ).read_text() == '{"text": "a\\n", "n": 1.50}\n{"text": "b", "more": {"k": [1]}}\n'


def test_one_object_is_one_row(tmp_path):
    for content in (
        '{"text": "a", "label": "x", "spans": [{"start": 0}]}',
        '{\n"text": "a",\n"label": "x"\n}',
    ):
        (tmp_path / "t.json").write_text(content)
        assert labelled(tmp_path / "t.json") == [("a", "x")]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "t.json is empty"),
        (
            '[{"text": "a"},\n{"text": "b" "n": 1}]',
            r"row 2 \(line 2\): not valid JSON \(Expecting ',' delimiter\)",
        ),
        ('[\n{"text": "a"}\n{"text": "b"}]', r"row 2 \(line 3\): not valid JSON \(expected a comma"),
        ('[{"text": "a"}', r"row 1 \(line 1\): not valid JSON \(expected a comma or the end"),
        ('[{"text": "a"}] x', "text after the end of the list"),
        ('["a", "b"]', "row 1: expected an object, not a string"),
        ('{"text": "a",', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_is_wrong_in_a_document(tmp_path, content, problem):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(DataError, match=problem) as error:
        labelled(tmp_path / "t.json")
    assert "\n" not in str(error.value)
    assert "t.json" in str(error.value)


@pytest.mark.parametrize("content", [json.dumps(MESSAGES), "\n".join(map(json.dumps, MESSAGES))])
def test_nested_fields_have_dotted_names(tmp_path, content):
    path = tmp_path / "t.json"
    path.write_text(content)
    assert labelled(path, text_column="message.body", label_column="meta.label") == [("a", "x"), ("b", "y")]
    assert labelled(path, text_column="message.parts.0.n", label_column="meta.label") == [("p", "x")]
    with pytest.raises(DataError, match=r"no column 'message.subject' .*; its columns: id, message, meta"):
        labelled(path, text_column="message.subject", label_column="meta.label")
    with pytest.raises(
        DataError, match=r"row 1: 'message' is an object .*\(--text-column message.body names a field"
    ):
        labelled(path, label_column="meta.label")
    with open_rows(str(path)) as table:
        assert table.columns == ["id", "message", "meta"]
    with open_rows(str(path), named_columns=("message.body", None, "id")) as table:
        assert table.columns == ["id", "message", "meta", "message.body"]
        (rows,) = table.chunks()
    assert [row[3] for row in rows.cells] == ["a", "b", ""]
    assert [json.loads(line) for line in rows.original.json_objects()] == MESSAGES


def test_a_key_with_a_dot_is_a_column(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"m.body": "a", "m": {"body": "b"}, "label": "x"}\n')
    assert labelled(tmp_path / "t.jsonl", text_column="m.body") == [("a", "x")]
