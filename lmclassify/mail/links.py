"""Links and images of HTML and plain text, however malformed, in linear time. Standard library only."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from lmclassify.mail.features import bucket, site, token
from lmclassify.mail.html_text import text_of_html

MAX_TAGS = 400
"""Links and images looked at in a message: more than any has that people read."""
MAX_LINK_TEXT = 300
"""Characters of markup between the tags of a link that are read."""
MAX_ALT_CHARACTERS = 400
"""Characters kept of the texts that stand for images."""
_MAX_WORDS = 12  # of all link texts
_MAX_HOSTS = 8

_TAG = re.compile(r"<(a|area|form|iframe|img|input|body|table|td)\b([^<>]{0,2000})", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"\b(href|action|src|alt|background|width|height)\s*=\s*(?:\"([^\"]*)\"?|'([^']*)'?|([^\s\"'<>]+))",
    re.IGNORECASE,
)
_HOST = re.compile(r"\s*(?:https?|ftp):/?/?(?:[^\s/@?#]{0,200}@)?([^\s/:?#@\"'<>]{1,200})", re.IGNORECASE)
_PLAIN_LINK = re.compile(r"\b(?:https?|ftp)://(?:[^\s/@?#<>]{0,200}@)?([\w.-]{1,200})", re.IGNORECASE)
_SHOWN_HOST = re.compile(r"\b(?:https?://|www\.)([\w.-]{1,200})", re.IGNORECASE)


class LinksAndImages:
    """What the HTML and the text of a message link to and show.

    Attributes
    ----------
    alt : str
        The texts that stand for images, each once.
    """

    def __init__(self, markups: Sequence[str], text: str) -> None:
        self._hosts: dict[str, None] = {}
        self._words: dict[str, None] = {}
        self._flags: dict[str, None] = {}
        self._links = self._images = self._remote = 0
        alts: dict[str, None] = {}
        for number, found in enumerate(_tags(markups)):
            if number == MAX_TAGS:
                break
            markup, tag = found
            values = {
                name.lower(): html_value(double or single or bare)
                for name, double, single, bare in _ATTRIBUTE.findall(tag[2])
            }
            name = tag[1].lower()
            if name in ("img", "input"):
                self._images += name == "img"
                self._remote += _HOST.match(values.get("src", "")) is not None
                if values.get("width") in ("0", "1") and values.get("height") in ("0", "1"):
                    self._flags["image__invisible"] = None
                alt = " ".join(values.get("alt", "").split())
                if alt:
                    alts[alt] = None
                self._add_host(values.get("src", ""))
            elif name == "a":
                self._add_link(values.get("href", ""), markup, tag.end())
            else:
                if name in ("form", "iframe"):
                    self._flags[f"links__{name}"] = None
                self._add_host(values.get("href") or values.get("action") or values.get("background") or "")
        for number, plain in enumerate(_PLAIN_LINK.finditer(text)):
            if number == MAX_TAGS:
                break
            self._links += not markups
            self._hosts[site(plain[1])] = None
        self.alt = "\n".join(alts)[:MAX_ALT_CHARACTERS]

    def _add_host(self, address: str) -> None:
        host = _HOST.match(address)
        if host is not None:
            self._hosts[site(host[1])] = None

    def _add_link(self, address: str, markup: str, start: int) -> None:
        if not address or address.startswith("#"):
            return
        self._links += 1
        if address[:7].lower() == "mailto:":
            self._flags["links__mailto"] = None
        self._add_host(address)
        end = markup.find("</", start, start + MAX_LINK_TEXT)
        inside = markup[
            start + 1 if markup[start : start + 1] == ">" else start : end
            if end >= 0
            else start + MAX_LINK_TEXT
        ]
        shown = text_of_html(inside, MAX_LINK_TEXT)
        host, other = _HOST.match(address), _SHOWN_HOST.search(shown)
        if host is not None and other is not None and site(host[1]) != site(other[1]):
            self._flags["links__other_host_shown"] = None
        if other is None:
            self._words.update(dict.fromkeys(shown.lower().split()))

    def link_tokens(self) -> Iterator[str]:
        """Yield tokens for the links."""
        yield f"links__{bucket(self._links)}"
        yield from (each for each in self._flags if each.startswith("links__"))
        yield from [token("link", host) for host in self._hosts][:_MAX_HOSTS]
        yield from [token("linktext", word) for word in self._words][:_MAX_WORDS]

    def image_tokens(self, attached: int) -> Iterator[str]:
        """Yield tokens for the images; `attached` counts those in parts of their own."""
        yield f"images__{bucket(self._images)}"
        if self._remote:
            yield f"images__remote_{bucket(self._remote)}"
        if attached:
            yield f"images__attached_{bucket(attached)}"
        yield from (each for each in self._flags if each.startswith("image__"))


def html_value(value: str) -> str:
    """Return the value of an attribute with character references decoded."""
    try:
        return html.unescape(value) if "&" in value else value
    except ValueError:  # a numeric reference of thousands of digits
        return value


def _tags(markups: Sequence[str]) -> Iterator[tuple[str, re.Match[str]]]:
    for markup in markups:
        for tag in _TAG.finditer(markup):
            yield markup, tag
