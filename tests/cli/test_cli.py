"""The program as a user runs it: a process with arguments, files and pipes."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

import lmclassify
from lmclassify import bundled_data
from lmclassify.errors import printable
from lmclassify.persistence import layout
from tests.conftest import ROOT, run_cli

QUICK = [
    "--recipe",
    "plain",
    "--max-epochs",
    1,
    "--num-lstm-units",
    8,
    "--embedding-dim",
    8,
    "--vocab-size",
    100,
]
EMAILS = bundled_data("emails.csv")


def one_line(done: subprocess.CompletedProcess[bytes], status: int = 1) -> str:
    """Return the only error line of a run that failed, and check that nothing else was said."""
    assert done.returncode == status, done.stderr.decode()
    assert done.stdout == b""
    lines = [line for line in done.stderr.decode().splitlines() if ": text column '" not in line]
    errors = [line for line in lines if line.startswith("lmclassify: error: ")]
    assert len(errors) == 1, lines
    assert "Traceback" not in done.stderr.decode()
    assert lines[-1] == errors[0]
    return errors[0]


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(
        "id,text,label\n007,win a prize,spam\n8,NA,ham\n9,,ham\n10,see you,\n11,cheap pills,spam\n12,lunch,ham\n"
    )
    return path


def test_fit_and_predict_with_defaults(tmp_path):
    fit = run_cli("fit", *QUICK, cwd=tmp_path)
    assert fit.returncode == 0, fit.stderr.decode()
    assert fit.stdout == b""
    said = fit.stderr.decode()
    assert "bundled subject lines" in said
    assert "text column 'subject', label column 'label'" in said
    assert "model written to ./lmclassify-model" in said
    assert "\x1b" not in said
    assert "\r" not in said
    done = run_cli("predict", EMAILS, cwd=tmp_path)
    assert done.returncode == 0
    before, after = rows_of(EMAILS.read_bytes()), rows_of(done.stdout)
    new = ["predicted_label", "p_ham", "p_spam"]
    assert list(after[0]) == [*before[0], *new]
    assert [{key: row[key] for key in before[0]} for row in after] == before
    for row in after:
        ham, spam = float(row["p_ham"]), float(row["p_spam"])
        assert ham + spam == pytest.approx(1, abs=1e-6)
        assert row["predicted_label"] == ("ham" if ham > spam else "spam")
    report = done.stderr.decode()
    assert "precision    recall  f1-score   support" in report
    assert "macro avg" in report
    model = lmclassify.load(tmp_path / "lmclassify-model")
    assert [row["predicted_label"] for row in after] == model.predict(
        [row["subject"] for row in before]
    ).tolist()


def test_fit_with_labels_of_a_column(tmp_path, data):
    done = run_cli("fit", data, "--labels", "ham, spam", "-o", "m", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "2 rows without text or label skipped" in done.stderr.decode()
    assert lmclassify.load(tmp_path / "m").classes_.tolist() == ["ham", "spam"]
    only = run_cli("fit", data, "--labels", "spam", "-o", "m1", *QUICK, cwd=tmp_path)
    assert only.returncode == 0
    assert "all texts have one label (spam)" in only.stderr.decode()
    assert lmclassify.load(tmp_path / "m1").predict(["x"]).tolist() == ["spam"]


def test_a_label_without_text_is_left_out_and_said(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\na,x\nb,y\n,z\n")
    done = run_cli("fit", "t.csv", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "label 'z' has no text and is left out" in done.stderr.decode()
    assert "x: 1 texts, best epoch 1 of 1, no held-out text" in done.stderr.decode()
    assert lmclassify.load(tmp_path / "lmclassify-model").classes_.tolist() == ["x", "y"]


def test_fit_with_files_of_texts(tmp_path):
    (tmp_path / "spam.txt").write_text("win a prize\n\ncheap pills\n")
    (tmp_path / "ham.txt").write_text("lunch\nsee you, tomorrow\n")
    done = run_cli("fit", "--labels", "spam=spam.txt", "--labels", "ham=ham.txt", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "spam.txt: 1 lines without text skipped" in done.stderr.decode()
    assert lmclassify.load(tmp_path / "lmclassify-model").classes_.tolist() == ["ham", "spam"]


def test_unlabelled_texts(tmp_path, data):
    (tmp_path / "lines.txt").write_text("an offer\n\nsome news\n")
    (tmp_path / "more.tsv").write_text("id\tsubject\n1\tminutes\n2\t\n3\tagenda\n")
    options = [*QUICK, "--recipe", "tuned", "--unlabelled", "lines.txt", "--unlabelled", "more.tsv"]
    done = run_cli("fit", data, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stderr.decode()
    assert "lines.txt: 1 lines without text skipped" in said
    assert "more.tsv: text column 'subject'\n" in said
    assert "more.tsv: 1 rows without text skipped" in said
    assert "4 texts without label for the background model" in said
    (background,) = lmclassify.load(tmp_path / "lmclassify-model").training_entries("background")
    assert background["training_texts"] == 4 + 4
    assert "lines.txt: one text per line\n" in said


@pytest.mark.parametrize(
    ("unlabelled", "error"),
    [
        ("lines.txt", "lines.txt, line 2: the text is missing"),
        ("more.tsv", "more.tsv, row 2: the text is missing"),
        ("empty.txt", "empty.txt is empty; expected one text per line"),
        ("absent.csv", "absent.csv"),
        ("odd.csv", "odd.csv has no text column"),
    ],
)
def test_unlabelled_texts_that_cannot_be_used(tmp_path, unlabelled, error):
    (tmp_path / "data.csv").write_text("words,label\nwin a prize,spam\nlunch,ham\n")
    (tmp_path / "lines.txt").write_text("an offer\n\nsome news\n")
    (tmp_path / "more.tsv").write_text("id\tsubject\n1\tminutes\n2\t\n3\tagenda\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    options = ["--text-column", "words", "--on-bad-row", "fail", "-o", "m", "--max-epochs", 1]
    done = run_cli("fit", "data.csv", "--unlabelled", unlabelled, *options, cwd=tmp_path)
    assert error in one_line(done)
    assert not (tmp_path / "m").exists()


def test_a_label_with_comma_or_equals_sign(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text('text,label\na,"x,y"\nb,p=q\nc,other\n')
    done = run_cli("fit", path, "--label", "x,y", "--label", "p=q", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert lmclassify.load(tmp_path / "lmclassify-model").classes_.tolist() == ["p=q", "x,y"]


def test_several_files_tabs_and_standard_input(tmp_path, data):
    (tmp_path / "more.tsv").write_text("message\tclass\nnew, text\teggs\n")
    done = run_cli("fit", data, "more.tsv", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "more.tsv: text column 'message', label column 'class'" in done.stderr.decode()
    assert lmclassify.load(tmp_path / "lmclassify-model").classes_.tolist() == ["eggs", "ham", "spam"]
    done = run_cli("predict", "-", "-q", cwd=tmp_path, stdin=b"text\tn\nhello\t1\n")
    assert done.returncode == 0, done.stderr.decode()
    assert rows_of(done.stdout)[0]["text"] == "hello"
    assert done.stderr == b""


@pytest.mark.long
def test_every_hyper_parameter_is_an_option(tmp_path, data):
    options = "--tokenizer word --lowercase --no-tie-weights --embedding-dim none --long-texts truncate"
    options += " --class-weight balanced --no-fit-prior --num-lstm-layers 2 --dropout 0.1 --seed 7"
    done = run_cli("fit", data, *options.split(), "--max-epochs", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    info = json.loads(run_cli("info", "--format", "json", cwd=tmp_path).stdout)
    expected = {
        "tokenizer": "word", "lowercase": True, "tie_weights": False, "embedding_dim": None,
        "long_texts": "truncate", "class_weight": "balanced", "fit_prior": False, "num_lstm_layers": 2,
        "dropout": 0.1, "random_state": 7, "max_epochs": 1,
    }  # fmt: skip
    assert {key: info["settings"][key] for key in expected} == expected
    prior = run_cli("fit", data, "--class-prior", "spam=0.9,ham=0.1", *QUICK, cwd=tmp_path)
    assert prior.returncode == 0, prior.stderr.decode()
    assert "spam: prior 0.9000" in run_cli("info", cwd=tmp_path).stdout.decode()


def test_an_empty_text_keeps_its_row(saved, data):
    done = run_cli("predict", data, "-m", saved, cwd=data.parent)
    rows = rows_of(done.stdout)
    assert [row["id"] for row in rows] == ["007", "8", "9", "10", "11", "12"]
    assert [row["text"] for row in rows] == ["win a prize", "NA", "", "see you", "cheap pills", "lunch"]
    assert (rows[2]["predicted_label"], rows[2]["p_ham"], rows[2]["p_spam"]) == ("", "", "")
    assert all(row["predicted_label"] for row in rows if row["id"] != "9")
    assert "1 rows have no text" in done.stderr.decode()


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


def test_columns_already_there(saved, data):
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


def test_chunks_change_nothing(saved, tmp_path):
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


def test_evaluate(saved, tmp_path):
    done = run_cli("evaluate", EMAILS, "-m", saved, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    text = done.stdout.decode()
    for part in (
        "precision",
        "confusion matrix",
        "accuracy   0.",
        "macro F1",
        "log-loss",
        "ECE",
        "(spam: its texts",
    ):
        assert part in text
    result = json.loads(run_cli("evaluate", EMAILS, "-m", saved, "--format", "json", cwd=tmp_path).stdout)
    assert result["texts"] == 200
    predicted = rows_of(run_cli("predict", EMAILS, "-m", saved, cwd=tmp_path).stdout)
    right = sum(row["predicted_label"] == row["label"] for row in predicted)
    assert result["accuracy"] == pytest.approx(right / 200)
    assert sum(map(sum, result["confusion_matrix"])) == 200
    assert result["perplexity"]["spam"] > 1


def test_evaluate_with_other_labels(saved, data):
    data.write_text("text,label\na,spam\nb,eggs\n,ham\n")
    done = run_cli("evaluate", data, "-m", saved, cwd=data.parent)
    assert done.returncode == 0
    assert "the model has no label eggs" in done.stderr.decode()
    assert "1 rows without text or label left out" in done.stderr.decode()
    data.write_text("text,label\na,\n,ham\n")
    assert "no row has both a text and a label" in one_line(
        run_cli("evaluate", data, "-m", saved, cwd=data.parent)
    )


def test_predict_without_or_with_strange_label_column(saved, data):
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


def test_explain_where_little_can_be_written_or_read(saved, tmp_path):
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
        (["a", "--label", "ham", "--against", "ham"], "cannot be held against itself"),
    ],
)
def test_explain_says_what_is_wrong(saved, tmp_path, arguments, message):
    assert message in one_line(run_cli("explain", *arguments, "-m", saved, cwd=tmp_path), status=2)


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
def test_generate_says_what_is_wrong(saved, tmp_path, arguments, message):
    assert message in one_line(run_cli("generate", *arguments, "-m", saved, cwd=tmp_path), status=2)


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


BROKEN = {
    "empty.csv": b"",
    "header.csv": b"text,label\n",
    "columns.csv": b"id,words\n1,a\n",
    "latin.csv": b"text,label\na,spam\ncaf\xe9,ham\n",
    "nul.csv": b"text,label\na\0b,spam\n",
    "quotes.csv": b'text,label\na,spam\n"b,ham\n',
    "blank.csv": b"text,label\n,spam\n ,ham\n",
    "one.csv": b"text,label\na,spam\nb,spam\n",
    "tabs.csv": b"text\tlabel\na spam\n",
    "missing.csv": b"text,label\na,spam\n,ham\n",
    "steer.csv": b'"te\nxt\x1b[31m",label\na,spam\n',
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "nothing.csv"], "no such file: nothing.csv"),
        (["fit", "empty.csv"], "empty.csv is empty"),
        (["fit", "header.csv"], "header.csv has a header (text, label) but no rows"),
        (["fit", "columns.csv"], "columns.csv has no text column: none of its columns (id, words)"),
        (["fit", "columns.csv", "--text-column", "words"], "columns.csv has no label column"),
        (["fit", "one.csv", "--text-column", "x"], "one.csv has no column 'x'; its columns: text, label"),
        (["fit", "one.csv", "--labels", "spam,eggs"], "has label 'eggs'; the labels are: 'spam'"),
        (["fit", "one.csv", "--labels", "spam,ham"], "has label 'ham'; the labels are: 'spam'"),
        (["fit", "missing.csv", "--labels", "spam,ham"], "label 'ham' has no text"),
        (["fit", "missing.csv", "--on-bad-row", "fail"], "missing.csv, row 2: the text is missing"),
        (["fit", "blank.csv"], "blank.csv: no row has both a text and a label"),
        (["fit", "latin.csv"], "latin.csv, row 2 (line 3): byte 21 (0xe9) is not valid UTF-8"),
        (["fit", "nul.csv"], "nul.csv, row 1 (line 2): byte 12 is NUL"),
        (["fit", "quotes.csv"], "quotes.csv, row 2 (line 3): a quote that opens here is never closed"),
        (["fit", "--labels", "spam=nothing.txt"], "no such file: nothing.txt"),
        (["fit", "--labels", "spam=empty.csv"], "empty.csv is empty; expected one text per line"),
        (["fit", "one.csv", "-o", "one.csv"], "one.csv is a file; a model is a folder"),
        (["fit", "one.csv", "-o", "."], "holds files that are no model's"),
        (["fit", "one.csv", "-o", "/proc/nothing/model"], "cannot write the model to /proc/nothing/model"),
        (["fit", "one.csv", "-o", "one.csv/model"], "cannot write the model to one.csv/model"),
        (["fit", "one.csv", "--label-column", "text"], "'text' is used for both text and label"),
        (["fit", "one.csv", *map(str, QUICK), "--learning-rate", "1e30"], "training diverged"),
        (["fit", "tabs.csv"], "tabs.csv looks tab-separated"),
        (["fit", "steer.csv"], r"no text column: none of its columns (te\nxt\x1b[31m, label)"),
        (["predict", "one.csv", "-m", "nothing"], "no model at nothing: make one with `lmclassify fit`"),
        (["predict", "one.csv", "-m", "."], "holds no model (it has no config.json)"),
        (["predict", "one.csv", "-m", "one.csv"], "one.csv is a file; a model is a folder"),
        (["info", "nothing"], "no model at nothing"),
        (["suggest", "a"], "no model at lmclassify-model"),
        (["explain", "a"], "no model at lmclassify-model"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, arguments, message):
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content)
    before = sorted(os.listdir(tmp_path))
    assert message in one_line(run_cli(*arguments, cwd=tmp_path))
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    "name", ["empty.csv", "header.csv", "columns.csv", "latin.csv", "nul.csv", "quotes.csv"]
)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_bad_input_for_a_model(saved, tmp_path, command, name):
    (tmp_path / name).write_bytes(BROKEN[name])
    output = ["-o", "out.csv"] if command == "predict" else []
    assert name in one_line(run_cli(command, name, "-m", saved, *output, cwd=tmp_path))
    assert os.listdir(tmp_path) == [name]


def test_output_that_cannot_be_written(saved, data):
    done = run_cli("predict", data, "-m", saved, "-o", "nowhere/out.csv", cwd=data.parent)
    assert "cannot write nowhere/out.csv: No such file or directory" in one_line(done)


@pytest.mark.parametrize("name", ["config.json", "1.json", "2.safetensors", "3.safetensors"])
def test_damaged_models_are_one_line(saved, data, name):
    import shutil

    model = Path(shutil.copytree(saved, data.parent / "model"))
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[: len(content) // 2])
    done = run_cli("predict", data, "-m", "model", "-o", "out.csv", cwd=data.parent)
    assert f"model/{name} is damaged" in one_line(done)
    assert not (data.parent / "out.csv").exists()


def test_a_model_of_a_newer_version(saved, data):
    import shutil

    model = Path(shutil.copytree(saved, data.parent / "model"))
    config = json.loads((model / "config.json").read_text())
    config["format_version"] = 99
    (model / "config.json").write_bytes(layout.render_config(config))
    done = run_cli("predict", data, "-m", "model", cwd=data.parent)
    assert "a newer lmclassify made this model (format 99" in one_line(done)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--nonsense"], "No such option"),
        (["predict"], "Missing argument"),
        (["nonsense"], "No such command"),
        (["fit", "--recipe", "best"], "best"),
        (["fit", "--max-epochs", "many"], "integer"),
        (["fit", "--dropout", "2"], "dropout must be between 0.0 and 0.99"),
        (["fit", "--labels", "a,,b"], "empty name"),
        (["fit", "--labels", "a,a"], "a twice"),
        (["fit", "--labels", "a=x", "--labels", "a=y"], "a twice"),
        (["fit", "--labels", "=x"], "NAME=FILE"),
        (["fit", "data.csv", "--labels", "a=x"], "it excludes DATA and --labels A,B"),
        (["fit", "--class-prior", "a"], "--class-prior a: expected NAME=NUMBER"),
        (["fit", "data.csv", "--class-prior", "a=1"], "class_prior must name every label"),
        (["fit", "data.csv", "--device", "cuda"], "cuda"),
        (["fit", "data.csv", "--class-weight", "spam=2,eggs=3"], "class_weight names 'eggs'"),
        (["fit", "data.csv", "--class-prior", "spam=1,spam=2"], "names a label twice"),
        (["fit", "-", "-"], "standard input (-) can be read only once"),
        (["fit", "-", "--unlabelled", "-"], "standard input (-) can be read only once"),
        (["fit", "--unlabelled", "f", "--recipe", "plain"], "which only recipe tuned has"),
        (["fit", "--labels", "a=-", "--labels", "b=-"], "standard input (-) can be read only once"),
        (["fit", "--labels", "a=s.txt,b=t.txt"], "give --labels once for each file"),
        (["fit", "--labels", "a=data.csv", "--text-column", "x"], "has no columns"),
        (["info", "a", "-m", "b"], "name the model once"),
        (["-q", "fit"], "No such option"),
    ],
)
def test_misuse_exits_with_2(data, arguments, message):
    done = run_cli(*arguments, cwd=data.parent)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert os.listdir(data.parent) == ["data.csv"]


def test_an_old_model_is_replaced_only_by_a_complete_one(saved, data):
    import shutil

    model = Path(shutil.copytree(saved, data.parent / "lmclassify-model"))
    config = (model / "config.json").read_bytes()
    failed = run_cli("fit", data, "--labels", "spam,eggs", *QUICK, cwd=data.parent)
    assert failed.returncode == 1
    assert (model / "config.json").read_bytes() == config
    done = run_cli("fit", data, *QUICK, cwd=data.parent)
    assert done.returncode == 0, done.stderr.decode()
    (whole,) = lmclassify.load(model).training_entries("fit")
    assert whole["texts"] == 4


def test_debug_shows_the_traceback(tmp_path):
    done = run_cli("fit", "nothing.csv", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr.decode()


def test_version_and_help_import_nothing_heavy(tmp_path):
    assert run_cli("--version", cwd=tmp_path).stdout.decode() == f"lmclassify {lmclassify.__version__}\n"
    heavy = "{'torch', 'pandas', 'sklearn', 'numpy', 'tokenizers', 'rich'}"
    for arguments in (["--help"], ["--version"], ["fit", "--help"], ["predict", "--help"]):
        program = (
            "import sys, atexit\n"
            f"atexit.register(lambda: print(sorted({heavy} & set(sys.modules)), file=sys.stderr))\n"
            f"sys.argv = ['lmclassify', *{arguments}]\n"
            "from lmclassify.cli.main import main; main()"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=tmp_path)
        assert done.stderr.decode().strip() == "[]", arguments
        assert b"lmclassify" in done.stdout


def test_each_command_is_found_alone_and_among_all(tmp_path):
    listed = run_cli("--help", cwd=tmp_path).stdout.decode().split("Commands:")[1]
    names = [line.split()[0] for line in listed.strip().splitlines()]
    assert set(names) >= {"fit", "predict", "add-label", "benchmark"}
    for name in names:
        shown = run_cli(name, "--help", cwd=tmp_path).stdout.decode()
        assert shown.startswith(f"Usage: lmclassify {name} [OPTIONS]"), name
    unknown = run_cli("predicts", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "No such command 'predicts'" in unknown.stderr.decode()


@pytest.mark.parametrize("recipe", ["plain", "tuned"])
def test_using_a_model_imports_nothing_that_learning_needs(recipe, classifier, tuned, tmp_path):
    ({"plain": classifier, "tuned": tuned}[recipe]).save(tmp_path / "model")
    (tmp_path / "texts.csv").write_text("text,label\nhello,ham\n")
    heavy = "{'torch', 'sklearn', 'scipy', 'pandas'}"
    for arguments in (
        ["predict", "texts.csv"],
        ["explain", "a"],
        ["explain", "--texts", "texts.csv"],
        ["suggest", "a"],
        ["info"],
    ):
        program = (
            "import sys, atexit\n"
            f"atexit.register(lambda: print(sorted({heavy} & set(sys.modules)), file=sys.stderr))\n"
            f"sys.argv = ['lmclassify', *{arguments}, '-m', 'model']\n"
            "from lmclassify.cli.main import main; main()"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=tmp_path)
        assert done.stderr.decode().splitlines()[-1] == "[]", arguments


def test_the_checkout_and_the_command_are_the_same_program(tmp_path):
    by_file = subprocess.run([sys.executable, ROOT / "cli.py", "--help"], capture_output=True, check=True)
    assert by_file.stdout == run_cli("--help", cwd=tmp_path).stdout


def test_a_reader_that_has_enough_ends_the_program_quietly(saved, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("text\n" + "hello world\n" * 60_000)
    command = [sys.executable, "-m", "lmclassify", "predict", str(path), "-m", str(saved)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"text,predicted_label,p_ham,p_spam\n"
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(60) == 141
    assert "error" not in said.lower()
    assert "Traceback" not in said


def on_a_terminal(arguments: list[str], cwd: Path, ctrl_c_after: bytes | None = None) -> tuple[int, str]:
    """Run the program with a terminal as standard error; return its status and what that shows."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "lmclassify", *arguments]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    shown, sent, started = b"", False, time.monotonic()
    while time.monotonic() - started < 100:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
        if ctrl_c_after and ctrl_c_after in shown and not sent:
            process.send_signal(signal.SIGINT)
            sent = True
    os.close(master)
    process.communicate(timeout=60)
    return process.returncode, shown.decode(errors="replace")


