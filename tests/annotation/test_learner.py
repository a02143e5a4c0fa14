"""The background process: rounds, errors, and its end."""

from __future__ import annotations

import time

import pytest

from lmclassify.annotation.learner import Learner, Round, _Request, choose_round, guess
from lmclassify.annotation.selection import fit_model

TEXTS = [f"{kind} {number}" for number in range(30) for kind in ("win a free prize", "lunch on Friday")]
LABELS = {row: ("spam", "ham")[row % 2] for row in range(40)}


def next_round(learner: Learner) -> Round:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        found = learner.latest()
        if found is not None:
            return found
        time.sleep(0.01)
    raise AssertionError("no round")


def test_a_round_without_labels_has_no_guess():
    found = choose_round(TEXTS, {}, (), 0, 5)
    assert found.num_labelled == 0
    assert [item.guess for item in found.items] == [None] * 5
    assert choose_round(TEXTS, {0: "spam"}, (), 0, 5).items[0].guess is None


def test_a_round_guesses_labels():
    found = choose_round(TEXTS, LABELS, [59], 0, 50)
    assert found.num_labelled == 40
    assert {item.index for item in found.items} == set(range(40, 59))
    for item in found.items:
        assert item.guess.label == ("spam", "ham")[item.index % 2]
        assert "".join(word["text"] for word in item.guess.words) == TEXTS[item.index]


def test_a_guess_is_the_explanation():
    rows = [*range(40)]
    model = fit_model([TEXTS[row] for row in rows], [LABELS[row] for row in rows])
    text = "  free lunch,\n on  Friday "
    found, explanation = guess(model, text), model.explain(text)
    assert found.label == explanation["label"]
    assert found.against == explanation["against"]
    assert "".join(word["text"] for word in found.words) == text
    assert [word["contribution"] for word in found.words] == [
        word["contribution"] for word in explanation["words"]
    ]
    assert list(found.probabilities.values()) == sorted(found.probabilities.values(), reverse=True)
    assert found.probability == found.probabilities[found.label]
    assert guess(model, "").words == []


@pytest.mark.parametrize(
    ("labels", "others", "enough"),
    [
        ({1: "a"}, None, True),
        ({1: "a"}, {1: "a"}, False),
        ({1: "b"}, {1: "a"}, True),
        ({}, {1: "a"}, True),
        (dict.fromkeys(range(1000), "a"), dict.fromkeys(range(990), "a"), False),
        (dict.fromkeys(range(1000), "a"), dict.fromkeys(range(980), "a"), True),
    ],
)
def test_when_a_new_round_begins(labels, others, enough):
    other = None if others is None else _Request(others, frozenset(), frozenset())
    assert _Request(labels, frozenset(), frozenset()).differs(other) == enough


@pytest.mark.long
def test_the_process_answers_the_latest_request():
    with Learner(TEXTS, num_choices=4) as learner:
        assert learner.latest() is None
        learner.submit({})
        assert next_round(learner).num_labelled == 0
        learner.submit(LABELS, at_random=range(40))
        found = next_round(learner)
        assert found.num_labelled == 40
        assert len(found.items) == 4
        while found.assessment is None:
            found = next_round(learner)
        assert found.assessment.of == 40
        learner.submit(LABELS)  # nothing new
        learner.submit({**LABELS, 50: 7})  # a failure: labels are strings
        failed = next_round(learner)
        assert failed.items == []
        assert failed.error
        learner.submit({**LABELS, 50: "spam"})
        assert next_round(learner).num_labelled == 41


@pytest.mark.long
def test_a_process_that_ends_is_an_error(caplog):
    with Learner(TEXTS) as learner:
        learner.submit({})
        next_round(learner)
        learner._process.kill()
        learner.submit(LABELS)
        assert "has ended" in next_round(learner).error
        assert not learner.busy
    assert "the background process ended" in caplog.text
