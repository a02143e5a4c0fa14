"""`lmclassify refit` as a user runs it."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest

import lmclassify
from lmclassify import FittedModel, LMClassifier
from lmclassify.classify.online.folder import LearningFolder
from tests.cli.helpers import one_line
from tests.conftest import bundled, run_cli

TEXTS, LABELS = bundled(limit=60)
TAUGHT, TAUGHT_LABELS = (part[60:] for part in bundled(limit=66))


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    return LMClassifier(recipe="ngram", vectors="none", random_state=0).fit(TEXTS, LABELS).model_


@pytest.fixture
def folder(fitted: FittedModel, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "lmclassify-model")
    with open(tmp_path / "data.csv", "w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(TEXTS, LABELS, strict=True)])
    return tmp_path / "lmclassify-model"


def teach(folder: Path, count: int) -> None:
    learner = LearningFolder(folder)
    for text, label in zip(TAUGHT[:count], TAUGHT_LABELS, strict=False):
        learner.learn(text, label)


def said(*arguments: object, cwd: Path) -> str:
    done = run_cli("refit", *arguments, cwd=cwd)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr.decode()
    return done.stderr.decode()


def test_keeping_is_switched_on_and_off(folder, tmp_path):
    before = (folder / "config.json").read_bytes()
    assert said("--keep", 0, cwd=tmp_path) == "./lmclassify-model keeps no texts\n"
    line = "./lmclassify-model keeps the latest 5 texts that it is taught from now on, {} so far{}\n"
    assert said("--keep", 5, cwd=tmp_path) == line.format(0, "")
    teach(folder, 3)
    assert said("--keep", 5, cwd=tmp_path) == line.format(3, "")
    assert said("--keep", 2, cwd=tmp_path) == line.replace("5", "2").format(2, "; 1 text deleted")
    (path,) = folder.glob("*.texts")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert TAUGHT[2].encode() in path.read_bytes()
    assert said("--keep", 0, cwd=tmp_path) == "./lmclassify-model keeps no texts; 2 texts deleted\n"
    assert not path.exists()
    assert (folder / "config.json").read_bytes() == before


def test_a_refit_with_the_training_data(folder, tmp_path):
    said("--keep", 100, cwd=tmp_path)
    teach(folder, 4)
    lines = said("data.csv", cwd=tmp_path).splitlines()
    assert (
        "fitting 64 texts: 60 of the data, 0 of them with the label that they were taught, and 4 more that "
        "were kept" in lines
    )
    assert lines[-1].startswith("model written to ./lmclassify-model, replacing the one of ")
    model = lmclassify.load(folder)
    assert (model.settings.recipe, model.settings.vectors) == ("ngram", "none")
    assert model.training_entries("fit")[0]["texts"] == 64
    learner = LearningFolder(folder)
    assert [kept.text for kept in learner.texts.texts()] == TAUGHT[:4]
    assert len(learner.model.lessons.taught) == 4


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "keeps no texts: name the training data, or let it keep"),
        (("--keep", "5", "data.csv"), 2, "--keep only sets how many texts are kept"),
        (("--keep", "-1"), 2, "must be from 0 to 1,000,000, not -1"),
        (("few.csv",), 1, "not fitting 4 texts: the model was fitted on 60; name all training data, or add"),
        (("other.csv",), 1, "label 'other' of the data is not one of the model's: leave its rows out with "),
        (("missing.csv",), 1, "missing.csv"),
        (("data.csv", "-m", "nothing"), 1, "no model at nothing"),
        (("one.csv", "--force"), 1, "there is no text of label 'spam': name DATA that has some"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(folder, tmp_path, arguments, status, message):
    (tmp_path / "few.csv").write_text("text,label\nlunch,ham\nwin,spam\ntoday,ham\nfree,spam\n")
    (tmp_path / "one.csv").write_text("text,label\nlunch,ham\ntoday,ham\n")
    (tmp_path / "other.csv").write_text("text,label\nlunch,ham\nwin,spam\ntoday,other\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = run_cli("refit", *arguments, cwd=tmp_path)
    assert done.returncode == status
    assert message in done.stderr.decode().splitlines()[-1]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_kept_texts_alone_do_not_replace_a_model_of_many_texts(folder, tmp_path):
    said("--keep", 100, cwd=tmp_path)
    teach(folder, 6)
    done = run_cli("refit", cwd=tmp_path)
    assert done.returncode == 1
    assert (
        "not fitting 6 texts: the model was fitted on 60; name the training data, or add --force"
        in one_line(done)
    )
    said("--force", cwd=tmp_path)
    assert lmclassify.load(folder).training_entries("fit")[0]["files"] == ["kept texts"]


def test_lessons_that_would_be_lost_are_said(folder, tmp_path):
    teach(folder, 2)
    learner = LearningFolder(folder)
    learner.model.lessons = learner.model.lessons.with_labels([0, 1])
    with learner.locked():
        learner.replace(learner.model)
    done = run_cli("refit", "data.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "2 lessons would be lost: their texts are neither kept nor in the data" in done.stderr.decode()
    said("data.csv", "--force", cwd=tmp_path)
    assert not LearningFolder(folder).model.lessons.taught
