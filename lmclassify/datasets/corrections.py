"""Read corrections of a model: texts with their right labels and the labels that they had."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from lmclassify.datasets.label_forms import LabelMatcher, difference
from lmclassify.datasets.labelled import LabelledTexts, Say, say_notes
from lmclassify.datasets.multiple_files import labelled_files
from lmclassify.datasets.reading import Reading
from lmclassify.datasets.sources import InputFormat, open_rows
from lmclassify.datasets.texts import read_files
from lmclassify.errors import DataError, OptionError, counted, did_you_mean, shorten
from lmclassify.mail.fields import DEFAULT_FIELDS
from lmclassify.mail.mailboxes import looks_like_mail
from lmclassify.tables.columns import label_column as find_label_column
from lmclassify.tables.columns import text_columns
from lmclassify.tables.dialect import Dialect

LEARNED_AS = "learned_as"
"""Column of corrected rows with the label that a text was wrongly trained as."""


@dataclass
class CorrectedTexts(LabelledTexts):
    """Texts, their labels, and the labels that they were wrongly trained as, or None."""

    learned_as: list[str | None] = field(default_factory=list)


def read_corrections(
    path: str,
    known_labels: Collection[str],
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    format: InputFormat | None = None,
    encoding: str | None = None,
    dialect: Dialect | None = None,
    sheet: str | None = None,
    reading: Reading | None = None,
    say: Say = print,
) -> CorrectedTexts:
    """Read corrected rows: a text, its label and, in the column learned_as, its wrong label if any.

    Rows without text or label are skipped and counted. Raises DataError if the model lacks a label, a text's
    label is also its wrong label, or no row has text and label.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    known_labels : collection of str
        The labels of the model.
    text_column, label_column, format, encoding, dialect, sheet
        See `LabelledTableReader`.
    reading : Reading, optional
        How the texts of the model were read.
    """
    found = CorrectedTexts()
    reading = reading or Reading()
    named = reading.named_columns(text_column, label_column)
    dialect = reading.choose_dialect(dialect or Dialect())
    if path != "-" and looks_like_mail(path):
        raise DataError(f"{path} is mail, which has no labels: name it as LABEL={path}")
    with open_rows(
        path, format=format, encoding=encoding, dialect=dialect, sheet=sheet, named_columns=named
    ) as table:
        text_at = text_columns(table, reading.choose_text_columns(table, text_column))
        label_at = find_label_column(table, reading.choose_label_column(table, label_column))
        say(table.describe(text_at, label_at))
        wrong_at = table.columns.index(LEARNED_AS) if LEARNED_AS in table.columns else None
        for chunk in table.chunks():
            labels = chunk.labels(label_at, table.name)
            wrong_labels = labels if wrong_at is None else chunk.labels(wrong_at, table.name)
            rows = zip(chunk.texts(text_at), labels, wrong_labels, strict=True)
            for row, (text, label, given) in enumerate(rows, chunk.first):
                wrong = None if wrong_at is None or not given else given
                if not text.strip() or not label:
                    continue
                where = f"{table.name}, row {row}"
                for name in (label, wrong):
                    if name is not None and name not in known_labels:
                        raise DataError(f"{where}: {_no_label(name, known_labels)}")
                if label == wrong:
                    raise DataError(f"{where}: {shorten(label)} is both label and learned_as of one text")
                found.texts.append(text)
                found.labels.append(label)
                found.learned_as.append(wrong)
    say_notes(table, say)
    if not found.texts:
        raise DataError(f"{table.name}: no row has both a text and a label")
    if len(found.texts) < table.rows_read:
        say(f"note: {counted(table.rows_read - len(found.texts), 'row')} without text or label left out")
    return found


def _no_label(label: str, known: Collection[str]) -> str:
    similar = LabelMatcher(known).match(label)
    if similar is None:
        return f"the model has no label {shorten(label)}{did_you_mean(label, known)}; add-label adds one"
    return (
        f"the model has no label {shorten(label)}, which differs from its label {shorten(similar)} only in "
        f"{difference([similar, label])}; write it so"
    )


def read_all_corrections(
    data: Sequence[str],
    known_labels: Collection[str],
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    reading: Reading | None = None,
    fields: Sequence[str] = DEFAULT_FIELDS,
    format: InputFormat | None = None,
    encoding: str | None = None,
    dialect: Dialect | None = None,
    sheet: str | None = None,
    say: Say = print,
) -> CorrectedTexts:
    """Read corrected rows of tables, or mail and other texts of one label each.

    Raises DataError as `read_corrections` does. Raises OptionError if only some arguments name a label.

    Parameters
    ----------
    data : sequence of str
        Tables, or ``LABEL=FILE``.
    fields : sequence of str
        The text of a mail message.
    known_labels, text_column, label_column, reading, format, encoding, dialect, sheet
        See `read_corrections`.
    """
    result = CorrectedTexts()
    files = labelled_files(data)
    if not files:
        for path in data:
            found = read_corrections(
                path,
                known_labels,
                text_column=text_column,
                label_column=label_column,
                reading=reading,
                format=format,
                encoding=encoding,
                dialect=dialect,
                sheet=sheet,
                say=say,
            )
            result.texts += found.texts
            result.labels += found.labels
            result.learned_as += found.learned_as
        return result
    if text_column is not None or label_column is not None:
        raise OptionError("LABEL=FILE has no columns; drop --text-column and --label-column")
    for label, path in files:
        if label not in known_labels:
            raise DataError(f"{label}={path}: {_no_label(label, known_labels)}")
    for label, path in files:
        texts = read_files(
            {label: path},
            fields=fields,
            format=format,
            encoding=encoding,
            dialect=dialect,
            sheet=sheet,
            say=say,
        ).texts
        result.texts += texts
        result.labels += [label] * len(texts)
        result.learned_as += [None] * len(texts)
    return result
