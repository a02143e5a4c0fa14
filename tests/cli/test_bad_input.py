"""Errors of every command: one line, exit status 1 or 2, nothing written."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from lmclassify.persistence import layout
from tests.cli.helpers import QUICK, one_line
from tests.conftest import GOLDEN, run_cli

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
def test_bad_input_is_one_line(tmp_path, arguments, message):
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


@pytest.mark.parametrize("name", ["config.json", "1.json", "2.safetensors", "3.safetensors"])
def test_damaged_model_is_one_line(saved, data, name):
    model = Path(shutil.copytree(saved, data.parent / "model"))
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[: len(content) // 2])
    done = run_cli("predict", data, "-m", "model", "-o", "out.csv", cwd=data.parent)
    assert f"model/{name} is damaged" in one_line(done)
    assert not (data.parent / "out.csv").exists()


def test_a_model_of_a_newer_version(saved, data):
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
        (["evaluate"], "Missing argument"),
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
        (["fit", "--unlabelled", "f", "--recipe", "plain"], "learns from labelled texts only"),
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


def test_debug_shows_the_traceback(tmp_path):
    done = run_cli("fit", "nothing.csv", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "one.csv", "--text-column", "txet"], "no column 'txet' (did you mean 'text'?)"),
        (["explain", "a", "--label", "smap"], "no label 'smap' (did you mean 'spam'?) in this model"),
        (["predict", "one.csv", "--unsure", ".4,.6", "--positive", "hma"], "'hma' (did you mean 'ham'?)"),
        (["remove-label", "sapm"], "no label 'sapm' (did you mean 'spam'?)"),
        (["fit", "one.csv", "--labels", "spma"], "'spma'; the labels are: 'spam' ('spma' (did you mean"),
        (["benchmark", "one.csv", "--methods", "smv"], "unknown 'smv' (did you mean 'svm'?)"),
    ],
)
def test_typing_errors_in_names(arguments, message, tmp_path):
    (tmp_path / "one.csv").write_text("text,label\nwin a prize,spam\n")
    model = ["-m", GOLDEN / "tuned" / "model"] if arguments[0] not in ("fit", "benchmark") else []
    done = run_cli(*arguments, *model, cwd=tmp_path)
    assert message in done.stderr.decode()
    assert done.returncode in (1, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"hello\n",
            "(hello) but no rows; if that line is a text, use --input-format text, or predict --text",
        ),
        (b"hello\nthere\n", "or use --input-format text if each line is a text"),
    ],
)
def test_texts_that_are_no_table(content, message, tmp_path):
    done = run_cli("predict", "-", "-m", GOLDEN / "tuned" / "model", cwd=tmp_path, stdin=content)
    assert message in one_line(done)
    done = run_cli(
        "predict",
        "-",
        "--input-format",
        "text",
        "-m",
        GOLDEN / "tuned" / "model",
        cwd=tmp_path,
        stdin=content,
    )
    assert len(done.stdout.splitlines()) == 1 + content.count(b"\n")
