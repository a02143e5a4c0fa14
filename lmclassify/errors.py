"""Exceptions and warnings.

Every message is one line that states the problem and its remedy. The command line prints it unchanged.
"""

import re

_MAX_ITEM_LENGTH = 200  # characters of a value in a message, which must stay one readable line
_UNPRINTABLE = re.compile(
    "[\0-\x1f\x7f-\x9f\u2028\u2029"  # control characters and line ends
    "\u202a-\u202e\u2066-\u2069"  # change the direction of the text around them
    "\ud800-\udfff]"
)


class LMClassifyError(Exception):
    """Base class of lmclassify's exceptions."""


class DataError(LMClassifyError, ValueError):
    """Invalid input data. The message names the file and the row."""


class OptionError(LMClassifyError, ValueError):
    """A parameter or option with an invalid value."""


class ModelError(LMClassifyError):
    """A saved model is missing, damaged or made by another version."""


class TrainingError(LMClassifyError):
    """Training diverged or could not be carried out."""


class EngineError(LMClassifyError):
    """A cluster failed to run its tasks."""


class OutputError(LMClassifyError, OSError):
    """Output cannot be written."""


class DownloadError(LMClassifyError):
    """A file cannot be downloaded, or is not the expected one."""


class LMClassifyWarning(UserWarning):
    """Something may differ from what a user expects, such as a truncated text."""


def printable(text: str) -> str:
    """Return a text as one line: control and direction-changing characters become visible escapes.

    Other invisible characters are kept: many scripts and emoji need zero-width joiners. Terminals get escapes
    for them (`lmclassify.text.terminal`).
    """
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)


def shorten(value: object, limit: int = 60) -> str:
    """Return ``repr(value)`` as one line, cut to `limit` characters."""
    text = printable(repr(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def listing(values: object, limit: int = 12) -> str:
    """Return the first `limit` values as one line, each cut if long, and how many more there are."""
    items = [printable(str(value)) for value in values]  # type: ignore[attr-defined]
    more = f", and {len(items) - limit} more" if len(items) > limit else ""
    most = _MAX_ITEM_LENGTH
    return ", ".join(item if len(item) <= most else f"{item[: most - 1]}…" for item in items[:limit]) + more
