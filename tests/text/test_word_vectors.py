"""Reading word vectors: wordllama's files, a model2vec folder, text files; and what is wrong with bad ones."""

from __future__ import annotations

import importlib
import json
import re

import numpy as np
import pytest
import safetensors.numpy
import tokenizers
from tokenizers import models, pre_tokenizers

from lmclassify.errors import OptionError
from lmclassify.text.word_vectors import load_word_vectors

TOKENS = ["<unk>", "▁good", "▁Paris", "▁paris", "▁London", "ly", "▁", "▁123", "!"]


def write_tokens(vectors, vocabulary, size=9):
    tokenizer = tokenizers.Tokenizer(
        models.WordPiece({t: i for i, t in enumerate(TOKENS)}, unk_token="<unk>")
    )
    tokenizer.model.continuing_subword_prefix = ""
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.enable_padding(length=32)  # as some models have it
    vocabulary.parent.mkdir(parents=True, exist_ok=True)
    vectors.parent.mkdir(parents=True, exist_ok=True)
    vocabulary.write_text(tokenizer.to_str(), encoding="utf-8")
    array = np.arange(1, 2 * size + 1).reshape(size, 2).astype(np.float16)
    safetensors.numpy.save_file({"embeddings": array}, vectors)
    return array.astype(np.float32)


def test_a_model2vec_folder(tmp_path):
    array = write_tokens(tmp_path / "model.safetensors", tmp_path / "tokenizer.json")
    for source in (str(tmp_path), f"model2vec:{tmp_path}"):
        found = load_word_vectors(source)
        # Words in lower case; "London" has no token of its own in lower case.
        assert dict(zip(found.words, found.array.tolist(), strict=True)) == {
            "good": array[1].tolist(),
            "paris": array[3].tolist(),
            "london": array[4].tolist(),
            "123": array[7].tolist(),
        }


def test_other_words_get_the_mean_of_their_tokens(tmp_path):
    array = write_tokens(tmp_path / "model.safetensors", tmp_path / "tokenizer.json")
    found = load_word_vectors(str(tmp_path)).with_words(["goodly", "paris", "goodly"])
    assert found.words[4:] == ("goodly",)
    assert found.array[4] == pytest.approx((array[1] + array[5]) / 2)


def test_the_package_is_read_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "wordllama"
    write_tokens(package / "weights" / "l2_x_256.safetensors", package / "tokenizers" / "l2_x_config.json")
    (package / "__init__.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    assert load_word_vectors("auto").words == load_word_vectors("wordllama").words
    assert "good" in load_word_vectors("auto").words


def test_a_text_file(tmp_path):
    path = tmp_path / "v.vec"
    path.write_text("3 2\nGood 1 2\ngood 3 4\nthe-x 9 9\n. . . 8 8\nbad -1 0.5\n", encoding="utf-8")
    found = load_word_vectors(str(path))
    assert found.words == ("good", "bad")
    assert found.array.tolist() == [[1, 2], [-1, 0.5]]
    assert found.with_words(["new"]) is found


def test_none():
    assert load_word_vectors("none") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good 1 2\nbad 1\n", "line 2: not a word and 2 numbers"),
        (b"good 1 2\nbad 1 x\n", "could not convert"),
        (b"good 1 2\nbad 1 2 3\n", "line 2: not a word and 2 numbers"),
        (b"good 1 2\n\n", "line 2: not a word and 2 numbers"),
        (b"good 1 nan\n", "line 1: not a word and 2 numbers"),
        (b"good 1 2\nb\xe4d 1 2\n", "utf-8"),
        (b"", "has no vectors of words"),
    ],
)
def test_a_damaged_text_file_is_one_line(tmp_path, content, message):
    path = tmp_path / "v.vec"
    path.write_bytes(content)
    with pytest.raises(OptionError, match=message) as error:
        load_word_vectors(str(path))
    assert re.match("vectors: .*v.vec", str(error.value))
    assert "\n" not in str(error.value)


def test_a_missing_file_names_what_is_needed(tmp_path):
    with pytest.raises(OptionError, match=r"absent: No such file or directory \(a folder of model2vec"):
        load_word_vectors(str(tmp_path / "absent"))


@pytest.mark.parametrize("damage", ["array", "json", "cut", "short"])
def test_a_damaged_folder_is_one_line(tmp_path, damage):
    vectors, vocabulary = tmp_path / "model.safetensors", tmp_path / "tokenizer.json"
    write_tokens(vectors, vocabulary, size=3 if damage == "short" else 9)
    if damage == "array":
        safetensors.numpy.save_file({"a": np.zeros((9, 2)), "b": np.zeros(1)}, vectors)
    elif damage == "json":
        vocabulary.write_text(json.dumps({"model": "?"}))
    elif damage == "cut":
        vectors.write_bytes(vectors.read_bytes()[:-5])
    with pytest.raises(OptionError, match=r"^vectors: .*model\.safetensors") as error:
        load_word_vectors(str(tmp_path))
    assert "\n" not in str(error.value)


def test_a_missing_package_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert load_word_vectors("auto") is None
    with pytest.raises(OptionError, match=r"wordllama is not installed: .*pip install .*vectors\]"):
        load_word_vectors("wordllama")
