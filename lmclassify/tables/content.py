"""Recognise what a file holds by its first bytes."""

from __future__ import annotations

import codecs
import re
from typing import Any, Literal

from lmclassify.errors import DataError

Content = Literal["excel", "parquet", "jsonl", "fasttext"]

HEAD_BYTES = 4096
"""Bytes that are looked at: the first line of nearly every file."""

_ZIP = b"PK\x03\x04"  # of zip files that are read as archives, nothing is left here but workbooks
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Excel 97 to 2003, but also Word and Outlook of that time

SEPARATOR_LINE = re.compile(r'"?sep=(.)\1*"?\1*', re.IGNORECASE)
"""A first line such as ``sep=;``, with which CSV files tell Excel the separator."""
_JSON = re.compile(r'\s*(\[\s*)?\{\s*("(?:[^"\\]|\\.)*"\s*:|\})|\s*\[\s*\]\s*$')
_FASTTEXT = re.compile(r'\s*(__label__[^\s,;|"]+\s|[^\r\n]*[ \t]__label__[^\s,;|"]+[ \t]*\r?\n)')
_LABELLED = re.compile(r'\s*__label__[^\s,;|"]+\s')
_MIN_LINES = 2  # fewer lines tell too little if the first one has no label
_MARKUP = re.compile(
    rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body|table|\?xml|!--)[\s>]", re.IGNORECASE
)

_TO_CSV = "save it as CSV"
_CONVERT = "convert it to CSV"
_UNPACK = "unpack it"
_NOT_TEXT: tuple[tuple[bytes, str, str], ...] = (
    (rb"%PDF-", "a PDF document", "extract its text first, for example with pdftotext"),
    (rb"\{\\rtf", "an RTF document", "save it as plain text"),
    (rb"SQLite format 3\0", "an SQLite database", "write the table with sqlite3 -csv -header"),
    (rb"\x89HDF\r\n", "an HDF5 file", _CONVERT),
    (rb"ARROW1\0|FEA1", "an Arrow (Feather) file", "convert it to Parquet or CSV"),
    (rb"\xff\xff\xff\xff.{2}\0\0", "an Arrow stream", "convert it to Parquet or CSV"),
    (rb"ORC[\x00-\x09]", "an ORC file", "convert it to Parquet or CSV"),
    (rb"Obj\x01", "an Avro file", "convert it to Parquet or CSV"),
    (rb"\x93NUMPY", "a NumPy array", _CONVERT),
    (rb"\x80[\x02-\x05][\x95\]}c(]", "a Python pickle", _CONVERT),
    (rb"\$FL[23]@", "an SPSS file", _TO_CSV),
    (rb"<stata_dta>", "a Stata file", _TO_CSV),
    (rb"RD[AX][23]\n|X\n\0\0\0", "an R data file", "write it with write.csv"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (rb"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (rb".{257}ustar", "a tar archive", _UNPACK),
    (rb"\x04\x22\x4d\x18", "LZ4-compressed", _UNPACK),
    (rb"\x1f\x9d", "compressed with compress", _UNPACK),
    (rb"!BDN", "an Outlook data file", "export the mail as mbox, for example with readpst"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|II\*\0|MM\0\*", "an image", "lmclassify reads text"),
    (rb"RIFF|OggS|ID3[\x02-\x04]|fLaC|\x1a\x45\xdf\xa3|.{4}ftyp", "audio or video", "lmclassify reads text"),
    (rb"\x7fELF|MZ.{1,100}\0|\xca\xfe\xba\xbe", "a program", "lmclassify reads text"),
    (rb"bplist00", "a binary property list", _CONVERT),
)
ENCRYPTED = "protected by a password"
_OLD_OFFICE = (
    ("EncryptedPackage", ENCRYPTED),
    ("WordDocument", "an old Word document"),
    ("PowerPoint Document", "an old PowerPoint presentation"),
    ("__substg1.0_", "a message of Outlook"),
)
_KINDS = tuple((re.compile(pattern, re.DOTALL), kind, remedy) for pattern, kind, remedy in _NOT_TEXT)


def beginning(stream: Any) -> bytes:
    """Return the first bytes of a buffered stream without reading them."""
    return bytes(stream.peek(HEAD_BYTES)[:HEAD_BYTES])


def recognise_content(head: bytes, encoding: str | None = None) -> Content | None:
    """Return the format of a file that begins with `head`, None if the first bytes do not tell it.

    Parameters
    ----------
    encoding : str, optional
        The encoding that the user names.
    """
    if head.startswith((_ZIP, _OLE)):
        return "excel"
    if head.startswith(b"PAR1"):
        return "parquet"
    text = _decode(head, encoding)
    if _JSON.match(text):
        return "jsonl"
    lines = [line for line in text.splitlines()[:-1] if line.strip()]
    many_labels = 2 * sum(map(bool, map(_LABELLED.match, lines))) > len(lines) > _MIN_LINES
    return "fasttext" if _FASTTEXT.match(text) or many_labels else None


def table_saved_as_text(head: bytes) -> Literal["csv", "tsv"] | None:
    """Return the format of a table that a spreadsheet program has saved with the suffix .txt, if it is one.

    Excel's "Unicode Text" is UTF-16 and tab-separated; a first line ``sep=;`` names a separator.
    """
    header, _, rest = _decode(head, None).partition("\n")
    if SEPARATOR_LINE.fullmatch(header.rstrip("\r")):
        return "csv"
    is_utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "tsv" if is_utf16 and header.count("\t") == rest.partition("\n")[0].count("\t") > 0 else None


def is_text(head: bytes) -> bool:
    """Return whether a file that begins with `head` may be text: no other format is recognized."""
    return not head.startswith(_OLE) and not any(pattern.match(head) for pattern, *_ in _KINDS)


def check_text(head: bytes, name: str, *, markup: bool) -> None:
    """Raise DataError if a file that is to be read as text is known not to be text.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.
    name : str
        Name of the file, for messages.
    markup : bool
        Whether HTML and XML are an error, too: they are no tables, but may be lines of text.
    """
    for pattern, kind, remedy in _KINDS:
        if pattern.match(head):
            raise DataError(f"{name} is {kind}, not a table or text; {remedy}")
    if head.startswith(_OLE):
        raise DataError(f"{name} is an old Office file, not text; if it is a workbook, drop --input-format")
    if markup and _MARKUP.match(head):
        kind = "an XML file" if b"<?xml" in head[:100] else "an HTML page"
        raise DataError(
            f"{name} is {kind}, not a table; open it in a spreadsheet program and save it as CSV or .xlsx"
        )


def old_office_kind(content: bytes) -> str:
    """Return what kind of Office 97-2003 file this is, by the names in it; empty for a workbook."""
    return next((kind for name, kind in _OLD_OFFICE if name.encode("utf-16-le") in content), "")


def _decode(head: bytes, encoding: str | None) -> str:
    """Return the beginning of a text; characters that cannot be decoded are left out."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif encoding in (None, "detect"):
        encoding = "utf-8"
    try:
        return head.decode(encoding or "utf-8", "ignore").removeprefix("\ufeff")
    except (LookupError, ValueError):
        return ""
