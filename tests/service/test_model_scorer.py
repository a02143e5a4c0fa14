"""The scorer of a fitted model: how labels are decided, and what it says of the model."""

from __future__ import annotations

import pytest

from lmclassify.errors import OptionError
from lmclassify.service.model_scorer import ModelScorer

TEXT = "Zwölf Boxkämpfer 12345 %%%"


def test_labels_are_decided_as_the_options_say(tuned_folder):
    scorer = ModelScorer(tuned_folder, deciding={"unknown_label": "other", "unknown_rate": 0.9})
    (prediction,) = scorer.predict([TEXT])
    assert prediction["label"] == "other"
    assert set(prediction["probabilities"]) == {"ham", "spam"}
    assert scorer.explain(TEXT)["label"] in ("ham", "spam")


def test_options_that_do_not_fit_the_model_are_refused(tuned_folder):
    with pytest.raises(OptionError, match="--unknown-label must be a name that no label"):
        ModelScorer(tuned_folder, deciding={"unknown_label": "spam"})


def test_model_info_names_the_saved_model(tuned_folder):
    info = ModelScorer(tuned_folder, deciding={}).model_info()
    assert info["model"] == tuned_folder.name
    assert len(info["checksum"]) == 64
    assert info["can_suggest"]
