import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.tables.formulas import without_formula


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n1", "\0", " =1", "\u00a0=1", "\ufeff=1", "＝1", "＋1", "－1", "＠1", "-", "--1", "+١"],
)  # fmt: skip
def test_what_may_be_a_formula_becomes_text(cell):
    assert without_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "1-1", "'=1", "3", "-3.5", "+1", "-.5e-10", "é"])
def test_other_cells_stay(cell):
    assert without_formula(cell) == cell


@given(st.text())
def test_an_apostrophe_is_enough(cell):
    safe = without_formula(cell)
    assert safe.removeprefix("'") == cell.removeprefix("'") or safe == f"'{cell}"
    assert without_formula(safe) == safe
