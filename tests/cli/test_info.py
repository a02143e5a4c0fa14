"""`lmclassify info`."""

from __future__ import annotations

import json

import pytest

from tests.conftest import run_cli


def test_info(saved, tmp_path):
    text = run_cli("info", saved, cwd=tmp_path).stdout.decode()
    for part in (
        "label       spam: prior",
        "held-out texts",
        "tokenizer   subword",
        "settings",
        "versions",
        "torch",
    ):
        assert part in text
    facts = json.loads(run_cli("info", "-m", saved, "--format", "json", cwd=tmp_path).stdout)
    assert [label["label"] for label in facts["labels"]] == ["ham", "spam"]
    assert sum(label["prior"] for label in facts["labels"]) == pytest.approx(1)
    assert facts["training"]["texts"] == 300
