"""Files without header and columns of unknown names."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmclassify import DataError, OptionError
from lmclassify.datasets.sources import open_rows
from lmclassify.tables.columns import find_label_column, label_column, text_columns
from lmclassify.tables.dialect import Dialect, parse_columns

TEXTS = [
    ("spam", "win a free cruise now"),
    ("ham", "see you at the station"),
    ("spam", "claim your cash prize"),
    ("ham", "lunch at noon, tomorrow"),
    ("ham", "running late sorry"),
]


def written(folder: Path, name: str, *rows: tuple[str, ...], separator: str = ",") -> str:
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in row] for row in rows]
    (folder / name).write_text("".join(separator.join(row) + "\n" for row in quoted), encoding="utf-8")
    return str(folder / name)


def found(path: str, text: str | None = None, label: str | None = None, **how) -> tuple[str, list[list[str]]]:
    """Return how a file is read, and its texts and labels."""
    with open_rows(path, **how) as table:
        (text_at,), label_at = text_columns(table, text), label_column(table, label)
        said = table.describe([text_at], label_at).removeprefix(f"{Path(path).parent}/")
        return said, [
            [row[index] for index in (text_at, label_at)] for chunk in table.chunks() for row in chunk.cells
        ]


@pytest.mark.parametrize(
    ("name", "separator"),
    [
        ("t.csv", ","),
        ("t", "\t"),
        ("t.tsv", "\t"),
        ("t.data", "\t"),
        ("t.csv", ";"),
        ("t.txt", "\t"),
        ("t.txt", ";"),
    ],
)
@pytest.mark.parametrize("text_at", [0, 1])
def test_two_columns_without_header(tmp_path, name, separator, text_at):
    rows = [(text, label) if text_at == 0 else (label, text) for label, text in TEXTS]
    said, read = found(written(tmp_path, name, *rows, separator=separator))
    assert read == [[text, label] for label, text in TEXTS]
    order = ("text", "label") if text_at == 0 else ("label", "text")
    assert f"no header, column 1 is {order[0]}, column 2 is {order[1]}" in said
    said, _ = found(written(tmp_path, name, order, *rows, separator=separator))
    assert "no header" not in said


def test_numbers_as_labels(tmp_path):
    rows = [("1", "a fine film"), ("0", "a bad film"), ("0", "not so good"), ("0", "quite dull that")]
    assert len(found(written(tmp_path, "t.csv", *rows))[1]) == 4


def test_options_for_files_without_header(tmp_path):
    path = written(tmp_path, "t.csv", *((str(row), *cells) for row, cells in enumerate(TEXTS)))
    for how in (
        {"dialect": Dialect(columns=parse_columns("id, label, text"))},
        {"dialect": Dialect(header=False)},
        {"dialect": Dialect(header=False), "text": "3", "label": "2"},
        {"dialect": Dialect(header=False, columns=("a", "b", "c")), "text": "c", "label": "b"},
    ):
        assert found(path, **how)[1] == [[text, label] for label, text in TEXTS]
    two = written(tmp_path, "two.csv", *TEXTS[:2])
    assert len(found(two, dialect=Dialect(header=False))[1]) == 2
    with open_rows(written(tmp_path, "one.csv", ("a b",), ("c",)), dialect=Dialect(header=False)) as table:
        assert (text_columns(table, None), find_label_column(table, None)) == ((0,), None)
        assert table.columns == ["text"]
    with open_rows(
        written(tmp_path, "t.txt", *TEXTS[:2]), dialect=Dialect(columns=("label", "text"))
    ) as table:
        assert [len(rows) for rows in table.chunks()] == [2]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (("label", "text", "x"), "its first row has 2 columns, but --columns names 3"),
        (("Label", "text"), "its first row is the header that --columns names; drop --columns"),
    ],
)
def test_columns_that_do_not_fit(tmp_path, columns, problem):
    path = written(tmp_path, "t.csv", ("label", "text"), *TEXTS)
    with pytest.raises(DataError, match=problem):
        open_rows(path, dialect=Dialect(columns=columns))


def test_wrong_options(tmp_path):
    with pytest.raises(OptionError, match="a name is empty"):
        parse_columns("label,")
    with pytest.raises(OptionError, match="drop it or --header"):
        Dialect(header=True, columns=("a",))
    (tmp_path / "t.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(OptionError, match=r"--quoting, --no-header: for CSV and TSV .*t.jsonl is jsonl"):
        open_rows(str(tmp_path / "t.jsonl"), dialect=Dialect("none", header=False))


@pytest.mark.parametrize(
    "header",
    [
        ("v1", "v2"), ("sentiment", "Review Text"), ("cyberbullying_type", "tweet_text"), ("Product", "narrative"),
        ("Label", "Message_body"), ("intent", "utterance"), ("label", "sentence"), ("is_spam", "email"),
        ("is_sarcastic", "headline"), ("language", "Text"), ("foo", "bar"), ("Airline Sentiment", "comment-text"),
    ],
)  # fmt: skip
def test_columns_of_other_names(tmp_path, header):
    said, read = found(written(tmp_path, "t.csv", header, *TEXTS))
    assert read == [[text, label] for label, text in TEXTS]
    assert f"text column {header[1]!r}, label column {header[0]!r}" in said


def test_the_only_column_of_texts(tmp_path):
    rows = [(str(row), label, text) for row, (label, text) in enumerate(TEXTS)]
    path = written(tmp_path, "t.csv", ("id", "label", "words_said"), *rows)
    assert "text column 'words_said'" in found(path)[0]
    path = written(tmp_path, "t.csv", ("id", "kind_of", "words_said"), *rows)
    assert "text column 'words_said', label column 'kind_of'" in found(path)[0]


def test_no_row_is_taken_for_a_header(tmp_path):
    """A first row that could be either is an error with both options."""
    few = [
        ("spam", "win a free cruise"),
        ("ham", "lunch now"),
        ("ham", "see you"),
        ("ham", "hello there you"),
    ]
    with pytest.raises(DataError, match="no text column: .*--text-column.*--no-header"):
        found(written(tmp_path, "t.csv", *few))
    rows = [(str(row), *cells) for row, cells in enumerate(TEXTS)]
    with pytest.raises(DataError, match="looks like data, .*--columns 1,label,text; if"):
        found(written(tmp_path, "t.csv", *rows))


def test_lines_of_text_stay_lines(tmp_path):
    (tmp_path / "t.txt").write_text(
        "Dear customer, your bill\n" * 3 + "Dear friend, hello\nDear friend, bye\n"
    )
    with open_rows(str(tmp_path / "t.txt")) as table:
        assert table.columns == ["text"]
    path = written(tmp_path, "tabs.txt", *TEXTS, separator="\t")
    with open_rows(path, format="text") as table:
        assert table.columns == ["text"]


def test_columns_of_json_lines_by_content(tmp_path):
    lines = [f'{{"aa": "{label}", "bb": "{text}"}}\n' for label, text in TEXTS]
    (tmp_path / "t.jsonl").write_text("".join(lines))
    assert found(str(tmp_path / "t.jsonl"))[1] == [[text, label] for label, text in TEXTS]
