"""What is read of mail, and how much of it."""

from __future__ import annotations

from lmclassify.errors import OptionError, shorten

FIELDS = ("subject", "body")
DEFAULT_FIELDS = ("subject",)
"""What is read of a message by default, in learning and in labelling; the bundled sample is of subjects."""
MOST_BYTES = 1 << 18
"""Of a message, from its beginning, that are parsed."""
MOST_CHARACTERS = 20_000
"""Of a message's text, from its beginning, that are kept: as many as the service takes by default."""


def parse_fields(given: str) -> tuple[str, ...]:
    """Return the fields that an option names, in the order of a message.

    Raises
    ------
    OptionError
        If there is no such field.
    """
    names = [name.strip().lower() for name in given.split(",")]
    for name in names:
        if name not in FIELDS:
            raise OptionError(f"--fields takes subject, body or subject,body, not {shorten(given)}")
    return tuple(field for field in FIELDS if field in names)
