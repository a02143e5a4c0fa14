from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from lmclassify.lm import LanguageModel, NumpyLanguageModel
from lmclassify.lm.generation import next_words
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
    learnt = range(1, len(tokenizer.tokens) + 1)
    starts = [token for token in learnt if tokenizer.starts_word[token]]
    within = [token for token in learnt if not tokenizer.starts_word[token]]
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


def test_as_many_words_as_asked_for():
    texts = [f"w{number} w{number}" for number in range(400)]
    tokenizer = Tokenizer.train("word", texts, 400)
    found = next_words(models_of(tokenizer, 1), [0.0], tokenizer, np.array([tokenizer.begin_id]), 300)
    assert len(found) == 300


def test_words_come_once_and_without_marks():
    tokenizer = Tokenizer.train("subword", TEXTS, 12)
    found = next_words(models_of(tokenizer, 1), [0.0], tokenizer, np.array([tokenizer.begin_id]), 20)
    words = [word for word, _ in found]
    assert len(set(words)) == len(words) == 20
    assert not any("▁" in word or not word for word in words)
    assert 0 < sum(probability for _, probability in found) <= 1
