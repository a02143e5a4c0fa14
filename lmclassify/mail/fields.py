"""Which fields of a mail message are read, and how much of it. Apart, because parsers import slowly."""

from __future__ import annotations

from lmclassify.errors import OptionError, did_you_mean, shorten

TEXT_FIELDS = ("subject", "body")
FEATURE_FIELDS = ("sender", "links", "images", "headers", "lists", "received")
"""Fields that are read as tokens; see `lmclassify.mail.features`."""
FIELDS = (*TEXT_FIELDS, *FEATURE_FIELDS)
DEFAULT_FIELDS = ("subject", "body", "sender", "links", "images", "headers")
"""The fields that `fit` reads by default: the whole message, except what mailing lists and the servers on its
way have added. These tell more about a mailbox than about its messages, and a sender can copy them."""
OLD_DEFAULT_FIELDS = ("subject",)
"""What models read that recorded no fields: those of version 0.7 and earlier."""
ALL = "all"
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
        if name not in (*FIELDS, ALL):
            raise OptionError(
                f"--fields takes {', '.join(FIELDS)} or {ALL}, separated by commas, not {shorten(name)}"
                f"{did_you_mean(name, FIELDS)}"
            )
    return FIELDS if ALL in names else tuple(field for field in FIELDS if field in names)
