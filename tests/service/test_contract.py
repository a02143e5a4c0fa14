"""The service keeps to its OpenAPI document, whatever is asked (schemathesis)."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from tests.service.conftest import running

OPERATIONS = {
    "/v1/predict": "POST",
    "/v1/explain": "POST",
    "/v1/suggest": "POST",
    "/v1/model": "GET",
    "/healthz": "GET",
    "/readyz": "GET",
    "/metrics": "GET",
}
TAKING = [path for path, method in OPERATIONS.items() if method == "POST"]
CASES = [(path, GenerationMode.POSITIVE) for path in OPERATIONS]
CASES += [(path, GenerationMode.NEGATIVE) for path in TAKING]


@pytest.fixture(scope="module")
def schema(saved):
    # With the usual limits, which no made-up request comes near: the document cannot tell them.
    with running("-m", saved, "--port", 0, cwd=saved.parent) as service:
        yield schemathesis.openapi.from_url(f"{service.url}openapi.json")


def test_all_operations_are_tried(schema):
    assert {operation.ok().path for operation in schema.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize(("path", "mode"), CASES)
def test_the_service_keeps_its_contract(schema, path, mode):
    operation = schema[path][OPERATIONS[path]]

    @settings(
        max_examples=30 if path in TAKING else 2, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def keeps(case):
        if mode is GenerationMode.POSITIVE and path in TAKING:
            for labels in ("label", "against"):  # the document cannot know which there are
                case.body.pop(labels, None)
        case.call_and_validate()

    keeps()
