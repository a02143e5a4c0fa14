import csv
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest

from benchmarks.synthetic_texts import WordModel, distinct_texts, write_texts
from lmclassify.errors import DataError

pytestmark = pytest.mark.long  # of a script that takes long

TEXTS = ["cheap pills for you", "cheap pills now", "meeting at noon", "meeting for you at noon"]
LABELS = ["spam", "spam", "ham", "ham"]


def test_a_word_follows_only_where_it_did():
    model = WordModel(["a b c", "a b d", "b c a"])
    sampled = set(islice(model.sample(np.random.default_rng(0)), 100))
    assert sampled == {"a b c", "a b d", "b c a", "b c", "a b c a"}  # after "b c" the text ends or a follows


def test_texts_are_distinct_begin_with_the_real_ones_and_follow_the_seed():
    texts, labels = [*TEXTS, "a b c d", "x b c e"], [*LABELS, "ham", "ham"]
    first = list(distinct_texts(texts, labels, 6, also=[("real", "ham"), ("real", "ham")], seed=3))
    assert first[0] == ("real", "ham")
    assert len({text for text, _ in first}) == len(first) == 6
    assert first == list(distinct_texts(texts, labels, 6, also=[("real", "ham")], seed=3))


def test_too_few_different_texts_are_an_error():
    with pytest.raises(DataError, match=r"too few different ones: 6 of 10 are missing"):
        list(distinct_texts(TEXTS, LABELS, 10))


@pytest.mark.parametrize("rows", [10, "many"])
def test_what_cannot_be_made_is_one_line_and_no_file(rows, tmp_path):
    lines = [f"{text},{label}" for text, label in zip(TEXTS, LABELS, strict=True)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    command = [sys.executable, "-m", "benchmarks.synthetic_texts", "train.csv", str(rows), "made.csv"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == (2 if rows == "many" else 1)
    assert "error: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


def test_the_file_is_a_csv(tmp_path):
    write_texts(str(tmp_path / "made.csv"), iter([('with , comma and "', "ham")]))
    with open(tmp_path / "made.csv", newline="") as file:
        assert list(csv.reader(file)) == [["text", "label"], ['with , comma and "', "ham"]]
