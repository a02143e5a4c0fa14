"""Which texts to label next: diverse ones first, then those that the model is unsure of."""

from __future__ import annotations

import numpy as np
import pytest

from lmclassify.annotation.selection import choose_rows, fit_model, uncertainties

TOPICS = {
    "spam": ["win a prize now", "cheap pills here", "your free gift", "claim the free money"],
    "ham": ["lunch on Friday", "see you at the meeting", "minutes of the board", "the train is late"],
}


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    texts, labels = [], []
    for number in range(120):
        label = ("spam", "ham")[number % 2]
        first, second = rng.choice(TOPICS[label], 2)
        texts.append(f"{first} {second} {number}")
        labels.append(label)
    return texts, labels


@pytest.fixture(scope="module")
def model(pool):
    texts, labels = pool
    return fit_model(texts[:40], labels[:40])


def test_first_texts_come_from_all_clusters(pool):
    texts, labels = pool
    chosen = choose_rows(texts, {}, 10)
    assert len({row.index for row in chosen}) == 10
    assert {labels[row.index] for row in chosen} == {"spam", "ham"}
    assert sorted(row.why for row in chosen) == ["diverse"] * 8 + ["random"] * 2


def test_the_model_chooses_texts_that_it_is_unsure_of(pool, model):
    texts, labels = pool
    unsure = ["win lunch", "free meeting of the board", "cheap train"]
    everything = [*texts, *unsure]
    known = dict(enumerate(labels[:40]))
    chosen = choose_rows(everything, known, 8, model=model, random_share=0)
    assert {row.why for row in chosen} == {"uncertain"}
    assert not {row.index for row in chosen} & set(known)
    margin = uncertainties(model.predict_proba([everything[row.index] for row in chosen]))
    assert margin.mean() > uncertainties(model.predict_proba(texts[40:])).mean()


def test_the_choice_depends_on_the_seed_only(pool, model):
    texts, labels = pool
    known = dict(enumerate(labels[:40]))
    first = choose_rows(texts, known, 10, model=model, seed=3)
    assert choose_rows(texts, known, 10, model=model, seed=3) == first
    assert choose_rows(texts, known, 10, model=model, seed=4) != first


def test_neither_empty_nor_repeated_nor_excluded_texts_are_chosen():
    texts = ["", "  ", "one", "One ", "two", "TWO", "three", "four"]
    chosen = choose_rows(texts, {6: "a"}, 50, excluded=[7])
    assert sorted(texts[row.index].casefold().strip() for row in chosen) == ["one", "two"]
    assert choose_rows(["", "x"], {1: "a"}, 5) == []
    assert choose_rows([], {}, 5) == []


@pytest.mark.parametrize("n", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_any_number_of_texts(pool, model, n, share):
    texts, _ = pool
    for fitted in (None, model):
        chosen = choose_rows(texts, {}, n, model=fitted, random_share=share)
        assert len({row.index for row in chosen}) == n
        if share in (0.0, 1.0) or n >= 5:
            assert sum(row.why == "random" for row in chosen) == round(share * n)


def test_uncertainty_is_one_minus_the_margin():
    probabilities = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.25, 0.5, 0.25]])
    assert uncertainties(probabilities) == pytest.approx([0.8, 0.0, 0.75])
    assert uncertainties(np.ones((2, 1))).tolist() == [0, 0]
