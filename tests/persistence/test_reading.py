"""Reading saved models: complete or refused with a message that names the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import lmclassify
from lmclassify import ModelError
from lmclassify.persistence import layout


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_damaged_file_is_named(folder):
    for name in names(folder):
        if name == "training.jsonl":
            continue
        content = (folder / name).read_bytes()
        for other in (b"", content[:-1], content + b"\n"):
            (folder / name).write_bytes(other)
            with pytest.raises(ModelError, match=name.replace(".", r"\.")):
                lmclassify.load(folder)
        (folder / name).unlink()
        with pytest.raises(ModelError, match=name.replace(".", r"\.")):
            lmclassify.load(folder)
        (folder / name).write_bytes(content)
    assert lmclassify.load(folder)


@pytest.mark.parametrize(
    "damage", [None, b"", b"{", b"[]\n", b'{"lmclassify": "another"}\n{"kind": "fit"}\n']
)
def test_a_damaged_training_record_is_ignored(folder, damage):
    if damage is None:
        (folder / "training.jsonl").unlink()
    else:
        (folder / "training.jsonl").write_bytes(damage)
    assert lmclassify.load(folder).training == []


def resigned(folder: Path, change) -> None:
    """Change config.json and correct its checksum."""
    config = json.loads((folder / "config.json").read_text())
    change(config)
    config["checksum"] = layout.config_checksum(config)
    (folder / "config.json").write_bytes(layout.render_config(config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.update(format_version=5), "newer lmclassify made this model.*upgrade"),
        (
            lambda config: config.update(format_version=3),
            "an older lmclassify made this model.*fit the model again",
        ),
        (lambda config: config.update(format_version="4"), "damaged"),
        (lambda config: config.update(format="other"), "not the config of an lmclassify model"),
        (lambda config: config["files"][1].update(name="../2.safetensors"), "lists a file named"),
        (lambda config: config["files"][1].update(name="/etc/passwd"), "lists a file named"),
        (lambda config: config["files"][1].update(name=3), "list of files is invalid"),
        (lambda config: config["files"][1].pop("size"), "list of files is invalid"),
        (lambda config: config["files"][1].update(size="1"), "list of files is invalid"),
        (lambda config: config["files"][1].update(size=10**30), "list of files is invalid"),
        (lambda config: config.pop("files"), "list of files is invalid"),
        (lambda config: config.pop("next_number"), "list of files is invalid"),
        (lambda config: config.update(labels="ab"), "no usable model"),
        (lambda config: config.update(labels=["ham", "ham"]), "no usable model"),
        (lambda config: config.update(labels=["spam", "ham"]), "no usable model"),
        (lambda config: config.update(labels=["ham", 1]), "no usable model"),
        (lambda config: config["settings"].update(lowercase=3), "no usable model"),
        (lambda config: config["files"].pop(1), "no usable model"),
        (lambda config: config["files"].pop(0), "no usable model"),
        (lambda config: config["files"][2].update(label=0), "no usable model"),
        (lambda config: config["labels"].append("eggs"), "no usable model"),
        (lambda config: config.update(log_priors=[0.0]), "no usable model"),
        (lambda config: config["settings"].update(dropout=7), "no usable model"),
        (lambda config: config["settings"].update(surprise=1), "no usable model"),
        (lambda config: config.pop("settings"), "no usable model"),
    ],
)
def test_an_invalid_config_is_refused(folder, change, message):
    resigned(folder, change)
    with pytest.raises(ModelError, match=message):
        lmclassify.load(folder)


def test_a_missing_model_is_reported(tmp_path):
    with pytest.raises(ModelError, match="no model at .*lmclassify fit"):
        lmclassify.load(tmp_path / "nothing")
    with pytest.raises(ModelError, match=r"holds no model \(it has no config.json\)"):
        lmclassify.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="is a file; a model is a folder"):
        lmclassify.load(tmp_path / "file")
