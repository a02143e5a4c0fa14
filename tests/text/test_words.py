"""Words, in scripts without spaces too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.text.scripts import ends_unspaced
from lmclassify.text.tokenizer import Tokenizer
from lmclassify.text.words import word_numbers, words_of

TEXTS = [f"{other}免费{other}大奖" for other in "甲乙丙丁戊己庚辛壬癸的"]


def pieces(text: str, tokenizer: Tokenizer | None = None) -> list[str]:
    return [text[start:end] for start, end in words_of(text, tokenizer)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't  miss it!", ["don't", "miss", "it!"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("안녕하세요 여러분", ["안녕하세요", "여러분"]),
        ("免费 iPhone15手机。 ok!", ["免", "费", "iPhone15", "手", "机", "。", "ok!"]),
        ("カフェが好き", ["カ", "フ", "ェ", "が", "好", "き"]),
        ("か\u3099", ["か\u3099"]),
        ("ที่นี่น้ำ", ["ที่", "นี่", "น้ำ"]),
        ("ក្រុមស្រី", ["ក្រុ", "ម", "ស្រី"]),
        ("မြန်မာ", ["မြ", "န်", "မာ"]),
        ("好👨‍👩‍👧", ["好", "👨‍👩‍👧"]),
    ],
)
def test_words(text, words):
    assert pieces(text) == words


def test_grapheme_clusters_of_a_token_are_a_word():
    tokenizer = Tokenizer.train("subword", TEXTS, 300)
    assert pieces("免费的大奖", tokenizer) == ["免费", "的", "大奖"]


def test_a_phrase_that_is_one_token_is_split_as_it_was_merged():
    tokenizer = Tokenizer.train("subword", ["免费领取大奖点击链接"] * 20, 300)
    assert len(tokenizer.offsets("免费领取大奖点击链接")) <= 2
    found = pieces("免费领取大奖点击链接", tokenizer)
    assert "".join(found) == "免费领取大奖点击链接"
    assert len(found) > 1
    assert max(map(len, found)) <= 6


@given(st.text("ab é\t\u0301中文かก็ក្រุ।ー\u200d🎉\ud800") | st.text())
def test_words_cover_all_but_white_space(text):
    tokenizer = Tokenizer.train("subword", TEXTS, 300)
    for words in (words_of(text), words_of(text, tokenizer)):
        assert "".join(text[start:end] for start, end in words) == "".join(text.split())
        assert all(start < end for start, end in words)
        assert len(set(word_numbers(text, words).tolist())) == len(text.split())


def test_no_space_comes_after_scripts_without_spaces():
    for text in ("免费", "カー", "か\u3099", "你好。", "ที่", "ក្រុម"):
        assert ends_unspaced(text)
    for text in ("", "free", "免费 ", "नमस्ते", "مرحبا", "안녕"):
        assert not ends_unspaced(text)
