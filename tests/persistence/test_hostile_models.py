"""Malicious model folders are refused quickly, in one line that names the file. Nothing in them is run or followed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import lmclassify
from lmclassify import LMClassifier, ModelError, OutputError
from lmclassify.errors import shorten
from lmclassify.persistence import layout
from lmclassify.persistence.reading import read_model
from tests.conftest import ROOT, SMALL, bundled
from tests.persistence import fuzz_models


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A model of a few thousand bytes; tests must not change it."""
    folder = tmp_path_factory.mktemp("small") / "model"
    tiny = {**SMALL, "max_epochs": 1, "num_lstm_units": 2, "embedding_dim": 2, "vocab_size": 5}
    LMClassifier(**tiny, tokenizer="word").fit(*bundled(limit=24)).save(folder)
    return folder


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "model"))


def refused(folder: Path, name: str, why: str = "") -> None:
    """Check that loading a folder is refused, in one line that names a file and the reason."""
    with pytest.raises(ModelError) as caught:
        lmclassify.load(folder)
    assert re.search(re.escape(str(folder / name)) + " .*" + why, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(folder))


def signed(folder: Path, change=lambda config: None, *, files: dict[str, bytes] | None = None) -> None:
    """Change files and config.json as somebody who knows the format would: sizes and checksums fit."""
    config = json.loads((folder / "config.json").read_text())
    change(config)
    for name, content in (files or {}).items():
        (folder / name).write_bytes(content)
        for entry in config["files"]:
            if entry["name"] == name:
                entry.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    text = (json.dumps(config, indent=1) + "\n").encode()
    (folder / "config.json").write_bytes(layout.with_correct_checksum(text))


def test_every_changed_byte_is_detected(folder):
    """A bit is flipped in every third byte, and each file is truncated at every 24th byte."""
    for path in sorted(folder.iterdir()):
        if path.name == "training.jsonl":
            continue
        content = path.read_bytes()
        damaged = bytearray(content)
        with open(path, "r+b", buffering=0) as file:
            for at in range(0, len(content), 3):
                damaged[at] ^= 1 << at % 8
                os.pwrite(file.fileno(), damaged[at : at + 1], at)
                with pytest.raises(ModelError, match=re.escape(str(path))):
                    read_model(folder)
                damaged[at] = content[at]
                os.pwrite(file.fileno(), damaged[at : at + 1], at)
            for size in range(len(content) - 1, -1, -24):
                os.truncate(path, size)
                with pytest.raises(ModelError, match=re.escape(str(path))):
                    read_model(folder)
        path.write_bytes(content)
    assert lmclassify.load(folder)


def test_swapped_files_are_detected(folder):
    names = sorted(path.name for path in folder.iterdir() if path.name != "training.jsonl")
    for first, second in combinations(names, 2):
        contents = {name: (folder / name).read_bytes() for name in (first, second)}
        (folder / first).write_bytes(contents[second])
        (folder / second).write_bytes(contents[first])
        with pytest.raises(ModelError, match=f"{re.escape(first)}|{re.escape(second)}"):
            lmclassify.load(folder)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    signed(folder, lambda config: config["files"][1].update(name="3.safetensors"))
    refused(folder, "config.json", "list of files is invalid")  # one file twice: often read, if often named


def special_files(path: Path) -> dict[str, object]:
    return {
        "link": lambda: path.symlink_to("/etc/passwd"),
        "link to nothing": lambda: path.symlink_to(path.parent / "nothing"),
        "link to a device": lambda: path.symlink_to("/dev/zero"),
        "link to itself": lambda: path.symlink_to(path),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "socket": lambda: socket.socket(socket.AF_UNIX).bind(path.name),
    }


