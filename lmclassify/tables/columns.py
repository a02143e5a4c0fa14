"""Find the text and label columns of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from lmclassify.errors import DataError, did_you_mean, listing, plural, shorten
from lmclassify.tables.compression import split_compression
from lmclassify.tables.recognition import (
    Cells,
    first_row_is_data,
    is_header,
    label_columns,
    text_and_label,
)
from lmclassify.tables.recognition import (
    text_columns as columns_of_texts,
)

TEXT_COLUMNS = ("text", "subject", "message", "body", "title", "content")
"""Names of a text column, most usual first."""
LABEL_COLUMNS = ("label", "class", "category", "target", "spam/ham")
"""Names of a label column, most usual first."""

_USUAL = (*TEXT_COLUMNS, *LABEL_COLUMNS)

# fmt: off
OTHER_TEXT_COLUMNS = (
    "v2", "review", "reviewtext", "reviewbody", "tweet", "tweettext", "originaltweet", "utterance",
    "sentence", "messagebody", "commenttext", "comment", "cleancomment", "cleantext", "fulltext",
    "emailtext", "email", "mail", "sms", "smstext", "posttext", "post", "questiontext", "question", "query",
    "document", "article", "description", "transcript", "transcription", "narrative",
    "consumercomplaintnarrative", "complaint", "headline", "phrase", "statement", "verifiedreviews",
    "reviews", "translatedreview", "resumestr", "resume", "abstract", "medicalabstract", "lyrics", "news",
    "txt", "texts", "messages", "sentences", "comments", "tweets",
)
"""Names of public data sets for a text column, in lower case and without blanks and punctuation."""
OTHER_LABEL_COLUMNS = (
    "v1", "labels", "sentiment", "airlinesentiment", "labelname", "labeltext", "classlabel", "classname",
    "classindex", "categoryname", "intent", "emotion", "spam", "isspam", "spamham", "spamorham",
    "emailtype", "messagetype", "cyberbullyingtype", "type", "tag", "topic", "genre", "language", "lang",
    "product", "department", "section", "conditionlabel", "medicalspecialty", "coarselabel", "labelcoarse",
    "issarcastic", "sarcasm", "clickbait", "fraudulent", "isresponse", "liked", "toxic", "hate", "stars",
    "score", "rating", "overall", "status", "feedback", "annotation", "y", "output", "result",
)
"""The same for a label column."""
# fmt: on

Header = Literal["given", "row", "none"]
"""Where the names of columns come from: from the format, from the first row, which could be data, or from no
header at all. Without header, columns can also be named by their numbers, from 1."""


class Table(Protocol):
    """What a reader tells of its columns."""

    name: str
    columns: list[str]

    @property
    def sample(self) -> Cells:
        """The first rows, to recognize columns by their content; may be empty."""
        ...

    @property
    def header(self) -> Header:
        """Where the names of the columns come from."""
        ...


def suffix_of(path: str) -> str:
    """Return a path's suffix in lower case, without the suffix of its compression."""
    return Path(split_compression(path)[0]).suffix.lower()


def describe_columns(
    name: str,
    columns: Sequence[str],
    text_at: Sequence[int],
    label_at: int | None,
    notes: Sequence[str] = (),
) -> str:
    """Return one line that names the columns in use, followed by notes on how the file is read.

    Raises DataError if text and label are the same column.
    """
    if label_at is not None and label_at in text_at:
        raise DataError(
            f"{name}: {shorten(columns[label_at])} is used for both text and label; choose another column "
            "with --text-column or --label-column"
        )
    found = f"text {plural(len(text_at), 'column')} {', '.join(shorten(columns[at]) for at in text_at)}"
    if label_at is not None:
        found += f", label column {shorten(columns[label_at])}"
    return "; ".join([f"{name}: {found}", *notes])


