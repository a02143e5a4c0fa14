"""`lmclassify fit --config` and `--save-config`."""

from __future__ import annotations

import io
import sys
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest

import lmclassify
from lmclassify.cli.config_file import read_config, write_config
from lmclassify.cli.main import build_program
from tests.cli.helpers import one_line
from tests.conftest import run_cli

QUICK = 'recipe = "plain"\nmax-epochs = 1\nnum-lstm-units = 8\nembedding-dim = 8\nvocab-size = 100\n'


def fit(*arguments: object) -> int | None:
    """Run `fit` in this process, which is faster than one of its own; return its status."""
    with pytest.raises(SystemExit) as status:
        build_program(["fit"])(["fit", *map(str, arguments)], prog_name="lmclassify")
    return status.value.code


def test_a_file_gives_options_and_the_command_line_comes_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.csv").write_text("words,label\nwin,spam\nlunch,ham\nx,other\n")
    (inner / "fit.toml").write_text(
        QUICK
        + 'data = ["a.csv"]\nlabel = ["spam", "ham"]\ntext-column = "words"\noutput = "model"\nseed = 7\n'
        "class-prior = { spam = 0.25, ham = 0.75 }\ndropout = 0\ntie_weights = false\nquiet = true\n"
    )
    options = "--seed", 3, "--dropout", 0.1, "--save-config", "saved.toml"
    assert fit("--config", "inner/fit.toml", *options) == 0
    assert capsys.readouterr() == ("", "")
    model = lmclassify.load(inner / "model")
    assert model.classes_.tolist() == ["ham", "spam"]
    assert np.exp(model.log_priors).tolist() == pytest.approx([0.75, 0.25])
    assert (model.settings.dropout, model.settings.tie_weights) == (0.1, False)
    saved = tomllib.loads((tmp_path / "saved.toml").read_text())
    assert saved["seed"] == 3
    assert saved["data"] == ["inner/a.csv"]
    assert saved["output"] == "inner/model"
    assert saved["class-prior"] == {"spam": 0.25, "ham": 0.75}
    assert saved["patience"] == 3
    assert saved["cell"] == "lstm"
    assert "lowercase" not in saved
    # Written again from what was read: the same, from another folder too.
    assert fit("--config", "saved.toml", "--save-config", "inner/again.toml") == 0
    once_more = tomllib.loads((inner / "again.toml").read_text())
    assert once_more == saved | {"data": ["a.csv"], "output": "model"}


def test_lists_are_replaced_as_a_whole(tmp_path, monkeypatch, capsysbinary):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spam.txt").write_text("win\n")
    (tmp_path / "ham.txt").write_text("lunch\n")
    config = QUICK + 'labels = ["spam=spam.txt", "ham=ham.txt", "old=absent.txt"]\n'
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(config.encode())))
    options = "--labels", "spam=spam.txt", "--labels", "ham=ham.txt", "--embedding-dim", "none"
    assert fit("--config", "-", *options, "--save-config", "-", "-q") == 0
    saved = tomllib.loads(capsysbinary.readouterr().out.decode())
    assert saved["labels"] == ["spam=spam.txt", "ham=ham.txt"]
    assert saved["embedding-dim"] == "none"
    assert lmclassify.load(tmp_path / "lmclassify-model").settings.max_epochs == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "max-epoch = 3",
            "f.toml: 'max-epoch' is not an option (did you mean 'max-epochs'?); the options are: ",
        ),
        ("[fit]\nmax-epochs = 3", "f.toml: 'fit' is not an option"),
        ('config = "other.toml"', "f.toml: 'config' is not an option"),
        ("max-epochs = '3'", "f.toml: max-epochs: expected a whole number, not '3'"),
        ("max-epochs = 1.5", "f.toml: max-epochs: expected a whole number, not 1.5"),
        ("max-epochs = true", "f.toml: max-epochs: expected a whole number, not True"),
        ("max-epochs = 0", "f.toml: max-epochs: max_epochs must be at least 1, not 0"),
        ("max-epochs = 1\nmax_epochs = 2", "is given twice"),
        ("dropout = nan", "f.toml: dropout: dropout must be a number, not nan"),
        ("lowercase = 1", "f.toml: lowercase: expected true or false, not 1"),
        ("cell = 'gnu'", "f.toml: cell: expected one of 'lstm', "),
        ("embedding-dim = 'no'", "f.toml: embedding-dim: expected a whole number, not 'no'"),
        ("data = 'a.csv'", "f.toml: data: expected a list of strings, not 'a.csv'"),
        ("labels = ['spam', 3]", "f.toml: labels: expected a list of strings"),
        ("labels = ['spam,']", "f.toml: labels: --labels holds an empty name"),
        ("text-column = 3", "f.toml: text-column: expected a string, not 3"),
        ("seed = -1", "f.toml: seed: must be between 0 and 4294967295, not -1"),
        ("threads = 0", "f.toml: threads: must be at least 1, not 0"),
        ("class-prior = {spam = 'much'}", "f.toml: class-prior: expected numbers by label"),
        ("class-weight = 'spam'", "f.toml: class-weight: --class-weight spam: expected NAME=NUMBER"),
        ("max-epochs = ", "f.toml is not valid TOML: "),
        ("text-column = '\udcff'", "f.toml is not valid TOML: "),
        (None, "--config f.toml: No such file or directory"),
    ],
)
def test_what_is_wrong_names_file_and_key(tmp_path, monkeypatch, capsys, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "f.toml").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert fit("--config", "f.toml") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "lmclassify-model").exists()


def test_wrong_options_are_not_saved(tmp_path):
    assert "must be at least 1" in one_line(
        run_cli("fit", "--max-epochs", 0, "--save-config", "x.toml", cwd=tmp_path), 2
    )
    assert "cannot write absent/x.toml" in one_line(
        run_cli("fit", "--save-config", "absent/x.toml", cwd=tmp_path), 1
    )
    assert list(tmp_path.iterdir()) == []


def test_strings_of_every_kind_come_back(tmp_path):
    hints = {"text_column": str | None, "label": list[str] | None, "class_prior": str | None, "seed": int}
    options = {
        "text_column": 'a"b\\c\n\t\x00\x1f\x7f\x85\u2028😀 = #',
        "label": ["", "x,y", "p=q", "'"],
        "class_prior": {"a.b": 1e-7, "": 2.0, 'q"': 1e22},
        "seed": 0,
    }
    path = str(tmp_path / "x.toml")
    write_config(path, options, hints)
    assert read_config(path, hints) == options
