"""Cells that a spreadsheet would take for formulas (CSV injection, CWE-1236), made texts."""

from __future__ import annotations

import re

from lmclassify.errors import OptionError

# As OWASP lists them (www-community, CSV Injection), full-width ones of Japanese spreadsheets included; white
# space before them is no hindrance everywhere. NUL is of ASVS 5.0, 1.2.10.
_FORMULA = re.compile("[\\t\\r\\n\\0]|[\\s\ufeff]*[=+\\-@＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def without_formula(cell: str) -> str:
    """Return a cell with an apostrophe before it if a spreadsheet might take it for a formula.

    Numbers stay as they are, with their sign.

    >>> without_formula("=1+2"), without_formula("-3.5"), without_formula("-3.5+A1")
    ("'=1+2", '-3.5', "'-3.5+A1")
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def require_cells(escape_formulas: bool, format: str) -> None:
    """Raise OptionError if formulas are to be escaped in a format that has none."""
    if escape_formulas and format not in ("csv", "tsv"):
        raise OptionError("--escape-formulas is for csv and tsv; jsonl and parquet have no formulas")