def test_progress_on_a_terminal(tmp_path):
    arguments = ["fit", *map(str, QUICK), "--max-epochs", "3"]
    status, shown = on_a_terminal(arguments, tmp_path)
    assert status == 0, shown
    assert "nats/token" in shown
    assert "━" in shown
    assert "epoch" in shown


def test_ctrl_c_keeps_the_best_so_far_and_says_so(tmp_path):
    # the spam bar shows an epoch after the ham one has: both have a model by the second
    arguments = ["fit", *map(str, QUICK), "--max-epochs", "5000", "--patience", "5000"]
    status, shown = on_a_terminal(arguments, tmp_path, ctrl_c_after=b"epoch 5")
    assert status == 0, shown
    assert "interrupted: the best weights so far are kept (ham: epoch" in shown
    model = lmclassify.load(tmp_path / "lmclassify-model")
    assert all(1 <= entry["best_epoch"] < 5000 for entry in model.training_entries("label"))


def test_ctrl_c_before_there_is_a_model_writes_nothing(tmp_path):
    arguments = ["fit", "--num-lstm-units", "512", "--num-lstm-layers", "3"]
    status, shown = on_a_terminal(arguments, tmp_path, ctrl_c_after=b"label column")
    assert status == 130, shown
    assert "lmclassify: error: interrupted" in shown
    assert "Traceback" not in shown
    assert os.listdir(tmp_path) == []


