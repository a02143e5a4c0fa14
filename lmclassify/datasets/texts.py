"""Read texts that stand in no column of a table of labels: one file per label, and texts without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lmclassify.datasets.labelled import MISSING, LabelledTexts, Say, say_notes
from lmclassify.datasets.multiple_files import expand
from lmclassify.datasets.reading import Reading
from lmclassify.datasets.sources import InputFormat, RowReader, open_rows
from lmclassify.errors import DataError, counted, listing, shorten
from lmclassify.mail.fields import DEFAULT_FIELDS
from lmclassify.tables.columns import column_names, text_columns
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.fasttext import FastTextReader
from lmclassify.tables.plain_text import PlainTextReader

_MIN_DISTINCT = 3  # so many distinct texts do not begin with the same word by chance


def read_files(
    files: Mapping[str, str],
    *,
    fields: Sequence[str] = DEFAULT_FIELDS,
    fail_on_bad_row: bool = False,
    format: InputFormat | None = None,
    encoding: str | None = None,
    dialect: Dialect | None = None,
    sheet: str | None = None,
    say: Say = print,
) -> LabelledTexts:
    """Read one mailbox, file or folder of texts per label; blank texts are skipped and counted.

    By default, CSV and TSV, too, are read as one text per line; each file of a folder that holds no mail is
    one text. Of a fastText file, the label in each line is left out. Raises DataError if a file cannot be
    read, holds no text, or holds several labels.

    Parameters
    ----------
    files : mapping of str to str
        Label to path; wildcards stand for several files.
    fields : sequence of str
        The text of a mail message.
    fail_on_bad_row : bool, default=False
        Raise for the first blank text.
    format, encoding, dialect, sheet : optional
        See `lmclassify.datasets.sources.open_rows`; the dialect matters with format CSV or TSV only.
    """
    from lmclassify.mail.messages_table import MailReader

    result = LabelledTexts()
    for label, path in files.items():
        kept = []
        for file in expand([path]):
            reader = open_rows(
                file,
                format=format,
                encoding=encoding,
                fields=fields,
                dialect=None if dialect is None else replace(dialect, only_tables=True),
                sheet=sheet,
                default="text",
                lines=True,
            )
            result.from_mail |= isinstance(reader, MailReader)
            kept += _read_texts(reader, None, fail_on_bad_row, say, only_label=label)
        if not kept:
            raise DataError(f"label {shorten(label)} has no text: {path} holds none")
        result.texts += kept
        result.labels += [label] * len(kept)
    return result


def read_unlabelled(
    paths: Sequence[str],
    *,
    text_column: str | None = None,
    reading: Reading | None = None,
    fields: Sequence[str] = DEFAULT_FIELDS,
    fail_on_bad_row: bool = False,
    format: InputFormat | None = None,
    encoding: str | None = None,
    dialect: Dialect | None = None,
    sheet: str | None = None,
    say: Say = print,
) -> list[str]:
    """Read texts from a column of tables, from mail or from files with one text per line.

    Blank texts are skipped and counted. Raises DataError if a file cannot be read or holds no text.

    Parameters
    ----------
    text_column : str, optional
        Used for the tables that have it; else the column is found by its usual names.
    reading : Reading, optional
        How the texts of the model were read that these texts are for.
    fields : sequence of str
        The text of a mail message.
    fail_on_bad_row : bool, default=False
        Raise for the first blank text.
    format, encoding, dialect, sheet : optional
        See `lmclassify.datasets.sources.open_rows`; but a file whose format neither its content nor its
        suffix tells holds one text per line, and quotes matter to the tables among the files only.
    """
    reading = reading or Reading()
    if dialect is not None:
        dialect = replace(dialect, only_tables=dialect.has_header is not False)
    dialect = reading.choose_dialect(dialect or Dialect())
    result = []
    for path in paths:
        reader = open_rows(
            path,
            format=format,
            encoding=encoding,
            fields=fields,
            dialect=dialect,
            sheet=sheet,
            named_columns=reading.named_columns(text_column),
            default="text",
        )
        kept = _read_texts(reader, text_column, fail_on_bad_row, say, reading=reading)
        if not kept:
            raise DataError(f"{path} holds no text")
        result += kept
    return result


def _read_texts(
    opened: RowReader,
    text_column: str | None,
    fail_on_bad_row: bool,
    say: Say,
    *,
    only_label: str | None = None,
    reading: Reading | None = None,
) -> list[str]:
    """Return the texts of one file that are not blank.

    Labels in a fastText file are left out; raises DataError if there are several and `only_label` is given.
    """
    kept: list[str] = []
    unit = "line" if isinstance(opened, PlainTextReader) else "row"
    with opened as reader:
        names = [] if text_column is None else column_names(reader.columns, text_column)
        given = text_column if reader.header == "none" or {*names} <= {*reader.columns} else None
        text_at = text_columns(
            reader, given if reading is None else reading.choose_text_columns(reader, given)
        )
        say(reader.describe(text_at, None))
        for chunk in reader.chunks():
            for row, text in enumerate(chunk.texts(text_at), chunk.first):
                if text.strip():
                    kept.append(text)
                elif fail_on_bad_row:
                    raise DataError(f"{reader.name}, {unit} {row:,}: {MISSING.format('text')}")
        skipped = reader.rows_read - len(kept)
    if only_label is not None and isinstance(reader, FastTextReader) and len(reader.unused_labels) > 1:
        raise DataError(
            f"{reader.name}: its texts begin with several labels ({reader.unused_words}), but all are given "
            f"to label {shorten(only_label)}; name the file as DATA, without --labels"
        )
    say_notes(reader, say)
    if skipped:
        say(f"note: {reader.name}: {counted(skipped, unit)} without text skipped")
    return kept


def note_first_words(texts: LabelledTexts, say: Say) -> None:
    """Report labels whose texts all begin with the same word, which may be no part of the texts."""
    words: dict[str, str | None] = {}
    distinct: dict[str, set[str]] = {}
    for text, label in zip(texts.texts, texts.labels, strict=True):
        word = text.split(maxsplit=1)[0]
        if words.setdefault(label, word) != word:
            words[label] = None
        if len(some := distinct.setdefault(label, set())) < _MIN_DISTINCT:
            some.add(text)
    found = [
        f"those of {shorten(label)} with {shorten(word)}"
        for label, word in words.items()
        if word is not None and len(distinct[label]) >= _MIN_DISTINCT
    ]
    if found:
        say(
            f"note: all texts of a label begin with the same word ({listing(found, 3)}); remove it if it is "
            "no part of the text, because the model learns it"
        )
