"""Exceptions and warnings.

Every message is one line that states the problem and its remedy. The command line prints it unchanged.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

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


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters; a longer one ends in "…"."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shorten(value: object, limit: int = 60) -> str:
    """Return ``repr(value)`` as one line, cut to `limit` characters."""
    return cut(printable(repr(value)), limit)


def did_you_mean(wrong: object, known: Iterable[object]) -> str:
    """Return a question about the known name that is most similar to a wrong one; "" if none is similar.

    It follows the wrong name in a message. Letter case does not count.

    >>> did_you_mean("smap", ["ham", "spam"]), did_you_mean("x", ["ham", "spam"])
    (" (did you mean 'spam'?)", '')
    """
    # A name that is written the same is of another type, such as the number 2 beside "2".
    by_folded = {str(name).casefold(): str(name) for name in known if str(name) != str(wrong)}
    folded = str(wrong).casefold()
    similar = [name for name in by_folded if sorted(name) == sorted(folded)]  # two letters changed places
    similar = similar or get_close_matches(folded, by_folded, n=1)
    return f" (did you mean {shorten(by_folded[similar[0]])}?)" if similar else ""


def plural(count: int, one: str, several: str = "") -> str:
    """Return the form of a word or phrase for a number of things; by default the plural ends in s.

    >>> plural(1, "row"), plural(0, "row"), plural(2, "is", "are")
    ('row', 'rows', 'are')
    """
    return one if count == 1 else several or f"{one}s"


def counted(count: int, one: str, several: str = "") -> str:
    """Return a number with the form of a word or phrase that goes with it.

    >>> counted(1, "row"), counted(2000, "row has", "rows have")
    ('1 row', '2,000 rows have')
    """
    return f"{count:,} {plural(count, one, several)}"


def listing(values: object, limit: int = 12) -> str:
    """Return the first `limit` values as one line, each cut if long, and how many more there are."""
    items = [printable(str(value)) for value in values]  # type: ignore[attr-defined]
    more = f", and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(cut(item, _MAX_ITEM_LENGTH) for item in items[:limit]) + more
