"""The findings as text, table and page."""

from __future__ import annotations

from rich.cells import cell_len

from lmclassify.check.findings import Finding, findings_table, in_order
from lmclassify.check.page import MAX_SHOWN, render, view
from lmclassify.check.report import findings_text
from tests.check.helpers import rows_of

ROWS = rows_of(
    [("win <b>cheap</b> pills " * 9, "ham"), ("会議は明日です" * 20, "spam")], [("see you", "ham")]
)
FINDINGS = in_order(
    [
        Finding(2, "leak", "same text as row 1 of train.csv"),
        Finding(1, "label_error", "ham 60%, spam 40%", 0.6, "ham"),
        Finding(0, "label_error", "spam 99%, ham 1%; words for spam: cheap", 0.99, "spam", ((7, 12),)),
    ]
)


def test_text_fits_the_width():
    for columns in (60, 80, 120):
        text = findings_text(ROWS, FINDINGS, 3, columns, terminal=True)
        assert max(map(cell_len, text.splitlines())) <= columns
    lines = text.splitlines()
    assert lines[0] == "3 rows, 2 labels, 1 of the rows in test files: 3 rows are suspicious"
    assert lines[3] == "label_error     2  Probably a wrong label"
    assert "  row 1 of train.csv  ham -> spam  spam 99%, ham 1%; words for spam: cheap" in lines
    assert "label_error: 1 of 2" in findings_text(ROWS, FINDINGS, 1, 80)
    assert "row 1 of" not in findings_text(ROWS, FINDINGS, 0, 80)
    assert findings_text(ROWS, [], 3, 80).endswith(": nothing found")


def test_table_has_the_columns_of_the_interface():
    table = findings_table(ROWS, FINDINGS)
    assert table.names == ["row", "file", "kind", "score", "label", "suggested_label", "reason"]
    assert list(table.added["row"]) == [1, 2, 1]
    assert findings_table(rows_of([("a", "b")]), []).names == [name for name in table.names if name != "file"]


def test_page_shows_markup_as_text_and_marks_words():
    page = render(ROWS, FINDINGS, ["train.csv", "test.csv"])
    assert "win &lt;b&gt;" in page or "win &lt;b&gt;<mark>" in page
    assert "<mark>cheap</mark>" in page
    assert "<b>cheap" not in page
    assert 'id="label_error"' in page
    assert 'id="conflict"' not in page
    assert "Nothing was found" in render(ROWS, [], ["train.csv"])
    many = render(ROWS, [FINDINGS[0]] * (MAX_SHOWN + 1), ["train.csv"])
    assert many.count("<article>") == MAX_SHOWN
    assert f"the first {MAX_SHOWN} are shown" in many


def test_long_texts_are_cut_around_the_marked_words():
    rows = rows_of([("x" * 2000 + " prize " + "y" * 2000, "ham")])
    pieces = view(rows, Finding(0, "label_error", "", marked=((2001, 2006),))).pieces
    assert [marked for _, marked in pieces] == [False, False, True, False, False]
    assert pieces[2][0] == "prize"
    assert sum(len(text) for text, _ in pieces) < 700
