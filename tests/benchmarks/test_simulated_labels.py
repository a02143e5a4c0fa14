import numpy as np
import pytest

from benchmarks.simulated_labels import many_labels, use
from lmclassify.classify.model import load
from lmclassify.errors import LMClassifyError


def test_labels_are_multiplied_into_a_model_that_can_be_saved_and_used(tuned, tmp_path):
    made = many_labels(tuned.model_, 5, 50, ["one text", "another text"])
    made.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.classes_.tolist() == [f"label {number:06d}" for number in range(5)]
    assert all(len(model.keys) == 50 for model in loaded.ngrams)
    texts = ["some subject", "free money"]
    np.testing.assert_allclose(loaded.predict_joint_log_proba(texts), made.predict_joint_log_proba(texts))
    assert len({model.arrays["layers.0.weight_hh_l0"].tobytes() for model in loaded.models}) == 5
    seconds, megabytes, rate = map(float, use(str(tmp_path / "model"), texts).replace(",", "").split(" | "))
    assert 0 <= seconds < 60
    assert megabytes > 10
    assert rate > 0


def test_only_a_tuned_model_can_be_multiplied(model):
    with pytest.raises(LMClassifyError, match="recipe tuned"):
        many_labels(model, 3, 10, ["a"])
