"""Texts and numbers in HTML: escaped, visible, isolated from the writing direction around them, cut."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from lmclassify.errors import cut
from lmclassify.text.display import percent

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


def lines(text: str) -> Markup:
    """Return a text as HTML that keeps its line ends, for an element that preserves white space."""
    return Markup("\n").join(visible(line) for line in text.splitlines() + [""] * text.endswith("\n"))


def name(label: str, limit: int = 60) -> Markup:
    """Return a label as HTML that may break after punctuation; a long label is cut.

    ``<bdi>`` isolates it from the writing direction of the text around it.
    """
    shown = visible(label)
    if len(shown) <= limit:
        return Markup("<bdi>{}</bdi>").format(Markup("<wbr>").join(_BREAK_AFTER.split(shown)))
    return Markup('<bdi title="{}">{}</bdi>').format(shown[:1000], cut(shown, limit))


def signed(nats: float, digits: int = 2) -> str:
    """Return a number with its sign.

    >>> signed(-0.5), signed(0.5, 1), signed(-0.001)
    ('−0.50', '+0.5', '+0.00')
    """
    return f"{nats:+z.{digits}f}".replace("-", "\N{MINUS SIGN}")


def environment(folder: Path) -> Environment:
    """Return the environment that renders the templates in a folder; it escapes every text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # imports slowly

    result = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (cut, lines, name, percent, signed):
        result.filters[function.__name__] = function
    return result


def _finalize(value: object) -> object:
    """Make every text that a template writes visible; Jinja then escapes it. HTML stays as it is."""
    return value if isinstance(value, Markup) else visible(str(value))
