"""Which models `fit` and the commands that change a model replace, and what they say about it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lmclassify.cli.replacement import OldModel
from tests.cli.helpers import one_line
from tests.conftest import GOLDEN, run_cli

NGRAM = ("--recipe", "ngram")
OLD = "(labels ham, spam; 300 texts)"
"""Description of the model of fixture `saved` in messages."""


@pytest.fixture
def place(saved: Path, tmp_path: Path) -> Path:
    """A folder with a good model in the default folder, and one of the same in `named`."""
    for name in ("lmclassify-model", "named"):
        shutil.copytree(saved, tmp_path / name)
    return tmp_path


def table(place: Path, rows: int, labels: tuple[str, ...] = ("ham", "spam")) -> str:
    lines = [f"text number {row},{labels[row % len(labels)]}" for row in range(rows)]
    (place / "data.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return "data.csv"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("rows", "labels", "reason"),
    [
        (1, ("ham",), "the data have other labels (ham)"),
        (60, ("ham", "eggs"), "the data have other labels (eggs, ham)"),
        (29, ("ham", "spam"), "the data have only 29 usable rows, less than a tenth as many"),
    ],
)
def test_unlike_data_do_not_replace_the_model_in_the_default_folder(place, rows, labels, reason):
    before = content(place / "lmclassify-model")
    for folder in ([], ["-o", "lmclassify-model"]):
        failed = run_cli("fit", table(place, rows, labels), *NGRAM, *folder, cwd=place)
        assert failed.returncode == 1
        *_, error = failed.stderr.decode().splitlines()
        assert f"{OLD} in " in error
        assert f": {reason}; write to another folder with -o FOLDER, or replace it with --force" in error
        assert "stage" not in failed.stderr.decode(), "it has begun to train"
        assert content(place / "lmclassify-model") == before


def test_the_bundled_sample_does_not_replace_a_model_in_the_default_folder(place):
    error = one_line(run_cli("fit", *NGRAM, cwd=place))
    assert "no DATA was given; " in error
    assert "--force" in error


def test_like_data_replace_it(place):
    done = run_cli("fit", table(place, 30), *NGRAM, cwd=place)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode().rstrip().endswith(OLD)
    assert "replacing the one of 20" in done.stderr.decode()


@pytest.mark.parametrize("arguments", [("--force",), ("-o", "named")])
def test_force_and_a_named_folder_replace_any_model_and_say_so(place, arguments):
    done = run_cli("fit", table(place, 8, ("ham", "eggs")), *NGRAM, *arguments, cwd=place)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode().rstrip().endswith(OLD)


def test_a_model_that_cannot_be_read_is_kept_too(place):
    (place / "lmclassify-model" / "config.json").write_text('{"format": "lmclassify-model"}')
    failed = run_cli("fit", table(place, 60), *NGRAM, cwd=place)
    assert failed.returncode == 1
    assert "which cannot be read in ./lmclassify-model: its labels are not known;" in failed.stderr.decode()


@pytest.mark.parametrize("command", ["fit", "add-label", "update", "remove-label"])
def test_folders_that_are_no_models_are_never_written_to(place, command):
    (place / "mine").mkdir()
    (place / "mine" / "notes.txt").write_text("notes")
    data = table(place, 60)
    arguments = {
        "fit": [data, "--force"],
        "add-label": ["news", data],
        "update": [data],
        "remove-label": ["spam"],
    }
    error = one_line(run_cli(command, *arguments[command], "-o", "mine", cwd=place))
    assert "mine holds files that are no model's (notes.txt); choose another folder" in error
    assert content(place / "mine") == {"notes.txt": b"notes"}


def test_a_changed_model_says_which_one_it_replaces(tmp_path):
    shutil.copytree(GOLDEN / "tuned-both-three" / "model", tmp_path / "lmclassify-model")
    first = run_cli("remove-label", "3", "-o", "new", cwd=tmp_path).stderr.decode()
    assert first == "model written to new, 2 labels\n"
    second = run_cli("remove-label", "3", cwd=tmp_path).stderr.decode()
    assert second.startswith("model written to ./lmclassify-model, 2 labels, replacing the one of 20")
    assert "(labels 1, 2, 3; " in second


def test_a_model_without_training_record_has_no_number_of_texts(place):
    (place / "named" / "training.jsonl").unlink()
    found = OldModel.find(str(place / "named"))
    assert found is not None
    assert str(found).endswith("(labels ham, spam)")
