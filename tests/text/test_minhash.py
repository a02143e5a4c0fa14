"""Near-duplicates by MinHash."""

from __future__ import annotations

import numpy as np

from lmclassify.text.minhash import SHINGLE, near_duplicates


def similarity(one: str, other: str) -> float:
    """Return the Jaccard similarity of the character n-grams of two texts."""
    sets = [{text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)} for text in (one, other)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_near_duplicates_are_those_that_all_pairs_have():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghij"), 6)) for _ in range(300)]
    texts = [" ".join(rng.choice(words, 12)) for _ in range(60)]
    for row in range(0, 60, 2):  # a copy with one or several other words at its end
        texts.append(" ".join([*texts[row].split()[: 12 - row % 6], *rng.choice(words, row % 6)]))
    later, earlier, found = near_duplicates(texts, 0.8)
    expected = {
        index: max((similarity(text, texts[other]), -other) for other in range(index))
        for index, text in enumerate(texts)
        if index
    }
    expected = {index: best for index, best in expected.items() if best[0] >= 0.8}
    assert len(expected) >= 10
    assert later.tolist() == sorted(expected)
    for index, other, similar in zip(later.tolist(), earlier.tolist(), found.tolist(), strict=True):
        assert similar == similarity(texts[index], texts[other]) == expected[index][0]


def test_many_texts_of_one_template_take_little_time():
    texts = [
        f"your order number {number:05d} has left our warehouse and arrives soon" for number in range(2000)
    ]
    done: list[int] = []
    later, earlier, _ = near_duplicates(texts, 0.8, done.append)
    assert len(later) >= 1990
    assert (earlier < later).all()
    assert done[-1] == 2000


def test_short_and_empty_texts_have_no_near_duplicates():
    assert [len(part) for part in near_duplicates(["", "", "abc", "abc", "x" * 9], 0.8)] == [0, 0, 0]
    assert [len(part) for part in near_duplicates([], 0.8)] == [0, 0, 0]