@pytest.mark.parametrize("kind", [*special_files(Path("x"))])
@pytest.mark.parametrize("name", ["config.json", "2.safetensors", "training.jsonl"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_only_regular_files_are_read_or_replaced(folder, name, kind, monkeypatch):
    """A link may lead anywhere, and a pipe keeps its reader waiting."""
    monkeypatch.chdir(folder)  # the path of a socket must be short
    model = lmclassify.load(folder)
    (folder / name).unlink()
    special_files(folder / name)[kind]()
    if name == "training.jsonl":
        assert lmclassify.load(folder).training == []
    else:
        refused(folder, name, "plain files")
    with pytest.raises(OutputError, match=f"files that are no model's .{re.escape(name)}."):
        model.save(folder)
    assert os.path.lexists(folder / name)


def test_a_writer_follows_no_link_out_of_the_folder(folder, tmp_path):
    """A link to a file that looks like a model's file is not one, either."""
    model = lmclassify.load(folder)
    for name in ("training.jsonl", "config.json", "9.json"):
        outside = tmp_path / "outside"
        outside.write_text('{"lmclassify": "the only copy"}')
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside)
        with pytest.raises(OutputError, match="files that are no model's"):
            model.save(folder)
        assert outside.read_text() == '{"lmclassify": "the only copy"}'
        (folder / name).unlink()
    model.save(folder)
    (tmp_path / "link").symlink_to(folder)
    model.save(tmp_path / "link")  # the folder itself may be one
    assert lmclassify.load(tmp_path / "link").training == model.training


def test_wrong_sizes_are_refused(folder):
    for size in (0, 1, 1 << 40, (1 << 48) - 1):
        signed(folder, lambda config, size=size: config["files"][1].update(size=size))
        refused(folder, "2.safetensors", "size or checksum")
    signed(folder, lambda config: config["files"][1].update(size=1 << 33))
    os.truncate(folder / "2.safetensors", 1 << 33)
    if (folder / "2.safetensors").stat().st_blocks * 512 < 1 << 30:  # not where holes are filled
        refused(folder, "2.safetensors", "nearly all of it is missing")


MANY = b",".join(b'"x%d":1.5' % number for number in range(1_000_000))
BOMBS = {
    "config of brackets": ("config.json", lambda content: b"[" * (1 << 26)),
    "config of lists": ("config.json", lambda content: b"[" + b"[]," * (1 << 24) + b"1]"),
    "config of as much as it may hold": ("config.json", lambda content: b'{"x":{' + MANY + b'},' + content[1:]),
    "config that is large": ("config.json", lambda content: content + b" " * (1 << 27)),
    "tokenizer of brackets": ("1.json", lambda content: b'{"lmclassify":' + b'{"":' * (1 << 22)),
    "tokenizer of many tokens": ("1.json", lambda content: content.replace(b'"tokens":[', b'"tokens":[' + b'"ab",' * (1 << 24))),
    "tokenizer of as much as it may hold": ("1.json", lambda content: content.replace(b'"tokens":[', b'"tokens":[' + re.sub(b":1.5", b"", MANY) + b",")),
    "tokenizer of a long token": ("1.json", lambda content: content.replace(b'"tokens":["', b'"tokens":["' + b"ab" * (1 << 22))),
    "header of brackets": ("2.safetensors", lambda content: (1 << 24).to_bytes(8, "little") + b"[" * (1 << 24)),
    "header of lists": ("2.safetensors", lambda content: (1 << 20).to_bytes(8, "little") + b'{"":[' + b"[]," * (1 << 20)),
    "header that goes on": ("2.safetensors", lambda content: ((1 << 64) - 1).to_bytes(8, "little") + content[8:]),
    "shape without end": ("2.safetensors", lambda content: re.sub(rb'"shape":\[\d+', b'"shape":[99', content, count=1)),
    "training record": ("training.jsonl", lambda content: content + b"[]\n" * (1 << 24)),
}  # fmt: skip


HARMLESS = ("tokenizer of a long token", "training record")
"""With these a model works; an invalid training record is ignored."""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is told otherwise there")
@pytest.mark.parametrize("bomb", BOMBS)
def test_files_that_would_take_much_time_or_memory_are_refused(folder, bomb):
    """In a process of its own: takes 200 MB more than usual at most, and seconds, even on a busy machine."""
    name, change = BOMBS[bomb]
    usual = cost_of_loading(folder)
    content = change((folder / name).read_bytes())
    if name == "config.json":
        (folder / name).write_bytes(content)
    else:
        signed(folder, files={name: content})
    said, seconds, megabytes = cost_of_loading(folder)
    assert said.startswith(str(folder / name)) is (bomb not in HARMLESS), said
    assert seconds < 10
    assert megabytes - usual[2] < 200


def cost_of_loading(folder: Path) -> tuple[str, float, float]:
    """Return what loading a folder in a new process says, its seconds, and the process's peak memory in MB."""
    program = (
        "import re, sys, time, lmclassify\n"
        "from lmclassify.classify.model import load\n"
        "started, said = time.perf_counter(), ''\n"
        "try: load(sys.argv[1])\n"
        "except lmclassify.ModelError as error: said = str(error)\n"
        "seconds, status = time.perf_counter() - started, open('/proc/self/status').read()\n"
        "print(said, seconds, int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) / 1e3, sep='\\n')"
    )  # of the peak, getrusage tells the parent's if that was larger
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    said, seconds, megabytes = done.stdout.splitlines()
    return said, float(seconds), float(megabytes)


def replaced(content: bytes, **changed: np.ndarray) -> bytes:
    return safetensors.numpy.save(safetensors.numpy.load(content) | changed, {"lmclassify": "lm"})


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("1.json", lambda content: content.replace(b'"word"', b'"regex"'), "unknown kind"),
        ("1.json", lambda content: content.replace(b'"tokens":["', b'"tokens":["\\ud800'), "surrogates"),
        ("1.json", lambda content: content.replace(b'"merges":[]', b'"merges":["ab"]'), "not a pair"),
        ("1.json", lambda content: content.replace(b"{", b'{"normalizer":{"type":"Replace"},', 1), "unexpected entries"),
        ("2.safetensors", lambda content: replaced(content, **{"output.bias": np.full(9, np.nan, np.float32)}), "not finite"),
        ("2.safetensors", lambda content: replaced(content, **{"output.bias": np.full(9, 1e30, np.float32)}), "too large"),
        ("2.safetensors", lambda content: replaced(content, **{"output.bias": np.zeros(9, np.int64)}), "is int64"),
        ("2.safetensors", lambda content: replaced(content, **{"output.bias": np.zeros((9, 0), np.float32)}), "expected float32"),
        ("2.safetensors", lambda content: replaced(content, extra=np.zeros(3, np.float32)), "unexpected or missing"),
        ("2.safetensors", lambda content: content[:8] + b"[" * 200 + content[208:], "no usable model"),
        ("4.safetensors", lambda content: replaced(content, codes=np.full(4, 7, np.int32)), "no usable model"),
    ],
)  # fmt: skip
def test_invalid_content_with_a_correct_checksum_is_refused(folder, name, change, why):
    signed(folder, files={name: change((folder / name).read_bytes())})
    refused(folder, name, why)


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "\ud800"],
        ["a", "b\0"],
        [1, 10**30],
        [1.0, float("inf")],
        [False, None],
        [],
        ["a", "b" * (1 << 23) + "b"],
        [["a"], ["b"]],
    ],
    ids=shorten,
)
def test_labels_that_could_not_be_predicted_are_refused(folder, labels):
    signed(folder, lambda config: config.update(labels=labels))
    refused(folder, "config.json")


