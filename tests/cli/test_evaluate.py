"""`lmclassify evaluate`, with --html and --drift."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lmclassify.cli.main import build_program
from tests.cli.helpers import EMAILS, one_line, rows_of
from tests.conftest import run_cli
from tests.evaluation.page.pages import Parsed


def test_evaluate(saved, tmp_path):
    done = run_cli("evaluate", EMAILS, "-m", saved, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    for part in (
        "precision",
        "Summary\n",
        "95% interval",
        "baseline   always ham: 50%",
        "Confusion matrix\n",
        "Per-label metrics\n",
        "macro F1",
        "log-loss",
        "Calibration\nECE",
        "perplexity per token",
        "Most confident mistakes",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80
    result = json.loads(run_cli("evaluate", EMAILS, "-m", saved, "--format", "json", cwd=tmp_path).stdout)
    assert result["texts"] == 200
    predicted = rows_of(run_cli("predict", EMAILS, "-m", saved, cwd=tmp_path).stdout)
    right = sum(row["predicted_label"] == row["label"] for row in predicted)
    assert result["accuracy"] == pytest.approx(right / 200)
    assert sum(map(sum, result["confusion_matrix"])) == 200
    assert result["perplexity"]["spam"] > 1
    assert (result["baseline_label"], result["baseline_accuracy"]) == ("ham", 0.5)


def test_the_whole_matrix_as_csv(saved, data):
    data.write_text("text,label\nwin a prize,spam\nlunch,eggs\n")
    done = run_cli("evaluate", data, "-m", saved, "--format", "csv", cwd=data.parent)
    rows = [*csv.reader(io.StringIO(done.stdout.decode()))]
    assert rows[0] == ["true_label", "eggs", "ham", "spam"]
    assert [row[0] for row in rows[1:]] == rows[0][1:]
    assert sum(int(cell) for row in rows[1:] for cell in row[1:]) == 2
    error = one_line(run_cli("evaluate", data, "--drift", "--format", "csv", cwd=data.parent), 2)
    assert "--format csv is the confusion matrix only" in error


def test_evaluate_with_other_labels(saved, data):
    data.write_text("text,label\na,spam\nb,eggs\n,ham\n")
    done = run_cli("evaluate", data, "-m", saved, cwd=data.parent)
    assert done.returncode == 0
    assert "the model has no label eggs" in done.stderr.decode()
    assert "1 row without text or label left out" in done.stderr.decode()
    data.write_text("text,label\na,\n,ham\n")
    assert "no row has both a text and a label" in one_line(
        run_cli("evaluate", data, "-m", saved, cwd=data.parent)
    )


def test_a_column_without_labels_of_the_model(saved, tmp_path):
    done = run_cli("evaluate", EMAILS, "-m", saved, "--label-column", "date", cwd=tmp_path)
    line = done.stderr.decode().splitlines()[-1]
    assert done.returncode == 1
    assert "no row has a label of the model (ham, spam), but 2026-01-0" in line
    assert line.endswith("; choose the column of the labels with --label-column")


def test_texts_unlike_the_training_texts_are_noted(tuned, data):
    saved = data.parent / "model"
    tuned.save(saved)
    text = "far longer than any line that the model has ever seen " * 30
    data.write_text("text,label\n" + f"{text},ham\n" * 20)
    done = run_cli("evaluate", data, "-m", saved, cwd=data.parent)
    assert "note: the texts are unlike the training texts (" in done.stderr.decode()
    done = run_cli("evaluate", data, "-m", saved, "--drift", cwd=data.parent)
    assert "unlike the training texts" not in done.stderr.decode()  # the drift says it


def test_one_mailbox_file_or_folder_per_label(saved, tmp_path):
    message = "From a@b Sat Jan  3 01:05:34 1996\nFrom: a@b\nDate: 3 Jan 1996\nSubject: {}\n\nx\n\n"
    (tmp_path / "junk.mbox").write_text("".join(map(message.format, ["win a prize", "cheap pills", ""])))
    (tmp_path / "Inbox").mkdir()
    (tmp_path / "Inbox" / "mbox").write_text(message.format("lunch") * 2)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a").write_text("see you\ntomorrow")
    (tmp_path / "lines.txt").write_text("one\ntwo\n")
    (tmp_path / "x=y.csv").write_text("text,label\nwin,spam\n")

    def run(*data):
        return run_cli("evaluate", *data, "-m", saved, "--format", "json", cwd=tmp_path)

    done = run("spam=junk.mbox", "ham=Inbox")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["texts"], [sum(row) for row in result["confusion_matrix"]]) == (4, [2, 2])
    assert "note: 1 row without text or label left out" in done.stderr.decode()
    result = json.loads(run("spam=*.mbox", "ham=Inbox", "ham=more", "spam=lines.txt").stdout)
    assert [sum(row) for row in result["confusion_matrix"]] == [3, 4]
    assert json.loads(run("x=y.csv").stdout)["texts"] == 1
    assert "ham=Inbox has no label" not in one_line(run("spam=junk.mbox", "more"), 2)
    assert "spam=: expected NAME=FILE" in one_line(run("spam="), 2)
    assert "no such file: none" in one_line(run("spam=none"))
    assert "drop --label-column" in one_line(run("spam=junk.mbox", "--label-column", "x"), 2)


@pytest.mark.long
def test_drift(saved, tmp_path):
    rows = rows_of(EMAILS.read_bytes())
    lines = [
        f'{2000 + index},"{row["subject"]}"' for index, row in enumerate(rows) if '"' not in row["subject"]
    ]
    (tmp_path / "new.csv").write_text("\n".join(["day,text", *reversed(lines)]), encoding="utf-8")
    arguments = ["evaluate", "new.csv", "-m", saved, "--drift"]
    done = run_cli(
        *arguments, "--time-column", "day", "--plot", "drift.svg", "--format", "json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr.decode()
    drift = json.loads(done.stdout)["drift"]
    assert drift["labels"][0]["label"] is None
    assert drift["labels"][0]["chunks"][0]["first"] == "2000"
    assert sum(chunk["texts"] for chunk in drift["labels"][0]["chunks"]) == len(lines)
    assert b"<svg" in (tmp_path / "drift.svg").read_bytes()
    done = run_cli("evaluate", EMAILS, "-m", saved, "--drift", cwd=tmp_path)
    assert "accuracy" in done.stdout.decode()
    assert "Verdict: " in done.stdout.decode()
    (tmp_path / "new.csv").write_text("day,text\nyesterday,hello\n")
    assert "row 1: 'yesterday' is no date" in one_line(
        run_cli(*arguments, "--time-column", "day", cwd=tmp_path)
    )
    assert "go with --drift" in one_line(run_cli(*arguments[:-1], "--plot", "a.png", cwd=tmp_path), status=2)


def run(*arguments: object) -> Any:
    """Run the program in this process."""
    return CliRunner().invoke(build_program(["evaluate"]), ["evaluate", *map(str, arguments)])


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


@pytest.mark.long
def test_with_drift_and_as_json(saved, tmp_path):
    path = tmp_path / "report.html"
    done = run(EMAILS, "-m", saved, "--drift", "--format", "json", "--html", path, "--min-confidence", 0.9)
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["accuracy_interval"][0] < result["accuracy"] < result["accuracy_interval"][1]
    page = Parsed(path.read_text(encoding="utf-8"))
    assert "drift" in page.values("id")
    assert "Texts have drifted if" in page.text
    assert f"{result['drift']['labels'][0]['chunks'][0]['nats_per_word']:.1f}" in page.text


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
    assert re.search(r"--html needs matplotlib for its plots: .*pip install .*\[plots\]", done.stderr)
    assert os.listdir(tmp_path) == []


def test_an_old_page_stays_where_a_new_one_fails(saved, tmp_path):
    path: Path = tmp_path / "report.html"
    path.write_text("old")
    assert run("none.csv", "-m", saved, "--html", path).exit_code == 1
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_every_mistake_in_a_file(saved, tmp_path):
    rows = [row for row in rows_of(EMAILS.read_bytes()) if row["subject"].isascii()]
    for name, part in (("a.csv", rows[:60]), ("b.csv", [*rows[60:100], {"subject": "", "label": "ham"}])):
        with open(tmp_path / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["subject", "label"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(part)
    done = run(tmp_path / "a.csv", "-m", saved, "--mistakes", tmp_path / "one.csv", "--format", "json")
    assert done.exit_code == 0, done.stderr
    with open(tmp_path / "one.csv", newline="", encoding="utf-8") as file:
        found = [*csv.DictReader(file)]
    accuracy = json.loads(done.stdout)["accuracy"]
    assert len(found) == round(60 * (1 - accuracy)) > 2
    assert done.stderr.endswith(f"{len(found)} mistakes written to {tmp_path}/one.csv\n")
    assert [*found[0]] == [
        "row",
        "text",
        "label",
        "predicted_label",
        "predicted_probability",
        "label_probability",
    ]
    probabilities = [float(row["predicted_probability"]) for row in found]
    assert probabilities == sorted(probabilities, reverse=True)
    for row in found:
        given = rows[int(row["row"]) - 1]
        assert (row["text"], row["label"]) == (given["subject"], given["label"])
        assert row["predicted_label"] != row["label"]
        assert float(row["predicted_probability"]) + float(row["label_probability"]) == pytest.approx(1)
    both = [tmp_path / "a.csv", tmp_path / "b.csv"]
    done = run(*both, "-m", saved, "--mistakes", tmp_path / "two.jsonl", "--min-confidence", "0.9")
    assert done.exit_code == 0, done.stderr
    found = [json.loads(line) for line in (tmp_path / "two.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["file"] for row in found} == {str(path) for path in both}
    assert found[-1]["predicted_label"] == "unsure"
    assert found[-1]["predicted_probability"] is None
    for row in found:
        at = row["row"] - 1 + (60 if row["file"].endswith("b.csv") else 0)
        assert row["text"] == rows[at]["subject"]
    assert " file " in done.stdout.split("Most confident mistakes")[1]


def test_mistakes_of_labelled_mailboxes_and_of_standard_input(saved, tmp_path):
    message = "From a@b Sat Jan  3 01:05:34 1996\nFrom: a@b\nSubject: {}\n\nx\n\n"
    (tmp_path / "junk.mbox").write_text("".join(map(message.format, ["", "lunch", "team lunch"])))
    (tmp_path / "good.mbox").write_text(message.format("free prize, click now"))
    data = [f"spam={tmp_path}/junk.mbox", f"ham={tmp_path}/good.mbox"]
    done = run(*data, "-m", saved, "--mistakes", tmp_path / "m.tsv")
    assert done.exit_code == 0, done.stderr
    with open(tmp_path / "m.tsv", newline="", encoding="utf-8") as file:
        found = [*csv.DictReader(file, delimiter="\t")]
    numbers = {"lunch": "2", "team lunch": "3", "free prize, click now": "1"}
    assert found
    for row in found:
        assert row["row"] == numbers[row["text"]]
        assert row["file"].endswith("good.mbox" if row["label"] == "ham" else "junk.mbox")
    text = b"text,label\nlunch,spam\nlunch,ham\n"
    done = run_cli("evaluate", "-", "-m", saved, "--mistakes", "m.csv", cwd=tmp_path, stdin=text)
    assert done.returncode == 0, done.stderr
    (row,) = rows_of((tmp_path / "m.csv").read_bytes())
    assert row["text"] == "lunch"
    assert row["row"] == ("1" if row["label"] == "spam" else "2")


def test_no_mistakes_and_files_of_mistakes_that_cannot_be_written(saved, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("text,label\nlunch,ham\nlunch,spam\n")
    predicted = json.loads(run(data, "-m", saved, "--format", "json").stdout)["confusion_matrix"]
    data.write_text(f"text,label\nlunch,{'ham' if sum(row[0] for row in predicted) else 'spam'}\n")
    done = run(data, "-m", saved, "--mistakes", tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text().count("\n") == 1
    assert "no text got a wrong label" in done.stdout
    for name, message in (
        ("m.doc", "the name must end in .csv, .tsv, .jsonl or .parquet"),
        ("-", "name a file"),
    ):
        done = run("none.csv", "-m", "no-model", "--mistakes", name)
        assert (done.exit_code, message in done.stderr) == (2, True)
    done = run("none.csv", "-m", "no-model", "--mistakes", "a.csv", "--html", "./a.csv")
    assert (done.exit_code, "name two files" in done.stderr) == (2, True)
    (tmp_path / "m.csv").write_text("old")
    assert run("none.csv", "-m", saved, "--mistakes", tmp_path / "m.csv").exit_code == 1
    assert (tmp_path / "m.csv").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["data.csv", "m.csv"]
