"""The labels of rows."""

from __future__ import annotations

import math

import pyarrow
import pyarrow.parquet
import pytest

from lmclassify import DataError
from lmclassify.datasets.sources import open_rows
from lmclassify.tables.rows import Rows


def labels(path, name: str | None = "t") -> list[str]:
    with open_rows(str(path)) as table:
        return [label for rows in table.chunks() for label in rows.labels(0, name)]


def test_labels_are_stripped():
    assert Rows(["label"], [[" ham "], ["[a]"], ["\xa0"], ['["a"]']]).labels(0) == ["ham", "[a]", "", '["a"]']


def test_labels_of_every_json_type(tmp_path):
    values = {
        '"ham"': "ham", '" ham"': "ham", "1": "1", "1.0": "1.0", "true": "true", "null": "", "NaN": "", '""': "",
        "[]": "", '["ham"]': "ham", '[["ham"]]': "ham", "[1]": "1", "[true]": "true", "[null]": "", "[NaN]": "",
        '"[x]"': "[x]", '"NaN"': "NaN", '[" ham "]': "ham",
    }  # fmt: skip
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"label": {value}}}\n' for value in values))
    assert labels(path) == list(values.values())


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            '["spam", "urgent"]',
            r"t, row 2: 'label' is a list \(.*several labels for one text are not supported",
        ),
        ('[["a", "b"]]', "t, row 2: 'label' is a list"),
        ('{"name": "a"}', "t, row 2: 'label' is an object .* a string, a number, or true or false"),
        ('[{"name": "a"}]', "t, row 2: 'label' is an object"),
    ],
)
def test_several_labels_are_an_error(tmp_path, value, problem):
    (tmp_path / "t.jsonl").write_text(f'{{"label": "ham"}}\n{{"label": {value}}}\n')
    with pytest.raises(DataError, match=problem) as error:
        labels(tmp_path / "t.jsonl")
    assert "\n" not in str(error.value)
    assert labels(tmp_path / "t.jsonl", None) == ["ham", ""]


def test_labels_of_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"label": [["ham"], [], None]}), path)
    assert labels(path) == ["ham", "", ""]
    pyarrow.parquet.write_table(pyarrow.table({"label": [["ham"], ["a", "b"]]}), path)
    with pytest.raises(DataError, match="row 2: 'label' is a list"):
        labels(path)
    pyarrow.parquet.write_table(pyarrow.table({"label": [1.0, math.nan]}), path)
    assert labels(path) == ["1.0", ""]
