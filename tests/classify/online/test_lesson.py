"""Encoding of lessons as bytes, and decoding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.classify.online.lesson import QUANTUM, Lesson, Move, is_undo, lesson_id, undo_to_bytes


def lesson(features: int = 5, labels: tuple[int, ...] = (0, 2)) -> Lesson:
    random = np.random.default_rng(features)
    move = Move(
        random.integers(0, 1 << 20, features).astype(np.uint32),
        random.random(features).astype(np.float16),
        np.array(labels, dtype=np.uint16),
        random.normal(size=len(labels)).astype(np.float32),
    )
    return Lesson(lesson_id("a text"), 1.5e9, 2, None, 0, [move, move])


@given(st.integers(0, 300), st.lists(st.integers(0, 9), max_size=4, unique=True))
def test_lessons_are_read_back_exactly(features, labels):
    given = lesson(features, tuple(labels))
    found = Lesson.from_bytes(given.to_bytes(), 10)
    assert found.to_bytes() == given.to_bytes()
    assert (found.id, found.time, found.label, found.before, found.moved_from) == (
        given.id,
        1.5e9,
        2,
        None,
        0,
    )


@given(st.data())
def test_damaged_lessons_are_refused_or_differ(data):
    content = lesson().to_bytes()
    with pytest.raises(ValueError, match="lesson"):
        Lesson.from_bytes(content[: data.draw(st.integers(0, len(content) - 1))], 3)
    with pytest.raises(ValueError, match="another model"):
        Lesson.from_bytes(content, 2)
    with pytest.raises(ValueError, match="another model"):
        Lesson.from_bytes(content + b"x", 3)


def test_a_number_that_is_not_finite_is_refused():
    given = lesson()
    given.moves[0].sizes[0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        Lesson.from_bytes(given.to_bytes(), 3)


def test_changes_are_multiples_of_a_power_of_two():
    change = lesson().moves[0].change() / QUANTUM
    np.testing.assert_array_equal(change, np.round(change))


def test_white_space_does_not_make_another_text():
    assert lesson_id("a  b\r\nc ") == lesson_id("a b c") != lesson_id("a bc")
    assert len(lesson_id("\ud800")) == 16


def test_what_takes_a_lesson_back_is_its_identity():
    assert is_undo(undo_to_bytes(lesson_id("x")))
    assert not is_undo(lesson(0, ()).to_bytes())
