"""`lmclassify evaluate --html`."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lmclassify import bundled_data
from lmclassify.cli.main import _program
from tests.conftest import run_cli
from tests.evaluation.page.pages import Parsed

EMAILS = bundled_data("emails.csv")


def run(*arguments: object) -> Any:
    """Run the program in this process."""
    return CliRunner().invoke(_program(["evaluate"]), ["evaluate", *map(str, arguments)])


@pytest.mark.long
def test_a_page_beside_the_figures(saved, tmp_path):
    done = run_cli("evaluate", EMAILS, "-m", saved, "--html", "report.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode().splitlines()[-1] == "report written to report.html"
    plain = run_cli("evaluate", EMAILS, "-m", saved, cwd=tmp_path)
    assert done.stdout == plain.stdout
    assert os.listdir(tmp_path) == ["report.html"]
    first = (tmp_path / "report.html").read_bytes()
    page = Parsed(first.decode())
    assert "Evaluation on emails.csv" in page.text
    done = run("-q", EMAILS, "-m", saved, "--html", tmp_path / "report.html")
    assert (done.exit_code, done.stderr) == (0, "")
    assert (tmp_path / "report.html").read_bytes().replace(str(tmp_path).encode(), b"") == first


def test_with_drift_and_as_json(saved, tmp_path):
    path = tmp_path / "report.html"
    done = run(EMAILS, "-m", saved, "--drift", "--format", "json", "--html", path, "--min-confidence", 0.9)
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["accuracy_interval"][0] < result["accuracy"] < result["accuracy_interval"][1]
    page = Parsed(path.read_text(encoding="utf-8"))
    assert "drift" in page.values("id")
    assert "The texts " in page.text
    assert f"{result['drift']['labels'][0]['chunks'][0]['nats_per_word']:.3f}" in page.text


@pytest.mark.parametrize("options", [[], ["--drift"]])
def test_rows_without_labels_have_no_page(saved, tmp_path, options):
    data = tmp_path / "data.csv"
    data.write_text("text\nhello\n")
    done = run(data, "-m", saved, "--html", tmp_path / "report.html", *options)
    assert done.exit_code == 1
    assert "label column" in done.stderr
    data.write_text("text,label\nhello,\n")
    done = run(data, "-m", saved, "--html", tmp_path / "report.html", *options)
    assert "no row has both a text and a label" in done.stderr
    assert os.listdir(tmp_path) == ["data.csv"]


def test_what_cannot_be_written_is_said_before_the_work(tmp_path, monkeypatch):
    done = run("none.csv", "-m", "no-model", "--html", tmp_path / "nowhere" / "report.html")
    assert done.exit_code == 1
    assert done.stderr.startswith("lmclassify: error: cannot write ")
    assert done.stderr.endswith("report.html: No such file or directory\n")
    done = run("none.csv", "-m", "no-model", "--html", "-")
    assert (done.exit_code, done.stderr) == (
        2,
        "lmclassify: error: --html -: standard output has the report as text; name a file\n",
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = run("none.csv", "-m", "no-model", "--html", tmp_path / "report.html")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "--html needs matplotlib for its plots: pip install 'lmclassify[plots]'" in done.stderr
    assert os.listdir(tmp_path) == []


def test_an_old_page_stays_where_a_new_one_fails(saved, tmp_path):
    path: Path = tmp_path / "report.html"
    path.write_text("old")
    assert run("none.csv", "-m", saved, "--html", path).exit_code == 1
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]