@pytest.mark.long
def test_labels_cannot_steer_a_terminal(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'text,label\na,"sp\nam\x1b[31mRED"\nb,ham\n')
    fit = run_cli("fit", "t.csv", *QUICK, cwd=tmp_path)
    assert fit.returncode == 0, fit.stderr.decode()
    evaluate = run_cli("evaluate", "t.csv", cwd=tmp_path)
    predict = run_cli("predict", "t.csv", cwd=tmp_path)
    info = run_cli("info", cwd=tmp_path)
    for shown in (fit.stderr, evaluate.stdout, evaluate.stderr, predict.stderr, info.stdout):
        assert b"\x1b" not in shown
    assert rb"sp\nam\x1b[31mRED" in info.stdout
    assert rows_of(predict.stdout)[0]["label"] == "sp\nam\x1b[31mRED"


def test_a_table_on_a_terminal_has_no_colour(saved, data):
    out = data.parent / "wide.txt"
    arguments = ["predict", str(data), "-m", str(saved), "--format", "table", "-o", str(out)]
    status, shown = on_a_terminal(arguments, data.parent)
    assert status == 0, shown
    assert "\x1b" not in out.read_text()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams(saved, data, closed):
    program = f"{sys.executable} -m lmclassify predict data.csv -m {saved} -o out.csv {closed}"
    done = subprocess.run(["bash", "-c", program], cwd=data.parent, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    assert len(rows_of((data.parent / "out.csv").read_bytes())) == 6


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["predict", "evaluate", "info", "suggest", "generate", "explain"])
def test_standard_output_that_is_full(saved, command):
    arguments = {
        "predict": EMAILS,
        "evaluate": EMAILS,
        "suggest": "a",
        "generate": "--label ham",
        "explain": "a",
    }
    argument = arguments.get(command, "")
    program = f"{sys.executable} -m lmclassify {command} {argument} -m {saved} -q > /dev/full"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "bug" not in done.stderr


