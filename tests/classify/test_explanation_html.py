"""Explanations in notebooks and as HTML snippets."""

from __future__ import annotations

import json
import pickle
from xml.etree import ElementTree

import pytest

from lmclassify.classify.explanation_html import to_html
from tests.classify.made_up import made_up_explanation


def paragraphs(html):
    return ["".join(paragraph.itertext()) for paragraph in ElementTree.fromstring(html).iter("p")]


def test_a_notebook_shows_the_text_the_label_and_what_the_numbers_are():
    explanation = made_up_explanation()
    html = explanation._repr_html_()
    assert html == to_html(explanation)
    assert "\x1b" not in html
    title, text, for_spam, for_ham, note = paragraphs(html)
    assert title == "spam (90.0%), compared with ham (10.0%)"
    assert text == 'Win  <b> "x"\\x1b\n& more ⏎'
    assert for_spam == 'for spam: Win +2.00, more +0.50, "x"\\x1b +0.25'
    assert for_ham == "for ham: <b> −1.00"
    assert note.startswith(
        "Contributions are in nats, a unit of log-probability: positive ones speak for spam,"
    )
    assert "They add up to +2.00: words +1.75, end of text −0.25, prior" in note
    assert note.endswith("So spam is 7.4 times as probable as ham. Words in grey hardly matter.")


def test_words_have_the_colour_of_the_label_that_they_speak_for():
    root = ElementTree.fromstring(to_html(made_up_explanation()))
    spans = [span for span in root.iter("span") if span.get("title")]
    win, bold, _, grey, _, end = spans
    assert (win.get("class"), win.get("style")) == ("coloured", "--label: var(--label-1); --share: 1.00")
    assert (bold.get("class"), bold.get("title")) == ("coloured against", "−1.00 nats for ham")
    assert "var(--label-0)" in bold.get("style")
    assert (grey.get("class"), grey.text) == (None, "&")
    assert end.get("title") == "end of text: −0.25 nats for ham"


def test_hostile_labels_and_words_from_right_to_left():
    explanation = made_up_explanation()
    explanation |= {"label": "<b>", "probabilities": {"<b>": 0.9, "ham": 0.1}}
    explanation["words"][0]["word"] = "می‌خواهم"
    html = to_html(explanation)
    assert '<p dir="auto" class="text">' in html
    assert "می‌خواهم" in html
    assert "\u2068" not in html
    assert "speak for <bdi>&lt;b&gt;</bdi>, negative" in html
    assert paragraphs(html)[0].startswith("<b> (90.0%)")


def test_the_variant_that_was_scored_is_named():
    explanation = made_up_explanation()
    explanation["reading"] = "Win" * 100
    shown = ("Win" * 67)[:199] + "…"
    assert paragraphs(to_html(explanation))[-1] == (
        f"The text looks disguised and was scored as {shown}. Words that are not in it contribute nothing."
    )


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (0.1, "spam is 1.1 times as probable as ham"),
        (-12.834, "ham is about 370,000 times as probable as spam"),
        (1e9, "spam is more than a million times as probable as ham"),
    ],
)
def test_what_the_decision_means(decision, said):
    explanation = made_up_explanation()
    explanation["decision"] = decision
    assert f"So {said}." in to_html(explanation).replace("<bdi>", "").replace("</bdi>", "")


def test_a_model_of_one_label():
    explanation = made_up_explanation()
    explanation |= {"against": None, "decision": -12.0, "probabilities": {"spam": 1.0}}
    title, _, note = paragraphs(to_html(explanation))
    assert title == "spam (100%)"
    assert "They add up to −12.00, the joint log-probability of the text and spam" in note


@pytest.mark.filterwarnings("error")
def test_an_explanation_is_a_dictionary(golden_tuned):
    explanation = golden_tuned.explain("free prize")
    assert isinstance(explanation, dict)
    assert json.loads(json.dumps(explanation)) == explanation == pickle.loads(pickle.dumps(explanation))
    for item in (explanation["prior"], *explanation["words"], explanation["end_of_text"]):
        assert item["part"] == item["contribution"]  # until version 0.9
        assert item["parts"] == item["contributions"]
    found = golden_tuned.informative_words(["free prize"])
    assert all(word["part"] == word["contribution"] for words in found.values() for word in words)
