"""Models saved by version 0.7.0 give the same results as they did there."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden import make

HERE = Path(__file__).parent
MODELS = sorted(path.parent.name for path in HERE.glob("*/outputs.json"))
TOLERANCE = 1e-5


NEW_NAMES = {"contribution": "part", "contributions": "parts"}
"""Fields that version 0.7 had by another name, which stays."""
NEW_FIELDS = {*NEW_NAMES, "baseline_label", "baseline_accuracy"}


def require_same(found: Any, expected: Any, where: str = "") -> None:
    """Compare plain data; numbers may differ by `TOLERANCE`."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), where
        for new, old in NEW_NAMES.items():
            if new in found:
                assert found[new] == found[old], where
        assert set(found) - NEW_FIELDS == set(expected), where
        for key in expected:
            require_same(found[key], expected[key], f"{where}/{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for index, (one, other) in enumerate(zip(found, expected, strict=True)):
            require_same(one, other, f"{where}/{index}")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE), where
    else:
        assert found == expected, where


def parsed(name: str, content: str) -> Any:
    """Return the output of a command as plain data, with its numbers as numbers."""
    if name.endswith(".json"):
        return json.loads(content)
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in content.splitlines()]
    header, *rows = csv.reader(io.StringIO(content))
    numbers = [name.startswith("p_") or name == "novelty" for name in header]
    return [
        header,
        *[[float(c) if n and c else c for c, n in zip(row, numbers, strict=True)] for row in rows],
    ]


def test_there_are_models():
    assert len(MODELS) == 5


@pytest.mark.filterwarnings("ignore::lmclassify.LMClassifyWarning")
@pytest.mark.parametrize("name", MODELS)
def test_python(name):
    expected = json.loads((HERE / name / "outputs.json").read_text(encoding="utf-8"))
    require_same(json.loads(json.dumps(make.outputs(HERE / name / "model"))), expected)


@pytest.mark.filterwarnings("ignore::lmclassify.LMClassifyWarning")
@pytest.mark.parametrize("name", MODELS)
def test_command_line(name):
    for file, arguments in make.COMMANDS.items():
        expected = (HERE / name / file).read_text(encoding="utf-8")
        require_same(parsed(file, make.run(arguments, HERE / name)), parsed(file, expected), file)


@pytest.mark.parametrize("name", ["tuned", "tuned-both-three"])
def test_there_is_a_disguised_text_among_them(name):
    explained = json.loads((HERE / name / "outputs.json").read_text(encoding="utf-8"))["explain"]
    assert any(text["reading"] is not None for text in explained)
