"""The weights of lessons, and what they add to scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.classify.online.features import GROUPS, buckets_of, features_of
from lmclassify.classify.online.lesson import Move
from lmclassify.classify.online.weights import LessonWeights
from lmclassify.text.words import words_of

TEXTS = ["free money now", "lunch at noon?", "", "money money money", "x" * 50, "naïve \U0001f600 ok"]


def moved(text: str, sizes: list[float], steps: float = 0.25) -> Move:
    features = features_of(text)
    return Move(
        features.buckets,
        np.full(len(features.buckets), steps, dtype=np.float16),
        np.arange(len(sizes), dtype=np.uint16),
        np.array(sizes, dtype=np.float32),
    )


def test_a_score_is_the_sum_of_value_times_weight():
    weights = LessonWeights(2)
    weights.apply(moved("ab", [1.0, -2.0]))
    # "ab" has one word (no pair) and one n-gram of four characters, " ab ": each is a group of norm 1 / sqrt(2).
    expected = 2 * 0.25 / np.sqrt(2)
    np.testing.assert_allclose(weights.scores(["ab", "cd"]), [[expected, -2 * expected], [0, 0]], rtol=1e-4)


def test_groups_have_the_same_norm_whatever_the_length():
    for text in ("lunch at noon", "one two three four five six seven eight nine ten"):
        features = features_of(text)
        for group in range(len(GROUPS)):
            norm = (features.values[features.group == group] ** 2).sum()
            assert norm == pytest.approx(0.5, rel=0.05)  # a little less where an n-gram is repeated


def test_scores_of_words_sum_to_those_of_texts():
    weights = LessonWeights(3)
    for number, text in enumerate(TEXTS):
        weights.apply(moved(text, [1.0, -0.5, number / 7]))
    spans = [words_of(text) for text in TEXTS]
    ends = np.cumsum([len(words) + 1 for words in spans])
    by_word = weights.word_scores(TEXTS, spans, np.array([0, *ends[:-1]]), int(ends[-1]))
    sums = [by_word[start:end].sum(axis=0) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    np.testing.assert_allclose(sums, weights.scores(TEXTS), atol=1e-5)


def test_long_texts_are_scored_in_pieces():
    weights = LessonWeights(2)
    text = " ".join(f"word{number % 1000}" for number in range(60_000))
    weights.apply(moved("word1 word2 word3", [1.0, 0.0]))
    (score,) = weights.scores([text])
    group = GROUPS[0]
    occurrences = group.analyzer.occurrences([text], [])
    keys = occurrences.keys[group.used(occurrences)]
    known = np.isin(np.unique(buckets_of(keys)), features_of("word1 word2 word3").buckets).sum()
    assert score[0] > 0.25 * known / np.sqrt(2 * len(keys)) * 0.99


@given(
    st.lists(st.tuples(st.sampled_from(TEXTS), st.floats(-8, 8), st.floats(-8, 8)), max_size=12), st.data()
)
def test_moves_taken_back_in_any_order_leave_no_trace(moves, data):
    weights = LessonWeights(2)
    weights.apply(moved("what stays", [1.0, -1.0]))
    before = weights.scores(TEXTS)
    made = [moved(text, [first, second], 0.333) for text, first, second in moves]
    for move in made:
        weights.apply(move)
    for move in data.draw(st.permutations(made)):
        weights.apply(move, -1)
    np.testing.assert_array_equal(weights.scores(TEXTS), before)
    assert set(weights.lessons.tolist()) <= {0, 1}


def test_arrays_that_do_not_fit_are_refused():
    buckets, weights = np.array([1, 2], np.uint32), np.zeros((2, 3), np.float32)
    lessons = np.zeros(2, np.uint32)
    found = LessonWeights.from_arrays(buckets, weights, lessons)
    np.testing.assert_array_equal(found.buckets, buckets)
    for wrong in (
        (buckets[:1], weights, lessons),
        (np.array([1, 1], np.uint32), weights, lessons),
        (np.array([1, 1 << 20], np.uint32), weights, lessons),
        (buckets, weights + np.nan, lessons),
    ):
        with pytest.raises(ValueError, match="lesson"):
            LessonWeights.from_arrays(*wrong)
