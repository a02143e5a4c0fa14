from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.errors import OptionError
from lmclassify.lm import LanguageModel, NumpyLanguageModel
from lmclassify.lm.inference.generation import next_words, sample
from lmclassify.text.sequences import make_batch
from lmclassify.text.tokenizer import Tokenizer

TEXTS = ["ab ba", "ba ab", "abab b", "a b", "bb aa", "é é"] * 3


def models_of(tokenizer: Tokenizer, count: int) -> list[NumpyLanguageModel]:
    found = []
    for seed in range(count):
        model = LanguageModel(tokenizer.vocab_size, 20, 6, embedding_dim=5, seed=seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.uniform_(-1, 1, generator=model.generator)
            if tokenizer.kind != "word":
                model.output.bias[len(tokenizer.tokens) + 1 : -2] = -20  # bytes stay rare
        found.append(NumpyLanguageModel(model.arrays()))
    return found


def by_enumeration(tokenizer, models, weights, prefix) -> dict[str, float]:
    """Return the probability of every word of up to three tokens, each sequence scored on its own."""
    trained = range(1, len(tokenizer.tokens) + 1)
    starts = [token for token in trained if tokenizer.starts_word[token]]
    within = [token for token in trained if not tokenizer.starts_word[token]]
    ends = [*starts, tokenizer.end_id]
    if tokenizer.unknown_id is not None:
        ends.append(tokenizer.unknown_id)
    words: dict[str, float] = {}
    for length in range(3):
        for tokens in itertools.product(starts, *[within] * length):
            word = b"".join(tokenizer.token_bytes(token) for token in tokens).decode()
            batch = make_batch([[*prefix, *tokens, end] for end in ends])
            total = 0.0
            for model, weight in zip(models, weights, strict=True):
                nll, _ = model.token_nll(batch.inputs, batch.targets)
                total += weight * np.exp(-nll[:, len(prefix) - 1 :].sum(axis=1)).sum()
            if word:
                words[word] = words.get(word, 0.0) + total
    return words


@pytest.mark.parametrize("kind", ["subword", "char", "word"])
@pytest.mark.parametrize("count", [1, 2])
def test_probabilities_are_those_of_whole_words(kind, count):
    tokenizer = Tokenizer.train(kind, TEXTS, 8)
    models = models_of(tokenizer, count)
    weights = np.array([0.3, 0.7])[-count:] if count == 2 else np.ones(1)
    prefix = tokenizer.sequences(["ab"])[0][:-1]
    expected = by_enumeration(tokenizer, models, weights, prefix)
    found = next_words(models, np.log(weights), tokenizer, prefix, 4, beam_width=5000)
    probabilities = [probability for _, probability in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(found) == 4
    for word, probability in found:
        if len(word) <= 2 or kind == "word":
            assert probability == pytest.approx(expected[word], rel=0.02)
    best = max((word for word in expected if len(word) <= 1), key=expected.__getitem__)
    assert found[0][1] >= expected[best] * 0.999


def test_number_of_suggested_words():
    texts = [f"w{number} w{number}" for number in range(400)]
    tokenizer = Tokenizer.train("word", texts, 400)
    found = next_words(models_of(tokenizer, 1), [0.0], tokenizer, np.array([tokenizer.begin_id]), 300)
    assert len(found) == 300


def test_words_are_distinct_and_have_no_marks():
    tokenizer = Tokenizer.train("subword", TEXTS, 12)
    found = next_words(models_of(tokenizer, 1), [0.0], tokenizer, np.array([tokenizer.begin_id]), 20)
    words = [word for word, _ in found]
    assert len(set(words)) == len(words) == 20
    assert not any("▁" in word or not word for word in words)
    assert 0 < sum(probability for _, probability in found) <= 1


def test_the_unknown_token_is_not_suggested():
    tokenizer = Tokenizer.train("word", [*TEXTS, "once"], 3)
    found = next_words(models_of(tokenizer, 1), [0.0], tokenizer, np.array([tokenizer.begin_id]), 20)
    assert {word for word, _ in found} == set(tokenizer.tokens)


class Fixed:
    """A language model that always has the same probabilities."""

    def __init__(self, tokenizer: Tokenizer, probabilities: dict[int, float], others: float = 0.0) -> None:
        self.p = np.full(tokenizer.vocab_size, others)
        for token, p in probabilities.items():
            self.p[token] = p

    def read(self, ids, state=None):
        with np.errstate(divide="ignore"):
            return np.tile(np.log(self.p), (len(ids), 1)), np.zeros(len(ids))


WORDS = Tokenizer.train("word", ["a b c d"] * 2, 4)  # a, b, c, d are 1, 2, 3, 4
UNKNOWN, ENDS = {WORDS.unknown_id: 0.2}, {WORDS.end_id: 0.1}
BEGUN = np.array([WORDS.begin_id])


def drawn(n: int = 4000, **options) -> dict[str, float]:
    """Return how often each word is drawn first where a, b, c, d have 0.3, 0.2, 0.15, 0.05."""
    model = Fixed(WORDS, {1: 0.3, 2: 0.2, 3: 0.15, 4: 0.05, **UNKNOWN, **ENDS})
    texts = sample(model, WORDS, BEGUN, n, max_tokens=1, seed=0, **options)
    counts = Counter(WORDS.decode(text) for text in texts)
    return {word: counts[word] / n for word in sorted(counts)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"a": 30, "b": 20, "c": 15, "d": 5}),
        ({"temperature": 0.5}, {"a": 30**2, "b": 20**2, "c": 15**2, "d": 5**2}),
        ({"temperature": 2.0}, {"a": 30**0.5, "b": 20**0.5, "c": 15**0.5, "d": 5**0.5}),
        ({"temperature": 0}, {"a": 1}),
        ({"temperature": 1e-300}, {"a": 1}),
        ({"top_k": 2}, {"a": 30, "b": 20}),
        ({"top_k": 1}, {"a": 1}),
        ({"top_k": 99}, {"a": 30, "b": 20, "c": 15, "d": 5}),
        ({"top_p": 0.01}, {"a": 1}),
        ({"top_p": 50 / 70 - 1e-9}, {"a": 30, "b": 20}),
        ({"top_p": 50 / 70 + 1e-9}, {"a": 30, "b": 20, "c": 15}),
        ({"top_p": 1}, {"a": 30, "b": 20, "c": 15, "d": 5}),
        ({"top_k": 2, "top_p": 0.59}, {"a": 1}),  # of a and b alone, a has 0.6
    ],
)
def test_sampling_frequencies(options, expected):
    found = drawn(**options)
    assert set(found) == set(expected)
    for word, weight in expected.items():
        share = weight / sum(expected.values())
        assert found[word] == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 4000) + 1e-9)


