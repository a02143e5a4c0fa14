from __future__ import annotations

import pytest

from lmclassify.comparison.methods import METHODS
from lmclassify.comparison.plan import Plan
from lmclassify.comparison.results import Cell
from lmclassify.errors import DataError, OptionError
from tests.comparison.samples import data_file, emails, subjects

NB = METHODS["nb"]


@pytest.fixture(name="subjects")
def _subjects():
    return subjects()


@pytest.fixture(name="emails")
def _emails():
    return emails()


def test_plan_with_a_test_file(subjects, emails):
    methods = [METHODS["lmclassify"], NB]
    plan = Plan(subjects, emails, methods, sizes=["all", 50, 20, 500], seeds=[3, 4])
    assert plan.sizes == [20, 50, "all"]
    assert plan.notes == ["size 500 skipped: there are only 120 training texts"]
    cells = plan.cells()
    assert len(cells) == 2 * 2 * 2 + 2 + 1  # nb learns the same from all texts whatever the seed
    assert cells[0] == Cell(method="lmclassify", size=20, seed=3, fold=None)
    assert [cell.seed for cell in cells if cell.size == "all"] == [3, 0, 4]
    first, other = (plan.split(Cell(method="nb", size=20, seed=seed, fold=None)) for seed in (3, 4))
    assert len(first.training.texts) == len(first.training.labels) == 20
    assert set(first.training.labels) == {"ham", "spam"}
    assert first.training.texts != other.training.texts
    assert first == plan.split(Cell(method="cnb", size=20, seed=3, fold=None))
    assert first.test == emails.rows


def test_plan_with_folds_and_a_label_with_one_text(subjects):
    data = data_file("x.csv", [*subjects.rows.texts, "odd one"], [*subjects.rows.labels, "odd"])
    plan = Plan(data, None, [NB], seeds=[0, 1], folds=4)
    assert plan.notes == ["label 'odd' has one text: used for training only, never for testing"]
    cells = plan.cells()
    assert [(cell.seed, cell.fold) for cell in cells] == [(s, f) for s in (0, 1) for f in range(4)]
    tried = [text for cell in cells[:4] for text in plan.split(cell).test.texts]
    assert sorted(tried) == sorted(subjects.rows.texts)
    for cell in cells:
        split = plan.split(cell)
        assert set(split.training.labels) == {"ham", "spam", "odd"}
        assert not set(split.training.texts) & set(split.test.texts)


def test_labels_with_fewer_texts_than_folds():
    data = data_file("x.csv", list("abcdefgh"), ["x"] * 5 + ["y"] * 2 + ["z"])
    plan = Plan(data, None, [NB], folds=5)
    for cell in plan.cells():
        assert set(plan.split(cell).training.labels) == {"x", "y", "z"}


def test_impossible_plans(subjects, emails):
    with pytest.raises(OptionError, match="--sizes 1: each of the 2 labels needs a text"):
        Plan(subjects, emails, [NB], sizes=[1])
    with pytest.raises(OptionError, match="--sizes: there are only 120 training texts"):
        Plan(subjects, emails, [NB], sizes=[121])
    with pytest.raises(DataError, match="all texts have label 'a'; two are needed"):
        Plan(data_file("x.csv", ["t"], ["a"]), emails, [NB])
    with pytest.raises(DataError, match=r"3 texts .* cannot make 4 folds; lower --folds or give --test"):
        Plan(data_file("x.csv", list("stuv"), list("aaab")), None, [NB], folds=4)
