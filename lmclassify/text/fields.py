"""Texts of several fields, such as title and body: each field is a line of the text.

A language model reads line ends as blanks, so it reads the fields one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence


def join_fields(fields: Sequence[str]) -> str:
    """Return the fields as one text; an empty one if all are blank.

    White space within a field becomes single blanks, so that the number of a line tells its field.

    Examples
    --------
    >>> join_fields(["Lunch?", "", "At noon,\\nas usual."])
    'Lunch?\\n\\nAt noon, as usual.'
    """
    lines = [" ".join(field.split()) for field in fields]
    return "\n".join(lines) if any(lines) else ""


def fields_at(text: str, starts: Sequence[int], names: Sequence[str]) -> list[str] | None:
    """Return the name of the field at each of some positions of a text; None if it is not of these fields.

    Parameters
    ----------
    text : str
    starts : sequence of int
        Ascending.
    names : sequence of str
        Of the fields, in order.

    Examples
    --------
    >>> fields_at("Lunch?\\nAt noon", [0, 7, 10], ["title", "body"])
    ['title', 'body', 'body']
    >>> fields_at("Lunch at noon", [0], ["title", "body"]) is None
    True
    """
    if len(names) < 2 or text.count("\n") != len(names) - 1:
        return None
    found, line, end = [], 0, text.find("\n")
    for start in starts:
        while end != -1 and start > end:
            line, end = line + 1, text.find("\n", end + 1)
        found.append(names[line])
    return found
