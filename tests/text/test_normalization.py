"""Disguised words in plain spelling."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.text.normalization import normalize_text, normalize_word, unchanged_text

KNOWN = {"free": 500, "money": 300, "your": 9000, "prize": 50, "u": 9000, "r": 3000, "a": 20000}


def counts(words):
    return [KNOWN.get(word.lower(), 0) for word in words]


def plain(text):
    return normalize_text(text, counts).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fr\u200bee mo\u00adney", "free money"),
        ("\ufefffree \u2060\u200d", "free"),
        ("ｆｒｅｅ 𝐦𝐨𝐧𝐞𝐲 ⓕⓡⓔⓔ", "free money free"),
        ("раураl", "paypal"),  # p, a, y in Cyrillic
        ("ѕсоре", "scope"),  # Cyrillic as a whole
        ("ІNVOІСЕ", "INVOICE"),
        ("frее mоney", "free money"),
        ("fŕéè mønêy", "free money"),
        ("f r e e", "free"),
        ("F R E E", "FREE"),
        ("get y o u r f r e e p r i z e now", "get your free prize now"),
        ("f\u200br ее", "fr ee"),
        ("u r a", "u r a"),  # no word, but three
    ],
)
def test_disguises_are_removed(text, expected):
    assert plain(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "plain words, 2 of them: $5.00 (mp3)",
        "москва слезам не верит",
        "а он сор в роскошной избе",  # words that look Latin among those that do not
        "Αθήνα και Θεσσαλονίκη",
        "مرحبا بالعالم",
        "می‌خواهم",  # with a zero-width non-joiner
        "שלום עולם",
        "自由なお金 无料",
        "무료 상품",
        "क्‍ष हिन्दी",
        "👩‍👩‍👧 ❤️ ok",
        "我 爱 你 们",
        "naïve 1 2 3 4".replace("ï", "i"),
    ],
)
def test_genuine_text_is_not_changed(text):
    assert plain(text) == text


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=25)
@given(words)
def test_a_plain_word_is_not_changed(word):
    assert normalize_word(normalize_word(word)) == normalize_word(word)


@settings(max_examples=25)
@given(st.text(st.sampled_from("abcXYZ .,!?'")))
def test_ascii_text_is_not_changed_except_for_single_letters(text):
    found = plain(text)
    assert found.replace(" ", "") == "".join(text.split())
    if not any(len(word) == 1 for word in text.split()):
        assert found == " ".join(text.split())


@settings(max_examples=25)
@given(st.lists(words | st.sampled_from(list("free\u200bа")), max_size=12).map(" ".join))
def test_sources_point_into_the_text(text):
    found = normalize_text(text, counts)
    size = len(text.split())
    assert len(found.sources) == len(found.text.split())
    assert all(0 <= first < end <= size for first, end in found.sources)
    assert found.sources == sorted(found.sources)


def test_sources_of_spaced_out_words():
    found = normalize_text("\u200b get f r e e mоney", counts)
    assert found.text == "get free money"
    assert found.sources == [(1, 2), (2, 6), (6, 7)]
    assert unchanged_text(" a  b ").sources == [(0, 1), (1, 2)]


def test_the_number_of_joined_letters_is_limited():
    words = plain("f r e e " * 2000).split()
    assert words[:3] == ["free", "free", "free"]
    assert words[-4:] == ["f", "r", "e", "e"]


@pytest.mark.long  # compares CPU times
@pytest.mark.parametrize("piece", ["f r e e ", "раураl ", "f\u200b", "x ", "\u0301"])
def test_normalization_takes_linear_time(piece):
    def seconds(size):
        text = (piece * (size // len(piece) + 1))[:size]
        started = time.process_time()
        plain(text)
        return time.process_time() - started

    seconds(1000)
    short = min(seconds(5000) for _ in range(3))
    assert min(seconds(80_000) for _ in range(2)) < 80 * short + 1  # 256 times in quadratic time
