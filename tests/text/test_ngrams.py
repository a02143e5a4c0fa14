import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.text.ngrams import NgramAnalyzer
from lmclassify.text.words import words_of

TEXTS = st.lists(st.text(max_size=12), min_size=1, max_size=6)


def keys_by_text(analyzer, *texts):
    """Return the sorted keys of each text's n-grams."""
    sequences = [np.array([1, *map(ord, text), 2]) for text in texts]
    found = analyzer.occurrences(texts, sequences)
    return [
        sorted(found.keys[found.complete & (found.text_index == index)].tolist())
        for index in range(len(texts))
    ]


def test_numbers_of_ngrams():
    # " ab ": 4 characters, 3 pairs, 2 triples; one beginning, two letters, one end of text
    assert [len(keys_by_text(NgramAnalyzer("character", n), "ab")[0]) for n in (1, 2, 3)] == [4, 7, 9]
    assert len(keys_by_text(NgramAnalyzer("subword", 3), "ab")[0]) == 4 + 3 + 2
    assert len(keys_by_text(NgramAnalyzer("word", 2), "Is it? Yes.")[0]) == 5 + 4
    assert keys_by_text(NgramAnalyzer("word", 2), "", "  ") == [[], []]


def test_case_and_white_space():
    words = NgramAnalyzer("word", 2)
    assert keys_by_text(words, "Free  PRIZE")[0] == keys_by_text(words, "free prize")[0]
    characters = NgramAnalyzer("character", 3)
    assert keys_by_text(characters, "a\t b")[0] == keys_by_text(characters, "a b")[0]
    assert keys_by_text(characters, "A")[0] != keys_by_text(characters, "a")[0]
    assert keys_by_text(words, "a b")[0] != keys_by_text(words, "b a")[0]


def test_an_ngram_has_the_same_key_in_every_text():
    one, other = keys_by_text(NgramAnalyzer("word", 2), "win a prize", "you win a car")
    assert len(set(one) & set(other)) == 3  # win, a, win a


def test_different_ngrams_have_different_keys():
    texts = [f"{first}{second}{third}" for first in "abcdefgh" for second in "xyz" for third in "12345"]
    found = NgramAnalyzer("character", 5).occurrences(texts, [])
    distinct = {f" {text} " for text in texts}
    ngrams = {text[i : i + n] for text in distinct for n in range(1, 6) for i in range(len(text) - n + 1)}
    assert len(np.unique(found.keys[found.complete])) == len(ngrams)


@settings(max_examples=25)
@given(texts=TEXTS)
@pytest.mark.parametrize("symbols", ["character", "subword", "word", "marked-word"])
def test_keys_do_not_depend_on_the_other_texts(symbols, texts):
    analyzer = NgramAnalyzer(symbols, 3)
    assert keys_by_text(analyzer, *texts) == [keys_by_text(analyzer, text)[0] for text in texts]


@pytest.mark.parametrize(("symbols", "longest"), [("letters", 2), ("word", 0), ("word", 99)])
def test_unknown_symbols_or_lengths_are_refused(symbols, longest):
    with pytest.raises(ValueError, match="no such n-grams"):
        NgramAnalyzer(symbols, longest)


@pytest.mark.parametrize(
    "analyzer", [NgramAnalyzer("character", 4), NgramAnalyzer("subword", 3), NgramAnalyzer("word", 2)]
)
@settings(max_examples=25)
@given(texts=TEXTS)
def test_chunks_hold_the_same_ngrams(analyzer, texts):
    sequences = [np.array([1, *map(ord, text), 2]) for text in texts]
    whole = analyzer.occurrences(texts, sequences)
    chunks = list(analyzer.chunks(texts, sequences, size=5))
    for name in ("text_index", "position", "keys"):
        new = [getattr(chunk, name)[..., overlap:] for chunk, overlap in chunks]
        assert (np.concatenate(new, axis=-1) == getattr(whole, name))[..., whole.complete.all(axis=0)].all()


def test_combining_marks_take_linear_time():
    """Quadratic time, as unicodedata takes, would be minutes; the CPU time should be a third of a second."""
    started = time.process_time()
    NgramAnalyzer("word", 2).occurrences(["a" + "\u0301\u0316" * 160_000], [])
    assert time.process_time() - started < 30


@pytest.mark.parametrize("symbols", ["character", "word", "marked-word"])
@given(st.lists(st.text() | st.text("aé 中かก็ក្រុម\u0301ー\u200cİ"), min_size=1, max_size=6))
def test_each_symbol_belongs_to_words(symbols, texts):
    analyzer = NgramAnalyzer(symbols, 1)
    spans = [words_of(text) for text in texts]
    first, last = analyzer.words(texts, spans, [])
    text_index = analyzer.occurrences(texts, []).text_index
    assert len(first) == len(last) == len(text_index)
    assert (first <= last).all()
    for number, found in enumerate(spans):
        own = text_index == number
        assert (np.diff(first[own]) >= 0).all()
        if symbols == "character" or not own.any():
            continue
        covered = {word for a, b in zip(first[own], last[own], strict=True) for word in range(a, b + 1)}
        assert covered <= set(range(len(found)))


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("Don't miss it!!", 7, 7),
        ("नमस्ते दुनिया", 10, 2),  # the old rule breaks words at combining marks
        ("مَرْحَبًا", 9, 1),
        ("免费领取", 1, 4),
        ("ขอบคุณ", 3, 5),
        ("ក្រុម", 5, 2),  # a letter with one below it, and a letter
        ("iPhone手机", 1, 3),
    ],
)
def test_the_rules_of_words(text, old, new):
    def symbols(rule):
        return len(NgramAnalyzer(rule, 1).occurrences([text], []).text_index)

    assert (symbols("word"), symbols("marked-word")) == (old, new)
