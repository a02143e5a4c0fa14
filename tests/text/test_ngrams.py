import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.text.ngrams import NgramAnalyzer

TEXTS = st.lists(st.text(max_size=12), min_size=1, max_size=6)


def of(view, *texts):
    """Return the keys of each text."""
    sequences = [np.array([1, *map(ord, text), 2]) for text in texts]
    windows = view.windows(texts, sequences)
    return [
        sorted(windows.keys[windows.whole & (windows.owner == index)].tolist()) for index in range(len(texts))
    ]


def test_numbers_of_ngrams():
    # " ab ": 4 characters, 3 pairs, 2 triples; one beginning, two letters, one end of text
    assert [len(of(NgramAnalyzer("character", longest), "ab")[0]) for longest in (1, 2, 3)] == [4, 7, 9]
    assert len(of(NgramAnalyzer("subword", 3), "ab")[0]) == 4 + 3 + 2
    assert len(of(NgramAnalyzer("word", 2), "Is it? Yes.")[0]) == 5 + 4
    assert of(NgramAnalyzer("word", 2), "", "  ") == [[], []]


def test_what_makes_no_difference():
    words = NgramAnalyzer("word", 2)
    assert of(words, "Free  PRIZE")[0] == of(words, "free prize")[0]
    characters = NgramAnalyzer("character", 3)
    assert of(characters, "a\t b")[0] == of(characters, "a b")[0]
    assert of(characters, "A")[0] != of(characters, "a")[0]
    assert of(words, "a b")[0] != of(words, "b a")[0]


def test_an_ngram_has_one_key_wherever_it_stands():
    view = NgramAnalyzer("word", 2)
    one, other = of(view, "win a prize", "you win a car")
    assert len(set(one) & set(other)) == 3  # win, a, win a


def test_different_ngrams_have_different_keys():
    texts = [f"{first}{second}{third}" for first in "abcdefgh" for second in "xyz" for third in "12345"]
    windows = NgramAnalyzer("character", 5).windows(texts, [])
    distinct = {f" {text} " for text in texts}
    pieces = {text[i : i + n] for text in distinct for n in range(1, 6) for i in range(len(text) - n + 1)}
    assert len(np.unique(windows.keys[windows.whole])) == len(pieces)


@given(texts=TEXTS)
@pytest.mark.parametrize("symbols", ["character", "subword", "word"])
def test_a_texts_keys_do_not_depend_on_its_company(symbols, texts):
    view = NgramAnalyzer(symbols, 3)
    assert of(view, *texts) == [of(view, text)[0] for text in texts]


@pytest.mark.parametrize(("symbols", "longest"), [("letters", 2), ("word", 0), ("word", 99)])
def test_views_that_there_are_not(symbols, longest):
    with pytest.raises(ValueError, match="no view of n-grams"):
        NgramAnalyzer(symbols, longest)


@pytest.mark.parametrize(
    "view", [NgramAnalyzer("character", 4), NgramAnalyzer("subword", 3), NgramAnalyzer("word", 2)]
)
@given(TEXTS)
def test_pieces_hold_the_same_ngrams(view, texts):
    sequences = [np.array([1, *map(ord, text), 2]) for text in texts]
    whole = view.windows(texts, sequences)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmclassify.text.ngrams._SYMBOLS_AT_A_TIME", 5)
        pieces = list(view.pieces(texts, sequences))
    for name in ("owner", "place", "keys"):
        new = [getattr(windows, name)[..., seen:] for windows, seen in pieces]
        assert (np.concatenate(new, axis=-1) == getattr(whole, name))[..., whole.whole.all(axis=0)].all()


def test_combining_marks_take_linear_time():
    def seconds(text):
        times = []
        for _ in range(3):
            started = time.process_time()
            NgramAnalyzer("word", 2).windows([text], [])
            times.append(time.process_time() - started)
        return min(times)

    # Quadratic time, as unicodedata takes, is several hundred times that of letters with a mark each.
    assert seconds("a" + "\u0301\u0316" * 40_000) < 30 * seconds("a\u0301" * 40_000)
