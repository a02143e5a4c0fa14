"""`lmclassify predict`."""

from __future__ import annotations

import json
import re
import sys

import pytest

import lmclassify
from tests.cli.helpers import EMAILS, one_line, rows_of
from tests.conftest import run_cli, run_cli_on_terminal


def test_an_empty_text_keeps_its_row(saved, data):
    done = run_cli("predict", data, "-m", saved, cwd=data.parent)
    rows = rows_of(done.stdout)
    assert [row["id"] for row in rows] == ["007", "8", "9", "10", "11", "12"]
    assert [row["text"] for row in rows] == ["win a prize", "NA", "", "see you", "cheap pills", "lunch"]
    assert (rows[2]["predicted_label"], rows[2]["p_ham"], rows[2]["p_spam"]) == ("", "", "")
    assert all(row["predicted_label"] for row in rows if row["id"] != "9")
    assert "1 row has no text and gets no label" in done.stderr.decode()


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "table", "parquet"])
def test_formats(saved, data, format):
    to_file = run_cli(
        "predict", data, "-m", saved, "-q", "-o", f"out.{format}", "--format", format, cwd=data.parent
    )
    assert (to_file.returncode, to_file.stdout, to_file.stderr) == (0, b"", b"")
    to_pipe = run_cli("predict", data, "-m", saved, "-q", "--format", format, cwd=data.parent)
    assert to_pipe.stdout == (data.parent / f"out.{format}").read_bytes()
    if format == "jsonl":
        records = [json.loads(line) for line in to_pipe.stdout.splitlines()]
        assert records[0]["id"] == "007"
        assert records[2]["p_ham"] is None


def test_existing_columns_are_not_overwritten(saved, data):
    assert run_cli("predict", data, "-m", saved, "-o", "once.csv", cwd=data.parent).returncode == 0
    again = run_cli("predict", "once.csv", "-m", saved, "-o", "twice.csv", cwd=data.parent)
    assert "already has predicted_label, p_ham, p_spam" in one_line(again)
    assert "--overwrite-columns" in one_line(again)
    assert not (data.parent / "twice.csv").exists()
    forced = run_cli(
        "predict", "once.csv", "-m", saved, "-o", "twice.csv", "--overwrite-columns", cwd=data.parent
    )
    assert forced.returncode == 0
    assert (data.parent / "once.csv").read_bytes() == (data.parent / "twice.csv").read_bytes()


def test_results_do_not_depend_on_chunks(saved, tmp_path):
    path = tmp_path / "many.csv"
    lines = EMAILS.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "".join(lines[1:]) * 50)  # 10,000 rows: two chunks
    done = run_cli("predict", path, "-m", saved, "-q", cwd=tmp_path)
    rows = rows_of(done.stdout)
    assert len(rows) == 10_000
    for index, row in enumerate(rows):
        first = rows[index % 200]
        assert row["predicted_label"] == first["predicted_label"]
        assert float(row["p_spam"]) == pytest.approx(float(first["p_spam"]), abs=1e-5)


def test_notes_where_no_report_is_possible(saved, data):
    data.write_text("text,category\nhello,shoes\n")
    done = run_cli("predict", data, "-m", saved, cwd=data.parent)
    assert done.returncode == 0
    assert "no classification report: column 'category' holds none of the labels" in done.stderr.decode()
    data.write_text("text\nhello\n")
    done = run_cli("predict", data, "-m", saved, cwd=data.parent)
    assert done.stderr.decode().splitlines() == [
        f"{data}: text column 'text'",
        "note: no classification report: no label column found; --label-column names one",
    ]


def test_a_table_on_a_terminal_has_no_colour(saved, data):
    out = data.parent / "wide.txt"
    arguments = ["predict", str(data), "-m", str(saved), "--format", "table", "-o", str(out)]
    status, shown = run_cli_on_terminal(*arguments, cwd=data.parent)
    assert status == 0, shown
    assert "\x1b" not in out.read_text()


