"""The file of benchmark results."""

from __future__ import annotations

import pytest

from lmclassify.comparison.results import ResultsFile, read_results
from lmclassify.errors import DataError, OutputError
from tests.comparison.samples import record


def test_an_incomplete_last_line_is_removed(tmp_path):
    path = tmp_path / "results.jsonl"
    file = ResultsFile(str(path))
    file.append(record("svm"))
    file.append(record("nb"))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in (first + 1, first + 30, len(whole) - 2):
        path.write_bytes(whole[:cut])
        assert read_results(str(path)) == [record("svm")]
        assert path.stat().st_size == cut  # reading alone repairs nothing
        again = ResultsFile(str(path))
        again.append(record("nb"))
        assert path.read_bytes() == whole
    path.write_bytes(whole[:-1])  # only the line's end is missing
    ResultsFile(str(path)).append(record("cnb"))
    assert [item.method for item in read_results(str(path))] == ["svm", "nb", "cnb"]


@pytest.mark.parametrize(
    "content", [b"text,label\na,b\n", b"a", b'{"x": 1}\n', b'{"lmclassify_benchmark": 1, "data": "x"}\n']
)
def test_other_files_are_refused_and_unchanged(tmp_path, content):
    path = tmp_path / "precious.csv"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"precious.csv, line 1: not a result of lmclassify benchmark; give another"
    ):
        ResultsFile(str(path))
    assert path.read_bytes() == content


def test_unreadable_and_unwritable_files(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        ResultsFile(str(tmp_path))
    with pytest.raises(DataError, match="cannot read"):
        read_results(str(tmp_path / "nothing"))
