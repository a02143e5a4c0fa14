"""Writing saved models: layout, replacement of an existing model, and failures."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lmclassify
from lmclassify import LMClassifier, OutputError
from lmclassify.persistence.commit import check_target, write_model
from lmclassify.persistence.layout import StoredModel
from lmclassify.persistence.reading import read_model
from tests.conftest import GOLDEN, bundled

TEXTS, LABELS = bundled(limit=100)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_loaded_model_has_bit_identical_scores(classifier, saved):
    for loaded in (lmclassify.load(saved), LMClassifier.load(saved)):
        assert np.array_equal(
            loaded.predict_joint_log_proba(TEXTS), classifier.predict_joint_log_proba(TEXTS)
        )
        assert loaded.suggest("Your") == classifier.suggest("Your")
    assert lmclassify.load(saved).training == classifier.model_.training


def test_saving_again_gives_the_same_bytes(classifier, saved, tmp_path):
    lmclassify.load(saved).save(tmp_path / "again")
    for name in names(saved):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_layout(saved):
    config = json.loads((saved / "config.json").read_text())
    parts = ["1.json", *(f"{number}.safetensors" for number in range(2, 5))]
    assert names(saved) == [*parts, "config.json", "training.jsonl"]
    assert [(file["role"], file.get("label")) for file in config["files"]] == [
        ("tokenizer", None),
        ("lm", 0),
        ("lm", 1),
        ("held-out", None),
    ]
    assert config["labels"] == ["ham", "spam"]
    text = "".join(path.read_text(errors="replace") for path in saved.iterdir())
    assert not any(subject in text for subject in bundled(limit=300)[0] if " " in subject)


def changed(model: StoredModel, *roles: str) -> StoredModel:
    """Return a model in which the files of these roles, or all files, have other content."""
    files = [
        replace(file, content=file.content + b" ") if file.role in roles or not roles else file
        for file in model.files
    ]
    return replace(model, files=files)


def test_unchanged_files_are_kept(classifier, folder):
    before = {name: (folder / name).stat().st_mtime_ns for name in names(folder)}
    classifier.save(folder)
    after = {name: (folder / name).stat().st_mtime_ns for name in names(folder)}
    assert set(after) == set(before)
    assert {name for name in after if after[name] != before[name]} == {"config.json", "training.jsonl"}
    write_model(folder, changed(read_model(folder), "held-out"))
    assert names(folder) == sorted({*before, "9.safetensors"} - {"4.safetensors"})
    (folder / "2.safetensors").write_bytes((folder / "2.safetensors").read_bytes()[:-1] + b"?")
    classifier.save(folder)
    assert lmclassify.load(folder)


def test_file_numbers_are_never_reused(classifier, folder):
    model = read_model(folder)
    for first in (7, 13):  # two numbers go to the drafts of config.json and training.jsonl
        model = changed(model)
        write_model(folder, model)
        parts = [f"{first}.json", *(f"{number}.safetensors" for number in range(first + 1, first + 4))]
        assert names(folder) == sorted([*parts, "config.json", "training.jsonl"])
    (folder / "40.safetensors").write_bytes(b'{"lmclassify": left behind by a crash')
    classifier.save(folder)
    assert "41.json" in names(folder)
    assert "40.safetensors" not in names(folder)
    assert lmclassify.load(folder)


def test_a_folder_with_other_files_is_refused(classifier, tmp_path):
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(OutputError, match=r"files that are no model's \(thesis.txt\)"):
        classifier.save(tmp_path)
    assert names(tmp_path) == ["thesis.txt"]
    with pytest.raises(OutputError, match="is a file"):
        classifier.save(tmp_path / "thesis.txt")


@pytest.mark.parametrize("name", ["config.json", "1.json", "2.safetensors", "training.jsonl"])
def test_files_of_another_program_are_not_replaced(classifier, tmp_path, name):
    (tmp_path / name).write_text('{"theirs": true}')
    with pytest.raises(OutputError, match="files that are no model's"):
        classifier.save(tmp_path)
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_text() == '{"theirs": true}'


def test_files_of_a_crashed_first_write_are_replaced(classifier, saved, tmp_path):
    for name in ("1.json", "2.safetensors"):
        shutil.copy(saved / name, tmp_path)
    (tmp_path / "3.safetensors").write_bytes(b"")
    classifier.save(tmp_path)
    assert "1.json" not in names(tmp_path)
    assert lmclassify.load(tmp_path)


def test_an_unwritable_target_is_reported_before_any_work(tmp_path):
    for place in ("/proc/x/model", "/dev/null/model", tmp_path / ("x" * 300)):
        with pytest.raises(OutputError, match="cannot write the model to|is a file"):
            check_target(place)
    assert check_target(tmp_path / "a" / "b" / "model") == tmp_path / "a" / "b" / "model"
    assert os.listdir(tmp_path) == []


def test_an_error_after_the_commit_is_harmless(folder, monkeypatch):
    old = read_model(folder)
    calls = []

    def fail_at_the_second(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        replace_file(source, target)

    replace_file = os.replace
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail_at_the_second)
        write_model(folder, old)
    assert [path.name for path in calls] == ["config.json", "training.jsonl"]
    assert read_model(folder) == old


def test_writers_wait_for_one_another(folder):
    """Several threads write at once: none fails, and the folder holds one of their models."""
    old = read_model(folder)

    def write(name: str) -> None:
        for _ in range(20):
            write_model(folder, StoredModel({**old.config, "labels": [name]}, old.files))

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(write, name) for name in "abc"]:
            done.result()
    found = read_model(folder)
    assert found.config["labels"] in (["a"], ["b"], ["c"])
    assert len(names(folder)) == len(old.files) + 2


def test_a_reader_sees_the_old_model_or_the_new_one(folder):
    """While one thread writes repeatedly, another never reads a damaged model."""
    old = read_model(folder)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            write_model(folder, old)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            assert read_model(folder).config == old.config
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize(
    ("call", "at"), [("fsync", 1), ("fsync", 3), ("fsync", 4), ("fsync", 5), ("replace", 1)]
)
def test_a_failing_disk_leaves_the_old_model(folder, monkeypatch, call, at):
    before = {name: (folder / name).read_bytes() for name in names(folder)}
    old = read_model(folder)
    calls = []

    def fail(*_):
        calls.append(1)
        if len(calls) % at == 0:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OutputError, match="cannot write the model to .*: No space left on device"):
            write_model(folder, changed(old))
        with pytest.raises(OutputError, match="No space left"):
            write_model(folder.parent / "new", old)
    assert {name: (folder / name).read_bytes() for name in names(folder)} == before
    assert not (folder.parent / "new").exists()


def test_a_parent_that_is_a_file_is_reported(classifier, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the model|is a file"):
        classifier.save(tmp_path / "file" / "model")


def test_files_are_not_executable(saved):
    for path in saved.iterdir():
        assert not path.stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def test_using_a_model_imports_neither_torch_nor_scikit_learn(saved):
    program = (
        "import sys, lmclassify\n"
        "model = lmclassify.load(sys.argv[1])\n"
        "model.predict(['a']), model.predict_proba(['a']), model.suggest('a'), model.perplexity(['a'], 'spam')\n"
        "model.save(sys.argv[2])\n"
        "print(sorted({'torch', 'sklearn', 'scipy', 'pandas', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, saved, saved.parent / "copy"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["plain", "plain-both", "tuned", "tuned-both-three"])
def test_a_model_of_version_0_7_is_saved_again_byte_for_byte(name, tmp_path):
    golden = GOLDEN / name / "model"
    lmclassify.load(golden).save(tmp_path / "model")
    assert names(tmp_path / "model") == names(golden)
    for file in names(golden):
        if file != "training.jsonl":
            assert (tmp_path / "model" / file).read_bytes() == (golden / file).read_bytes()
