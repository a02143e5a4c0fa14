"""Suggested and generated words come from the label's LSTM and token n-gram model."""

import numpy as np
import pytest

from lmclassify import LMClassifier
from lmclassify.classify.next_words import next_token_model
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from tests.conftest import SMALL, bundled
from tests.golden.make import bundled_rows


def test_the_lstm_and_the_token_n_grams_of_a_label_are_averaged(golden_tuned):
    tokenizer = golden_tuned.tokenizer
    prefix = tokenizer.sequences(["Your account"])[0][np.newaxis, :-1]
    texts, labels = bundled_rows(12)  # which the golden model was fitted on
    for index, name in enumerate(golden_tuned.label_names):
        log_p, _ = next_token_model(golden_tuned, index).read(prefix)
        ngrams = golden_tuned.token_ngrams[index]
        alone = [model.read(prefix)[0] for model in (golden_tuned.models[index], ngrams)]
        np.testing.assert_allclose(np.exp(log_p), np.mean(np.exp(alone), axis=0), rtol=1e-6)
        own = tokenizer.sequences([text for text, label in zip(texts, labels, strict=True) if label == name])
        fitted = TokenNgrams.fit(own, tokenizer.vocab_size)
        np.testing.assert_array_equal(ngrams.read(prefix)[0], fitted.read(prefix)[0])


@pytest.fixture(scope="module")
def by_kind(golden_tuned, golden_three):
    small = {**SMALL, "max_epochs": 1, "tokenizer": "char", "vocab_size": 30}
    return {
        "word": golden_three,
        "subword": golden_tuned,
        "char": LMClassifier(**small).fit(*bundled(limit=40)).model_,
    }


@pytest.mark.parametrize("kind", ["word", "subword", "char"])
def test_unknown_tokens_are_neither_suggested_nor_generated(kind, by_kind):
    model = by_kind[kind]
    assert model.tokenizer.kind == kind
    suggested = [found["word"] for found in model.suggest("Your", n=20)]
    assert len(set(suggested)) == len(suggested) > 0
    if kind == "word":
        assert set(suggested) <= set(model.tokenizer.tokens)
    for text in model.generate(model.classes_[-1], 20, temperature=2.0, seed=0):
        assert text
        assert model.tokenizer.unknown_id not in model.tokenizer.sequences([text])[0]
        text.encode()


CHINESE = ["免费领取大奖", "免费领取红包", "点击免费领取", "明天开会吧", "明天吃饭吧", "明天见面吧"] * 4


@pytest.fixture(scope="module")
def chinese():
    labels = (["spam"] * 3 + ["ham"] * 3) * 4
    return LMClassifier(recipe="ngram", random_state=0).fit(CHINESE, labels).model_


def test_scripts_without_spaces_have_no_stray_spaces(chinese):
    suggested = [found["word"] for found in chinese.suggest("免费", "spam", 3)]
    assert suggested[0].startswith("领")  # the next word continues the text
    assert all(len(found["word"]) <= 6 for found in chinese.suggest("", n=5))
    for text in chinese.generate("spam", 5, prefix="免费", seed=0):
        assert text.startswith("免费")
        assert " " not in text
    assert not any(" " in text for text in chinese.generate("ham", 20, seed=1))


def test_tokens_that_go_beyond_the_prefix_are_completed():
    texts = ["免费领取大奖点击链接", "明天中午一起吃饭"] * 20  # each is one token
    model = LMClassifier(recipe="ngram", random_state=0).fit(texts, ["spam", "ham"] * 20).model_
    best = model.suggest("免费领", "spam", 1)[0]
    assert best["word"] == "取大奖点击链接"
    assert 0.9 < best["probability"] <= 1.0
    assert model.generate("spam", prefix="免费领", temperature=0) == ["免费领取大奖点击链接"]
    assert model.generate("spam", prefix="你好 免", temperature=0)[0].startswith("你好 免")


def test_chinese_is_explained_token_by_token(chinese):
    words = chinese.explain("免费领取大奖")["words"]
    assert len(words) > 1
    assert "".join(word["word"] for word in words) == "免费领取大奖"
    assert max(len(word["word"]) for word in chinese.informative_words(CHINESE)["spam"]) <= 6