def test_unknown_label(saved, mixed, tmp_path):
    arguments = ["-m", saved, "--unknown-label", "new", "--unknown-rate", 0.2]
    done = run_cli("predict", mixed, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    rows = rows_of(done.stdout)
    model = lmclassify.load(saved)
    threshold = model.unknown_threshold(0.2)
    texts = [row["text"] for row in rows[:-1]]
    for row, novelty, label in zip(rows, model.novelty(texts), model.predict(texts), strict=False):
        assert float(row["novelty"]) == pytest.approx(novelty)
        assert row["predicted_label"] == ("new" if novelty > threshold else label)
    assert (rows[-1]["predicted_label"], rows[-1]["novelty"]) == ("", "")
    done = run_cli("evaluate", mixed, *arguments, "--format", "json", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert result["unknown"]["texts"] == 1
    assert result["labels"] == ["ham", "new", "spam"]
    assert result["log_loss"] is not None
    assert b"no label" not in done.stderr
    assert "unknown    " in run_cli("evaluate", mixed, *arguments, cwd=tmp_path).stdout.decode()


def test_unsure_texts(saved, mixed, tmp_path):
    done = run_cli("predict", mixed, "-m", saved, "--unsure", "0.2,0.9", cwd=tmp_path)
    for row in rows_of(done.stdout)[:-1]:
        p = float(row["p_spam"])
        assert row["predicted_label"] == ("spam" if p >= 0.9 else "ham" if p <= 0.2 else "unsure")
    done = run_cli("predict", mixed, "-m", saved, "--min-confidence", 0.99, cwd=tmp_path)
    for row in rows_of(done.stdout)[:-1]:
        sure = max(float(row["p_spam"]), float(row["p_ham"])) >= 0.99
        assert (row["predicted_label"] == "unsure") == (not sure)
    done = run_cli("evaluate", mixed, "-m", saved, "--min-confidence", 0.99, "--format", "json", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert result["unsure"] > 0
    assert result["coverage"][0]["coverage"] == 1.0
    assert b"if only the most confident texts are labelled" in run_cli(
        "evaluate", mixed, "-m", saved, "--min-confidence", 0.99, cwd=tmp_path
    ).stdout  # fmt: skip


def test_max_false_positive_rate_reports_its_cost(saved, mixed, tmp_path):
    arguments = ["-m", saved, "--positive", "spam", "--max-false-positive-rate", 0.1]
    done = run_cli("predict", mixed, *arguments, cwd=tmp_path)
    threshold = lmclassify.load(saved).positive_threshold("spam", 0.1)
    assert f"from probability {threshold.probability:.4f} on" in done.stderr.decode()
    assert f"{threshold.found} of {threshold.positives} of its own are found" in done.stderr.decode()
    for row in rows_of(done.stdout)[:-1]:
        assert row["predicted_label"] == ("spam" if float(row["p_spam"]) >= threshold.probability else "ham")


def test_contradicting_decision_options(saved, mixed, tmp_path):
    arguments = ["-m", saved, "--unsure", "0.2,0.9", "--min-confidence", "0.5", "-o", "out.csv"]
    done = run_cli("predict", mixed, *arguments, cwd=tmp_path)
    assert "--min-confidence and --unsure are two ways" in one_line(done, status=2)
    assert not (tmp_path / "out.csv").exists()


def test_output_that_cannot_be_written(saved, data):
    done = run_cli("predict", data, "-m", saved, "-o", "nowhere/out.csv", cwd=data.parent)
    assert "cannot write nowhere/out.csv: No such file or directory" in one_line(done)


def test_ray_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = run_cli("predict", "a.csv", "--engine", "ray", "-o", "out", cwd=tmp_path)
    assert re.search(r"--engine ray needs Ray: .*pip install .*\[ray\]", one_line(done, 2))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.csv"], "-o FOLDER"),
        (["a.csv", "-", "-o", "out"], "not standard input"),
        (["a.csv", "--stream"], "--stream"),
    ],
)
def test_what_a_cluster_cannot_do(tmp_path, arguments, message):
    assert message in one_line(run_cli("predict", *arguments, "--engine", "ray", cwd=tmp_path), 2)