def test_texts_end_with_the_model_s_probability():
    model = Fixed(WORDS, {1: 0.6, **UNKNOWN, **ENDS, WORDS.end_id: 0.2})
    lengths = [len(text) for text in sample(model, WORDS, BEGUN, 3000, seed=0)]
    assert min(lengths) == 1  # no text is empty
    assert np.mean(lengths) == pytest.approx(4, abs=0.3)  # 1 + the mean of a geometric distribution
    begun = np.array([WORDS.begin_id, 1])
    assert min(len(text) for text in sample(model, WORDS, begun, 50, seed=0)) == 0
    assert {len(text) for text in sample(model, WORDS, begun, 9, seed=0, temperature=0, max_tokens=7)} == {7}


@settings(max_examples=20)
@given(
    st.sampled_from(["word", "subword", "char"]),
    st.integers(0, 5),
    st.integers(1, 5),
    st.sampled_from([0.3, 1.0, 30.0]),
)
def test_sampled_texts_do_not_depend_on_their_number(kind, seed, n, temperature):
    tokenizer = Tokenizer.train(kind, TEXTS, 8)
    (model,) = models_of(tokenizer, 1)
    prefix = tokenizer.sequences(["ab"])[0][:-1]
    options = {"temperature": temperature, "max_tokens": 12, "seed": seed}
    many = sample(model, tokenizer, prefix, 6, **options)
    assert sample(model, tokenizer, prefix, n, **options) == many[:n]


@pytest.mark.parametrize("kind", ["subword", "char"])
@pytest.mark.parametrize("max_tokens", [1, 5, 300])
def test_sampled_bytes_are_characters(kind, max_tokens):
    tokenizer = Tokenizer.train(kind, TEXTS, 8)
    first = len(tokenizer.tokens) + 1
    even = dict.fromkeys(range(first, first + 256), 1.0)
    model = Fixed(tokenizer, {**even, tokenizer.end_id: 0.5}, others=0.5)
    texts = sample(model, tokenizer, np.array([tokenizer.begin_id]), 60, max_tokens=max_tokens, seed=0)
    characters = set()
    for text in texts:
        content = b"".join(tokenizer.token_bytes(token) for token in text)
        whole = content.decode(errors="ignore").encode()
        assert content.startswith(whole)
        if whole != content:  # cut within the last character
            assert len(text) == max_tokens
            assert len(content) - len(whole) < 4
        characters |= set(tokenizer.decode(text))
    if max_tokens == 300:
        assert {len(character.encode()) for character in characters} == {1, 2, 3, 4}
    "".join(characters).encode()  # no lone surrogates


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature must be 0 .* or more, not -0.1"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"top_k": 0}, "top_k must be at least 1, not 0"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, not 0"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_p": float("nan")}, "top_p"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_invalid_sampling_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        sample(Fixed(WORDS, {1: 1.0}), WORDS, BEGUN, 1, **options)


def test_texts_are_empty_if_no_word_is_known():
    tokenizer = Tokenizer.train("word", ["every word once"], 10)
    model = Fixed(tokenizer, {tokenizer.unknown_id: 1.0}, others=1e-9)
    assert sample(model, tokenizer, np.array([tokenizer.begin_id]), 2, seed=0) == [[], []]
    assert next_words([model], [0.0], tokenizer, np.array([tokenizer.begin_id]), 3) == []
