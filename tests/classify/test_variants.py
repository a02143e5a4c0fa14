"""Texts of a label that is disguised are read in several ways."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import FittedModel, LMClassifier, OptionError
from lmclassify.classify import variants as readings
from lmclassify.classify.settings import Settings
from lmclassify.classify.variants import TextVariant, best_variants, variants_of, word_counts, word_model
from tests.conftest import SMALL, TUNED, bundled

PAD = "meeting minutes team lunch budget friday report agenda"


@pytest.fixture(scope="module")
def model(tuned):
    return tuned.model_


@pytest.fixture(scope="module")
def spam(model):
    """Texts that the model takes for spam, surely."""
    texts, _ = bundled(limit=120)
    odds = model.decision_function(texts)
    return [texts[index] for index in np.argsort(-odds)[:20]]


@pytest.fixture
def no_penalty(monkeypatch):
    """The small model is never sure enough to make up for a penalty."""
    monkeypatch.setattr(readings, "_END_PENALTY", -100.0)
    monkeypatch.setattr(readings, "_SURE", np.inf)


def without(model):
    return replace(model, settings=replace(model.settings, disguised_label="none"))


def test_readings_of_a_text(model):
    found = variants_of(["plain text", "f\u200bree m o n e y"], word_model(model.ngrams), 1)
    plain = [reading for index, reading in found if index == 1 and reading.penalty == 0]
    assert plain[0].text.startswith("free ")
    assert plain[0].sources[0] == (0, 1)
    assert not [reading for index, reading in found if index == 0]  # one word alone says too little
    assert all(0 <= reading.penalty < 5 for _, reading in found)


def test_what_is_surely_of_the_label_is_left_as_it_stands(model, spam, no_penalty, monkeypatch):
    text = f"{spam[0]} {PAD}"
    assert model.score([text]).variants[0] is not None
    as_it_stands = without(model).decision_function([text])[0]
    monkeypatch.setattr(readings, "_SURE", as_it_stands - 0.1)
    assert model.score([text]).variants == [None]


def test_no_text_no_readings(model):
    assert variants_of(["", " \n", "word"], word_model(model.ngrams), 1) == []
    assert variants_of([], word_model(model.ngrams), 1) == []


def test_counts_of_words(model):
    texts, _ = bundled(limit=120)
    words = word_model(model.ngrams)
    first = texts[0].split()[0].lower()
    of_first, of_two, of_none = word_counts(words, [first, f"{first} {first}", ""])
    assert of_first > 0
    assert of_two == of_none == 0


def test_running_text_costs_more_to_cut_than_words_drawn_one_by_one(model):
    texts, _ = bundled(limit=120)
    words = word_model(model.ngrams)
    longest = max(texts, key=lambda text: len(text.split())).split()
    drawn = [*longest[:3], *sorted(longest[3:])]

    def penalty(text):
        found = {reading.text: reading.penalty for _, reading in variants_of([text], words, 1)}
        return found.get(" ".join(text.split()[:3]), 5.0)

    assert penalty(" ".join(drawn)) < penalty(" ".join(longest))


@pytest.mark.parametrize(
    ("whole", "variant", "expected"),
    [
        ([-1.0, -5.0, -9.0], [-7.0, -2.0, -8.0], [-1.0, 4.0, -2.0]),  # the reading decides
        ([-1.0, -5.0, -9.0], [-7.0, -7.5, -8.0], [-1.0, -5.0, -9.0]),  # not its likeliest label
        ([-9.0, -1.0, -9.0], [-4.0, -2.0, -8.0], [-9.0, -1.0, -9.0]),  # less sure than the text itself
    ],
)
def test_the_variant_that_speaks_most_for_the_label(whole, variant, expected):
    """Computed by hand: the second label is disguised; the variant has no penalty."""
    variants = [(0, TextVariant("free", [(0, 1)]))]
    joint, _ = best_variants(np.array([whole]), variants, np.array([variant]), 1)
    np.testing.assert_allclose(joint[0], expected)


def test_nothing_speaks_less_for_the_label(model, spam, no_penalty):
    texts = [*spam, *(f"{text} {PAD}" for text in spam), *bundled(limit=120)[0]]
    as_it_stands, judged = without(model).decision_function(texts), model.decision_function(texts)
    assert (judged >= as_it_stands - 1e-9).all()
    changed = judged > as_it_stands + 1e-9
    assert changed.any()
    assert (judged[changed] > 0).all()


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
        parts = [word["parts"][name] for word in explained["words"]]
        total = sum(parts) + explained["end_of_text"]["parts"][name] + explained["prior"]["parts"][name]
        assert total == pytest.approx(value, abs=1e-6)
    for word in explained["words"]:
        assert text[word["start"] : word["end"]] == word["word"]
    return explained


def test_explanations_are_of_the_reading_that_decides(model, spam, no_penalty):
    text = f"{spam[0]} {PAD}"
    padded = check_explanation(model, text)
    kept = model.score([text]).variants[0].sources[-1][1]
    assert 0 < kept < len(text.split())
    assert any(word["part"] != 0 for word in padded["words"][:kept])
    assert all(word["part"] == 0 for word in padded["words"][kept:])
    check_explanation(model, "f\u200bree  " + " ".join(spam[0].split()[-1]) + " \u200b")


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.sampled_from(["free", "f\u200bree", "раураl", "w", "i", "n", "meeting", "\u200b", "москва", "!!"]),
        max_size=9,
    ).map(" ".join)
)
def test_explanations_sum_to_the_decision(model, text):
    check_explanation(model, text)


def test_a_saved_model_keeps_the_label(model, spam, tmp_path):
    texts = [f"{text} {PAD}" for text in spam]
    without(model).save(tmp_path / "none")
    loaded = FittedModel.load(tmp_path / "none")
    assert loaded.settings.disguised_label == "none"
    np.testing.assert_array_equal(
        loaded.predict_joint_log_proba(texts), without(model).predict_joint_log_proba(texts)
    )
    model.save(tmp_path / "auto")
    np.testing.assert_array_equal(
        FittedModel.load(tmp_path / "auto").predict_joint_log_proba(texts),
        model.predict_joint_log_proba(texts),
    )
    assert (
        json.loads((tmp_path / "auto" / "config.json").read_text())["settings"]["disguised_label"] == "auto"
    )


def test_a_model_from_before_decides_as_it_did(model):
    from lmclassify.classify.storage import from_stored, to_stored

    stored = to_stored(model)
    del stored.config["settings"]["disguised_label"]
    assert from_stored(stored)["settings"].disguised_label == "none"


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


def test_a_label_that_is_not_there_is_refused():
    classifier = LMClassifier(**TUNED, disguised_label="junk")
    with pytest.raises(OptionError, match=r"disguised_label must be auto, none or a label \(ham, spam\)"):
        classifier.fit(*bundled(limit=20))
    with pytest.raises(OptionError, match="disguised_label must be a str, not 3"):
        Settings(disguised_label=3)


def test_recipe_plain_says_that_it_does_not_read_otherwise():
    with pytest.warns(UserWarning, match="recipe plain"):
        LMClassifier(**{**SMALL, "max_epochs": 1}, disguised_label="spam").fit(*bundled(limit=20))
