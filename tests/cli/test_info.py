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


def test_model_card(tmp_path):
    (tmp_path / "data.csv").write_text("text,label\n" + "win a prize,spam\nsee you at lunch,ham\n" * 20)
    fit = run_cli("fit", "data.csv", "--recipe", "ngram", "-o", "model", "-q", cwd=tmp_path)
    assert fit.returncode == 0, fit.stderr
    card = run_cli("info", "model", "--format", "markdown", cwd=tmp_path).stdout.decode()
    assert card.startswith(
        "---\nlibrary_name: lmclassify\npipeline_tag: text-classification\n---\n\n# Model card: model\n"
    )
    assert "| Files | data.csv |\n| Text column | text |\n| Texts | 40 |\n" in card
    facts = json.loads(run_cli("info", "model", "--format", "json", cwd=tmp_path).stdout)
    assert facts["training"]["files"] == ["data.csv"]
    assert "files       data.csv\n" in run_cli("info", "model", cwd=tmp_path).stdout.decode()
