from __future__ import annotations

import json
import logging

from lmclassify.logs import json_line, log_formatter


def test_a_message_as_json():
    line = json_line("info", 'a "b"\n\x1b\udcff', 0.0, "x")
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.000Z", "level": "info", "message": 'a "b"\n\x1b\udcff', "traceback": "x",
    }  # fmt: skip
    assert line.isascii()
    assert line.isprintable()


def test_log_records():
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "a %s", ("\x1b[0m",), None)
    found = json.loads(log_formatter("json").format(record))
    assert (found["level"], found["message"]) == ("warning", "a \x1b[0m")
    assert log_formatter("text").format(record).endswith(" a \\x1b[0m")
    try:
        raise ValueError("why")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    assert "ValueError: why" in json.loads(log_formatter("json").format(record))["traceback"]
