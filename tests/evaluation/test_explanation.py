"""Explanations as text and as HTML."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from lmclassify.evaluation.explanation import informative_words_to_text, to_html, to_text

TEXT = 'Win  <b> "x"\x1b\n& more'


@pytest.fixture
def explanation():
    def nats(ham, spam):
        return {"ham": ham, "spam": spam}

    words = [
        {
            "word": word,
            "start": TEXT.index(word),
            "end": TEXT.index(word) + len(word),
            "parts": {},
            "part": part,
        }
        | {"log_probability": nats(-2.0, -1.0)}
        for word, part in (("Win", 2.0), ("<b>", -1.0), ('"x"\x1b', 0.25), ("&", 0.0), ("more", 0.5))
    ]
    return {
        "text": TEXT,
        "label": "spam",
        "against": "ham",
        "probabilities": nats(0.1, 0.9),
        "joint_log_probabilities": nats(-12.0, -10.0),
        "decision": 2.0,
        "reading": None,
        "prior": {"parts": {}, "part": 0.5},
        "words": words,
        "end_of_text": {"parts": {}, "part": -0.25, "log_probability": nats(-3.0, -3.5)},
    }


def test_html_is_escaped_and_keeps_the_text(explanation):
    html = to_html(explanation)
    assert "\x1b" not in html
    root = ElementTree.fromstring(html)
    paragraphs = ["".join(paragraph.itertext()) for paragraph in root.iter("p")]
    assert paragraphs[0] == "spam (90.0%), compared with ham (10.0%)"
    assert paragraphs[1] == r'Win  <b> "x"\x1b\n& more ⏎'
    assert paragraphs[2].startswith("prior +0.500, sum +2.000 nats. Green speaks for spam, red against it.")
    first, second, *_, last = root.iter("span")
    assert (first.text, first.get("title")) == ("Win", "+2.000; log p(spam) -1.000, log p(ham) -2.000")
    assert first.get("style").startswith("background: rgba(46, 160, 67, 0.70);")
    assert second.get("style").startswith("background: rgba(218, 54, 51, 0.35);")
    assert last.get("title").startswith("end of text: -0.250;")


def test_text_has_a_line_and_a_bar_for_each_word(explanation):
    lines = to_text(
        explanation, lambda bar, speaks_for: f"{'+' if speaks_for else '-'}{bar}", "#"
    ).splitlines()
    assert lines[0] == "spam (90.0%), compared with ham (10.0%)"
    assert lines[2].split() == ["word", "log", "p(spam)", "log", "p(ham)", "part"]
    assert lines[4].split() == ["Win", "-1.000", "-2.000", "+2.000", "+" + 20 * "#"]
    assert lines[5].split()[-1] == "-" + 10 * "#"
    assert lines[-1].split() == ["sum", "+2.000"]


def test_words_from_right_to_left_keep_their_direction_to_themselves(explanation):
    explanation["words"][0]["word"] = "می‌خواهم"
    text = to_text(explanation, lambda bar, _: bar, "#")
    assert text.splitlines()[4].startswith("\u2068می‌خواهم\u2069   ")
    on_terminal = to_text(explanation, lambda bar, _: bar, "#", terminal=True)
    assert "\u2068می\\u200cخواهم\u2069" in on_terminal
    html = to_html(explanation)
    assert '<p dir="auto"' in html
    assert "می‌خواهم" in html
    assert "\u2068" not in html


def test_the_variant_that_was_scored_is_named(explanation):
    explanation["reading"] = "Win" * 100
    note = (
        "disguised text, scored as “" + ("Win" * 67)[:199] + "…”; words that are not in it contribute nothing"
    )
    assert note in to_html(explanation)
    assert note in to_text(explanation, lambda bar, _: bar, "#")


def test_informative_words():
    words = {"spam": [{"word": "free\x00", "count": 1200, "part": 0.5, "total": 600.0}], "ham": []}
    assert informative_words_to_text(words).splitlines() == [
        "for spam",
        "word      count    part   total",
        r"free\x00  1,200  +0.500  +600.0",
        "",
        "for ham",
        "word  count  part  total",
    ]
