"""Decode the text of mail: charsets by the names that mailers use, wrong ones, and none.

Standard library only: the mail filter starts anew for every message.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import re

_MAX_NAME_CHARACTERS = 60
_UNDECODED = re.compile("[\udc80-\udcff]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_ISO_2022 = re.compile(rb"\x1b\$(?:[@B]|\([DOPQ]|\)C)")
_REFUSED = (
    "idna",
    "punycode",
    "raw-unicode-escape",
    "unicode-escape",
    "undefined",
)  # slow, or not used in mail

_JAPANESE = "iso2022_jp with characters of vendors"
_JAPANESE_ESCAPE = re.compile(rb"(\x1b(?:\$[@B]|\([BJI]))")
_HIGH = bytes(byte | 0x80 if 0x21 <= byte <= 0x7E else byte for byte in range(256))

_WIDER = {
    "iso8859-1": ("cp1252",),
    "iso8859-8": ("cp1255", "iso8859-8"),
    "iso8859-9": ("cp1254",),
    "iso8859-11": ("cp874", "iso8859-11"),
    "tis-620": ("cp874", "iso8859-11"),
    "cp874": ("cp874", "iso8859-11"),
    "gb2312": ("gb18030",),
    "gbk": ("gb18030",),
    "big5": ("cp950", "big5hkscs"),
    "cp950": ("cp950", "big5hkscs"),
    "euc_kr": ("cp949",),
    "shift_jis": ("cp932", "shift_jis_2004"),
    "cp932": ("cp932", "shift_jis_2004"),
    "euc_jp": ("euc_jp", "euc_jis_2004"),
    "iso2022_jp": ("iso2022_jp_ext", _JAPANESE),
    "iso2022_jp_ext": ("iso2022_jp_ext", _JAPANESE),
    "cp1255": ("cp1255", "iso8859-8"),
}
"""Codecs to try for a codec: mail often names a subset of the charset that it uses."""

_MAILER_NAMES = {
    "cp932": "sjis shiftjis mskanji windows31j windows932 ms932 ibm943 macjapanese",
    "gb18030": "cngb gb gb2312 gb231280 gbk gb2312gbk chinese macchinesesimp",
    "big5": "cnbig5 big5 big5eten big5tw big5hkscs macchinesetrad",
    "cp949": "ksc5601 ksc56011987 ksc56011989 kseuc ksx1001 uhc korean mackorean",
    "cp874": "tis620 tis6202533 thai",
    "euc_jp": "euc eucjp ujis",
    "iso2022_jp": "jis iso2022jp iso2022jpms",
    "koi8_r": "koi8 koi koi8r",
    "koi8_u": "koi8ru koi8u koi8uni",
    "iso8859_8": "logical visual",
    "mac_roman": "mac macroman macintosh applemacintosh",
    "mac_latin2": "macce maccentraleurope maccentraleurroman",
    "mac_cyrillic": "maccyrillic macukrainian",
    "mac_greek": "macgreek",
    "mac_turkish": "macturkish",
    "mac_iceland": "macicelandic",
    "utf-8": "unicode11utf8 unicode20utf8 utf8mb3 utf8mb4",
    "utf-7": "unicode11utf7 unicode20utf7",
    "utf_16_be": "ucs2 iso10646ucs2",
    "cp1252": "ansi",
    "ascii": "usascii",
}
"""Names that mailers use, by codec, without punctuation and a leading x or cs."""
_ALIASES = {name: codec for codec, names in _MAILER_NAMES.items() for name in names.split()}
_CODE_PAGES = {
    **{28590 + part: f"iso8859_{part}" for part in range(1, 17) if part != 12},
    **dict.fromkeys((50220, 50221, 50222), "iso2022_jp"),
    **dict.fromkeys((20932, 51932), "euc_jp"),
    **dict.fromkeys((936, 51936, 54936), "gb18030"),
    **dict.fromkeys((949, 51949), "cp949"),
    **dict.fromkeys((932, 943), "cp932"),
    819: "latin_1",
    950: "big5",
    1200: "utf_16_le",
    1201: "utf_16_be",
    1361: "johab",
    10000: "mac_roman",
    10007: "mac_cyrillic",
    20127: "ascii",
    20866: "koi8_r",
    21866: "koi8_u",
    50225: "iso2022_kr",
    52936: "hz",
    65000: "utf-7",
    65001: "utf-8",
}
"""Codecs by Microsoft's numbers; for others, Python's codec is ``cp`` and the number."""
_CODE_PAGE = re.compile(r"(?:windows|win|cp|ibm|dos|ms|msdos|microsoft|codepage|oem|cpwin)*0*(\d{3,5})")
_ISO_8859 = re.compile(r"iso8859(1[0-6]|[1-9])(?:[ie]|\D.*)?")
_NAME_INSIDE = re.compile(
    r"windows-?\d{3,4}|cp-?\d{3,5}|iso[-_]?8859[-_]?\d{1,2}|iso-?2022-?(?:jp|kr)|utf-?(?:8|16|7)|koi8-?[ru]|"
    r"gb(?:2312|18030|k)|big5|euc-?(?:jp|kr)|shift[-_]?jis|tis-?620|us-?ascii"
)


@functools.lru_cache(256)
def codec_of(charset: str) -> str | None:
    """Return Python's name of a charset, or None if there is no such charset.

    >>> [codec_of(name) for name in ("x-sjis", "ISO-8859-8-I", "cp-850", "_iso-2022-jp$ESC", "x-unknown")]
    ['cp932', 'iso8859-8', 'cp850', 'iso2022_jp', None]
    """
    name = charset[:_MAX_NAME_CHARACTERS].strip("\"' \t").lower()
    first = re.split(r"[;,:\s*]", name, maxsplit=1)[0]
    found = _lookup(first)
    if found is not None:
        return found
    key = re.sub("[^a-z0-9]", "", first).removeprefix("cs").lstrip("x")
    alias = _ALIASES.get(key)
    if alias is not None:
        return _lookup(alias)
    number = _CODE_PAGE.fullmatch(key)
    if number is not None:
        page = int(number[1])
        return _lookup(_CODE_PAGES.get(page, f"cp{page}"))
    part = _ISO_8859.fullmatch(key)
    if part is not None:
        return _lookup(f"iso8859_{part[1]}")
    inside = _NAME_INSIDE.search(name)
    if inside is not None and inside[0] != name:
        return codec_of(inside[0])
    return _lookup(key) if key != first else None


def _lookup(name: str) -> str | None:
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    known = info.name
    return known if info._is_text_encoding and known.replace("_", "-") not in _REFUSED else None


def decode_bytes(data: bytes, charset: str) -> str:
    """Decode text in a charset that may be unknown or wrong.

    >>> decode_bytes("naïve".encode(), "us-ascii"), decode_bytes("naïve".encode("latin-1"), "nonsense")
    ('naïve', 'naïve')
    """
    codec = codec_of(charset)
    if codec in (None, "ascii", "utf-8"):
        return _guess(data)
    candidates = _WIDER.get(codec or "", (codec or "",))
    for candidate in candidates:
        with contextlib.suppress(LookupError, ValueError):
            return repair(_decode(data, candidate, "strict"))
    with contextlib.suppress(UnicodeDecodeError):
        return repair(data.decode())
    if codec != "utf-7":
        with contextlib.suppress(LookupError, ValueError):
            return repair(_decode(data, candidates[-1], "replace"))
    return _guess(data)


def decode_unlabelled(data: bytes, charset: str) -> str:
    """Decode a header that names no charset: by the form of its bytes, else by the charset of the message."""
    if codec_of(charset) != "hz":
        if data.isascii():
            return _guess(data)
        with contextlib.suppress(UnicodeDecodeError):
            return repair(data.decode())
    return decode_bytes(data, charset)


def _decode(data: bytes, codec: str, errors: str) -> str:
    if codec == _JAPANESE:
        data, codec = _euc_of(data), "euc_jis_2004"
    return data.decode(codec, errors)


def _euc_of(data: bytes) -> bytes:
    """Return ISO-2022-JP as EUC, whose codec has the characters that vendors added."""
    pieces, escape = [], b""
    for piece in _JAPANESE_ESCAPE.split(data):
        if piece.startswith(b"\x1b") and _JAPANESE_ESCAPE.fullmatch(piece):
            escape = piece
        elif escape.startswith(b"\x1b$"):
            pieces.append(piece.translate(_HIGH))
        else:
            single = escape == b"\x1b(I"  # half-width katakana
            pieces.append(
                re.sub(rb"[!-_]", lambda byte: b"\x8e" + byte[0].translate(_HIGH), piece) if single else piece
            )
    return b"".join(pieces)


def _guess(data: bytes) -> str:
    """Decode text of an unknown charset."""
    if b"\x1b" in data:
        escape = _ISO_2022.search(data)
        if escape is not None:
            return decode_bytes(data, "iso2022_kr" if escape[0].endswith(b"C") else "iso2022_jp")
    try:
        return repair(data.decode())
    except UnicodeDecodeError:
        # Damaged UTF-8 still has valid sequences; without any, it is most likely a single-byte charset.
        return repair(data.decode("utf-8" if _UTF8_SEQUENCE.search(data) else "cp1252", "replace"))


def repair(text: str) -> str:
    """Decode bytes that were left undecoded (as surrogates), and remove NUL and a byte order mark.

    >>> repair("caf\\udcc3\\udca9, caf\\udce9, \\ud800\\0")
    'café, café, \ufffd'
    """
    if not text.isascii():
        text = text.removeprefix("\ufeff")
        if _SURROGATE.search(text):
            text = _UNDECODED.sub(lambda run: _guess(run[0].encode("ascii", "surrogateescape")), text)
            text = _SURROGATE.sub("\ufffd", text)
    return text.replace("\0", "")
