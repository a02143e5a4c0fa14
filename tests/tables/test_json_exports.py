"""Exports of Prodigy, doccano and Label Studio."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lmclassify.datasets.labelled import read_tables
from lmclassify.datasets.sources import open_rows


def written(tmp_path, rows: list[dict[str, Any]], name: str = "t.jsonl"):
    lines = json.dumps(rows) if name.endswith(".json") else "\n".join(map(json.dumps, rows))
    (tmp_path / name).write_text(lines)
    return tmp_path / name


def labelled(path) -> tuple[list[tuple[str, str]], list[str]]:
    said: list[str] = []
    read = read_tables([str(path)], say=said.append)
    return list(zip(read.texts, read.labels, strict=True)), said


def task(text: str, *annotators: list[str] | None, name: str = "sentiment", **more: Any) -> dict[str, Any]:
    """Return a task of Label Studio; None stands for an annotator who skipped it."""
    annotations = [
        {
            "completed_by": number,
            "was_cancelled": choices is None,
            "result": []
            if choices is None
            else [{"value": {"choices": choices}, "from_name": name, "to_name": "text", "type": "choices"}],
        }
        for number, choices in enumerate(annotators)
    ]
    return {"id": 1, "annotations": annotations, "predictions": [], "data": {"text": text}, "meta": {}} | more


def test_prodigy(tmp_path):
    rows = [
        {"text": "a", "label": "SPAM", "_input_hash": 1, "answer": "accept"},
        {"text": "b", "label": "SPAM", "_input_hash": 2, "answer": "reject"},
        {"text": "c", "label": "HAM", "_input_hash": 3, "answer": "accept"},
        {"text": "d", "label": "HAM", "_input_hash": 4, "answer": "ignore"},
    ]
    path = written(tmp_path, rows)
    found, said = labelled(path)
    assert found == [("a", "SPAM"), ("c", "HAM")]
    assert said == [
        f"{path}: text column 'text', label column 'label'; Prodigy export, rows that were not accepted have no label",
        f"note: {path}: 2 rows without text or label skipped",
    ]


def test_choices_of_prodigy(tmp_path):
    options = [{"id": "SPAM", "text": "Spam"}, {"id": "HAM", "text": "Ham"}]
    rows = [
        {"text": text, "options": options, "accept": accept, "answer": answer}
        for text, accept, answer in (
            ("a", ["SPAM"], "accept"),
            ("b", [], "accept"),
            ("c", ["HAM"], "reject"),
            ("d", ["HAM"], "accept"),
        )
    ]
    assert labelled(written(tmp_path, rows))[0] == [("a", "SPAM"), ("d", "HAM")]


@pytest.mark.parametrize("name", ["t.jsonl", "t.json"])
@pytest.mark.parametrize(
    "fields",
    [
        lambda text, labels: {"text": text, "label": labels, "Comments": []},
        lambda text, labels: {"data": text, "label": labels},
        lambda text, labels: {"text": text, "labels": labels},
        lambda text, labels: {"text": text, "annotations": [{"label": label, "user": 1} for label in labels]},
    ],
)
def test_doccano(tmp_path, name, fields):
    rows = [
        {"id": number, **fields(text, labels)}
        for number, (text, labels) in enumerate([("a", ["x"]), ("b", []), ("c", ["y"])])
    ]
    found, said = labelled(written(tmp_path, rows, name))
    assert found == [("a", "x"), ("c", "y")]
    assert said[0].endswith("; doccano export")
    assert "1 row without text or label skipped" in said[1]


def test_label_studio(tmp_path):
    tasks = [
        task("a", ["Pos"]),
        task("b", ["Neg"], ["Neg"], None),
        task("c", ["Neg"], ["Pos"]),
        task("d", None),
        task("e"),
        task("", ["Pos"], data={"review": "f", "stars": 3}),
    ]
    path = written(tmp_path, tasks, "t.json")
    found, said = labelled(path)
    assert found == [("a", "Pos"), ("b", "Neg"), ("f", "Pos")]
    assert said == [
        f"{path}: text column 'text', label column 'label'; Label Studio export, labels of 'sentiment' (none where "
        "annotators disagree)",
        f"note: {path}: 3 rows without text or label skipped",
    ]


def test_label_studio_with_several_questions(tmp_path):
    tasks = [task("a", ["Pos"]), task("b", ["Spam"], name="topic")]
    with open_rows(str(written(tmp_path, tasks, "t.json"))) as table:
        assert table.columns[-3:] == ["sentiment", "topic", "text"]
        (rows,) = table.chunks()
    assert [row[-3:] for row in rows.cells] == [["Pos", "", "a"], ["", "Spam", "b"]]


def test_short_json_of_label_studio(tmp_path):
    more = {"annotator": 1, "annotation_id": 1, "created_at": "", "updated_at": "", "lead_time": 1.5}
    rows = [
        {"text": "a", "source": "web", "id": 1, "sentiment": "Pos", **more},
        {"text": "b", "source": "web", "id": 2, "sentiment": {"choices": ["Neg"]}, **more},
    ]
    found, said = labelled(written(tmp_path, rows, "t.json"))
    assert found == [("a", "Pos"), ("b", "Neg")]
    assert said[0].endswith("; Label Studio export, labels of 'sentiment'")


def test_rows_that_only_look_similar_stay_as_they_are(tmp_path):
    rows = [{"text": "a", "label": "x", "answer": "yes"}, {"text": "b", "label": "y", "answer": "accept"}]
    assert labelled(written(tmp_path, rows))[0] == [("a", "x"), ("b", "y")]
    with open_rows(str(written(tmp_path, [{"id": 1, "data": {"a": 1}}]))) as table:
        assert table.columns == ["id", "data"]
