"""Find out by name and first bytes whether a file holds mail, and in what form."""

from __future__ import annotations

import os
import re
from typing import Literal

from lmclassify.mail.mbox import BLANK_LINES, MAIL_HEADER, MMDF_LINE, starts_message
from lmclassify.mail.normal_form import normal_form
from lmclassify.tables.compression import split_compression

FileKind = Literal["mbox", "message", "emlx"]
"""``mbox`` includes MMDF. ``emlx`` is a message of Apple Mail: its length, the message, properties in XML."""

HEAD_BYTES = 4096
"""Bytes read of a file to find out what it holds."""

MAILDIR_FOLDERS = ("cur", "new")
_BY_SUFFIX: dict[str, FileKind] = {".eml": "message", ".emlx": "emlx", ".mbox": "mbox"}
_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet")
_INDEXES = re.compile(r".+\.(?:msf|ev-summary|ibex\.index|cmeta)|table_of_contents|dovecot[.-].+")
# Maildir names a file by time, a dot and more; mail readers add flags.
_MAILDIR_NAME = re.compile(r"\d+\..|.*[:;!]2,[A-Za-z]*$")
_FROM_LINES = re.compile(rb"(?:>?From [^\n]*\n)*")
_USUAL_HEADER = re.compile(
    rb"(?:return-path|received|delivered-to|message-id|from|to|subject|date|mime-version|x-[!-9;-~]+|"
    rb"content-type)[ \t]*:",
    re.IGNORECASE,
)
_MAIN_HEADER = re.compile(rb"(?:return-path|received|message-id|from|subject)[ \t]*:", re.IGNORECASE)
_MAIL_HEADER = re.compile(MAIL_HEADER, re.IGNORECASE)
_HEADER_LINES = re.compile(rb"(?:[!-9;-~]+[ \t]*:[^\n]*(?:\n|\Z)(?:[ \t]+[^\s][^\n]*(?:\n|\Z))*)+")
_HEADER_NAME = re.compile(rb"(?m)^[!-9;-~]+[ \t]*:")


def kind_by_name(path: str) -> FileKind | None:
    """Return what the suffix of a file's name tells, apart from the suffix of its compression."""
    return _BY_SUFFIX.get(_suffix(path))


def is_index(path: str) -> bool:
    """Return whether a file's name is that of an index beside mailboxes (Thunderbird, Apple Mail, ...)."""
    return _INDEXES.fullmatch(os.path.basename(path)) is not None


def is_table(path: str) -> bool:
    """Return whether a file's name says that it holds no mail."""
    return _suffix(path) in _TABLES


def kind_of(path: str, head: bytes, *, sure: bool = False) -> FileKind | None:
    """Return the form of a file's mail, or None if it holds none.

    Parameters
    ----------
    path : str
        The files of a Maildir's folders ``cur`` and ``new`` are single messages.
    head : bytes
        Its first bytes, decompressed.
    sure : bool, default=False
        Whether one usual header at the beginning is too little to tell a message from other text.
    """
    kind = kind_by_name(path)
    if kind is not None:
        return kind
    if is_table(path):
        return None
    folder, name = os.path.split(path)
    in_maildir = os.path.basename(folder) in MAILDIR_FOLDERS
    if in_maildir and _MAILDIR_NAME.match(name):
        return "message"
    head = BLANK_LINES.sub(b"", normal_form(head), count=1)
    if head.startswith(b"From ") and _begins_mbox(head):
        return "message" if in_maildir else "mbox"
    if MMDF_LINE.match(head):
        return "mbox"
    return "message" if _begins_message(head, sure) else None


def _begins_mbox(head: bytes) -> bool:
    if starts_message(head, 0, after_blank=True):
        return True
    lines = _FROM_LINES.match(head)
    return lines is not None and _MAIL_HEADER.match(head, lines.end()) is not None


def _begins_message(head: bytes, sure: bool) -> bool:
    """Return whether a file begins with headers of mail.

    Two different ones are enough, or a main one alone, before a blank line. One usual header on the first
    line may also be the first word of a text.
    """
    if not sure and _USUAL_HEADER.match(head):
        return True
    block = _HEADER_LINES.match(head)
    if block is None:
        return False
    before_blank = head.startswith((b"\n", b"\r\n"), block.end())
    if not before_blank and block.end() < len(head):
        return False
    names = [name[0].lower() for name in _HEADER_NAME.finditer(block[0])]
    known = {name for name in names if _MAIL_HEADER.match(name)}
    return len(known) > 1 or (before_blank and len(known) == 1 and _MAIN_HEADER.match(names[0]) is not None)


def _suffix(path: str) -> str:
    """Return a file's suffix in lower case, without the suffix of its compression."""
    return os.path.splitext(split_compression(path)[0])[1].lower()
