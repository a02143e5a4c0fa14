"""The Jinja environment of the HTML report: how texts are escaped and numbers written."""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from lmclassify.errors import counted, plural

if TYPE_CHECKING:
    from jinja2 import Environment

_BREAK_AFTER = re.compile(r"(?<=[_./:-])(?=\w)")
_HARMLESS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{SOFT HYPHEN}"  # emoji and scripts need them
_INVISIBLE = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")  # Unicode categories


def visible(text: str) -> str:
    """Return a text with invisible and direction-changing characters as visible escapes.

    >>> visible("a\\x00b")
    'a\\\\x00b'
    """
    if text.isprintable():
        return text
    return "".join(
        repr(character)[1:-1]
        if unicodedata.category(character) in _INVISIBLE and character not in _HARMLESS
        else character
        for character in text
    )


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters; a longer one ends in "…"."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def name(label: str, limit: int = 60) -> Markup:
    """Return a label as HTML that may break after punctuation; a long label is cut.

    ``<bdi>`` isolates it from the writing direction of the text around it.
    """
    shown = visible(label)
    if len(shown) <= limit:
        return Markup("<bdi>{}</bdi>").format(Markup("<wbr>").join(_BREAK_AFTER.split(shown)))
    return Markup('<bdi title="{}">{}</bdi>').format(shown[:1000], cut(shown, limit))


def percent(share: float) -> str:
    """Return a share as percent; only exact 0 and 1 are written as 0% and 100%.

    >>> percent(0.9482), percent(0.99999), percent(1.0), percent(0.000001)
    ('94.8%', '>99.9%', '100%', '<0.1%')
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share > 0.9995:
        return ">99.9%"
    return "<0.1%" if share < 0.0005 else f"{share:.1%}"


def signed(nats: float, digits: int = 2) -> str:
    """Return a number with its sign.

    >>> signed(-0.5), signed(0.5, 1)
    ('−0.50', '+0.5')
    """
    return f"{nats:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def fixed(value: float, digits: int = 4) -> str:
    """Return a number with a fixed number of digits; infinity is "∞" and NaN is "undefined"."""
    if value < float("inf"):
        return f"{value:.{digits}f}"
    return "∞" if value == value else "undefined"


def grouped(value: float | None) -> str:
    """Return a whole number with thousands separators, "–" for None."""
    return "–" if value is None else f"{value:,.0f}"


def perplexity(value: float | None) -> str:
    """Return a perplexity, "–" for None."""
    return "–" if value is None else f"{value:,.1f}" if value < 1e6 else f"{value:.1e}"


def _finalize(value: object) -> object:
    """Make every text that a template writes visible; Jinja then escapes it. HTML stays as it is."""
    return value if isinstance(value, Markup) else visible(str(value))


@functools.cache
def environment() -> Environment:
    """Return the environment that loads and renders the templates."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # `explain` prints text without it

    result = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (cut, name, percent, signed, fixed, grouped, perplexity, counted, plural):
        result.filters[function.__name__] = function
    return result