def find_column(columns: Sequence[str], wanted: str | None, usual: Sequence[str], name: str) -> int | None:
    """Return the index of a column.

    Raises DataError if the wanted column is missing, or its name is duplicated.

    Parameters
    ----------
    columns : sequence of str
        The header.
    wanted : str or None
        The exact name, if the user gave one.
    usual : sequence of str
        Names to look for otherwise, most usual first. Case is ignored.
    name : str
        Name of the file, for messages.

    Returns
    -------
    int or None
        None if no name was given and none of the usual ones is found.
    """
    folded = list(columns) if wanted is not None else [column.strip().casefold() for column in columns]
    for candidate in usual if wanted is None else [wanted]:
        found = [index for index, column in enumerate(folded) if column == candidate]
        if len(found) > 1:
            raise DataError(f"{name} has {len(found)} columns named {shorten(candidate)}; rename one of them")
        if found:
            return found[0]
    if wanted is not None:
        similar = did_you_mean(wanted, columns)
        raise DataError(f"{name} has no column {shorten(wanted)}{similar}; its columns: {listing(columns)}")
    return None


def named_column(table: Table, wanted: str) -> int:
    """Return the index of the column with a name. Raises DataError if there is none."""
    is_number = wanted.isdecimal() and wanted.isascii() and wanted not in table.columns
    if table.header == "none" and is_number and 1 <= int(wanted) <= len(table.columns):
        return int(wanted) - 1
    index = find_column(table.columns, wanted, (), table.name)
    assert index is not None
    return index


def column_names(columns: Sequence[str], wanted: str) -> list[str]:
    """Return the column names in the value of an option, which are separated by commas.

    Parameters
    ----------
    columns : sequence of str
        All columns of the table. A value that is one of them is a single name, even with commas.
    wanted : str
    """
    if wanted in columns or "," not in wanted:
        return [wanted]
    return [name.strip() for name in wanted.split(",")]


def text_columns(table: Table, wanted: str | Sequence[str] | None) -> tuple[int, ...]:
    """Return the indices of the columns that make a text.

    These are the columns named; by default one, that of a usual name or the only one that holds texts. Raises
    DataError if there is none, or a column is named twice.

    Parameters
    ----------
    wanted : str or sequence of str, optional
        Names. A str may hold several, separated by commas.
    """
    if wanted is not None:
        names = column_names(table.columns, wanted) if isinstance(wanted, str) else wanted
        found = tuple(named_column(table, name) for name in names)
        for at in found:
            if found.count(at) > 1:
                raise DataError(f"{table.name}: {shorten(table.columns[at])} is named twice as text column")
        return found
    index = find_text_column(table)
    if index is None:
        raise _no_column(table, "text", TEXT_COLUMNS)
    return (index,)


def find_text_column(table: Table) -> int | None:
    """Return the index of the only text column, found by its name or content; None if there is none."""
    index = _by_name(table, None, TEXT_COLUMNS, OTHER_TEXT_COLUMNS)
    if index is None and _is_header_certain(table):
        candidates = columns_of_texts(table.sample) if table.sample else []
        label_at = _by_name(table, None, LABEL_COLUMNS, OTHER_LABEL_COLUMNS)
        both = text_and_label(table.sample)
        if both is not None:
            return both.text_at
        if len(candidates) == 1 and candidates[0] != label_at:
            return candidates[0]
    return index


def other_text_columns(table: Table, used: Sequence[int]) -> list[int]:
    """Return the indices of unused columns that hold texts and have a usual name of a text column."""
    found = [at for at in columns_of_texts(table.sample) if at not in used] if table.sample else []
    return [at for at in found if has_known_name(table.columns[at])]


def label_column(table: Table, wanted: str | None) -> int:
    """Return the index of the label column: by its name, or else the only one that holds labels.

    Raises DataError if there is none.
    """
    index = find_label_column(table, wanted)
    if index is None and _is_header_certain(table):
        texts = columns_of_texts(table.sample)
        labels = [at for at in label_columns(table.sample) if at not in texts]
        index = labels[0] if len(labels) == 1 else None
    if index is None:
        raise _no_column(table, "label", LABEL_COLUMNS)
    return index


def find_label_column(table: Table, wanted: str | None, *, usual_only: bool = False) -> int | None:
    """Return what `label_column` returns, or None if there is no label column.

    Parameters
    ----------
    usual_only : bool, default=False
        Look for the names of `LABEL_COLUMNS` only, where a column of another name may be something else.
    """
    index = _by_name(table, wanted, LABEL_COLUMNS, () if usual_only else OTHER_LABEL_COLUMNS)
    if index is None and not usual_only and _is_header_certain(table):
        both = text_and_label(table.sample)
        return None if both is None else both.label_at
    return index


