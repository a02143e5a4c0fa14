"""One colour per label, the same wherever it is shown: terminal, web page, report and notebook.

A label's colour follows from its position among the model's labels, not from who wins a decision. A colour
never stands alone: the label's name, a sign or a column says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple


class LabelColour(NamedTuple):
    """A colour for light and dark backgrounds, and its number among the 256 colours of terminals."""

    light: str
    dark: str
    terminal: int


COLOURS = (
    LabelColour("#0b52d6", "#5a92ff", 27),  # blue
    LabelColour("#ad5700", "#ff7a33", 130),  # orange
    LabelColour("#007056", "#4ce0a0", 29),  # green
    LabelColour("#b8258f", "#d9699f", 163),  # pink
    LabelColour("#47350b", "#9c8a5e", 136),  # brown
    LabelColour("#00405c", "#99e0ff", 66),  # dark or light blue
)
"""The hues of Okabe & Ito (2008). They differ in lightness too, so that colour-blind readers can tell them
apart, and as text they have a contrast of at least 4.5:1. A terminal's background is unknown: its colours are
for bars, with a contrast of at least 3:1 on black and on white (Web Content Accessibility Guidelines 2.2)."""

TERMINAL_GREY = 243
"""Grey text of terminals, readable on black and on white."""


def colour_numbers(labels: Sequence[str], shown: Iterable[str]) -> dict[str, int]:
    """Return the number of each shown label's colour; names that are no labels of the model have none.

    A model with more labels than colours repeats them. Of labels that are shown together and would have the
    same colour, the later one gets the next colour that is free.

    Parameters
    ----------
    labels : sequence of str
        All labels of the model, in its order.
    shown : iterable of str
        Those that are shown together.

    Examples
    --------
    >>> colour_numbers("abcdefgh", ["h", "a", "b"])
    {'a': 0, 'b': 1, 'h': 2}
    """
    together = set(shown)
    numbers: dict[str, int] = {}
    for position, label in enumerate(labels):
        if label in together:
            choice = [(position + step) % len(COLOURS) for step in range(len(COLOURS))]
            used = set(numbers.values())
            numbers[label] = next((number for number in choice if number not in used), choice[0])
    return numbers


def css_variables(theme: Literal["light", "dark"]) -> str:
    """Return the colours of a theme as CSS variables: ``--label-0: #...; --label-1: #...;``."""
    return " ".join(f"--label-{number}: {getattr(colour, theme)};" for number, colour in enumerate(COLOURS))


def stylesheet() -> str:
    """Return the style sheet of the web page and of the report: the variables of both themes."""
    return (
        f":root {{ {css_variables('light')} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {css_variables('dark')} }} }}\n"
    )
