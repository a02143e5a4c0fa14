"""An explanation as an HTML snippet, for notebooks and other pages: its words in the labels' colours."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from lmclassify.classify.explain import (
    MIN_SHARE,
    ExplainedEnd,
    Explanation,
    explained_sum,
    largest_contribution,
    strongest_words,
)
from lmclassify.classify.label_colours import colour_numbers, css_variables
from lmclassify.errors import cut
from lmclassify.text.markup import environment, name, signed

if TYPE_CHECKING:
    from jinja2 import Template

_MAX_NAMED_WORDS = 6
"""Words named below the text, for each label: the rest add little."""
_MAX_VARIANT = 200
"""Characters shown of the text as it was scored."""


class _Piece(NamedTuple):
    """A word, or the end of text, and what stands before it."""

    before: str
    text: str
    label: str | None
    """The label that it speaks for; None if it hardly matters."""
    share: float
    """Of the largest contribution, 0 to 1."""
    title: str


@functools.cache
def _template() -> Template:
    return environment(Path(__file__).parent).get_template("explanation.html")


def to_html(explanation: Explanation) -> str:
    """Return an explanation as an HTML snippet with its own style, for light and dark pages."""
    labels = [label for label in (explanation["label"], explanation["against"]) if label is not None]
    variant = explanation["reading"]
    return _template().render(
        explanation=explanation,
        colours=colour_numbers(list(explanation["probabilities"]), labels),
        light_colours=css_variables("light"),
        dark_colours=css_variables("dark"),
        pieces=_pieces(explanation),
        strongest=list(zip(labels, strongest_words(explanation, _MAX_NAMED_WORDS), strict=False)),
        note=Markup(explained_sum(explanation, signed, functools.partial(name, limit=40))),
        variant=None if variant is None else cut(variant, _MAX_VARIANT),
    )


def _pieces(explanation: Explanation) -> list[_Piece]:
    largest = largest_contribution(explanation)

    def piece(before: str, text: str, item: ExplainedEnd, kind: str = "") -> _Piece:
        contribution = item["contribution"]
        label = explanation["label"] if contribution > 0 else explanation["against"]
        speaks = "" if label is None else f" for {label}"
        share = abs(contribution) / largest
        title = f"{kind}{signed(contribution)} nats{speaks}"
        return _Piece(before, text, label if share >= MIN_SHARE else None, share, title)

    pieces, done, text = [], 0, explanation["text"]
    for word in explanation["words"]:
        field = f"{word['field']}: " if "field" in word else ""
        pieces.append(piece(text[done : word["start"]], word["word"], word, field))
        done = word["end"]
    pieces.append(piece(text[done:] + " ", "⏎", explanation["end_of_text"], "end of text: "))
    return pieces
