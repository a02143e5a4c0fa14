"""`lmclassify check`."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from lmclassify.check.findings import KINDS
from lmclassify.cli.check import check
from tests.cli.helpers import one_line, rows_of
from tests.conftest import ROOT, run_cli

QUICK = "conflict,leak,duplicate,near_duplicate,empty_text,missing_label,label_form"


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "train.csv"
    path.write_text(
        'text,label\nlunch today?,ham\nLunch today?,spam\n,ham\nwin a prize,spam\nno label,\nhello,"ham "\n'
    )
    return path


def test_findings_as_text_and_table(train, tmp_path):
    done = run_cli("check", train, "--kinds", QUICK, "-o", "found.csv", "--html", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    assert text.startswith("6 rows, 2 labels: 5 rows are suspicious\n")
    assert "conflict          2  The same text with different labels" in text
    rows = rows_of((tmp_path / "found.csv").read_bytes())
    assert list(rows[0]) == ["row", "kind", "score", "label", "suggested_label", "reason"]
    assert [(row["row"], row["kind"]) for row in rows] == [
        ("1", "conflict"),
        ("2", "conflict"),
        ("3", "empty_text"),
        ("5", "missing_label"),
        ("6", "label_form"),
    ]
    assert rows[0]["reason"] == "same text: spam in row 2"
    assert "found.csv" in done.stderr.decode()
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_rows_of_the_test_file_in_the_training_file(train, tmp_path):
    test = tmp_path / "test.csv"
    test.write_text("text,label\nnew text,ham\nWIN A PRIZE,spam\n")
    done = run_cli("check", train, "--test", test, "--kinds", "leak", "-o", "-", cwd=tmp_path)
    assert done.returncode == 0
    (row,) = csv.DictReader(done.stdout.decode().splitlines())
    assert (row["row"], row["file"], row["kind"]) == ("2", "test.csv", "leak")
    assert row["reason"] == "same text as row 4 of train.csv"


@pytest.mark.parametrize(
    ("fail_on", "status"), [("none", 0), ("any", 1), ("conflict,leak", 1), ("duplicate,leak", 0)]
)
def test_exit_status(train, tmp_path, fail_on, status):
    arguments = ["check", train, "--kinds", QUICK, "--fail-on", fail_on, "-o", "found.csv"]
    done = run_cli(*arguments, cwd=tmp_path)
    assert done.returncode == status
    assert (tmp_path / "found.csv").exists()
    if fail_on == "conflict,leak":
        assert done.stderr.decode().endswith("lmclassify: error: --fail-on: found conflict (2 rows)\n")


def test_wrong_labels_are_found(tmp_path):
    lines = ["text,label"]
    for number in range(40):
        lines += [f"cheap pills and a prize {number},spam", f"lunch with mum at noon {number},ham"]
    lines[20] = "cheap pills and a big prize,ham"
    (tmp_path / "data.csv").write_text("\n".join(lines) + "\n")
    done = run_cli("check", "data.csv", "--kinds", "label_error", "-o", "-", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    first, *_ = rows_of(done.stdout)
    assert (first["row"], first["label"], first["suggested_label"]) == ("20", "ham", "spam")
    assert done.stderr == b""


def test_texts_without_labels(tmp_path):
    (tmp_path / "texts.txt").write_text("hello\n\nhello\n")
    done = run_cli("check", "texts.txt", cwd=tmp_path)
    assert done.returncode == 0
    assert b"note: texts.txt has no label column: only its texts are checked" in done.stderr
    assert "duplicate" in done.stdout.decode()
    assert "missing_label" not in done.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ["--kinds", "conflicts"],
            2,
            "--kinds: no kind 'conflicts' (did you mean 'conflict'?); kinds: label_error",
        ),
        (["--fail-on", "all"], 2, "--fail-on: no kind 'all'"),
        (
            ["--kinds", "leak", "--fail-on", "conflict"],
            2,
            "--fail-on names conflict, which --kinds leaves out",
        ),
        (["-o", "found.docx"], 2, "-o found.docx: the name must end in .csv, .tsv, .jsonl or .parquet"),
        (["--html", "-"], 2, "--html -: standard output has the findings as text; name a file"),
        (["--html", "a.csv", "-o", "a.csv"], 2, "-o and --html both name a.csv; name two files"),
        (["--label-column", "kind"], 1, "has no column 'kind'"),
        (["--test", "missing.csv"], 1, "missing.csv"),
    ],
)
def test_misuse_is_one_line(train, tmp_path, arguments, status, message):
    done = run_cli("check", train, *arguments, cwd=tmp_path)
    assert message in one_line(done, status)
    assert not list(tmp_path.glob("found*"))


def test_help_and_guide_name_every_kind():
    guide = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert kind in " ".join(str(check.__doc__).split())
        assert f"`{kind}`" in guide


def test_a_table_without_rows(tmp_path):
    (tmp_path / "empty.csv").write_text("text,label\n")
    assert "empty.csv has a header (text, label) but no rows" in one_line(
        run_cli("check", "empty.csv", cwd=tmp_path)
    )
