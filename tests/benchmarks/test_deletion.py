"""Explanations put to the test by deleting words."""

import pytest

from benchmarks.deletion import at_random, by_explain, delete_word, measure
from tests.conftest import bundled

pytestmark = pytest.mark.long  # of a script that takes long


def test_deleting_by_explain_moves_more_than_at_random(tuned):
    texts = [text for text in bundled("emails.csv")[0] if len(text.split()) > 2][:60]
    model = tuned.model_
    lines = measure(model, texts, {"by explain": by_explain(model), "at random": at_random(0)})
    means = [float(line.split("|")[2]) for line in lines[2:]]
    assert means[0] > means[1]
    assert lines[2].startswith("| by explain |")


def test_a_word_is_taken_out():
    assert delete_word(" a  b c ", 1) == "a c"
    assert delete_word("a", 0) == ""
    assert delete_word("免费 领取", 1) == "免 领取"
