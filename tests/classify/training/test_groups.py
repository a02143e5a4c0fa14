"""Texts of one group stand in one part of every split; equal texts are groups where many repeat others."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import LMClassifier
from lmclassify.classify.settings import Settings
from lmclassify.classify.training.data import held_out_part, stratified_folds, stratified_sample
from lmclassify.classify.training.fit import ClassifierTrainer
from lmclassify.classify.training.groups import encode_groups, repeated_text_groups, separable
from lmclassify.errors import DataError

TEXTS = [f"{word} {number}" for number in range(6) for word in ("free cruise", "lunch at noon")]
LABELS = ["spam", "ham"] * 6


def ngram(**options) -> LMClassifier:
    return LMClassifier(recipe="ngram", random_state=0, n_jobs=1, **options)


@settings(max_examples=50)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=60),
    folds=st.integers(2, 10),
)
def test_a_group_is_in_one_fold_except_of_labels_with_one_group(pairs, folds):
    codes, groups = np.array(pairs).T
    codes = np.unique(codes, return_inverse=True)[1]
    found = stratified_folds(codes, folds, np.random.default_rng(0), groups)
    several = [len(set(groups[codes == code])) > 1 for code in range(codes.max() + 1)]
    free = np.array(several)[codes]
    for group in set(groups[free]):
        assert len(set(found[free & (groups == group)])) == 1
    assert found.min() >= 0
    assert found.max() < folds
    if len(pairs) > 1 and len(set(separable(groups, codes))) > 1:
        assert len(set(found)) > 1
    part = held_out_part(codes, 0.1, np.random.default_rng(0), groups)
    assert set(codes[~part]) == set(codes)


def test_folds_of_groups_keep_the_labels_shares():
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 300, 2000)
    codes = (rng.random(2000) < 0.2).astype(np.intp)
    found = stratified_folds(codes, 5, rng, groups)
    shares = np.array([[(codes[found == fold] == code).sum() for code in (0, 1)] for fold in range(5)])
    assert np.ptp(shares[:, 0]) <= 20
    assert np.ptp(shares[:, 1]) <= 20


def test_the_held_out_part_is_near_the_share_though_one_group_is_large():
    groups = np.concatenate([np.zeros(600, np.intp), np.arange(1, 401)])
    part = held_out_part(np.arange(1000) % 2, 0.1, np.random.default_rng(0), groups)
    assert 40 <= part.sum() <= 120
    assert not part[:600].any()


def test_a_sample_draws_groups_whole():
    groups = np.arange(3000) // 3
    codes = np.repeat([0, 1], 1500)
    chosen = stratified_sample(codes, 600, np.random.default_rng(0), groups=groups)
    assert 600 <= len(chosen) <= 610
    assert set(np.bincount(groups[chosen])) == {0, 3}


def test_groups_of_any_kind_are_numbered():
    assert encode_groups(["a", None, "a", float("nan"), None], 5).tolist() == [0, 1, 0, 2, 3]
    assert encode_groups(pd.Series([7, 7, 8]), 3).tolist() == [0, 0, 1]
    assert encode_groups(pd.array([1, pd.NA, 1], dtype="Int64"), 3).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a"] * 11, "found 12 texts but 11 groups"),
        (["a"] * 12, "all texts are in one group"),
        ("abcdefghijkl", "one value for each text"),
        (3, "one value for each text"),
        (np.zeros((12, 2)), "one dimension"),
        ([["a"]] * 12, "group 0 must be a str or a number, not list"),
    ],
)
def test_wrong_groups_are_refused(groups, message):
    with pytest.raises(DataError, match=message):
        ngram().fit(TEXTS, LABELS, groups=groups)


def test_a_label_in_one_group_is_learned():
    labels = [*LABELS[:-2], "other", "other"]
    texts = [*TEXTS[:-2], "quarterly figures", "figures of the quarter"]
    groups = [*[0, 1] * 5, 2, 2]
    fitted = ngram().fit(texts, labels, groups=groups)
    assert fitted.predict(["quarterly figures"]).tolist() == ["other"]
    every = ngram().fit(TEXTS, LABELS, groups=LABELS)  # each label is a group
    assert every.score(TEXTS, LABELS) == 1.0


def test_groups_change_the_fit():
    alone = ngram().fit(TEXTS, LABELS).predict_proba(TEXTS)
    pairs = ngram().fit(TEXTS, LABELS, groups=np.arange(12) // 4).predict_proba(TEXTS)
    assert np.abs(alone - pairs).max() > 0


def test_texts_that_repeat_others():
    unique = [f"{one} {two}" for one in ("red", "green", "blue") for two in ("sea", "sky", "sand")]
    assert repeated_text_groups(unique) is None
    assert repeated_text_groups([*unique, "Re: red sea"]) is None  # two of ten
    found = repeated_text_groups([*unique[:3], "Re: RED sea!", "fwd: re[2]: red  sky", "AW: WG: red sand"])
    assert found is not None
    assert found.tolist() == [0, 1, 2, 0, 1, 2]
    numbers = repeated_text_groups(["invoice 17", "invoice 23", "--", "!!"])
    assert numbers is not None
    assert numbers.tolist() == [0, 0, 1, 2]  # texts without words are compared as they are
    assert repeated_text_groups([]) is None


def test_repeated_texts_are_groups_unless_groups_are_given():
    def groups_of(texts, recipe="ngram", groups=None):
        found = []
        fit = ClassifierTrainer(settings=Settings(recipe=recipe), checkpoints=Recorder(found), n_jobs=1)
        with pytest.raises(KeyboardInterrupt):
            fit.fit(texts, LABELS, groups=groups)
        return found[0]["groups"]

    repeated = groups_of(TEXTS)  # they differ in numbers only
    assert repeated is not None
    assert groups_of(TEXTS, "plain") is None
    assert groups_of([f"{text} {'abcdefghijkl'[row]}" for row, text in enumerate(TEXTS)]) is None
    assert groups_of(TEXTS, groups=[0, 1] * 6) == repeated
    assert groups_of(TEXTS, groups=np.arange(12) // 4) not in (None, repeated)


class Recorder:
    """Takes the place of checkpoints and ends the fit when it has seen what is fitted."""

    def __init__(self, found):
        self._found = found

    def begin(self, fit):
        self._found.append(fit)
        raise KeyboardInterrupt
