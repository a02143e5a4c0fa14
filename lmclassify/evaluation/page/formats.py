"""The Jinja environment of the HTML report: how its numbers are written."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from lmclassify.errors import counted, plural
from lmclassify.text import markup

if TYPE_CHECKING:
    from jinja2 import Environment


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


@functools.cache
def environment() -> Environment:
    """Return the environment that loads and renders the templates of the report."""
    result = markup.environment(Path(__file__).with_name("templates"))
    for function in (fixed, grouped, perplexity, counted, plural):
        result.filters[function.__name__] = function
    return result
