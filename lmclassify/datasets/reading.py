"""How the texts of a model were read from files, so that other texts are read the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from lmclassify.errors import DataError, OptionError, listing, plural, shorten
from lmclassify.mail.fields import FIELDS, OLD_DEFAULT_FIELDS, TEXT_FIELDS, parse_fields
from lmclassify.tables.columns import Table, column_names
from lmclassify.tables.dialect import Dialect

_SEVERAL = ("fields", "text_columns", "columns")


@dataclass(frozen=True)
class Reading:
    """How the texts that a model was trained on were read. None: not recorded, or not there."""

    fields: tuple[str, ...] | None = None
    """Fields of mail messages."""
    text_columns: tuple[str, ...] | None = None
    """The columns that make a text."""
    label_column: str | None = None
    columns: tuple[str, ...] | None = None
    """The columns of a table without header."""

    @property
    def mail_fields(self) -> tuple[str, ...]:
        """The fields of mail that make a text of the model.

        A model of which none are recorded reads the text columns if they are subject or body, else
        the subject.
        """
        if self.fields is not None:
            return self.fields
        if self.text_columns and set(self.text_columns) <= set(TEXT_FIELDS):
            return tuple(field for field in TEXT_FIELDS if field in self.text_columns)
        return OLD_DEFAULT_FIELDS

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

    def choose_text_columns(self, table: Table, given: str | None) -> Sequence[str] | None:
        """Return the names of a table's text columns; None if the text column has to be recognized.

        Raises OptionError if the option --text-column names other columns than those that the model was
        trained on, and the table has both; DataError if the table has some of the model's columns only.
        """
        known = self.text_columns or ()
        present = [name for name in known if name in table.columns]
        if given is not None:
            names = column_names(table.columns, given)
            others = present == list(known) != names and set(names) <= set(table.columns)
            if known and others:
                raise OptionError(
                    f"--text-column {given}: the model was trained on {plural(len(known), 'column')} "
                    f"{', '.join(map(shorten, known))}, which {table.name} has, too; drop --text-column, or "
                    f"fit a model with --text-column {given}"
                )
            return names
        if present and len(present) < len(known):
            missing = [name for name in known if name not in table.columns]
            raise DataError(
                f"{table.name} has no {plural(len(missing), 'column')} {', '.join(map(shorten, missing))}, "
                f"but the model's texts are made of {listing(known)}; name its columns with --text-column"
            )
        return present or None

    def choose_label_column(self, table: Table, given: str | None) -> str | None:
        """Return the name of a table's label column; None if it has to be recognized."""
        return self.label_column if given is None and self.label_column in table.columns else given

    def choose_dialect(self, given: Dialect) -> Dialect:
        """Return how CSV and TSV are read: a table like that of the training has no header, either."""
        return given if given.has_header is not None else replace(given, expected=self.columns)

    def named_columns(self, *given: str | None) -> tuple[str, ...]:
        """Return columns to look for: those given and those recorded, which may be nested."""
        names = [name for option in given if option for name in (option, *column_names((), option))]
        names += [*(self.text_columns or ()), *([self.label_column] if self.label_column else [])]
        return tuple(dict.fromkeys(names))

    def to_json(self) -> dict[str, Any]:
        """Return what is recorded, as plain data."""
        content = {name: value for name, value in asdict(self).items() if value is not None}
        if self.text_columns is not None and len(self.text_columns) == 1:  # as earlier versions read it
            content["text_column"] = content.pop("text_columns")[0]
        return content

    @classmethod
    def from_json(cls, given: Any) -> Reading:
        """Return what a saved model holds. Raises ValueError if it makes no sense."""
        known = {*(item.name for item in fields(cls)), "text_column"}
        if not isinstance(given, dict) or not set(given) <= known:
            raise ValueError("a way of reading texts that makes no sense")
        found: dict[str, Any] = {}
        if "text_column" in given:  # models of one text column, and all those of earlier versions
            given = {**given, "text_columns": [given["text_column"]]}
            del given["text_column"]
        for name, value in given.items():
            several = name in _SEVERAL
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
