"""HTML made of elements; every text in it is escaped unless it is HTML already."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_VOID = frozenset({"link", "meta", "wbr"})
_MAY_BREAK = re.compile(r"(?<=[_./:-])(?=\w)")
_HARMLESS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{SOFT HYPHEN}"  # emoji and scripts need them
_LONGEST_NAME = 60


class Html(str):
    """HTML that is not to be escaped again."""

    __slots__ = ()


def visible(text: str) -> str:
    """Return a text with what cannot be seen, or would turn other text around, as visible escapes.

    >>> visible("a\\x00b")
    'a\\\\x00b'
    """
    if text.isprintable():
        return text
    return "".join(
        repr(character)[1:-1]
        if unicodedata.category(character) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
        and character not in _HARMLESS
        else character
        for character in text
    )


def escaped(content: object) -> Html:
    """Return content as HTML: a text escaped, HTML as it is."""
    return content if isinstance(content, Html) else Html(html.escape(visible(str(content))))


def element(tag: str, *content: object, **attributes: Any) -> Html:
    """Return an element.

    Parameters
    ----------
    tag : str
    *content : object
        Texts and HTML.
    **attributes : object
        ``class_`` is written class, ``aria_label`` aria-label. None leaves one out, True gives it no value.
    """
    written = "".join(
        f" {name}" if value is True else f' {name}="{escaped(value)}"'
        for name, value in ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{joined(content)}</{tag}>")


def joined(parts: Iterable[object], separator: str = "") -> Html:
    """Return texts and HTML one after the other."""
    return Html(separator.join(map(escaped, parts)))


def name(label: str, longest: int = _LONGEST_NAME) -> Html:
    """Return a label as HTML, isolated from the direction of the text around it; a long one is cut."""
    shown = visible(label)
    if len(shown) <= longest:
        return element("bdi", joined(_MAY_BREAK.split(shown), element("wbr")))
    return element("bdi", shown[: longest - 1] + "…", title=shown[:1000])


def table(
    title: str,
    note: object,
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    texts: int = 1,
    class_: str | None = None,
) -> Html:
    """Return a note and a table in a box of its own, that scrolls where it is too wide.

    Parameters
    ----------
    title : str
        The table's name for those who do not see it.
    note : object
        What stands above it.
    head : sequence of object
    rows : iterable of sequence of object
        The first cell of each is its heading. Cells that are ``td`` elements are taken as they are.
    texts : int, default=1
        Columns, from the first, that hold texts rather than numbers.
    class_ : str, optional
    """

    def cell(content: object, place: int) -> Html:
        if isinstance(content, Html) and content.startswith("<td"):
            return content
        kind = "text" if place < texts else None
        if place == 0:
            return element("th", content, scope="row", class_=kind)
        return element("td", content, class_=kind)

    heads = [
        element("th", content, scope="col", class_="text" if place < texts else None)
        for place, content in enumerate(head)
    ]
    body = [
        element("tr", *(cell(content, place) for place, content in enumerate(row))) + "\n" for row in rows
    ]
    whole = element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", Html("".join(body))),
        class_=class_,
        aria_label=title,
    )
    box = element("div", whole, class_="scroll", tabindex=0, role="group", aria_label=f"{title} (scrolls)")
    return joined([element("p", note, class_="hint"), box])


def facts(pairs: Iterable[tuple[object, object]]) -> Html:
    """Return terms and what they are."""
    return element(
        "dl",
        *(element("div", element("dt", term), element("dd", what)) for term, what in pairs),
        class_="facts",
    )


def signed(nats: float, digits: int = 2) -> str:
    """Return a number with its sign.

    >>> signed(-0.5), signed(0.5, 1)
    ('−0.50', '+0.5')
    """
    return f"{nats:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """Return a share as percent, so that what is not quite 0 or 1 does not look so.

    >>> percent(0.9482), percent(0.99999), percent(1.0), percent(0.000001)
    ('94.8%', '>99.9%', '100%', '<0.1%')
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if share > 0.9995:
        return ">99.9%"
    return "<0.1%" if share < 0.0005 else f"{share:.1%}"
