"""Disguised texts are scored in several variants."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import FittedModel, LMClassifier, OptionError
from lmclassify.classify.settings import Settings
from lmclassify.classify.storage import fields_from_stored, to_stored
from lmclassify.classify.variants import (
    TextVariant,
    best_variants,
    candidate_variants,
    variants_of,
    word_counts,
    word_model,
)
from tests.conftest import SMALL, TUNED, bundled

PAD = "meeting minutes team lunch budget friday report agenda"
LOOK_ALIKES = "Churсh аnd nonprofit mаiling rostеr, 210,000 rеcords, onе pricе"  # Cyrillic letters
PADDED = "10562 6 AOB Bea Knitting Quarterly Tallow Work at hone moms making 7k/month - see how"
"""The golden model takes this text's beginning for padding."""


@pytest.fixture(scope="module")
def model(tuned):
    return tuned.model_


@pytest.fixture(scope="module")
def spam(model):
    """Texts that the model surely takes for spam."""
    texts, _ = bundled(limit=120)
    odds = model.decision_function(texts)
    return [texts[index] for index in np.argsort(-odds)[:20]]


def without_variants(model):
    return replace(model, settings=replace(model.settings, disguised_label="none"))


def test_variants_of_a_text(model):
    found = variants_of(["plain text", "f\u200bree m o n e y"], word_model(model.ngrams), 1)
    plain = [variant for index, variant in found if index == 1 and variant.penalty == 0]
    assert plain[0].text.startswith("free ")
    assert plain[0].sources[0] == (0, 1)
    assert not [variant for index, variant in found if index == 0]  # one word alone says too little
    assert all(0 <= variant.penalty < 5 for _, variant in found)


def test_what_is_surely_of_the_label_has_no_variants(model, spam):
    text, words = f"f\u200bree {spam[0]} {PAD}", word_model(model.ngrams)
    joint = without_variants(model).predict_joint_log_proba([text])
    lead = joint[0, 1] - joint[0, 0]
    assert candidate_variants([text], joint, words, 1, sure=lead + 0.1)
    assert not candidate_variants([text], joint, words, 1, sure=lead - 0.1)


def test_no_text_no_variants(model):
    assert variants_of(["", " \n", "word"], word_model(model.ngrams), 1) == []
    assert variants_of([], word_model(model.ngrams), 1) == []


def test_counts_of_words(model):
    texts, _ = bundled(limit=120)
    words = word_model(model.ngrams)
    first = texts[0].split()[0].lower()
    known, two_words, no_word = word_counts(words, [first, f"{first} {first}", ""])
    assert known > 0
    assert two_words == no_word == 0


def test_running_text_costs_more_to_cut_than_words_drawn_one_by_one(model):
    texts, _ = bundled(limit=120)
    words = word_model(model.ngrams)
    longest = max(texts, key=lambda text: len(text.split())).split()
    drawn = [*longest[:3], *sorted(longest[3:])]

    def penalty(text):
        found = {variant.text: variant.penalty for _, variant in variants_of([text], words, 1)}
        return found.get(" ".join(text.split()[:3]), 5.0)

    assert penalty(" ".join(drawn)) < penalty(" ".join(longest))


@pytest.mark.parametrize(
    ("whole", "variant", "expected"),
    [
        ([-1.0, -5.0, -9.0], [-7.0, -2.0, -8.0], [-1.0, 4.0, -2.0]),  # the variant decides
        ([-1.0, -5.0, -9.0], [-7.0, -7.5, -8.0], [-1.0, -5.0, -9.0]),  # not its likeliest label
        ([-9.0, -1.0, -9.0], [-4.0, -2.0, -8.0], [-9.0, -1.0, -9.0]),  # less sure than the text itself
    ],
)
def test_the_variant_that_speaks_most_for_the_label(whole, variant, expected):
    """Computed by hand: the second label is disguised; the variant has no penalty."""
    variants = [(0, TextVariant("free", [(0, 1)]))]
    joint, best = best_variants(np.array([whole]), variants, np.array([variant]), 1)
    np.testing.assert_allclose(joint[0], expected)
    assert (best[0] is None) == (expected == whole)


def test_a_penalty_counts_against_the_label():
    variants = [(0, TextVariant("free", [(0, 1)], penalty)) for penalty in (1.5, 1.0, 4.0)]
    rows = np.array([[-3.0, -1.0]] * 3)
    joint, best = best_variants(np.array([[-1.0, -2.0]]), variants, rows, 1)
    np.testing.assert_allclose(joint, [[-1.0, 0.0]])
    assert best[0] == TextVariant("free", [(0, 1)], 1.0, shift=2.0)


