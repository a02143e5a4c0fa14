"""One colour per label: the same everywhere, readable, and told apart by colour-blind readers."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import lmclassify
from lmclassify.classify.explain import MIN_SHARE
from lmclassify.classify.label_colours import (
    COLOURS,
    TERMINAL_GREY,
    colour_numbers,
    css_variables,
    stylesheet,
)

CARDS = {"light": ["#ffffff", "#f4f6f9"], "dark": ["#1a212b", "#11161d"]}
"""Backgrounds of the page, the report and the snippet."""
TEXT = {"light": "#1b2430", "dark": "#e7ecf2"}
STRONGEST = {"light": 0.40, "dark": 0.35}
"""Share of a label's colour behind the strongest word."""
# How colours look with protanopia, deuteranopia and tritanopia (Machado, Oliveira & Fernandes 2009).
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def rgb(colour):
    return np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255


def linear(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """The contrast of two colours (Web Content Accessibility Guidelines 2.2)."""
    low, high = sorted(float(linear(values) @ XYZ[1]) + 0.05 for values in (one, other))
    return high / low


def lab(colour, vision):
    ratios = XYZ @ np.clip(np.array(vision) @ linear(rgb(colour)), 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def terminal(number):
    """The colour with this number among the 256 of xterm."""
    if number >= 232:
        return f"#{8 + 10 * (number - 232):02x}" + f"{8 + 10 * (number - 232):02x}" * 2
    levels = [0, 95, 135, 175, 215, 255]
    return "#{:02x}{:02x}{:02x}".format(*(levels[(number - 16) // 6**power % 6] for power in (2, 1, 0)))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_readable_as_text_and_behind_text(theme):
    for colour, card in itertools.product(COLOURS, CARDS[theme]):
        own = rgb(getattr(colour, theme))
        assert contrast(own, rgb(card)) >= 4.5
        shaded = STRONGEST[theme] * own + (1 - STRONGEST[theme]) * rgb(card)
        assert contrast(rgb(TEXT[theme]), shaded) >= 4.5


def test_colours_of_terminals_suit_black_and_white():
    for ground in ("#000000", "#ffffff"):
        assert all(contrast(rgb(terminal(colour.terminal)), rgb(ground)) >= 3 for colour in COLOURS)
        assert contrast(rgb(terminal(TERMINAL_GREY)), rgb(ground)) >= 4.5


@pytest.mark.parametrize("vision", VISION)
def test_colour_blind_readers_tell_the_colours_apart(vision):
    for theme, least in (("light", 15), ("dark", 15), ("terminal", 8)):
        shown = [getattr(colour, theme) for colour in COLOURS]
        colours = map(terminal, shown) if theme == "terminal" else shown
        points = [lab(colour, VISION[vision]) for colour in colours]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2)) >= least


def test_a_label_keeps_its_colour_whoever_wins():
    labels = ["eggs", "ham", "spam"]
    assert colour_numbers(labels, ["spam", "ham"]) == colour_numbers(labels, ["ham", "spam"])
    assert colour_numbers(labels, ["spam"]) == {"spam": 2}
    assert colour_numbers(labels, ["unsure"]) == {}


def test_more_labels_than_colours():
    labels = [f"{number:03}" for number in range(150)]
    assert colour_numbers(labels, ["000", "006"]) == {"000": 0, "006": 1}  # else both would have colour 0
    assert colour_numbers(labels, ["006"]) == {"006": 0}
    assert set(colour_numbers(labels, labels).values()) == set(range(len(COLOURS)))


def test_the_page_has_the_same_colours():
    static = Path(lmclassify.__file__).parent / "service" / "static"
    assert (static / "label-colours.css").read_text() == stylesheet()
    assert f"const COLOURS = {len(COLOURS)};" in (static / "label-colours.js").read_text()
    assert f"const MIN_SHARE = {MIN_SHARE};" in (static / "words.js").read_text()
    for theme in ("light", "dark"):
        assert css_variables(theme) in stylesheet()
