"""Writers that are killed, run out of disk space or run concurrently leave the old model or the new one, complete."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lmclassify
from lmclassify import FittedModel, LMClassifier, ModelError, OutputError
from lmclassify.classify.incremental.remove_label import remove_label
from lmclassify.classify.storage import to_stored
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.persistence.commit import write_model
from lmclassify.persistence.journal import model_state, replace_model
from lmclassify.persistence.layout import StoredModel
from lmclassify.persistence.reading import read_model
from tests.conftest import bundled
from tests.persistence.crashing import FINISHED, REFUSED, in_child, killed_at, limited, unprivileged


@pytest.fixture(scope="module")
def model(saved) -> FittedModel:
    return lmclassify.load(saved)


@pytest.fixture(scope="module")
def refitted(model) -> StoredModel:
    """A model that shares only the tokenizer's file with the saved one."""
    lms = [NumpyLanguageModel({k: v / 2 for k, v in lm.arrays.items()}) for lm in model.models]
    held_out = model.held_out.rows(np.arange(3))
    return to_stored(replace(model, models=lms, held_out=held_out, training=[{"kind": "other"}]))


@pytest.fixture(scope="module")
def smaller(model) -> StoredModel:
    """A model without one of the labels."""
    return to_stored(remove_label(model, "spam"))


def changed_model(saved: Path, command: str) -> StoredModel:
    """Return the model that a command makes of the saved one."""
    texts, labels = bundled(limit=40)
    classifier = LMClassifier.load(saved).set_params(random_state=0, n_jobs=1)
    if command == "update":
        classifier.update(texts, labels)
    else:
        classifier.add_label("notice", texts)
    return to_stored(classifier.model_)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.long
def test_a_writer_killed_at_any_disk_operation_leaves_a_complete_model(refitted, folder):
    """Before and after each open, sync, rename and removal. The training record is never lost either."""
    kill_at_every_change(folder, refitted)


@pytest.mark.long
@pytest.mark.parametrize("command", ["update", "add-label"])
def test_an_update_killed_at_any_disk_operation_leaves_a_complete_model(saved, folder, command):
    kill_at_every_change(folder, changed_model(saved, command))


def kill_at_every_change(folder: Path, new: StoredModel) -> None:
    whole, old = folder.parent / "whole", read_model(folder)
    shutil.copytree(folder, whole)
    found = []
    for moment in range(200):
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
        state = model_state(folder)
        killed = killed_at(moment, lambda: replace_model(folder, new, state))  # noqa: B023
        found.append(read_model(folder))
        assert found[-1] in (old, new)
        assert lmclassify.load(folder)
        write_model(folder, new)  # replaces what the crash left
        assert read_model(folder) == new
        assert len(names(folder)) == len(new.files) + 2
        if not killed:
            break
    assert not killed
    assert found[0] == old
    assert found[-1] == new
    assert len(found) > 20


@pytest.mark.long
def test_a_first_writer_killed_at_any_disk_operation_leaves_a_model_or_none(smaller, tmp_path):
    new, outcomes = smaller, set()
    for moment in range(200):
        folder = tmp_path / str(moment)
        killed = killed_at(moment, lambda: write_model(folder, new))  # noqa: B023
        try:
            assert read_model(folder) == new
            outcomes.add("new")
        except ModelError as error:
            outcomes.add(str(error).replace(str(folder), "FOLDER").split(" (")[0].split(": ")[0])
        write_model(folder, new)
        assert len(names(folder)) == len(new.files) + 2
        if not killed:
            break
    assert not killed
    assert outcomes == {"new", "no model at FOLDER", "FOLDER holds no model"}


@pytest.mark.long
def test_a_writer_killed_at_random_moments_leaves_a_complete_model(refitted, smaller, folder):
    models = [refitted, smaller, read_model(folder)]

    def write() -> None:
        while True:
            for model in models:
                write_model(folder, model)

    rng = random.Random(0)
    for _ in range(200):
        in_child(write, kill_after=rng.uniform(0.0, 0.03))
        assert read_model(folder) in models
        assert lmclassify.load(folder)
    write_model(folder, models[0])
    assert len(names(folder)) == len(models[0].files) + 2


@pytest.mark.parametrize("size", [0, 10, 500, 2000])
def test_a_full_disk_leaves_the_old_model(refitted, folder, size):
    before = contents(folder)
    other = refitted
    assert in_child(limited(size, lambda: write_model(folder, other))) == REFUSED
    assert in_child(limited(size, lambda: write_model(folder.parent / "new", other))) == REFUSED
    assert contents(folder) == before
    assert names(folder.parent) == ["model"]


def test_missing_permissions_leave_the_old_model(refitted, saved):
    with tempfile.TemporaryDirectory() as place:  # other users may enter it, unlike pytest's
        os.chmod(place, 0o755)
        folder = Path(shutil.copytree(saved, Path(place) / "model"))
        folder.chmod(0o555)
        before = contents(folder)
        new = refitted
        assert in_child(unprivileged(lambda: write_model(folder, new))) == REFUSED
        assert in_child(unprivileged(lambda: write_model(Path(place) / "new", new))) == REFUSED
        assert contents(folder) == before
        assert names(Path(place)) == ["model"]


def test_the_second_of_two_concurrent_updates_is_refused(refitted, smaller, folder):
    """Both have read the same model; the second would silently drop the changes of the first."""
    before = model_state(folder)

    def update(model: StoredModel) -> str:
        try:
            replace_model(folder, model, before)
        except OutputError as error:
            return str(error)
        return ""

    models = [refitted, smaller]
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(update, models))
    assert sorted(said) == ["", f"{folder} was changed by another process meanwhile: run this again"]
    assert read_model(folder) == models[said.index("")]


def test_concurrent_writers_of_a_new_folder(refitted, smaller, tmp_path):
    """Each checks whether it can write there, and removes what it created for that."""
    models = [refitted, smaller]
    for number in range(5):
        folder = tmp_path / str(number) / "model"
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(write_model, folder, model) for model in models]:
                done.result()
        assert read_model(folder) in models


def test_a_killed_writer_releases_its_lock(refitted, smaller, folder):
    """The lock ends with the process."""
    for moment in (0, 3, 8):
        assert killed_at(moment, lambda: write_model(folder, refitted))
        assert in_child(lambda: write_model(folder, smaller)) == FINISHED
    assert read_model(folder) == smaller
