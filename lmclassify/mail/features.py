"""What a message holds beside its words, as tokens: sender, links, images and headers. Standard library only.

A token is a prefix, two underscores and a value, such as ``from__example_com``: one word for every tokenizer.
No value holds two underscores in a row, and `without_tokens` removes them from the words of a message, so
that no sender can write a token.

What a sender can forge has limited weight: a field has a fixed number of tokens at most, each only once and
short, so that more links or headers add nothing. References to other messages, dates, the addresses of
recipients and the verdicts of other filters are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from lmclassify.mail.encoded_words import decode_header
from lmclassify.mail.mime import Part

MAX_VALUE_CHARACTERS = 40
"""Maximum number of characters of a value: longer ones are mostly random."""
MAX_TOKENS = {"sender": 8, "links": 24, "images": 24, "headers": 24, "lists": 8, "received": 8}
"""Tokens of each field: about as many as ordinary messages have."""

_BETWEEN = re.compile(
    "[_\ufe33\ufe34\ufe4d-\ufe4f\uff3f](?:[\\W\u115f\u1160\u3164\uffa0]*[_\ufe33\ufe34\ufe4d-\ufe4f\uff3f])+"
)
"""Underscores with no letter or digit between them; some characters become underscores or disappear when
disguised text is normalized."""
_UNDERSCORE = re.compile("[_\ufe33\ufe34\ufe4d-\ufe4f\uff3f]")
_OTHER = re.compile(r"[\W_]+")
_ADDRESS = re.compile(r"([^\s<>@,;:\"'()]{1,200})@([^\s<>@,;:\"'()]{1,200})")
_ANGLE = re.compile(r"<[^<>]*(?:>|$)")
_IP = re.compile(r"\[?(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\]?(?::\d+)?")
_LOCAL_IP = re.compile(r"(?:10|127|0|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.")
_RECEIVED = re.compile(r"\s*from\s+([^\s();]{1,200})\s*(?:\(([^()]{0,300}))?", re.IGNORECASE)
_VERSION = re.compile(r"[\s/(\[,;:v]*\d.*", re.DOTALL)
_SITE_ENDS = ("ac", "co", "com", "edu", "gov", "net", "ne", "or", "org")
_LIST_HEADERS = ("list-unsubscribe", "list-post", "errors-to", "sender")
_USUAL = ("date", "message-id", "to", "from", "mime-version", "subject")
_MAX_RECEIVED = 12


def token(prefix: str, value: str) -> str:
    """Return a token; empty if the value has no letter or digit.

    >>> token("mailer", "The Bat! (v1.52f)"), token("from", "__"), token("links", "a__b")
    ('mailer__the_bat_v1_52f', '', 'links__a_b')
    """
    plain = _OTHER.sub("_", value[: 4 * MAX_VALUE_CHARACTERS].lower()).strip("_")[:MAX_VALUE_CHARACTERS]
    return f"{prefix}__{plain.strip('_')}" if plain else ""


def without_tokens(text: str) -> str:
    """Return the words of a message so that none is a token: underscores in a row become spaces.

    >>> without_tokens("from__example_com _one_ _two_ ______ ok")
    'from  example_com _one   two          ok'
    """
    return (
        _BETWEEN.sub(lambda run: _UNDERSCORE.sub(" ", run[0]), text)
        if "_" in text or not text.isascii()
        else text
    )


def site(host: str) -> str:
    """Return the registered domain of a host, guessed from its form; ``ip address`` for an IP address.

    >>> site("www.Shop.example.co.uk"), site("mail.example.com"), site("127.0.0.1"), site("localhost")
    ('example.co.uk', 'example.com', 'ip address', 'localhost')
    """
    host = host.strip("[].").lower()
    if _IP.fullmatch(host):
        return "ip address"
    labels = host.split(".")
    count = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SITE_ENDS else 2
    return ".".join(labels[-count:])


def bucket(count: int) -> str:
    """Return the range that a number lies in: models meet a range more often than a number."""
    return str(count) if count < 3 else "3_to_5" if count < 6 else "6_to_15" if count < 16 else "many"


def limited(tokens: Iterable[str], field: str) -> list[str]:
    """Return the first tokens of a field, each once."""
    found: dict[str, None] = {}
    for each in tokens:
        if each:
            found[each] = None
            if len(found) == MAX_TOKENS[field]:
                break
    return list(found)


def sender_tokens(sender: str) -> Iterator[str]:
    """Yield tokens for name and domain of the decoded header From."""
    if not sender:
        return
    _, domain = address_of(sender)
    yield token("from", site(domain)) if domain else "from__no_address"
    if domain.count(".") > 1:
        yield token("fromhost", domain)
    name = _ANGLE.sub(" ", sender) if "<" in sender else ""
    words = [word for word in _OTHER.split(_ADDRESS.sub(" ", name)) if word]
    for word in words[:4]:
        yield token("name", word)
    if not words:
        yield "name__none"


def address_of(header: str) -> tuple[str, str]:
    """Return the local part and the domain of a header's address, lower-cased; empty if there is none."""
    angle = _ANGLE.search(header)
    found = _ADDRESS.search(angle[0]) if angle is not None else None
    found = found or _ADDRESS.search(header)
    return ("", "") if found is None else (found[1].lower(), found[2].strip("[].").lower())


