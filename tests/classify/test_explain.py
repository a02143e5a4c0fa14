"""A decision is exactly the sum of its words' contributions."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import LMClassifier
from lmclassify.classify.attribution import MAX_SHOWN_TOKENS
from lmclassify.classify.cascade import Cascade
from lmclassify.classify.explain import MAX_WORDS, deciding_words, explain
from lmclassify.errors import LMClassifyWarning, OptionError
from lmclassify.text.scripts import is_unspaced
from lmclassify.text.tokenizer import encodable
from tests.conftest import bundled

TOPICS = ["soup for dinner", "the final match", "hotel and train", "score at the airport"]
TEXTS = st.text(st.sampled_from("aberwWn FREE ! 9 é ｆ\u0301\u3000\n中文かก็ក្ក🎉İ\ud800"), max_size=60)


def check(model, text):
    explanation = model.explain(text)
    joint = model.predict_joint_log_proba([text])[0]
    likelihood = model.log_likelihood([text])[0]
    everything = [*explanation["words"], explanation["end_of_text"]]
    short = len(model.tokenizer.sequences([text])[0]) <= MAX_SHOWN_TOKENS
    shown_in_full = short or model.settings.recipe == "plain"
    for index, name in enumerate(model.label_names):
        parts = [item["contributions"][name] for item in (*everything, explanation["prior"])]
        assert math.fsum(parts) == pytest.approx(joint[index], abs=1e-5)
        assert explanation["joint_log_probabilities"][name] == pytest.approx(joint[index], abs=1e-5)
        nats = math.fsum(item["log_probability"][name] for item in everything)
        if shown_in_full:
            assert nats == pytest.approx(likelihood[index], rel=1e-6, abs=1e-5)
        else:  # the LSTMs decide nothing, and read the first tokens only
            assert likelihood[index] < nats < 0
    assert "".join(word["word"] for word in explanation["words"]) == "".join(encodable(text).split())
    if not is_unspaced(text):
        assert [(word["start"], word["word"]) for word in explanation["words"]] == words(encodable(text))
    assert explanation["label"] == str(model.predict([text])[0])
    parts = [item["contribution"] for item in (*everything, explanation["prior"])]
    top, second = np.sort(joint)[::-1][:2]
    assert math.fsum(parts) == pytest.approx(top - second, abs=1e-5)
    assert explanation["decision"] == pytest.approx(top - second, abs=1e-5)


def words(text):
    found, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        found.append((start, word))
        start += len(word)
    return found


@settings(max_examples=25, deadline=None)
@given(TEXTS)
def test_parts_sum_to_the_joint_log_probabilities(model, text):
    check(model, text)


@settings(max_examples=25, deadline=None)
@given(TEXTS)
def test_parts_sum_in_recipe_tuned_too(golden_tuned, text):
    check(golden_tuned, text)


def test_three_labels_and_long_texts(three):
    for text in ("match after dinner", "lunch " * 500, "re: minutes, 3pm"):
        check(three, text)
    explanation = three.explain("match", label=3, against=1)
    assert (explanation["label"], explanation["against"]) == ("3", "1")
    joint = three.predict_joint_log_proba(["match"])[0]
    assert explanation["decision"] == pytest.approx(joint[2] - joint[0], abs=1e-5)
    with pytest.raises(OptionError, match="no label 4"):
        three.explain("match", label=4)
    with pytest.raises(OptionError, match="cannot be compared with itself"):
        three.explain("match", label=1, against=1)


@pytest.mark.parametrize("gap", [0.0, 0.3, math.inf])
def test_parts_sum_whatever_labels_the_lstms_score(three, gap):
    length = three.combination.cascade.length
    model = replace(three, combination=replace(three.combination, cascade=Cascade(gap, 0.2, length)))
    texts = [*TOPICS, *bundled(limit=4)[0], ""]
    for text in texts:
        check(model, text)
    exact = replace(model, exact=True)
    check(exact, texts[0])
    for_longer = replace(model, combination=replace(model.combination, usual_length=5.0))
    for text in texts:
        check(for_longer, text)
    whole = replace(model, combination=replace(model.combination, cascade=Cascade()))
    joint = whole.predict_joint_log_proba(texts)
    np.testing.assert_allclose(exact.predict_joint_log_proba(texts), joint, rtol=1e-9)
    assert np.allclose(model.predict_joint_log_proba(texts), joint) == (gap == math.inf)


@pytest.fixture(scope="module")
def three(golden_three):
    """Three labels, with weights of both LSTM experts, whatever was fitted."""
    weights = golden_three.combination.weights.copy()
    weights[-2:] += 0.1
    return replace(golden_three, combination=replace(golden_three.combination, weights=weights))


@settings(max_examples=25, deadline=None)
@given(TEXTS)
@pytest.mark.filterwarnings("ignore:texts of more than")
def test_parts_sum_where_texts_are_cut(model, golden_tuned, text):
    for whole in (model, golden_tuned):
        check(replace(whole, settings=replace(whole.settings, long_texts="truncate", max_length=7)), text)


@pytest.mark.long
@pytest.mark.parametrize("asked", [True, False])
def test_a_long_text_is_explained_word_by_word_at_its_beginning(golden_tuned, asked):
    text = "free money for the meeting " * 3_000
    weights = np.append(golden_tuned.combination.weights[:6], [0.1 * asked, 0.1 * asked])
    combination = replace(golden_tuned.combination, weights=weights, cascade=Cascade())
    model = replace(golden_tuned, combination=combination)
    with pytest.warns(LMClassifyWarning, match="explained as one"):
        explanation = model.explain(text)
    assert len(explanation["words"]) == MAX_WORDS
    joint = model.predict_joint_log_proba([text])[0]
    for index, name in enumerate(model.label_names):
        items = (*explanation["words"], explanation["end_of_text"], explanation["prior"])
        assert math.fsum(item["contributions"][name] for item in items) == pytest.approx(
            joint[index], abs=1e-5
        )
        nats = math.fsum(word["log_probability"][name] for word in explanation["words"])
        whole = model.log_likelihood([text])[0, index]
        assert (nats < 0.9 * whole) == asked  # elsewhere the rest is not computed


@pytest.mark.parametrize("recipe", ["model", "golden_tuned"])
def test_words_beyond_a_cut_have_no_part(recipe, request):
    whole = request.getfixturevalue(recipe)
    short = replace(whole, settings=replace(whole.settings, long_texts="truncate", max_length=6))
    text = "win the prize of a lifetime today and tomorrow"
    with pytest.warns(match="scored by their beginning only"):
        explanation = short.explain(text)
    with pytest.warns(match="scored by their beginning only"):
        joint = short.predict_joint_log_proba([text])[0]
    assert len(explanation["words"]) == 9
    assert set(explanation["words"][-1]["contributions"].values()) == {0.0}
    assert list(explanation["joint_log_probabilities"].values()) == pytest.approx(joint.tolist(), abs=1e-5)


def test_one_label_cannot_be_compared():
    one = LMClassifier(recipe="plain", max_epochs=1, num_lstm_units=4).fit(["win a prize"] * 3, ["spam"] * 3)
    explanation = one.explain("win")
    assert explanation["against"] is None
    with pytest.raises(OptionError, match="no other label"):
        one.explain("win", against="spam")
    assert explanation["decision"] == pytest.approx(one.predict_joint_log_proba(["win"])[0, 0], abs=1e-5)
    assert list(one.informative_words(["win win"])) == ["spam"]


def test_informative_words_add_up_their_parts(golden_tuned):
    texts = bundled(limit=40)[0]
    found = golden_tuned.informative_words(texts, n=5)
    assert set(found) == {"ham", "spam"}
    top = found["spam"][0]
    parts = [
        word["contributions"]["spam"] - word["contributions"]["ham"]
        for text in texts
        for word in golden_tuned.explain(text)["words"]
        if word["word"] == top["word"]
    ]
    assert top["count"] == len(parts)
    assert top["total"] == pytest.approx(sum(parts), abs=1e-6)
    assert top["contribution"] == pytest.approx(sum(parts) / len(parts), abs=1e-6)
    totals = [word["total"] for word in found["spam"]]
    assert totals == sorted(totals, reverse=True)
    assert min(totals) > 0
    with pytest.raises(OptionError, match="n must be at least 1"):
        golden_tuned.informative_words(texts, n=0)


def test_deciding_words_are_the_strongest_of_all_occurrences(model):
    text = "Free money: FREE cruise, win a free prize with your friends on Friday, lunch free"
    contributions: dict[str, float] = {}
    for label, against in (("spam", "ham"), ("ham", "spam")):
        contributions.clear()
        for word in model.explain(text, label, against)["words"]:
            folded = word["word"].casefold()
            contributions[folded] = contributions.get(folded, 0) + word["contribution"]
        words = deciding_words(model, text, label)
        assert len({word.casefold() for word in words}) == len(words)
        values = [contributions[word.casefold()] for word in words]
        assert values == sorted(values, reverse=True)
        assert all(value > 0 for value in values)
        rest = [value for word, value in contributions.items() if word not in map(str.casefold, words)]
        assert len(words) == 5 or max(rest) < 0.05 * max(map(abs, contributions.values()))
        assert max(rest) <= min(values)
    assert deciding_words(model, text) == deciding_words(model, text, model.predict([text])[0])
    assert deciding_words(model, "") == []
    assert deciding_words(model, " \n") == []
    assert len(deciding_words(model, text, n=1)) == 1


@pytest.mark.parametrize("text", ["Win a free prize", "", "w " * 40])
def test_a_brief_explanation_is_the_part_of_the_two_labels_compared(golden_three, golden_tuned, text):
    for model in (golden_three, golden_tuned):
        with warnings.catch_warnings(action="ignore", category=LMClassifyWarning):  # of merged words
            whole = explain(model, text, max_words=20)
            brief = explain(model, text, brief=True, max_words=20)
        compared = [brief["label"], brief["against"]]
        items = [
            ("prior", whole["prior"], brief["prior"]),
            ("end", whole["end_of_text"], brief["end_of_text"]),
        ]
        items += [(word["word"], word, brief["words"][at]) for at, word in enumerate(whole["words"])]
        for name, full, short in items:
            assert list(short["contributions"]) == compared
            for kind in ("contributions", *(["log_probability"] if name != "prior" else [])):
                for label in compared:
                    assert short[kind][label] == pytest.approx(full[kind][label], abs=1e-9), (name, kind)
        same = ("text", "label", "against", "probabilities", "joint_log_probabilities", "decision", "reading")
        assert {key: whole[key] for key in same} == {key: brief[key] for key in same}
