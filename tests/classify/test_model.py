"""The public fitted model: one type for users, one class per recipe."""

from dataclasses import replace

import numpy as np
import pytest

import lmclassify
from lmclassify import FittedModel, LMClassifier, OptionError
from lmclassify.classify.model import PlainModel, TunedModel
from tests.conftest import GOLDEN


@pytest.mark.parametrize(
    ("name", "kind"), [("plain", PlainModel), ("plain-both", PlainModel), ("tuned", TunedModel)]
)
def test_loading_gives_the_model_of_the_recipe(name, kind):
    for load in (lmclassify.load, FittedModel.load, kind.load):
        assert type(load(GOLDEN / name / "model")) is kind
    model = LMClassifier.load(GOLDEN / name / "model").model_
    assert isinstance(model, FittedModel)
    exact = replace(model, exact=True)
    assert type(exact) is kind
    assert exact.exact
    assert not model.exact


def test_labels_may_be_numbers(golden_three):
    assert golden_three.label_names == ["1", "2", "3"]
    assert golden_three.label_named("2") == 2
    assert golden_three.label_index(2) == golden_three.label_index(np.int64(2)) == 1
    with pytest.raises(OptionError, match="no label '2' in this model; there are: 1, 2, 3"):
        golden_three.label_index("2")
    with pytest.raises(OptionError, match="no label '4' in this model"):
        golden_three.label_named("4")


def test_a_model_is_not_compared_by_its_arrays(golden_tuned):
    assert golden_tuned == golden_tuned
    assert golden_tuned != replace(golden_tuned)
    assert len({golden_tuned, golden_tuned}) == 1