def test_labels_do_not_become_file_names(tmp_path, monkeypatch):
    """What a CSV cell may hold is a label; see `tests/cli/test_hostile_text.py` for what a terminal gets."""
    labels = [
        "../../up",
        "/etc/passwd",
        "new\nline",
        "\x1b[31mred",
        "\u202eright to left",
        "config.json",
        " ",
    ]
    texts = [f"{word} {number}" for word in "abcdefg" for number in range(4)]
    classifier = LMClassifier(**{**SMALL, "max_epochs": 1}).fit(texts, np.repeat(labels, 4))
    monkeypatch.chdir(tmp_path)
    classifier.save("model")
    assert os.listdir(tmp_path) == ["model"]
    assert all(
        re.fullmatch(r"\d+\.(json|safetensors)|config.json|training.jsonl", name)
        for name in os.listdir("model")
    )
    loaded = lmclassify.load("model")
    assert loaded.classes_.tolist() == sorted(labels)
    assert set(loaded.predict(texts)) <= set(labels)
    assert loaded.training == classifier.model_.training
    with pytest.raises(lmclassify.OptionError) as caught:
        loaded.label_named("none")
    assert "\x1b" not in lmclassify.errors.printable(str(caught.value))


def test_word_ngrams_without_pairs_are_refused(golden_tuned, tmp_path):
    """Variants of disguised texts look up pairs of words."""
    golden_tuned.save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (name,) = [entry["name"] for entry in config["files"] if entry["role"] == "ngrams"]
    arrays = safetensors.numpy.load((tmp_path / "model" / name).read_bytes())
    (pairs,) = [key for key in arrays if key.endswith(".word.2")]
    arrays[pairs.replace(".word.2", ".word.1")] = arrays.pop(pairs)
    signed(tmp_path / "model", files={name: safetensors.numpy.save(arrays, {"lmclassify": "ngrams"})})
    refused(tmp_path / "model", "config.json", "no n-gram model of words and pairs of words")


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "fit", "started": "\x1b[31m", "seconds": 1.0, "texts": 1, "texts_cut": 0},
        {"kind": "label", "label": "ham"},
        {
            "kind": "label",
            "label": ["ham"],
            "training_texts": 1,
            "validation_texts": 1,
            "epochs": 1,
            "best_epoch": 1,
        },
        {"kind": "epoch", "label": "ham", "epoch": "1", "training_loss": 1.0, "validation_loss": None},
        {"kind": 3},
        "kind",
    ],
    ids=shorten,
)
def test_an_invalid_training_record_is_ignored(folder, entry):
    assert lmclassify.load(folder).training != []
    with open(folder / "training.jsonl", "a") as file:
        file.write(json.dumps(entry) + "\n")
    assert lmclassify.load(folder).training == []


def test_some_random_changes_with_correct_checksums(small, tmp_path):
    """See `tests.persistence.fuzz_models`, which makes them."""
    wrong = fuzz_models.run(100, tmp_path, [read_model(small)])
    assert re.fullmatch(r"refused \d+, works \d+", wrong.pop(-1))
    assert wrong == {}


@pytest.mark.long
def test_many_random_changes_with_correct_checksums(tmp_path):
    started = time.monotonic()
    wrong = fuzz_models.run(4000, tmp_path, fuzz_models.seeds(), first=1_000_000)
    assert re.fullmatch(r"refused [\d,]+, works \d+", wrong.pop(-1))
    assert wrong == {}, time.monotonic() - started
