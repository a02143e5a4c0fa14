"""How the texts of a model were read from files, so that other texts are read the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from lmclassify.errors import OptionError, shorten
from lmclassify.mail.fields import FIELDS, OLD_DEFAULT_FIELDS, TEXT_FIELDS, parse_fields
from lmclassify.tables.columns import Table
from lmclassify.tables.dialect import Dialect


@dataclass(frozen=True)
class Reading:
    """How the texts that a model was trained on were read. None: not recorded, or not there."""

    fields: tuple[str, ...] | None = None
    """Fields of mail messages."""
    text_column: str | None = None
    label_column: str | None = None
    columns: tuple[str, ...] | None = None
    """The columns of a table without header."""

    @property
    def mail_fields(self) -> tuple[str, ...]:
        """The fields of mail that make a text of the model.

        A model of which none are recorded reads the text column if it is subject or body, else the subject.
        """
        if self.fields is not None:
            return self.fields
        return (self.text_column,) if self.text_column in TEXT_FIELDS else OLD_DEFAULT_FIELDS

    def choose_fields(self, given: str | None) -> tuple[str, ...]:
        """Return the fields to read.

        Raises OptionError if the option --fields names others than those recorded.
        """
        if given is None:
            return self.mail_fields
        chosen = parse_fields(given)
        if self.fields is not None and chosen != self.fields:
            raise OptionError(
                f"--fields {given}: the model was trained on {','.join(self.fields)}; drop --fields, or "
                f"fit a model with --fields {','.join(chosen)}"
            )
        return chosen

    def choose_text_column(self, table: Table, given: str | None) -> str | None:
        """Return the name of a table's text column; None if it has to be recognized.

        Raises OptionError if the option --text-column names another column than the one that the model was
        trained on, and the table has both.
        """
        known = self.text_column if self.text_column in table.columns else None
        if given is not None and known is not None and given in table.columns and given != known:
            raise OptionError(
                f"--text-column {given}: the model was trained on column {shorten(known)}, which "
                f"{table.name} has, too; drop --text-column, or fit a model with --text-column {given}"
            )
        return known if given is None else given

    def choose_label_column(self, table: Table, given: str | None) -> str | None:
        """Return the name of a table's label column; None if it has to be recognized."""
        return self.label_column if given is None and self.label_column in table.columns else given

    def choose_dialect(self, given: Dialect) -> Dialect:
        """Return how CSV and TSV are read: a table like that of the training has no header, either."""
        return given if given.has_header is not None else replace(given, expected=self.columns)

    def named_columns(self, *given: str | None) -> tuple[str | None, ...]:
        """Return columns to look for: those given and those recorded, which may be nested."""
        return (*given, self.text_column, self.label_column)

    def to_json(self) -> dict[str, Any]:
        """Return what is recorded, as plain data."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, given: Any) -> Reading:
        """Return what a saved model holds. Raises ValueError if it makes no sense."""
        known = {item.name for item in fields(cls)}
        if not isinstance(given, dict) or not set(given) <= known:
            raise ValueError("a way of reading texts that makes no sense")
        found: dict[str, Any] = {}
        for name, value in given.items():
            several = name in ("fields", "columns")
            values = value if several else [value]
            if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
                raise ValueError(f"{name} that are no names")
            found[name] = tuple(values) if several else value
        if found.get("fields") is not None:
            found["fields"] = _known_fields(found["fields"])
        return cls(**found)


def _known_fields(names: Sequence[str]) -> tuple[str, ...]:
    if not names or any(name not in FIELDS for name in names):
        raise ValueError("fields of mail that this version does not know")
    return tuple(field for field in FIELDS if field in names)
