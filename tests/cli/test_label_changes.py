"""`lmclassify add-label`, `update` and `remove-label` as a user runs them."""

import json
import shutil
from pathlib import Path

import pytest

import lmclassify
from tests.cli.helpers import one_line
from tests.conftest import run_cli


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "lmclassify-model"))


def labels_of(folder: Path) -> list[str]:
    return list(lmclassify.load(folder).classes_)


def files_of(folder: Path, label: str) -> list[bytes]:
    config = json.loads((folder / "config.json").read_text())
    at = config["labels"].index(label)
    return [(folder / file["name"]).read_bytes() for file in config["files"] if file.get("label") == at]


@pytest.mark.long
def test_from_two_labels_to_three_and_back(model, tmp_path):
    (tmp_path / "notices.txt").write_text("Your parcel has left\n\nParcel at the depot\n" * 5)
    ham, spam = files_of(model, "ham"), files_of(model, "spam")
    done = run_cli("add-label", "notice", "notices.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stderr.decode()
    assert "5 lines" in said or "5 blank" in said, said
    assert "training label 'notice' on 10 texts" in said
    assert labels_of(model) == ["ham", "notice", "spam"]
    assert files_of(model, "ham") == ham
    notice = files_of(model, "notice")
    (tmp_path / "rows.csv").write_text(
        "text,label,learned_as\nwin a parcel,spam,notice\nlunch,spam,\n,ham,\nhello,,\n"
    )
    done = run_cli("update", "rows.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "teaching 2 rows" in done.stderr.decode()
    assert "2 rows without text or label left out" in done.stderr.decode()
    assert (files_of(model, "spam"), files_of(model, "ham")) == (spam, ham)
    assert lmclassify.load(model).predict(["win a parcel", "lunch"]).tolist() == ["spam", "spam"]
    done = run_cli("remove-label", "notice", "-o", "two", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert labels_of(tmp_path / "two") == ["ham", "spam"]
    assert files_of(tmp_path / "two", "ham") == ham
    assert files_of(model, "notice") == notice
    info = json.loads(run_cli("info", "two", "--format", "json", cwd=tmp_path).stdout)
    assert [entry["label"] for entry in info["labels"]] == ["ham", "spam"]


@pytest.mark.long
def test_what_is_wrong_is_said_and_changes_nothing(model, tmp_path):
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    (tmp_path / "unknown.csv").write_text("text,label\nwin,spam\nlunch,eggs\n")
    for arguments, message in (
        (["add-label", "new", "absent.txt"], "absent.txt"),
        (["update", "unknown.csv"], "unknown.csv, row 2: the model has no label 'eggs'"),
    ):
        done = run_cli(*arguments, cwd=tmp_path)
        assert done.returncode in (1, 2)
        errors = [line for line in done.stderr.decode().splitlines() if "error" in line]
        assert len(errors) == 1
        assert message in errors[0]
        assert {path.name: path.read_bytes() for path in model.iterdir()} == before


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("lunch,eggs,", "row 1: the model has no label 'eggs'; add-label adds one"),
        ("lunch,ham,\nwin,spam,eggs", "row 2: the model has no label 'eggs'"),
        ("lunch,ham,ham", "row 1: 'ham' is both label and learned_as of one text"),
        (" ,ham,\nlunch,,", "no row has both a text and a label"),
    ],
)
def test_wrong_corrections(model, tmp_path, rows, message):
    (tmp_path / "rows.csv").write_text(f"text,label,learned_as\n{rows}\n")
    assert message in one_line(run_cli("update", "rows.csv", cwd=tmp_path))
