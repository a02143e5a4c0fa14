"""Tricks of spammers, as changes to a text."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.perturbations import CHANGES, padding, typical_words
from lmclassify.text.normalization import normalize_text

TEXT = "Win a free prize now: 100 pounds!"


def changed(trick, share, seed=0, text=TEXT):
    return CHANGES[trick](text, share, random.Random(seed))


@pytest.mark.parametrize("trick", CHANGES)
def test_seeded_and_by_rate(trick):
    assert changed(trick, 0.0) == TEXT
    assert changed(trick, 0.5, 1) == changed(trick, 0.5, 1) != changed(trick, 0.5, 2)
    assert changed(trick, 1.0) != TEXT


def test_worked_examples():
    assert changed("spaced", 1.0) == "W i n a f r e e p r i z e n o w: 100 p o u n d s!"
    assert re.fullmatch(r"W[1!]n [4@] fr33 pr[1!]23 n0w: 100 p0und[5$]!", changed("l33t", 1.0))
    assert re.fullmatch(
        r"Win\w{1,4} a free\w{1,4} prize\w{1,4} now\w{1,4}: 100 pounds\w{1,4}!", changed("suffixes", 1.0)
    )
    invisible = "[\u200b\u200c\u200d\u2060\ufeff\u00ad]"
    assert re.sub(invisible, "", changed("zero-width", 1.0)) == TEXT
    assert len(re.findall(invisible, changed("zero-width", 1.0))) == len("".join(TEXT.split())) - 7
    odd = changed("homoglyphs", 1.0)
    assert len(odd) == len(TEXT)
    assert not re.search("[A-Za-z]", odd)
    assert all(after == before for before, after in zip(TEXT, odd, strict=True) if not before.isalpha())


@settings(max_examples=40)
@given(st.text(max_size=40), st.sampled_from(list(CHANGES)), st.floats(0, 1))
def test_any_text_can_be_disguised(text, trick, share):
    assert isinstance(changed(trick, share, text=text), str)


def test_homoglyphs_are_not_what_normalisation_undoes_alone():
    """Some look-alikes are no part of what it knows, so that the attack tells something."""
    letters = "abcdefghijklmnopqrstuvwxyz" * 40
    odd = changed("homoglyphs", 1.0, text=letters)
    plain = normalize_text(odd, lambda words: [0] * len(words)).text
    undone = sum(a == b for a, b in zip(letters, plain, strict=False)) / len(letters)
    assert 0.5 < undone < 0.95


def test_padding():
    rng = random.Random(0)
    assert padding("buy now", 0, ["a"], rng) == "buy now"
    assert padding("buy now", 3, ["good"], rng) == "buy now good good good"


def test_words_most_typical_of_a_label():
    texts = ["Meeting at noon", "meeting notes", "free meeting", "free money", "free, free!"]
    labels = ["ham", "ham", "ham", "spam", "spam"]
    assert typical_words(texts, labels, "ham")[0] == "meeting"
    assert typical_words(texts, labels, "spam")[0] == "free"
