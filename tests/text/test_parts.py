from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.text.parts import split_long_text

TEXTS = st.text("ab \t\u3000\x1c", max_size=60)


@settings(max_examples=25)
@given(TEXTS, st.integers(1, 5))
def test_parts_join_to_the_text_and_only_long_words_are_cut(text, size):
    parts = list(split_long_text(text, size))
    assert "".join(part for _, part in parts) == text
    assert all(part and text.startswith(part, at) for at, part in parts)
    assert all(len(part) <= 3 * size + len(part) - len(part.lstrip()) for _, part in parts)
    if all(len(word) <= 2 * size for word in text.split()):
        assert [word for _, part in parts for word in part.split()] == text.split()


@settings(max_examples=25)
@given(TEXTS, st.integers(1, 5))
def test_a_word_is_cut_in_the_same_way_at_any_position(text, size):
    def words(text):
        return [word for _, part in split_long_text(text, size) for word in part.split()]

    assert words(text) == [piece for word in text.split() for piece in words(word)]
