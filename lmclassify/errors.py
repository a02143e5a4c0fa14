"""Errors and warnings that name what is wrong and what to do about it.

Every message is one line. The command line prints it as it stands; see ``lmclassify/cli``.
"""

_LONGEST_ITEM = 200


class LMClassifyError(Exception):
    """Base of all errors that lmclassify raises on purpose."""


class DataError(LMClassifyError, ValueError):
    """Input data that cannot be used; the message names the file and the row."""


class OptionError(LMClassifyError, ValueError):
    """A parameter or an option with a value that makes no sense."""


class ModelError(LMClassifyError):
    """A saved model that is missing, damaged or made by a newer version."""


class TrainingError(LMClassifyError):
    """Training that came to nothing."""


class EngineError(LMClassifyError):
    """A cluster that jobs were sent to and that did not do them."""


class OutputError(LMClassifyError, OSError):
    """A place that cannot be written to."""


class DownloadError(LMClassifyError):
    """A file that cannot be had from where it lies, or is not the one expected."""


class LMClassifyWarning(UserWarning):
    """Something was done otherwise than a reader of the defaults may expect (a truncation, say)."""


def printable(text: str) -> str:
    """Return a text with characters that would steer a terminal replaced by visible escapes."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def shorten(value: object, limit: int = 60) -> str:
    """Return ``repr(value)`` cut to at most `limit` characters, for use in a one-line message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def listing(values: object, limit: int = 12) -> str:
    """Return the first `limit` values as one line, each cut if long, and how many more there are."""
    items = [printable(str(value)) for value in values]  # type: ignore[attr-defined]
    more = f", and {len(items) - limit} more" if len(items) > limit else ""
    most = _LONGEST_ITEM
    return ", ".join(item if len(item) <= most else f"{item[: most - 1]}…" for item in items[:limit]) + more
