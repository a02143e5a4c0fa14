"""Options that say how labels are decided."""

from dataclasses import replace

import numpy as np
import pytest

from lmclassify.classify.decisions import decisions_of
from lmclassify.classify.thresholds import MIN_POSITIVES
from lmclassify.cli.decision_options import DECISION_OPTIONS
from lmclassify.errors import OptionError


def decide(model, **options):
    return decisions_of(model, {**dict.fromkeys(DECISION_OPTIONS), **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unknown_label": "spam"}, "--unknown-label must be a name that no label of the model has"),
        ({"unknown_label": "unsure"}, "choose another name"),
        ({"unknown_label": ""}, "--unknown-label must be a name"),
        ({"unknown_rate": 0.1}, "--unknown-rate goes with --unknown-label"),
        ({"unknown_label": "new", "unknown_rate": 2.0}, "from 0 to below 1"),
        ({"unsure": "0.2"}, "--unsure takes two probabilities"),
        ({"unsure": "a,b"}, "--unsure takes two probabilities"),
        ({"unsure": "0.9,0.2"}, "LOW <= HIGH"),
        ({"unsure": "0.2,0.9", "min_confidence": 0.5}, "choose one"),
        ({"min_confidence": 7.0}, "must be a probability"),
        ({"positive": "spam"}, "--positive goes with"),
        ({"positive": "eggs", "max_false_positive_rate": 0.1}, "no label 'eggs'"),
        ({"max_false_positive_rate": 1.0}, "from 0 to below 1"),
    ],
)
def test_what_makes_no_sense(model, options, message):
    with pytest.raises(OptionError, match=message):
        decide(model, **options)


def test_defaults(model):
    assert decide(model).decide(model.predict_log_proba(["win"])).tolist() == model.predict(["win"]).tolist()
    two_labels = decide(model, unsure="0.2,0.9")
    assert (two_labels.positive, two_labels.unsure) == (1, (0.2, 0.9))
    unknown = decide(model, unknown_label="new")
    assert unknown.unknown_threshold == model.unknown_threshold(0.05)
    assert decide(model, positive="ham", max_false_positive_rate=0.1).positive == 0


def test_few_texts_of_the_positive_label_are_said_to_be_few(model):
    few = np.flatnonzero(model.held_out.codes == 1)[MIN_POSITIVES - 1 :]
    rare = replace(
        model, held_out=model.held_out.rows(np.setdiff1d(np.arange(model.held_out.codes.size), few))
    )
    lines: list[str] = []
    options = {**dict.fromkeys(DECISION_OPTIONS), "max_false_positive_rate": 0.9}
    decisions_of(rare, options, lines.append)
    assert sum("too few for a threshold" in line for line in lines) == 1
    lines.clear()
    decisions_of(model, options, lines.append)
    assert not any("too few for a threshold" in line for line in lines)
