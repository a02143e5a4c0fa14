"""`lmclassify suggest` and `lmclassify generate`."""

from __future__ import annotations

import json

import pytest

import lmclassify
from lmclassify.errors import printable
from tests.cli.helpers import one_line
from tests.conftest import run_cli


def test_suggest(saved, tmp_path):
    done = run_cli("suggest", "Your account", "-m", saved, "-n", 3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    model = lmclassify.load(saved)
    expected = model.suggest("Your account", n=3)
    assert done.stdout.decode().splitlines() == [f"{s['probability']:.4f}  {s['word']}" for s in expected]
    done = run_cli("suggest", "a", "-m", saved, "--label", "spam", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout) == {"suggestions": model.suggest("a", "spam")}
    assert "no label 'eggs'" in one_line(
        run_cli("suggest", "a", "-m", saved, "--label", "eggs", cwd=tmp_path), status=2
    )


def test_generate(saved, tmp_path):
    model = lmclassify.load(saved)
    done = run_cli("generate", "--label", "spam", "-m", saved, "-n", 3, "--seed", 7, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    texts = model.generate("spam", 3, seed=7)
    assert done.stdout.decode().splitlines() == [printable(text) for text in texts]
    options = [
        "--prefix",
        "Your account",
        "--temperature",
        0.7,
        "--top-k",
        9,
        "--top-p",
        0.9,
        "--max-tokens",
        5,
    ]
    done = run_cli(
        "generate", "--label", "ham", *options, "-n", 2, "-m", saved, "--format", "json", cwd=tmp_path
    )
    expected = model.generate(
        "ham", 2, prefix="Your account", temperature=0.7, top_k=9, top_p=0.9, max_tokens=5, seed=0
    )
    assert json.loads(done.stdout) == {"texts": expected}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label", "eggs"], "no label 'eggs' in this model; there are: ham, spam"),
        (
            ["--label", "ham", "--temperature", -1],
            "temperature must be 0 (always the likeliest token) or more",
        ),
        (["--label", "ham", "--temperature", "nan"], "temperature must be 0"),
        (["--label", "ham", "--top-k", 0], "top_k must be at least 1, not 0"),
        (["--label", "ham", "--top-p", 1.5], "top_p must be above 0 and at most 1, not 1.5"),
        (["--label", "ham", "--max-tokens", 0], "max_tokens must be at least 1, not 0"),
    ],
)
def test_generate_misuse(saved, tmp_path, arguments, message):
    assert message in one_line(run_cli("generate", *arguments, "-m", saved, cwd=tmp_path), status=2)
