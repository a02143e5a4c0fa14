"""`lmclassify benchmark` as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import bundled, run_cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, limit in (("subjects.csv", 150), ("emails.csv", 40)):
        with open(tmp_path / name, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *zip(*bundled(name, limit), strict=True)])
    return tmp_path


@pytest.mark.long
def test_table_results_and_plot(folder):
    arguments = [
        "benchmark",
        "subjects.csv",
        "--test",
        "emails.csv",
        "--methods",
        "nb,cnb",
        "--sizes",
        "40,all",
    ]
    arguments += ["--seeds", "2", "--results", "r.jsonl", "--threads", "1"]
    done = run_cli(*arguments, "--plot", "curves.png", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    text, said = done.stdout.decode(), done.stderr.decode()
    assert "subjects.csv, 2 labels, tested on emails.csv (40 texts)" in text
    assert "40 training texts" in text
    assert "all 150 training texts" in text
    assert "run 1 of 6: nb, 40 texts, seed 0 (0 s so far)" in said
    assert "run 6 of 6: cnb, all texts, seed 0" in said
    assert "\x1b" not in said
    assert "Traceback" not in said
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    written = (folder / "r.jsonl").read_bytes()
    assert written.count(b"\n") == 6
    again = run_cli(*arguments, "--format", "json", cwd=folder)
    assert "6 runs are already in r.jsonl, 0 left" in again.stderr.decode()
    assert "run 1" not in again.stderr.decode()
    assert (folder / "r.jsonl").read_bytes() == written
    result = json.loads(again.stdout)
    assert [block["size"] for block in result["sizes"]] == [40, "all"]
    assert [row["runs"] for row in result["sizes"][0]["rows"]] == [2, 2]
    markdown = [sys.executable, "-m", "benchmarks.comparison_tables", folder / "r.jsonl"]
    root = Path(__file__).parents[2]
    assert b"| nb | 0." in subprocess.run(markdown, capture_output=True, check=True, cwd=root).stdout


@pytest.mark.long
def test_ours_by_cross_validation_quietly(folder):
    (folder / "few.csv").write_text("text,label\n" + "good day,a\ngood night,a\nbuy now,b\nbuy me,b\n" * 2)
    done = run_cli("benchmark", "few.csv", "--folds", 2, "--methods", "lmclassify,nb", "-q", cwd=folder)
    assert done.returncode == 0
    assert done.stderr == b""
    text = done.stdout.decode()
    assert "few.csv, 2 labels, 2-fold cross-validation" in text
    assert "all 4 training texts" in text
    assert "\nlmclassify, accuracy: " in text
    assert "\nlmclassify, log-loss: " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "best"], "--methods: unknown 'best'; known are lmclassify, plain, ngram, svm"),
        (["--sizes", "1"], "--sizes 1: each of the 2 labels needs a text"),
        (["--sizes", "few"], "--sizes few: expected numbers of texts and all"),
        (["--test", "emails.csv", "--folds", "3"], "--test and --folds exclude each other"),
        (["--test", "-"], "not standard input"),
        (["--plot", "x"], "--plot x: the name must end in one of .png, .svg, .pdf"),
    ],
)
def test_misuse(folder, arguments, message):
    done = run_cli("benchmark", "subjects.csv", *arguments, cwd=folder)
    assert done.returncode == 2
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith("lmclassify: error: ")
    assert message in last
    assert done.stdout == b""


def test_results_in_a_file_of_another_kind_are_refused(folder):
    before = (folder / "emails.csv").read_bytes()
    done = run_cli("benchmark", "subjects.csv", "--results", "emails.csv", cwd=folder)
    assert done.returncode == 1
    assert b"emails.csv, line 1: not a result of lmclassify benchmark" in done.stderr
    assert (folder / "emails.csv").read_bytes() == before


@pytest.mark.long
def test_ctrl_c_keeps_what_is_finished(folder):
    arguments = ["benchmark", "subjects.csv", "--methods", "nb,lmclassify", "--results", "r.jsonl"]
    command = [sys.executable, "-m", "lmclassify", *arguments]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    said = b""
    while b"run 2 of 10" not in said:
        said += process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all processes of the group
    output, rest = process.communicate(timeout=300)
    assert process.returncode == 130, rest.decode()
    assert rest.decode().splitlines()[-1] == "lmclassify: error: interrupted"
    assert b"1 runs finished, saved in r.jsonl; 9 did not" in rest
    assert b"9 of 10 runs did not finish" in output
    assert len((folder / "r.jsonl").read_text().splitlines()) == 1


def test_help_names_the_methods(tmp_path):
    text = run_cli("benchmark", "--help", cwd=tmp_path).stdout.decode()
    for word in ("--test", "--folds", "--sizes", "--seeds", "--results", "--plot", "--methods", "nbsvm"):
        assert word in text
