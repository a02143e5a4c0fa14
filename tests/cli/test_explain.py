"""`lmclassify explain`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import lmclassify
from tests.cli.helpers import EMAILS, one_line
from tests.conftest import run_cli


def test_explain(saved, tmp_path):
    text = "Win a <FREE> prize\x1b"
    expected = lmclassify.load(saved).explain(text)
    done = run_cli("explain", text, "-m", saved, "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout) == expected
    done = run_cli("explain", "-", "-m", saved, stdin=b"Win a <FREE> prize\x1b", cwd=tmp_path)
    table = done.stdout.decode()
    assert "\x1b" not in table  # no colour but on a terminal, and none from the text
    lines = table.splitlines()
    assert lines[0].startswith(f"{expected['label']} (")
    assert [line.split()[0] for line in lines[3:]] == [
        "(prior)", "Win", "a", "<FREE>", "prize\\x1b", "(end", "sum"
    ]  # fmt: skip
    assert float(lines[4].split()[3]) == pytest.approx(expected["words"][0]["part"], abs=5e-4)
    assert float(lines[-1].split()[1]) == pytest.approx(expected["decision"], abs=5e-4)
    other = expected["against"]
    done = run_cli("explain", "Win", "-m", saved, "--label", other, "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["label"] == other


def test_explain_as_html_escapes_the_text(saved, tmp_path):
    done = run_cli("explain", "Win <b> \"'&", "-m", saved, "--format", "html", cwd=tmp_path)
    snippet = done.stdout.decode()
    assert "&lt;b&gt;" in snippet
    assert "<b>" not in snippet
    root = ElementTree.fromstring(snippet)
    assert [span.text for span in root.iter("span")] == ["Win", "<b>", "\"'&", "⏎"]


def test_explain_with_a_narrow_encoding(saved, tmp_path):
    command = [sys.executable, "-m", "lmclassify", "explain", "win 中", "-m", str(saved)]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=True)
    assert b"#" in done.stdout
    assert b"\\u4e2d" in done.stdout
    done = run_cli("explain", "-", "-m", saved, stdin=b"win \xff", cwd=tmp_path)
    assert "byte 4 is not valid UTF-8" in one_line(done)


def test_explain_a_file_of_texts(saved, tmp_path):
    done = run_cli("explain", "--texts", EMAILS, "-n", 2, "-m", saved, "--format", "json", cwd=tmp_path)
    words = json.loads(done.stdout)["words"]
    assert {label: len(found) for label, found in words.items()} == {"ham": 2, "spam": 2}
    done = run_cli("explain", "--texts", EMAILS, "-n", 2, "-m", saved, cwd=tmp_path)
    assert [line.split()[0] for line in done.stdout.decode().splitlines() if line][2] == words["ham"][0][
        "word"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "explain needs a TEXT"),
        (["a", "--texts", "x.csv"], "explain needs a TEXT"),
        (["--texts", "x.csv", "--format", "html"], "are for one TEXT"),
        (["a", "--label", "eggs"], "no label 'eggs'"),
        (["a", "--label", "ham", "--against", "ham"], "cannot be compared with itself"),
    ],
)
def test_explain_misuse(saved, tmp_path, arguments, message):
    assert message in one_line(run_cli("explain", *arguments, "-m", saved, cwd=tmp_path), status=2)
