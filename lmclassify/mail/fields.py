"""Which fields of a mail message are read, and how much of it. Apart, because parsers import slowly."""

from __future__ import annotations

from lmclassify.errors import OptionError, shorten

FIELDS = ("subject", "body")
DEFAULT_FIELDS = ("subject",)
"""The fields read by default, in training and prediction; the bundled sample consists of subject lines."""
MAX_MESSAGE_BYTES = 1 << 18
"""Bytes parsed of a message, from its beginning: enough for any text, and quick even for hostile markup."""
MAX_TEXT_CHARACTERS = 20_000
"""Characters kept of a message's text: the longest text that the service accepts by default."""


def parse_fields(value: str) -> tuple[str, ...]:
    """Return the fields that --fields names, in the order of a message.

    Raises OptionError if there is no such field.
    """
    names = [name.strip().lower() for name in value.split(",")]
    for name in names:
        if name not in FIELDS:
            raise OptionError(f"--fields takes subject, body or subject,body, not {shorten(value)}")
    return tuple(field for field in FIELDS if field in names)