def test_nothing_speaks_less_for_the_label(golden_tuned):
    texts = [LOOK_ALIKES, PADDED, *bundled(limit=40)[0]]
    as_they_stand = without_variants(golden_tuned).decision_function(texts)
    odds = golden_tuned.decision_function(texts)
    assert (odds >= as_they_stand - 1e-9).all()
    changed = odds > as_they_stand + 1e-9
    assert changed[:2].all()
    assert (odds[changed] > 0).all()


@pytest.mark.parametrize(
    "disguise",
    [
        "\u200b".join,
        " ".join,
        lambda text: text.translate(str.maketrans("aeopcx", "аеорсх")),
    ],
)
def test_disguised_spelling_changes_no_decision(model, spam, disguise):
    found = model.predict([" ".join(disguise(word) for word in text.split()) for text in spam])
    assert (found == "spam").mean() >= 0.95


def check_explanation(model, text):
    explained = model.explain(text)
    joint = model.predict_joint_log_proba([text])[0]
    assert [word["word"] for word in explained["words"]] == text.split()
    for name, value in zip(model.label_names, joint, strict=True):
        parts = [word["contributions"][name] for word in explained["words"]]
        total = (
            sum(parts)
            + explained["end_of_text"]["contributions"][name]
            + explained["prior"]["contributions"][name]
        )
        assert total == pytest.approx(value, abs=1e-6)
    for word in explained["words"]:
        assert text[word["start"] : word["end"]] == word["word"]
    return explained


def test_explanations_are_of_the_variant_that_decides(golden_tuned):
    (variant,) = golden_tuned.score([PADDED]).variants
    explained = check_explanation(golden_tuned, PADDED)
    assert explained["reading"] == variant.text
    first = variant.sources[0][0]
    assert 0 < first < len(PADDED.split())
    assert all(word["contribution"] == 0 for word in explained["words"][:first])
    assert any(word["contribution"] != 0 for word in explained["words"][first:])
    check_explanation(golden_tuned, "f\u200bree  w i n n e r s \u200b")


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.sampled_from(["free", "f\u200bree", "раураl", "w", "i", "n", "meeting", "\u200b", "москва", "!!"]),
        max_size=9,
    ).map(" ".join)
)
def test_explanations_sum_to_the_decision(model, text):
    check_explanation(model, text)


def test_a_saved_model_keeps_the_label(golden_tuned, tmp_path):
    texts = [LOOK_ALIKES, PADDED]
    without_variants(golden_tuned).save(tmp_path / "none")
    loaded = FittedModel.load(tmp_path / "none")
    assert loaded.settings.disguised_label == "none"
    np.testing.assert_array_equal(
        loaded.predict_joint_log_proba(texts), without_variants(golden_tuned).predict_joint_log_proba(texts)
    )
    golden_tuned.save(tmp_path / "auto")
    np.testing.assert_array_equal(
        FittedModel.load(tmp_path / "auto").predict_joint_log_proba(texts),
        golden_tuned.predict_joint_log_proba(texts),
    )
    config = json.loads((tmp_path / "auto" / "config.json").read_text())
    assert config["settings"]["disguised_label"] == "auto"


def test_models_saved_before_there_was_the_setting_have_no_variants(golden_tuned):
    stored = to_stored(golden_tuned)
    del stored.config["settings"]["disguised_label"]
    assert fields_from_stored(stored)["settings"].disguised_label == "none"


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("auto", ["ham", "spam"], 1),
        ("auto", ["Spam", "ham"], 0),
        ("auto", ["good", "bad"], None),
        ("auto", ["spam"], None),
        ("none", ["ham", "spam"], None),
        ("ham", ["ham", "spam"], 0),
        ("gone", ["ham", "spam"], None),
    ],
)
def test_which_label_is_disguised(name, labels, expected):
    assert Settings(disguised_label=name).disguised_among(labels) == expected


def test_an_unknown_label_is_refused():
    classifier = LMClassifier(**TUNED, disguised_label="junk")
    with pytest.raises(OptionError, match=r"disguised_label must be auto, none or a label \(ham, spam\)"):
        classifier.fit(*bundled(limit=20))
    with pytest.raises(OptionError, match="disguised_label must be a str, not 3"):
        Settings(disguised_label=3)


def test_recipe_plain_warns_that_it_has_no_variants():
    with pytest.warns(UserWarning, match="recipe plain"):
        LMClassifier(**{**SMALL, "max_epochs": 1}, disguised_label="spam").fit(*bundled(limit=20))
