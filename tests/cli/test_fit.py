"""`lmclassify fit`."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

import lmclassify
from tests.cli.helpers import EMAILS, QUICK, one_line, rows_of
from tests.conftest import run_cli, run_cli_on_terminal


def test_defaults_from_fit_to_predict(tmp_path):
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


def test_label_without_text_is_left_out_with_a_note(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\na,x\nb,y\n,z\n")
    done = run_cli("fit", "t.csv", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "label 'z' has no text and is left out" in done.stderr.decode()
    assert "x: 1 text, best epoch 1 of 1, no held-out text" in done.stderr.decode()
    assert lmclassify.load(tmp_path / "lmclassify-model").classes_.tolist() == ["x", "y"]


def test_fit_with_files_of_texts(tmp_path):
    (tmp_path / "spam.txt").write_text("win a prize\n\ncheap pills\n")
    (tmp_path / "ham.txt").write_text("lunch\nsee you, tomorrow\n")
    done = run_cli("fit", "--labels", "spam=spam.txt", "--labels", "ham=ham.txt", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "spam.txt: 1 line without text skipped" in done.stderr.decode()
    assert lmclassify.load(tmp_path / "lmclassify-model").classes_.tolist() == ["ham", "spam"]


def test_unlabelled_texts(tmp_path, data):
    (tmp_path / "lines.txt").write_text("an offer\n\nsome news\n")
    (tmp_path / "more.tsv").write_text("id\tsubject\n1\tminutes\n2\t\n3\tagenda\n")
    options = [*QUICK, "--recipe", "tuned", "--unlabelled", "lines.txt", "--unlabelled", "more.tsv"]
    done = run_cli("fit", data, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stderr.decode()
    assert "lines.txt: 1 line without text skipped" in said
    assert "more.tsv: text column 'subject'\n" in said
    assert "more.tsv: 1 row without text skipped" in said
    assert ": 4 texts without label\n" in said
    (background,) = lmclassify.load(tmp_path / "lmclassify-model").training_entries("background")
    assert background["training_texts"] == 4 + 1 + 4  # labelled, without label, of the files
    assert "lines.txt: one text per line\n" in said


def test_rows_without_label_are_learned(tmp_path, data):
    (tmp_path / "some.csv").write_text("text,label\nwin,spam\nlunch,ham\nwin lots,\n,ham\n,\n")
    done = run_cli("fit", "some.csv", "--recipe", "ngram", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stderr.decode()
    assert "some.csv: 1 text without label\n" in said
    assert "some.csv: 2 rows without text skipped\n" in said
    assert "n-gram experts of 2 texts and 1 without label;" in said
    done = run_cli("fit", "some.csv", "--recipe", "plain", "--max-epochs", 1, cwd=tmp_path)
    assert "some.csv: 3 rows without text or label skipped\n" in done.stderr.decode()
    plain = ["--recipe", "plain", "--unlabelled", "some.csv"]
    error = one_line(run_cli("fit", "some.csv", *plain, cwd=tmp_path), status=2)
    assert "--unlabelled: recipe plain learns from labelled texts only" in error


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
def test_every_setting_is_an_option(tmp_path, data):
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


def test_the_default_recipe_from_file_to_file(tmp_path):
    small = ["--max-epochs", 1, "--num-lstm-units", 8, "--embedding-dim", 8]
    lines = EMAILS.read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "some.csv").write_text("".join(lines[:81]), encoding="utf-8")
    fit = run_cli("fit", "some.csv", *small, "-v", cwd=tmp_path)
    assert fit.returncode == 0, fit.stderr.decode()
    said = fit.stderr.decode()
    for part in (
        "stage 1 of 2: n-gram experts",
        "stage 1 of 2: held-out accuracy ",
        "background model, epoch 1 of 1",
    ):
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


def test_an_old_model_is_replaced_only_by_a_complete_one(saved, data):
    model = Path(shutil.copytree(saved, data.parent / "lmclassify-model"))
    config = (model / "config.json").read_bytes()
    failed = run_cli("fit", data, "--labels", "spam,eggs", *QUICK, cwd=data.parent)
    assert failed.returncode == 1
    assert (model / "config.json").read_bytes() == config
    done = run_cli("fit", data, *QUICK, "--force", cwd=data.parent)
    assert done.returncode == 0, done.stderr.decode()
    (whole,) = lmclassify.load(model).training_entries("fit")
    assert whole["texts"] == 4


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


def test_progress_on_a_terminal(tmp_path):
    arguments = ["fit", *map(str, QUICK), "--max-epochs", "3"]
    status, shown = run_cli_on_terminal(*arguments, cwd=tmp_path)
    assert status == 0, shown
    assert "nats/token" in shown
    assert "━" in shown
    assert "epoch" in shown


def test_ray_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = run_cli("fit", "--engine", "ray", "-o", "model", cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(r".*: --engine ray needs Ray: .*pip install .*\[ray\]'?\n", done.stderr.decode())
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("option", [("--address", "auto"), ("--shards", "2"), ("--storage", "there")])
def test_cluster_options_need_a_cluster(option, tmp_path):
    assert "add --engine ray" in one_line(run_cli("fit", *option, cwd=tmp_path), status=2)


def test_recipe_ngram_ends_after_one_stage(tmp_path, data):
    done = run_cli("fit", EMAILS, "--recipe", "ngram", "-o", "m", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "stage 1 of 1: model written to m\n" in done.stderr.decode()
    again = run_cli("fit", EMAILS, "--recipe", "ngram", "-o", "m", cwd=tmp_path)
    assert "stage 1 of 1: model written to m, replacing the one of " in again.stderr.decode()
    assert again.stderr.decode().rstrip().endswith("(labels ham, spam; 200 texts)")
    info = run_cli("info", "m", cwd=tmp_path).stdout.decode()
    assert "stage 1 of 1  n-gram experts, " in info
    assert "best epoch" not in info
    (stage,) = json.loads(run_cli("info", "m", "--format", "json", cwd=tmp_path).stdout)["stages"]
    assert stage["held_out_texts"] == 200
    for command in (
        ["predict", "--exact", data],
        ["evaluate", EMAILS],
        ["explain", "win"],
        ["suggest", "you"],
    ):
        assert run_cli(*command, "-m", "m", cwd=tmp_path).returncode == 0, command


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--max-epochs", 3], "--max-epochs is for LSTM language models"),
        (["--direction", "forward"], "--direction is for LSTM"),  # the default, but it is given
        (["--unlabelled", "x", "--tensorboard", "y"], "--unlabelled, --tensorboard are for LSTM"),
    ],
)
def test_recipe_ngram_refuses_what_only_lstms_have(options, named, tmp_path):
    done = run_cli("fit", "--recipe", "ngram", *options, cwd=tmp_path)
    line = one_line(done, status=2)
    assert named in line
    assert line.endswith("or choose recipe tuned")


@pytest.mark.parametrize("value", ["0", "x", "-1", "nan", "", "5 days"])
def test_times_that_are_none(value, tmp_path):
    line = one_line(run_cli("fit", f"--time={value}", cwd=tmp_path), status=2)
    assert "--time must be a time above 0, such as 60, 60s or 2m" in line


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--group-column", "sender"], 1, "t.csv has no column 'sender'"),
        (["--group-column", "text"], 1, "'text' is used for both text and group"),
        (["--group-column", "label"], 1, "'label' is used for both label and group"),
        (["--group-column", "one"], 1, "all texts are in one group"),
        (["--group-column", "thread", "--engine", "ray"], 2, "drop it or --engine ray"),
    ],
)
def test_wrong_group_columns(tmp_path, options, status, message):
    (tmp_path / "t.csv").write_text(GROUPED)
    done = run_cli("fit", "t.csv", "--recipe", "ngram", *options, cwd=tmp_path)
    assert done.returncode == status
    assert message in one_line(done, status)


def test_group_column(tmp_path):
    (tmp_path / "t.csv").write_text(GROUPED)
    done = run_cli("fit", "t.csv", "--recipe", "ngram", "--group-column", "thread", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    by_label = run_cli("fit", "--labels", "a=t.csv", "--group-column", "thread", cwd=tmp_path)
    assert by_label.returncode == 2
    assert "drop --group-column" in one_line(by_label, 2)


GROUPED = "text,label,thread,one\n" + "".join(
    f"{text},{label},{thread},1\n"
    for text, label in (("free cruise", "spam"), ("see you at noon", "ham"))
    for thread in ("x", "y", "", "")
)
