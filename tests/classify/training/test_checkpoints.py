"""Checkpoints: a killed fit resumes and gives the same model as one that was not killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from lmclassify.classify.training.checkpoints import Checkpoints
from lmclassify.errors import ModelError, OptionError, OutputError
from lmclassify.persistence.commit import check_target
from lmclassify.persistence.reading import read_model
from tests.conftest import SMALL, TUNED, bundled, run_cli, trainer

TEXTS, LABELS = bundled(limit=40)
PLAIN = {**SMALL, "max_epochs": 3, "direction": "both", "num_lstm_units": 6}


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def fit(folder, settings, *, resume=False, kill_at=None, say=lambda line: None, texts=TEXTS):
    """Fit and save; the callback kills it at its kill_at-th call. Return the arguments of all calls."""
    told = []

    def callback(label, record):
        told.append((str(label), record.epoch))
        if len(told) == kill_at:
            raise Killed

    parameters = {**settings, "n_jobs": 1, "callback": callback}
    with Checkpoints(folder, resume=resume, say=say, seconds_between=0.0) as checkpoints:
        trainer(parameters, checkpoints=checkpoints).fit(texts, LABELS).save(folder)
    return told


@pytest.mark.parametrize(
    "settings", [PLAIN, pytest.param(TUNED, marks=pytest.mark.long)], ids=["plain", "tuned"]
)
def test_a_killed_fit_resumes_from_its_last_epoch_and_gives_the_same_model(tmp_path, settings):
    told = fit(tmp_path / "whole", settings)
    whole = read_model(tmp_path / "whole")
    assert not (tmp_path / "whole" / "unfinished").exists()
    for at in {2, len(told) // 2, len(told) - 1}:
        folder = tmp_path / f"killed at {at}"
        with pytest.raises(Killed):
            fit(folder, settings, kill_at=at)
        with pytest.raises(ModelError, match="its fit was not finished: .* --resume"):
            read_model(folder)
        if at == len(told) // 2:  # and once more
            with pytest.raises(Killed):
                fit(folder, settings, resume=True, kill_at=len(told) - 2)
        trained, save = [], Checkpoints.save

        def counting(self, number, state, *, finished, trained=trained, save=save):
            trained.append(number)
            save(self, number, state, finished=finished)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Checkpoints, "save", counting)
            again = fit(folder, settings, resume=True)
        assert sorted(again) == sorted(told)  # progress shows the restored epochs, too
        assert len(trained) == (2 if at == len(told) // 2 else len(told) - at)
        found = read_model(folder)
        assert found.config == whole.config
        assert found.files == whole.files
        assert not (folder / "unfinished").exists()


@pytest.fixture
def unfinished(tmp_path):
    with pytest.raises(Killed):
        fit(tmp_path / "model", PLAIN, kill_at=4)
    return tmp_path / "model"


def test_another_fit_is_not_resumed(unfinished):
    said = []
    with pytest.raises(OptionError, match="unfinished fit with different learning_rate, seed, texts: "):
        other = {**PLAIN, "learning_rate": 0.1, "random_state": 1}
        fit(unfinished, other, resume=True, texts=[*TEXTS[:-1], "other"])
    fit(unfinished, PLAIN, resume=True, say=said.append)  # it is still there
    assert said[0].startswith("resuming an unfinished fit")


@pytest.mark.parametrize("resume", [True, False])
def test_an_error_before_anything_is_replaced_leaves_an_unfinished_fit(unfinished, resume):
    with pytest.raises(OptionError, match="class_prior must name every label"):
        fit(unfinished, {**PLAIN, "class_prior": {"spam": 1.0}}, resume=resume)
    said = []
    fit(unfinished, PLAIN, resume=True, say=said.append)
    assert said[0].startswith("resuming an unfinished fit")


@pytest.mark.parametrize("name", ["novel.txt", "1.safetensors", "fit.json"])
def test_a_folder_of_that_name_that_is_not_ours_is_refused_and_left(tmp_path, name):
    folder = tmp_path / "model" / "unfinished"
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")
    with pytest.raises(OutputError, match="holds files that are no model's .unfinished."):
        check_target(tmp_path / "model")
    assert (folder / name).read_text() == "mine"


def test_pipes_and_links_among_checkpoints_are_not_followed(unfinished, tmp_path):
    (unfinished / "unfinished" / "1.safetensors").unlink()
    os.mkfifo(unfinished / "unfinished" / "1.safetensors")
    with pytest.raises(OutputError, match="holds files that are no model's"):
        check_target(unfinished)
    said = []
    with Checkpoints(unfinished, resume=True, say=said.append) as checkpoints:
        assert checkpoints.load(1) is None
    assert said == ["checkpoint 1 is damaged: its language model is trained from the start"]


def test_without_resume_an_unfinished_fit_is_replaced(unfinished, tmp_path):
    said = []
    fit(unfinished, {**PLAIN, "learning_rate": 0.01}, say=said.append)
    assert said[0].startswith("replacing an unfinished fit")
    fit(tmp_path / "other", {**PLAIN, "learning_rate": 0.01})
    assert read_model(unfinished).files == read_model(tmp_path / "other").files


def test_resume_without_an_unfinished_fit_starts_one(tmp_path):
    said = []
    fit(tmp_path / "model", PLAIN, resume=True, say=said.append)
    assert said == [f"no unfinished fit in {tmp_path / 'model'}: starting a new one"]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_checkpoint_is_trained_again(unfinished, tmp_path, damage):
    fit(tmp_path / "whole", PLAIN)
    path = unfinished / "unfinished" / "1.safetensors"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes({"flip": bytes(content), "cut": bytes(content[:-200]), "empty": b""}[damage])
    said = []
    fit(unfinished, PLAIN, resume=True, say=said.append)
    assert "checkpoint 1 is damaged: its language model is trained from the start" in said
    assert read_model(unfinished).files == read_model(tmp_path / "whole").files


def test_one_fit_at_a_time(tmp_path):
    folder = tmp_path / "model"
    with Checkpoints(folder), pytest.raises(OutputError, match="another fit is training for .*model"):
        fit(folder, PLAIN)
    assert not folder.exists() or not any(folder.iterdir())
    fit(folder, PLAIN)


def test_a_full_disk_does_not_end_a_fit(tmp_path, monkeypatch):
    said = []

    def fail(*_):
        raise OSError(28, "No space left on device")

    with Checkpoints(tmp_path / "model", say=said.append, seconds_between=0.0) as checkpoints:
        monkeypatch.setattr(os, "fsync", fail)
        trainer(PLAIN, checkpoints=checkpoints).fit(TEXTS, LABELS)
        monkeypatch.undo()
    (line,) = said
    assert line.startswith("note: no more checkpoints are written, training continues (cannot write ")
    assert line.endswith("No space left on device)")


def test_an_error_before_the_first_epoch_leaves_nothing_behind(tmp_path):
    with pytest.raises(Killed), Checkpoints(tmp_path / "new" / "model") as checkpoints:
        checkpoints.begin({"seed": 0})
        raise Killed
    assert not (tmp_path / "new" / "model").exists()


@pytest.mark.long
def test_a_killed_command_resumes(tmp_path):
    command = ["fit", "--max-epochs", "4", "-o"]
    assert run_cli(*command, "whole", cwd=tmp_path).returncode == 0
    whole = read_model(tmp_path / "whole")
    for kills in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "lmclassify", *command, "killed", "--resume", "--threads", "1"],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )
        if kills < 3:
            seen = set(_states(tmp_path))
            while process.poll() is None and set(_states(tmp_path)) <= seen:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert process.wait() in (0, -signal.SIGKILL)
    assert read_model(tmp_path / "killed").files == whole.files


def _states(folder):
    return [(path.name, path.stat().st_mtime_ns) for path in folder.glob("killed/unfinished/*.safetensors")]
