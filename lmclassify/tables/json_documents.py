"""Find the rows of JSON that is not JSON Lines, such as lists of objects and tables of pandas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

Record = dict[str, Any]

_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_BREAK = re.compile(r"[ \t]*[\r\n]\s*")  # never inside a string, where JSON does not allow it
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_ROWS = ("data", "rows", "records", "items", "examples", "documents", "instances", "texts")
"""Names of the member that holds the rows, where a file is one object."""


class DocumentError(Exception):
    """What is wrong in a document, and in which of its rows and lines, from 1."""

    def __init__(self, problem: str, row: int, line: int) -> None:
        super().__init__(problem)
        self.row, self.line = row, line


def split_document(text: str) -> Iterator[tuple[str, Any]]:
    """Yield each value of a list, or of values one after the other, with its JSON text on one line.

    Raises DocumentError if the text is not valid JSON.
    """
    decode = json.JSONDecoder().raw_decode
    at = _skip(text, 0)
    is_list = text[at : at + 1] == "["
    if is_list:
        at = _skip(text, at + 1)
    row = 0
    while at < len(text) and not (is_list and text[at] == "]"):
        row += 1
        try:
            value, end = decode(text, at)
        except json.JSONDecodeError as error:
            raise DocumentError(f"not valid JSON ({error.msg})", row, error.lineno) from None
        except (ValueError, RecursionError) as error:
            raise DocumentError(f"not valid JSON ({error})", row, _line(text, at)) from None
        yield _LINE_BREAK.sub(" ", text[at:end]), value
        at = _skip(text, end)
        if is_list and text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif is_list and text[at : at + 1] != "]":
            problem = "not valid JSON (expected a comma or the end of the list)"
            raise DocumentError(problem, row + (at < len(text)), _line(text, at))
    if is_list and _skip(text, at + 1) < len(text):
        raise DocumentError("not valid JSON (text after the end of the list)", row, _line(text, at + 1))


def rows_of(document: Record) -> list[Record] | None:
    """Return the rows of a file that is one object, or None if the object itself is the only row.

    Known are tables as pandas writes them (by column, by row, and split), and an object with a list of rows.
    """
    values = list(document.values())
    held = [(name, value) for name, value in document.items() if _is_list_of(value, dict)]
    if len(held) > 1:
        held = [(name, value) for name, value in held if name in _ROWS]
    if len(held) == 1 and (held[0][0] in _ROWS or len(document) == 1):
        rows: list[Record] = held[0][1]
        return rows
    header: Any = document.get("columns")
    data: Any = document.get("data")
    if _is_list_of(header, str) and _is_list_of(data, list):
        return [dict(zip(header, row, strict=False)) for row in data]
    if values and all(
        isinstance(value, dict) and value.keys() == values[0].keys() != set() for value in values
    ):
        if all(key.isdecimal() for key in values[0]):
            return [{name: document[name][key] for name in document} for key in values[0]]
        return values if len(values) > 1 else None
    are_columns = all(_is_list_of(value, str | int | float | bool | None) for value in values)
    if len(values) > 1 and are_columns and len({len(value) for value in values}) == 1:
        return [dict(zip(document, row, strict=True)) for row in zip(*values, strict=True)]
    return None


def encode(record: Record) -> str:
    """Return an object as JSON on one line."""
    return _ENCODE(record)


def look_up(record: Any, name: str) -> tuple[bool, Any]:
    """Return whether an object has a nested field, and its value.

    Parameters
    ----------
    name : str
        Keys joined by dots, such as ``message.body``; a number is a position in a list, from 0.
    """
    value = record
    for key in name.split("."):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return False, None
    return True, value


def _is_list_of(value: Any, kind: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, kind) for item in value)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
