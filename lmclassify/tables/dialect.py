"""How a CSV or TSV file is written: its quotes, and whether its first row is a header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lmclassify.errors import OptionError, listing

Quoting = Literal["none", "minimal", "backslash"]


@dataclass(frozen=True)
class Dialect:
    """What the user says about a CSV or TSV file; the rest is found from its content."""

    quoting: Quoting | None = None
    """``none``: quotes are characters like others, and every line is a row. ``minimal``: cells that hold a
    separator, a quote or a line end are in quotes (RFC 4180). ``backslash``: the same, and a backslash stands
    before a quote or backslash in them. By default minimal or, if the first rows can only be read so,
    backslash; but in tab-separated files a quote that does not enclose a cell is a character."""
    header: bool | None = None
    """Whether the first row is a header; by default its content tells."""
    columns: tuple[str, ...] | None = None
    """Names of the columns of a file without header."""
    only_tables: bool = False
    """Whether files that are no CSV or TSV are read without it; by default this is an error."""
    expected: tuple[str, ...] | None = None
    """The columns of tables without header, if the user says nothing and the first row has no usual name."""

    def __post_init__(self) -> None:
        if self.columns is not None and self.header:
            raise OptionError("--columns names the columns of a file without header: drop it or --header")

    @property
    def has_header(self) -> bool | None:
        """Whether the first row is a header; None if the content has to tell."""
        return False if self.columns is not None else self.header

    @property
    def options(self) -> list[str]:
        """The options of the command line that were given."""
        given = {
            "--quoting": self.quoting is not None,
            "--header": self.header is True,
            "--no-header": self.header is False,
            "--columns": self.columns is not None,
        }
        return [option for option, is_given in given.items() if is_given]

    def require_delimited(self, path: str, kind: str) -> None:
        """Raise OptionError if options were given for a file of another kind than CSV or TSV."""
        if self.options and not self.only_tables:
            raise OptionError(f"{listing(self.options)}: for CSV and TSV files only, but {path} is {kind}")


def parse_columns(value: str | None) -> tuple[str, ...] | None:
    """Return the names in a list separated by commas. Raises OptionError if one of them is empty."""
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise OptionError(f"--columns {value}: a name is empty; name every column, such as label,text")
    return names
