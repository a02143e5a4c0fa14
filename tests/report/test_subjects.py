import csv
from itertools import islice

import numpy as np
import pytest

from lmclassify.errors import DataError
from lmclassify.report.subjects import WordModel, distinct_texts, write_texts

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


def test_the_file_is_a_csv(tmp_path):
    write_texts(str(tmp_path / "made.csv"), iter([('with , comma and "', "ham")]))
    with open(tmp_path / "made.csv", newline="") as file:
        assert list(csv.reader(file)) == [["text", "label"], ['with , comma and "', "ham"]]
