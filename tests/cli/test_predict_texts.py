"""`lmclassify predict --text`."""

from __future__ import annotations

import json
import sys

import pytest

from tests.cli.helpers import one_line, rows_of
from tests.conftest import GOLDEN, run_cli, run_cli_on_terminal

MODEL = ("-m", GOLDEN / "tuned" / "model")


def test_a_text_gets_its_label_and_probability(golden_tuned, tmp_path):
    (expected,) = golden_tuned.predict(["win a prize"])
    probability = golden_tuned.predict_proba(["win a prize"]).max()
    done = run_cli("predict", "--text", "win a prize", *MODEL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == f"{expected} ({probability:.1%})\n"
    assert done.stderr == b""


def test_several_texts_are_shown_beside_their_labels(tmp_path):
    texts = ["--text", "win a prize", "--text", " ", "--text", "lunch\x1b[31m"]
    done = run_cli("predict", *texts, *MODEL, cwd=tmp_path)
    assert [line.split("  ")[-1].strip() for line in done.stdout.decode().splitlines()] == [
        "win a prize", "(blank)", "lunch\\x1b[31m",
    ]  # fmt: skip
    assert done.stderr == b"note: 1 text is blank and gets no label\n"


def test_texts_fit_the_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    _, shown = run_cli_on_terminal(
        "predict", "--text", "免费" * 30, "--text", "word " * 30, *MODEL, cwd=tmp_path
    )
    wide, narrow = shown.splitlines()
    assert wide.endswith("…")
    assert narrow.endswith("…")
    assert len(narrow) == 40


def test_formats(tmp_path):
    texts = ["predict", "--text", "win a prize", "--text", "", *MODEL]
    plain = json.loads(run_cli(*texts, "--format", "json", cwd=tmp_path).stdout)
    first, blank = plain["predictions"]
    assert first["label"] in ("ham", "spam")
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert blank == {"text": "", "label": "", "probabilities": {}}
    (row, _) = rows_of(run_cli(*texts, "--format", "csv", cwd=tmp_path).stdout)
    assert row["predicted_label"] == first["label"]
    assert float(row["p_spam"]) == pytest.approx(first["probabilities"]["spam"])
    line, _ = run_cli(*texts, "--format", "jsonl", cwd=tmp_path).stdout.splitlines()
    assert json.loads(line)["p_ham"] == first["probabilities"]["ham"]
    assert run_cli(*texts, "-o", "out.tsv", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out.tsv").read_text().startswith("text\tpredicted_label\t")


def test_unsure_texts_name_the_likeliest_label(tmp_path):
    shown = run_cli("predict", "--text", "win", "--min-confidence", 1, *MODEL, cwd=tmp_path).stdout.decode()
    assert shown.startswith("unsure (")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "predict needs DATA, or a text: --text TEXT"),
        (["a.csv", "--text", "a"], "drop DATA or --text"),
        (["--text", "a", "--sheet", "1"], "--sheet is about files"),
        (["--text", "a", "--engine", "ray"], "--engine is about files"),
        (["--text", "a", "--format", "json", "-o", "a.json"], "--format json goes to standard output"),
        (["--text", "a", "--escape-formulas"], "--escape-formulas is for csv and tsv"),
        (["a.csv", "--format", "json"], "for DATA choose jsonl"),
    ],
)
def test_misuse(arguments, message, tmp_path):
    assert message in one_line(run_cli("predict", *arguments, cwd=tmp_path), 2)


@pytest.mark.parametrize("arguments", [["--text", "a"], ["data.csv"]])
def test_a_format_whose_package_is_missing_fails_before_any_work(arguments, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    done = run_cli("predict", *arguments, "--format", "parquet", "-m", "none", "-o", "a", cwd=tmp_path)
    assert "format parquet needs pyarrow: " in one_line(done)
