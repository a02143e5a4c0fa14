"""Read the text of one message, however malformed.

Imports little, and only from the standard library: the mail filter starts anew for every message.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from lmclassify.mail.charsets import codec_of, decode_bytes
from lmclassify.mail.encoded_words import decode_header
from lmclassify.mail.fields import FEATURE_FIELDS, MAX_MESSAGE_BYTES, MAX_TEXT_CHARACTERS, TEXT_FIELDS
from lmclassify.mail.mime import Part
from lmclassify.mail.normal_form import UTF8_MARK, wide_encoding

_MAX_DEPTH = 40  # of nested parts, well below Python's recursion limit
_HTML = re.compile(r"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([^\s;\"'<>]+)", re.IGNORECASE)
_META_CHARSET = re.compile(
    rb"<meta\b[^>]*\bcharset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml\b[^>]*\bencoding\s*=\s*[\"']([\w.:-]+)",
    re.IGNORECASE,
)
_META_BYTES = 4096  # where a charset is looked for in HTML
_OF_BODY = frozenset(("body", "links", "images", "headers"))
_MAX_PARTS_OF_HEADERS = 4
"""Parts whose types are read as headers: the main ones come first."""
_SKIPPED_TEXT_TYPES = ("calendar", "css", "csv", "directory", "javascript", "vcard", "x-vcard")
_SEALED_TYPES = (
    "application/pgp-encrypted",
    "application/pkcs7-mime",
    "application/x-pkcs7-mime",
    "multipart/encrypted",
)
_ARMOUR = re.compile(
    r"^[> \t]*-----BEGIN (PGP (?:MESSAGE|SIGNATURE|PUBLIC KEY BLOCK|PRIVATE KEY BLOCK)|PKCS7|CMS)\b"
    r"[^\n]*-----[ \t]*$(?s:.*?)(?:^[> \t]*-----END \1\b[^\n]*-----[ \t]*$\n?|\Z)",
    re.MULTILINE,
)
_SIGNED = re.compile(r"^-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\n(?:[A-Za-z]+: [^\n]*\n)*\n?", re.MULTILINE)


class Mail:
    """The text of one message; each field is one line, except the body.

    Parameters
    ----------
    id : str
        The Message-ID, or empty.
    sender, date, subject, body : str

    Attributes
    ----------
    is_sealed : bool
        Whether the body, or a part of it, is encrypted or otherwise unreadable (PGP armour, opaque S/MIME).
        It counts as no text.
    features : mapping of str to list of str
        Tokens of the other fields that are read; see `lmclassify.mail.features`.
    alt : str
        The texts that stand for images, if they are read.
    """

    is_sealed = False
    features: Mapping[str, Sequence[str]] = {}
    alt = ""

    def __init__(self, id: str, sender: str, date: str, subject: str, body: str) -> None:
        self.id, self.sender, self.date, self.subject, self.body = id, sender, date, subject, body

    def text(self, fields: Sequence[str]) -> str:
        """Return the text to classify: subject, body, texts of images, and the tokens of other fields.

        Each is on lines of its own. The tokens are never cut off, however long the body is.
        """
        parts = [
            self.subject if field == "subject" else self.body for field in fields if field in TEXT_FIELDS
        ]
        tokens = " ".join(each for field in fields for each in self.features.get(field, ()))
        if "images" in fields:
            parts.append(self.alt)
        text = "\n".join(part for part in parts if part.strip())
        if not any(field in FEATURE_FIELDS for field in fields):
            return text[:MAX_TEXT_CHARACTERS]
        from lmclassify.mail.features import without_tokens

        text = without_tokens(text[: MAX_TEXT_CHARACTERS - len(tokens) - 1])
        return "\n".join(part for part in (text, tokens) if part)


def read_message(data: bytes, fields: Collection[str] = TEXT_FIELDS) -> Mail:
    """Read a message; a malformed one is read as well as possible.

    Parameters
    ----------
    data : bytes
        Only the first `MAX_MESSAGE_BYTES` are parsed.
    fields : collection of str
        Without ``body``, ``links``, ``images`` and ``headers`` the body is not parsed, which saves time.
    """
    data, is_unicode = _normalized(data[:MAX_MESSAGE_BYTES])
    head = data
    if not _OF_BODY.intersection(fields):
        end = _END_OF_HEADER.search(data)
        if end is not None:
            head = data[: end.end()]
    message = Part(head)
    mail = Mail(
        _header(message, b"message-id", data),
        _header(message, b"from", data),
        _header(message, b"date", data),
        _header(message, b"subject", data),
        "",
    )
    body = _Body(message, is_unicode) if _OF_BODY.intersection(fields) else None
    if body is not None and "body" in fields:
        mail.body = body.text
        if body.is_sealed:
            mail.is_sealed = True
    if any(field in FEATURE_FIELDS for field in fields):
        _add_features(mail, message, body, fields)
    return mail


def _add_features(mail: Mail, message: Part, body: _Body | None, fields: Collection[str]) -> None:
    from lmclassify.mail import features

    found: dict[str, Iterator[str]] = {}
    if "sender" in fields:
        found["sender"] = features.sender_tokens(mail.sender)
    if body is not None and ("links" in fields or "images" in fields):
        from lmclassify.mail.links import LinksAndImages

        content = LinksAndImages(body.markups(), body.text)
        mail.alt = content.alt
        if "links" in fields:
            found["links"] = content.link_tokens()
        if "images" in fields:
            found["images"] = content.image_tokens(sum(part.type[:6] == "image/" for part in body.leaves))
    if body is not None and "headers" in fields:
        found["headers"] = features.header_tokens(message, body.leaves[:_MAX_PARTS_OF_HEADERS], mail.sender)
    if "lists" in fields:
        found["lists"] = features.list_tokens(message)
    if "received" in fields:
        found["received"] = features.received_tokens(message)
    if message.has_headers or mail.body:
        mail.features = {field: features.limited(tokens, field) for field, tokens in found.items()}


def _normalized(data: bytes) -> tuple[bytes, bool]:
    """Return a message with line feeds and without blank lines before its header, and whether it is UTF-8."""
    wide = wide_encoding(data)
    if wide is not None:
        data = data.decode(wide, "replace").encode("utf-8", "replace")
    is_unicode = wide is not None or data.startswith(UTF8_MARK)
    data = data.removeprefix(UTF8_MARK)
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # lines of old Macintoshes
    if data[:1].isspace():
        from lmclassify.mail.mbox import without_leading_blank_lines

        data = without_leading_blank_lines(data)
    return data, is_unicode


def _header(message: Part, name: bytes, data: bytes) -> str:
    value = message.header(name)
    if not value:
        return ""
    charset = ""
    if not value.isascii() or b"~{" in value:
        found = _CHARSET.search(data)  # the one of the message, or of its first part that names one
        charset = "" if found is None else found[1].decode("ascii", "replace")
    return decode_header(value.decode("ascii", "surrogateescape"), charset)


class _Body:
    """The text of a message's parts, without attachments.

    Attributes
    ----------
    text : str
    leaves : list of Part
        The parts that are not divided, attachments included.
    """

    def __init__(self, message: Part, is_unicode: bool) -> None:
        self.is_sealed, self._is_unicode = False, is_unicode
        self._decoded: dict[int, str] = {}
        self.leaves = [*_leaves(message, 0)]
        pieces: list[str] = []
        remaining = MAX_TEXT_CHARACTERS
        for text in self._texts(message, 0):
            pieces.append(text.strip())
            remaining -= len(pieces[-1])
            if remaining < 0:
                break
        self.text = "\n".join(piece for piece in pieces if piece)[:MAX_TEXT_CHARACTERS]

    def markups(self) -> list[str]:
        """Return the HTML of all parts that are no attachments, also of those whose text is not read."""
        found = []
        for part in self.leaves:
            main, _, sub = part.type.partition("/")
            if part.is_attachment or main != "text" or sub in _SKIPPED_TEXT_TYPES:
                continue
            if sub in ("html", "xhtml+xml") or id(part) in self._decoded:
                text = self._decode(part)
                if sub in ("html", "xhtml+xml") or _HTML.match(text):
                    found.append(text)
        return found

    def _texts(self, part: Part, depth: int) -> Iterator[str]:
        if part.type in _SEALED_TYPES:
            if "certs-only" not in part.parameter(b"smime-type").lower():
                self.is_sealed = True
            return
        children = part.parts()
        if children is not None:
            if depth > _MAX_DEPTH:
                return
            children = [child for child in children if not child.is_attachment or child.type in _SEALED_TYPES]
            if part.type == "multipart/alternative":
                children.sort(key=lambda child: child.type != "text/plain")
                found = (text for child in children for text in self._texts(child, depth + 1) if text.strip())
                yield next(found, "")
                return
            for child in children:
                yield from self._texts(child, depth + 1)
            return
        main, _, sub = part.type.partition("/")
        if main == "text" and sub in _SKIPPED_TEXT_TYPES:
            return
        if main not in ("text", "multipart") and sub not in ("xhtml+xml", "pgp"):
            if part.file_name.lower().endswith(".p7m"):
                self.is_sealed = True
            return
        yield self._text(part, sub)

    def _decode(self, part: Part) -> str:
        text = self._decoded.get(id(part))
        if text is None:
            content = part.content()
            charset = part.parameter(b"charset")
            if self._is_unicode and content is part.body and _is_utf8(content):
                charset = "utf-8"  # whoever saved the file has converted it
            text = self._decoded[id(part)] = _decoded(content, charset)
        return text

    def _text(self, part: Part, sub: str) -> str:
        text = self._decode(part)
        if sub in ("html", "xhtml+xml") or _HTML.match(text):
            from lmclassify.mail.html_text import text_of_html

            text = text_of_html(text, MAX_TEXT_CHARACTERS)
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if "-----BEGIN P" in text or "-----BEGIN CMS" in text:
            text = self._without_armour(text)
        return text

    def _without_armour(self, text: str) -> str:
        def remove(block: re.Match[str]) -> str:
            if block[1] in ("PGP MESSAGE", "PKCS7", "CMS"):
                self.is_sealed = True
            return ""

        return _ARMOUR.sub(remove, _SIGNED.sub("", text))


def _leaves(part: Part, depth: int) -> Iterator[Part]:
    children = part.parts() if depth <= _MAX_DEPTH else []
    if children is None:
        yield part
        return
    for child in children:
        yield from _leaves(child, depth + 1)


def _is_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8 and not only ASCII, as ISO-2022 and UTF-7 are, too."""
    if data.isascii():
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoded(data: bytes, charset: str) -> str:
    """Decode the content of a text part; HTML may name its charset itself."""
    if codec_of(charset) in (None, "ascii") and not data.isascii():
        found = _META_CHARSET.search(data, 0, _META_BYTES)
        if found is not None:
            try:
                return data.decode()
            except UnicodeDecodeError:
                charset = (found[1] or found[2]).decode("ascii", "replace")
        elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
            charset = "utf-16"
    return decode_bytes(data, charset)
