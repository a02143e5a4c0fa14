import numpy as np

from lmclassify.lm.inference.interpolation import Interpolation, take
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.text.tokenizer import Tokenizer
from tests.lm.inference.test_generation import TEXTS, models_of


def test_probabilities_are_means_and_states_are_kept_apart():
    tokenizer = Tokenizer.train("subword", TEXTS, 8)
    sequences = tokenizer.sequences(["ab ba", "ba ab"])
    models = [*models_of(tokenizer, 2), TokenNgrams.fit(sequences, tokenizer.vocab_size)]
    ids = np.stack([sequence[:3] for sequence in sequences])
    mixed, state = Interpolation(models).read(ids)
    alone = [model.read(ids)[0] for model in models]
    np.testing.assert_allclose(np.exp(mixed), np.mean(np.exp(alone), axis=0), rtol=1e-6)
    swapped, _ = Interpolation(models).read(ids[::-1, :1], take(state, np.array([1, 0])))
    further = np.concatenate([ids, ids[:, :1]], axis=1)[::-1]
    np.testing.assert_allclose(swapped, Interpolation(models).read(further)[0], rtol=1e-5)
