"""Generated requests: the service keeps to its OpenAPI document (schemathesis)."""

from __future__ import annotations

import shutil

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from lmclassify.service.worker_process import WorkerCommand
from tests.service.conftest import serving

pytestmark = pytest.mark.long

OPERATIONS = {
    "/v1/predict": "POST",
    "/v1/explain": "POST",
    "/v1/suggest": "POST",
    "/v1/learn": "POST",
    "/v1/model": "GET",
    "/healthz": "GET",
    "/readyz": "GET",
    "/metrics": "GET",
}
WITH_BODY = [path for path, method in OPERATIONS.items() if method == "POST"]
CASES = [(path, GenerationMode.POSITIVE) for path in OPERATIONS]
CASES += [(path, GenerationMode.NEGATIVE) for path in WITH_BODY]


@pytest.fixture(scope="module")
def schema(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "model"
    shutil.copytree(saved, folder)
    # With the default limits, which no generated request reaches: the document does not state them.
    with serving(WorkerCommand({"folder": str(folder), "deciding": {}}), learn=True) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_all_operations_are_tested(schema):
    assert {operation.ok().path for operation in schema.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize(("path", "mode"), CASES)
def test_the_service_keeps_its_contract(schema, path, mode):
    operation = schema[path][OPERATIONS[path]]

    @settings(
        max_examples=30 if path in WITH_BODY else 2, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def keeps(case):
        if mode is GenerationMode.POSITIVE and path in WITH_BODY:
            for labels in ("label", "against"):  # the document does not name the labels
                case.body.pop(labels, None)
            if path == "/v1/learn":
                case.body = {"text": f"a {case.body['text']}", "label": "spam"}
        case.call_and_validate()

    keeps()
