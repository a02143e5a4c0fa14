"""HTML to the text that a reader sees, however broken.

By regular expressions that look at each character once: on markup made for it `html.parser` takes minutes,
and a mail filter must not.
"""

from __future__ import annotations

import html
import re

_COMMENT, _END_OF_COMMENT = "<!--", "-->"
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)[^<>]*>|<[!?][^<>]*>", re.IGNORECASE)
_UNSEEN = ("script", "style", "title", "template")
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|br|center|d[dlt]|div|fieldset|figure|footer|form|h[1-6]|header|hr|html|"
    "li|main|nav|ol|option|p|pre|section|table|t[dhr]|ul"
)


def text_of_html(markup: str, limit: int) -> str:
    """Return the text of HTML: no scripts or styles, a line for each block.

    Parameters
    ----------
    markup : str
    limit : int
        Stop once there are more characters of text than this.

    >>> text_of_html("<p>Your <b>fr</b>ee&nbsp;prize<style>p{}</style><p>Click <a href='x'>here</a>", 100)
    'Your free prize\\nClick here'
    """
    markup = _without_comments(markup)
    pieces: list[str] = []
    unseen, place, room = "", 0, limit
    for tag in _TAG.finditer(markup):
        if not unseen:
            pieces.append(_visible(markup[place : tag.start()]))
            room -= len(pieces[-1])
            if room < 0:
                break
        place = tag.end()
        name = (tag[2] or "").lower()
        if name in _UNSEEN:
            unseen = ("" if name == unseen else unseen) if tag[1] else unseen or name
        elif _BLOCK.fullmatch(name):
            pieces.append("\n")
    else:
        if not unseen:
            pieces.append(_visible(markup[place:]))
    lines = (" ".join(line.split()) for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def _visible(data: str) -> str:
    """Return text between tags: its line ends are mere spaces, its entities characters."""
    data = re.sub(r"\s+", " ", data)
    try:
        return html.unescape(data)
    except ValueError:  # a number of thousands of digits
        return data


def _without_comments(markup: str) -> str:
    pieces, place = [], 0
    while (start := markup.find(_COMMENT, place)) >= 0:
        end = markup.find(_END_OF_COMMENT, start + len(_COMMENT))
        if end < 0:
            break
        pieces.append(markup[place:start])
        place = end + len(_END_OF_COMMENT)
    return "".join([*pieces, markup[place:]])