def has_usual_names(columns: Sequence[str]) -> bool:
    """Return whether there are columns with the usual names of both text and label."""
    folded = {column.strip().casefold() for column in columns}
    return not folded.isdisjoint(TEXT_COLUMNS) and not folded.isdisjoint(LABEL_COLUMNS)


def has_usual_name(column: str) -> bool:
    """Return whether a column has one of the usual names of texts or labels."""
    return column.strip().casefold() in _USUAL


def has_known_name(column: str) -> bool:
    """Return whether a column has a name of a text column."""
    return column.strip().casefold() in TEXT_COLUMNS or _plain([column])[0] in OTHER_TEXT_COLUMNS


def _by_name(table: Table, wanted: str | None, usual: Sequence[str], others: Sequence[str]) -> int | None:
    if wanted is not None:
        return named_column(table, wanted)
    index = find_column(table.columns, None, usual, table.name)
    if index is not None:
        return index
    index = find_column(_plain(table.columns), None, others, table.name)
    if index is not None and table.header == "row" and first_row_is_data(table.columns, table.sample, index):
        return None  # such as the label spam in a file without header
    return index


def _plain(columns: Sequence[str]) -> list[str]:
    """Return names in lower case, without blanks and punctuation."""
    return [re.sub(r"[\W_]", "", column.casefold()) for column in columns]


def _is_header_certain(table: Table) -> bool:
    """Return whether the names of the columns are names for certain, and no data."""
    if table.header != "row":
        return True
    usual = any(find_column(table.columns, None, [name], table.name) is not None for name in _USUAL)
    return usual or is_header(table.columns, table.sample)


def _no_column(table: Table, what: str, usual: Sequence[str]) -> DataError:
    """Return the error that a table has no text or no label column, with what could be done."""
    columns, name = table.columns, table.name
    if len(columns) == 1 and "\t" in columns[0]:
        return DataError(f"{name} looks tab-separated; read it as such with --input-format tsv")
    if list(columns) == ["text"] and suffix_of(name) == ".txt":
        return DataError(
            f"{name} has no {what} column: a .txt file is read as one text per line; if it is a table, use "
            "--columns label,text (in the order of its columns) or --no-header, or --input-format csv if it "
            "has a header; --input-format fasttext reads labels in the lines (__label__spam)"
        )
    rows = table.sample
    texts, labels = (columns_of_texts(rows), label_columns(rows)) if rows else ([], [])
    found = texts if what == "text" else [at for at in labels if at not in texts]
    example = f" (such as {', '.join(shorten(columns[at]) for at in found[:3])})" if found else ""
    header = ""
    if (
        table.header == "row"
        and len(columns) > 1
        and any(first_row_is_data(columns, rows, at) for at in labels)
    ):
        return DataError(
            f"{name} has no {what} column, and its first row ({listing(map(_brief, columns))}) looks like "
            f"data, not a header: name the columns, such as --columns {_names(columns, texts, labels)}; "
            f"if the row is a header, name the {what} column with --{what}-column{example}"
        )
    if table.header == "row" and len(columns) == 1:
        header = ", or use --input-format text if each line is a text"
    elif table.header == "row":
        header = ", or give --no-header if its first row is data"
    elif table.header == "none":
        header = f", or name all columns, such as --columns {_names(columns, texts, labels)}"
    return DataError(
        f"{name} has no {what} column: none of its columns ({listing(map(_brief, columns))}) is named "
        f"{', '.join(usual)} or the like; name it with --{what}-column{example}{header}"
    )


def _names(columns: Sequence[str], texts: Sequence[int], labels: Sequence[int]) -> str:
    """Return possible names of the columns of a file without header, for --columns."""
    names = [str(index + 1) for index in range(len(columns))]
    if texts:
        names[texts[0]] = "text"
    for index in labels[:1]:
        names[index] = "label" if index not in texts[:1] else "text"
    return ",".join(names)


def _brief(column: str) -> str:
    return column if len(column) <= 60 else f"{column[:59]}…"
