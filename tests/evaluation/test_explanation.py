"""Explanations as text."""

from __future__ import annotations

import re

from rich.cells import cell_len

from lmclassify.evaluation.explanation import Screen, informative_words_to_text, to_text
from tests.classify.made_up import made_up_explanation

COLOUR = re.compile(r"\x1b\[(?:38;5;(\d+)|39)m")


def table(text):
    """The lines between the title and the notes."""
    return text.split("\n\n")[1].splitlines()


def test_the_screen_says_label_words_and_numbers_without_colour():
    text = to_text(made_up_explanation(), Screen())
    assert text.splitlines()[0] == "spam (90.0%), compared with ham (10.0%)"
    assert table(text) == [
        "word            nats              for ham | for spam",
        "Win            +2.00                      |####################",
        "<b>            -1.00            ##########|",
        r'"x"\x1b        +0.25                      |##',
        "&              +0.00                      |",
        "more           +0.50                      |#####",
        "(end of text)  -0.25                    ##|",
        "(prior)        +0.50                      |#####",
        "sum            +2.00",
    ]
    note = " ".join(text.split("\n\n")[2].splitlines())
    assert note == (
        "Contributions are in nats, a unit of log-probability: positive ones speak for spam, negative ones for "
        "ham. They add up to +2.00: words +1.75, end of text -0.25, prior (before any word is read) +0.50. "
        "So spam is 7.4 times as probable as ham. Words without a bar hardly matter."
    )


def test_a_label_has_the_same_colour_when_it_loses():
    won = to_text(made_up_explanation(), Screen(colour=True))
    explanation = made_up_explanation()
    explanation |= {"label": "ham", "against": "spam", "decision": -2.0}
    for item in (explanation["prior"], *explanation["words"], explanation["end_of_text"]):
        item["contribution"] *= -1
    lost = to_text(explanation, Screen(colour=True))
    spam, ham, grey = "130", "27", "243"
    for text in (won, lost):
        words = [COLOUR.search(line)[1] for line in table(text)[1:5]]
        assert words == [spam, ham, spam, grey]
        assert COLOUR.sub("", text).count("■") == 2
        assert "Words in grey hardly matter." in " ".join(text.split("\n\n")[2].splitlines())
    assert COLOUR.findall(won.splitlines()[0])[::2] == [spam, ham]
    assert [COLOUR.sub("", line) for line in lost.splitlines()[:2]] == [
        "■ ham (10.0%), compared with ■ spam (90.0%)",
        "The most probable label is spam.",
    ]
    assert "So spam is 7.4 times as probable as ham." in " ".join(lost.splitlines())


def test_log_probabilities_are_shown_on_request_with_their_owner():
    lines = to_text(made_up_explanation(), Screen(), language_models="LSTM").splitlines()
    assert re.split("  +", lines[2])[:4] == ["word", "nats", "LSTM of spam", "LSTM of ham"]
    assert lines[3].split()[:4] == ["Win", "+2.00", "-1.00", "-2.00"]
    assert " ".join(lines[-2:]) == (
        "LSTM of spam, LSTM of ham: log-probability of the word under the label's language model, in nats."
    )


def test_long_texts_show_the_words_that_contribute_most():
    lines = table(to_text(made_up_explanation(), Screen(), most=2))
    assert [line.split()[0] for line in lines] == ["word", "Win", "<b>", "(3", "(end", "(prior)", "sum"]
    assert lines[3].split()[:4] == ["(3", "more", "words)", "+0.75"]


def test_equal_words_of_a_long_text_share_a_line():
    explanation = made_up_explanation()
    for at in (1, 2):
        explanation["words"][at] |= {"word": "more"}
    lines = table(to_text(explanation, Screen(), most=2))
    assert [line.split("  ")[0] for line in lines[1:4]] == ["Win", "more (3 times)", "(1 more word)"]
    assert lines[2].split()[3] == "-0.25"
    assert "more (3 times)" not in to_text(explanation, Screen(), most=5)


def test_every_line_fits_the_screen():
    explanation = made_up_explanation()
    names = {"spam": "يوتيوب" * 12, "ham": "收件箱" * 30}
    explanation |= {"label": names["spam"], "against": names["ham"]}
    for key in ("probabilities", "joint_log_probabilities"):
        explanation[key] = {names[label]: value for label, value in explanation[key].items()}
    for item in (*explanation["words"], explanation["end_of_text"]):
        item["log_probability"] = {names[label]: nats for label, nats in item["log_probability"].items()}
    explanation["words"][0]["word"] = "Donaudampfschifffahrtsgesellschaft" * 3
    explanation["words"][1]["word"] = "免费领取大奖" * 9
    for width, models in ((80, None), (80, "LSTM"), (120, "LM"), (70, None)):
        lines = to_text(explanation, Screen(width, terminal=True), language_models=models).splitlines()
        assert max(map(cell_len, lines)) <= width
        axis = {cell_len(line.split("|")[0]) for line in lines if "|" in line}
        assert len(axis) == 1


def test_words_from_right_to_left_keep_their_direction_to_themselves():
    explanation = made_up_explanation()
    explanation["words"][0]["word"] = "می‌خواهم"
    assert table(to_text(explanation, Screen()))[1].startswith("\u2068می‌خواهم\u2069   ")
    on_terminal = table(to_text(explanation, Screen(terminal=True)))[1]
    assert on_terminal.startswith("\u2068می\\u200cخواهم\u2069")


def test_the_variant_that_was_scored_is_named():
    explanation = made_up_explanation()
    explanation["reading"] = "Win" * 100
    short = ("Win" * 67)[:199] + "…"
    note = f"disguised text, scored as “{short}”; words that are not in it contribute nothing"
    assert note in to_text(explanation, Screen())


def test_informative_words():
    spam = {"word": "free\x00", "count": 1200, "contribution": 0.5, "total": 600.0}
    text = informative_words_to_text({"ham": [], "spam": [spam]}, Screen())
    assert text.split("\n\n")[:2] == [
        "Words for ham\nword  times  contribution  total",
        "Words for spam\n"
        "word      times  contribution   total\n"
        r"free\x00  1,200         +0.50  +600.0  ####################",
    ]
    assert "minus the mean of what it adds to the other labels" in " ".join(text.split())
    assert f"\x1b[38;5;130m{20 * '#'}" in informative_words_to_text(
        {"ham": [], "spam": [spam]}, Screen(colour=True)
    )
