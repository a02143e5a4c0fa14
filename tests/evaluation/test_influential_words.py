"""Words for each label without stop words."""

from __future__ import annotations

import pytest

from lmclassify.evaluation.influential_words import (
    STOP_WORDS,
    common_words,
    influential_words,
    is_common,
    normal_form,
)

from ..conftest import bundled


def test_words_frequent_under_most_labels_are_common_in_every_language():
    texts = [
        "der Hund schläft",
        "Der Hund bellt",
        "die Katze, der Hund",
        "der Ball",
        "der Torwart",
        "Der Ball!",
    ]
    common = common_words(texts, ["Tiere"] * 3 + ["Sport"] * 3)
    assert common == {"der": {"Tiere": 1.0, "Sport": 1.0}}
    assert is_common("Der", "Sport", common)
    assert not is_common("Ball", "Sport", common)


@pytest.mark.parametrize(("labels", "with_word", "expected"), [(3, 3, True), (3, 2, False), (4, 3, True)])
def test_more_than_two_thirds_of_the_labels(labels, with_word, expected):
    texts = [f"x{label} filler" if label >= with_word else f"word x{label}" for label in range(labels)]
    assert ("word" in common_words(texts, list(map(str, range(labels))))) == expected


def test_a_common_word_counts_for_a_label_that_has_it_much_more_often():
    texts = ["bad film"] * 30 + ["film"] * 70 + ["bad film"] * 5 + ["film"] * 95
    common = common_words(texts, ["negative"] * 100 + ["positive"] * 100)
    assert common["bad"] == {"negative": 0.3, "positive": 0.05}
    assert not is_common("bad", "negative", common)
    assert is_common("bad", "positive", common)
    assert is_common("film", "negative", common)


def test_stop_words_and_punctuation_are_left_out():
    assert normal_form("“Hello,”") == "hello"
    assert normal_form("...") == ""
    assert is_common("...", "a", {})
    assert is_common("Before", "a", {})
    assert not {"bill", "call", "fire", "interest"} & STOP_WORDS
    assert common_words(["the cat"], ["a"]) == {}  # with one label there is nothing to compare


def test_influential_words_of_a_model(model):
    texts, labels = bundled("emails.csv", 60)
    found = influential_words(model, texts, labels, range(40), 5)
    assert list(found) == ["ham", "spam"]
    for label, words in found.items():
        assert 0 < len(words) <= 5
        assert all(word["total"] > 0 for word in words)
        common = common_words(texts, labels)
        assert not any(is_common(word["word"], label, common) for word in words)