def header_tokens(message: Part, parts: Sequence[Part], sender: str) -> Iterator[str]:
    """Yield tokens for the headers of a message and of its first parts."""
    if not message.has_headers:
        return
    text = {name: _text(message, name) for name in _USUAL}
    yield token("type", message.type)
    for part in parts:
        if part is not message:
            yield token("part", part.type)
        yield token("charset", part.parameter(b"charset"))
        yield token("encoding", part.header(b"content-transfer-encoding").decode("ascii", "replace"))
    mailer = _text(message, "x-mailer") or _text(message, "user-agent")
    yield token("mailer", _VERSION.sub("", mailer[:100]) or mailer)
    for name in ("x-priority", "importance", "x-msmail-priority"):
        yield token(name.removeprefix("x-").replace("-", ""), _text(message, name))
    domain = address_of(sender)[1]
    for prefix, name in (("replyto", "reply-to"), ("msgid", "message-id")):
        value = _text(message, name)
        other = address_of(value)[1]
        if not value:
            yield f"{prefix}__none"
        elif not other:
            yield f"{prefix}__no_address"
        else:
            yield f"{prefix}__same" if site(other) == site(domain) else f"{prefix}__other"
    for name in _USUAL:
        if not text[name]:
            yield token("no", name)
    to = text["to"]
    if to:
        yield "to__" + (bucket(min(to.count("@"), 100)) if "@" in to else "no_address")


def list_tokens(message: Part) -> Iterator[str]:
    """Yield tokens for the headers that mailing lists add."""
    name = _text(message, "list-id")
    if name:
        yield token("list", name.rpartition("<")[2].partition(">")[0])
    yield token("precedence", _text(message, "precedence"))
    for header in _LIST_HEADERS:
        if message.header(header.encode()):
            yield token("has", header)


def received_tokens(message: Part) -> Iterator[str]:
    """Yield tokens for the servers that a message came from, and how they presented themselves."""
    values = message.headers(b"received", _MAX_RECEIVED)
    if not values and not message.has_headers:
        return
    yield token("hops", bucket(len(values)))
    for value in values:
        found = _RECEIVED.match(value.decode("ascii", "replace"))
        if found is None:
            continue
        helo, inside = found[1], found[2] or ""
        ip = _IP.search(inside) or _IP.search(helo)
        if ip is None or _LOCAL_IP.match(ip[1]):
            continue
        name = inside.split()[0] if inside.split() else ""
        if not name or name.startswith("[") or "." not in name or name.lower().startswith(("helo", "ehlo")):
            yield "hop__no_name"
            name = helo
        yield token("received", site(name))
        if _IP.fullmatch(helo):
            yield "hop__address_as_name"
        elif "." not in helo:
            yield "hop__one_word"
        elif site(helo) != site(name):
            yield "hop__other_name"


def _text(message: Part, name: str) -> str:
    value = message.header(name.encode())[:1000]
    return decode_header(value.decode("ascii", "surrogateescape")) if value else ""
