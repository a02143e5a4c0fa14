from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from lmclassify import LMClassifier, OptionError
from lmclassify.classify.settings import Settings
from lmclassify.text.tokenizer import MAX_TOKENS


def test_the_largest_vocabulary_can_be_loaded():
    assert Settings(vocab_size=MAX_TOKENS)
    with pytest.raises(OptionError):
        Settings(vocab_size=MAX_TOKENS + 1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dropout", 1.5, "dropout must be between 0.0 and 0.99, not 1.5"),
        ("dropout", float("nan"), "dropout must be a number, not nan"),
        ("learning_rate", float("inf"), "learning_rate must be a number, not inf"),
        ("num_lstm_units", 8.5, "num_lstm_units must be a whole number"),
        ("lowercase", 2, "lowercase must be true or false"),
        ("dropout", "0.5", "dropout must be a number"),
        ("batch_size", 0, "batch_size must be at least 1, not 0"),
        ("batch_size", 1.5, "batch_size must be a whole number"),
        ("batch_size", None, "batch_size must be a whole number"),
        ("batch_size", True, "batch_size must be a whole number"),
        ("max_length", 1, "max_length must be at least 2"),
        ("tokenizer", "letters", "tokenizer must be one of auto, subword, word, char, not 'letters'"),
        ("lowercase", "yes", "lowercase must be true or false"),
        ("recipe", "best", "recipe must be one of tuned, ngram, plain"),
    ],
)
def test_invalid_values_are_refused(name, value, message):
    with pytest.raises(OptionError, match=message):
        Settings(**{name: value})
    with pytest.raises(ValueError, match=message):
        LMClassifier(**{name: value}).fit(["a", "b"], ["x", "y"])


def test_embedding_dim_may_be_none():
    assert Settings(embedding_dim=None).embedding_dim is None


def test_the_estimator_has_the_settings_with_their_defaults():
    signature = inspect.signature(LMClassifier)
    for item in fields(Settings):
        assert signature.parameters[item.name].default == item.default
        assert item.metadata["help"].endswith((".", ")"))
