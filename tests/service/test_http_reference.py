"""The HTTP reference: the service answers its examples, with the fields and status codes that it lists."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

import httpx2
import pytest

from lmclassify.service.worker_process import WorkerCommand
from tests.conftest import GOLDEN, ROOT
from tests.service.conftest import serving

PAGE = (ROOT / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
CALL = re.compile(
    r"curl http://127\.0\.0\.1:8000(\S+)[^\n]*?(?: \\\n *)?(?:-d '([^']+)')?\n```\n\n```json\n(.*?)```",
    re.DOTALL,
)
EXAMPLES = CALL.findall(PAGE)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "model"
    shutil.copytree(GOLDEN / "tuned" / "model", folder)
    command = WorkerCommand({"folder": str(folder), "deciding": {}})
    with serving(command, learn=True) as url, httpx2.Client(base_url=url, timeout=120) as client:
        yield client


def shape(value: Any) -> Any:
    """Return the fields of a JSON value and their types; of a list, those of its first item. Aliases are left out."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items() if key not in ("part", "parts")}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return float if isinstance(value, float | int) and not isinstance(value, bool) else type(value)


@pytest.mark.parametrize(("path", "body", "answer"), EXAMPLES)
def test_examples(path, body, answer, client):
    response = client.post(path, json=json.loads(body)) if body else client.get(path)
    expected, given = json.loads(answer), response.json()
    if "status" in expected and "title" in expected:
        assert (given, response.status_code) == (expected, expected["status"])
    else:
        assert response.status_code == 200
        assert shape(given) == shape(expected)
        assert len(given.get("predictions", [])) == len(expected.get("predictions", []))
        assert len(given.get("words", [])) == len(expected.get("words", []))


def test_every_operation_is_described_with_its_fields_and_status_codes(client):
    document = client.get("/openapi.json").json()
    listed = {int(code) for code in re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            assert f"`{name}`" in PAGE
            assert f"<!-- statuses: {name} -->" in PAGE
            assert {int(code) for code in operation["responses"]} <= listed
            assert "requestBody" not in operation or f"<!-- request: {name} -->" in PAGE
    assert [path for path, _, _ in EXAMPLES] == [
        "/v1/predict",
        "/v1/explain",
        "/v1/suggest",
        "/v1/learn",
        "/readyz",
        "/v1/predict",
    ]


def test_every_metric_is_described(client):
    text = client.get("/metrics").text
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)", text, re.MULTILINE):
        if not name.endswith("_created"):
            assert re.search(rf"^\| [^|]*`{name}`[^|]* \| {kind} \|", PAGE, re.MULTILINE)
    assert client.get("/nothing").status_code == 404


def test_every_field_of_the_openapi_document_is_described(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for schema in (
        "PredictRequest",
        "PredictResponse",
        "PredictedText",
        "ExplainRequest",
        "ExplainResponse",
        "LearnRequest",
        "LearnResponse",
        "LessonCounts",
    ):
        for name, field in schemas[schema]["properties"].items():
            assert field.get("description"), (schema, name)
