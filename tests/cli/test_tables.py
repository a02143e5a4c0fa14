"""Tables as people have them, through all commands: quotes, headers, forms of labels."""

from __future__ import annotations

import json

import pytest

import lmclassify
from tests.cli.helpers import EMAILS, QUICK, one_line, rows_of
from tests.conftest import run_cli
from tests.tables.test_records import MERGED

PAIRS = [
    ("spam", "win a free cruise now"),
    ("ham", "see you at the station"),
    ("spam", "claim your cash prize"),
    ("ham", "lunch at noon tomorrow"),
    ("ham", "running late sorry"),
]
HEADERLESS = "".join(f"{label}\t{text}\n" for label, text in PAIRS)


def texts_of_labels(model) -> dict[str, int]:
    entries = lmclassify.load(model).training_entries("label")
    return {entry["label"]: entry["training_texts"] + entry["validation_texts"] for entry in entries}


def test_quotes_of_texts(tmp_path):
    (tmp_path / "q.tsv").write_text(MERGED)
    done = run_cli("fit", "q.tsv", "-o", "m", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert texts_of_labels(tmp_path / "m") == {"ham": 3, "spam": 2}
    assert (
        "note: q.tsv: 1 cell begins with a quote that is read as a character, in row 2"
        in done.stderr.decode()
    )
    done = run_cli("predict", "q.tsv", "-m", "m", "--format", "jsonl", cwd=tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows][1:4:2] == ['"lunch at noon', 'claim your cash prize"']
    assert "read as a character" in done.stderr.decode()
    (tmp_path / "q.csv").write_text('label,text\nham,"Quoted" she said\nspam,free cash\n')
    assert "--quoting none" in one_line(run_cli("predict", "q.csv", "-m", "m", cwd=tmp_path))
    done = run_cli("predict", "q.csv", "-m", "m", "--quoting", "none", cwd=tmp_path)
    assert rows_of(done.stdout)[0]["text"] == '"Quoted" she said'


def test_a_file_without_header(saved, tmp_path):
    (tmp_path / "SMSSpamCollection").write_text(HEADERLESS)
    done = run_cli("fit", "SMSSpamCollection", "-o", "m", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert texts_of_labels(tmp_path / "m") == {"ham": 3, "spam": 2}
    assert "tab-separated; no header, column 1 is label, column 2 is text" in done.stderr.decode()
    done = run_cli("predict", "SMSSpamCollection", "-m", saved, cwd=tmp_path)
    rows = rows_of(done.stdout)
    assert [(row["label"], row["text"]) for row in rows] == PAIRS
    assert "precision" in done.stderr.decode()
    done = run_cli("evaluate", "SMSSpamCollection", "-m", saved, "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["texts"] == 5
    done = run_cli("explain", "--texts", "SMSSpamCollection", "-m", saved, "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("options", [["--no-header"], ["--columns", "label,text"], ["--header"]])
def test_options_for_headers(saved, tmp_path, options):
    (tmp_path / "t.csv").write_text("".join(f"{label},{text}\n" for label, text in PAIRS[:2]))
    for command in (["predict", "t.csv"], ["evaluate", "t.csv"], ["explain", "--texts", "t.csv"]):
        done = run_cli(*command, "-m", saved, *options, cwd=tmp_path)
        if options == ["--header"]:
            assert "no text column" in one_line(done)
        else:
            assert done.returncode == 0, done.stderr.decode()
    done = run_cli("fit", "t.csv", "-o", "m", *options, *QUICK, cwd=tmp_path)
    assert done.returncode == (options == ["--header"])


def test_forms_of_labels_in_fit(tmp_path):
    forms = {"spam": ["spam", " spam", "Spam"], "ham": ["ham ", "ham", "Ham"]}
    rows = [f"{text},{form}\n" for label, text in PAIRS for form in forms[label]]
    (tmp_path / "case.csv").write_text("text , label\n" + "".join(rows))
    done = run_cli("fit", "case.csv", "-o", "m", *QUICK, cwd=tmp_path)
    said = done.stderr.decode()
    assert (
        "labels 'spam' (4), 'Spam' (2) differ only in case; 'ham' (6), 'Ham' (3) differ only in case" in said
    )
    assert lmclassify.load(tmp_path / "m").classes_.tolist() == ["Ham", "Spam", "ham", "spam"]
    done = run_cli("fit", "case.csv", "-o", "m2", "--merge-labels", *QUICK, cwd=tmp_path)
    assert lmclassify.load(tmp_path / "m2").classes_.tolist() == ["ham", "spam"]
    assert "2 of 2 labels have fewer than 20 texts" in done.stderr.decode()
    done = run_cli("fit", "case.csv", "--labels", "spam,ham", "-o", "m2", *QUICK, cwd=tmp_path)
    assert "5 rows of labels that are not asked for left out: 'Ham' (3), 'Spam' (2)" in done.stderr.decode()


def test_forms_of_labels_in_evaluate(saved, tmp_path):
    rows = rows_of(EMAILS.read_bytes())
    lines = [json.dumps({"text": row["subject"], "label": row["label"]}) + "\n" for row in rows]
    (tmp_path / "t.jsonl").write_text("".join(lines))
    (tmp_path / "other.jsonl").write_text(
        "".join(lines).replace('"ham"', '" Ham "').replace('"spam"', '["spam"]')
    )
    right, other = (
        run_cli("evaluate", name, "-m", saved, "--format", "json", cwd=tmp_path)
        for name in ("t.jsonl", "other.jsonl")
    )
    assert right.stdout == other.stdout
    assert "counts as 'ham', which differs only in case" in other.stderr.decode()
    assert "counts as" not in right.stderr.decode()
    done = run_cli("predict", "other.jsonl", "-m", saved, "--format", "jsonl", cwd=tmp_path)
    assert json.loads(done.stdout.splitlines()[0])["label"] in (" Ham ", ["spam"])
    assert "differs only in case" in done.stderr.decode()


def test_several_labels(saved, tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"text": "a", "label": ["ham"]}\n{"text": "b", "label": ["ham", "x"]}\n'
    )
    for command in (["fit", "t.jsonl", "-o", "m", *QUICK], ["evaluate", "t.jsonl", "-m", saved]):
        error = one_line(run_cli(*command, cwd=tmp_path))
        assert "t.jsonl, row 2: 'label' is a list" in error
        assert "several labels for one text are not supported" in error
    done = run_cli("predict", "t.jsonl", "-m", saved, "--format", "jsonl", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[1])["label"] == ["ham", "x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--labels", "a=x.txt", "--columns", "label,text"], "has no columns; drop --"),
        (["fit", "t.csv", "--columns", "label,,text"], "a name is empty"),
        (["fit", "t.csv", "--columns", "label,text", "--header"], "drop it or --header"),
        (
            ["fit", "t.csv", "--merge-labels", "--engine", "ray"],
            "drop --engine ray, or write the labels in one",
        ),
        (["fit", "t.jsonl", "--no-header"], "--no-header: for CSV and TSV files only, but t.jsonl is jsonl"),
    ],
)
def test_misuse(tmp_path, arguments, message):
    (tmp_path / "t.jsonl").write_text('{"text": "a", "label": "b"}\n')
    assert message in one_line(run_cli(*arguments, cwd=tmp_path), status=2)
