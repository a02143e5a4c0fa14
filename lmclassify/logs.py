"""Formats log records and messages: plain text or JSON Lines."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from traceback import format_tb

from lmclassify.errors import printable


def json_line(level: str, message: str, when: float | None = None, traceback: str = "") -> str:
    """Return a message as a JSON object with time (UTC), level and message, without line end.

    Parameters
    ----------
    level : str
        ``debug``, ``info``, ``warning`` or ``error``.
    when : float, optional
        Seconds since the epoch. The default is now.
    traceback : str, optional
        Added as another field if not empty.
    """
    moment = datetime.fromtimestamp(time.time() if when is None else when, UTC)
    stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    more = {"traceback": traceback} if traceback else {}
    return json.dumps({"time": stamp, "level": level, "message": message, **more})


class JsonLines(logging.Formatter):
    """Formats log records as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        where = self.formatException(record.exc_info) if record.exc_info else ""
        return json_line(record.levelname.lower(), record.getMessage(), record.created, where)


class TextLines(logging.Formatter):
    """Formats log records as lines without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(printable(line) for line in super().format(record).splitlines())


def log_formatter(log_format: str) -> logging.Formatter:
    """Return the formatter of a log format, ``json`` or ``text``."""
    return JsonLines() if log_format == "json" else TextLines("%(asctime)s %(message)s")


def log_unexpected(log: logging.Logger, error: Exception, task: str) -> None:
    """Log where an error happened, without its message, which may contain a client's text."""
    stack = "".join(format_tb(error.__traceback__)).rstrip()
    log.error("unexpected %s while %s\n%s", type(error).__name__, task, stack)