def test_sigterm_leaves_no_draft(saved, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("text\n" + "hello world\n" * 400_000)
    command = [sys.executable, "-m", "lmclassify", "predict", "many.csv", "-m", str(saved), "-o", "out.csv"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        for _ in range(300):
            if len(os.listdir(tmp_path)) > 1:
                break
            time.sleep(0.1)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert os.listdir(tmp_path) == ["many.csv"]


def test_the_default_recipe_from_file_to_file(tmp_path):
    small = ["--max-epochs", 1, "--num-lstm-units", 8, "--embedding-dim", 8]
    lines = EMAILS.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "some.csv").write_text("".join(lines[:81]), encoding="utf-8")
    fit = run_cli("fit", "some.csv", *small, "-v", cwd=tmp_path)
    assert fit.returncode == 0, fit.stderr.decode()
    said = fit.stderr.decode()
    for part in ("training n-gram models", "all labels: epoch 1 of 1", "ham: epoch 1 of 1", "nats/text"):
        assert part in said
    done = run_cli("evaluate", "some.csv", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["accuracy"] > 0.8
    short, exact = (
        run_cli("predict", "some.csv", "--quiet", *option, cwd=tmp_path) for option in ([], ["--exact"])
    )
    assert short.returncode == exact.returncode == 0, exact.stderr.decode()
    decided = [[row["predicted_label"] for row in rows_of(done.stdout)] for done in (short, exact)]
    assert len(decided[0]) == 80
    assert decided[0] == decided[1]
    info = json.loads(run_cli("info", "--format", "json", cwd=tmp_path).stdout)
    assert info["settings"]["recipe"] == "tuned"
    assert info["tokenizer"]["kind"] in ("subword", "word")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Texts of both labels and some of neither."""
    path = tmp_path / "mixed.csv"
    texts = [*rows_of(EMAILS.read_bytes())[:20], {"subject": "zqx jjq", "label": "new"}]
    rows = [f'"{row["subject"]}",{row["label"]}' for row in texts if '"' not in row["subject"]]
    path.write_text("\n".join(["text,label", *rows, '" ",ham']) + "\n", encoding="utf-8")
    return path


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


def test_a_false_positive_rate_says_what_it_costs(saved, mixed, tmp_path):
    arguments = ["-m", saved, "--positive", "spam", "--max-false-positive-rate", 0.1]
    done = run_cli("predict", mixed, *arguments, cwd=tmp_path)
    threshold = lmclassify.load(saved).positive_threshold("spam", 0.1)
    assert f"from probability {threshold.probability:.4f} on" in done.stderr.decode()
    assert f"{threshold.found} of {threshold.positives} of its own are found" in done.stderr.decode()
    for row in rows_of(done.stdout)[:-1]:
        assert row["predicted_label"] == ("spam" if float(row["p_spam"]) >= threshold.probability else "ham")


def test_how_to_decide_must_make_sense(saved, mixed, tmp_path):
    arguments = ["-m", saved, "--unsure", "0.2,0.9", "--min-confidence", "0.5", "-o", "out.csv"]
    done = run_cli("predict", mixed, *arguments, cwd=tmp_path)
    assert "--min-confidence and --unsure are two ways" in one_line(done, status=2)
    assert not (tmp_path / "out.csv").exists()


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
    assert "drift: the texts " in done.stdout.decode()
    (tmp_path / "new.csv").write_text("day,text\nyesterday,hello\n")
    assert "row 1: 'yesterday' is no date" in one_line(
        run_cli(*arguments, "--time-column", "day", cwd=tmp_path)
    )
    assert "go with --drift" in one_line(run_cli(*arguments[:-1], "--plot", "a.png", cwd=tmp_path), status=2)
