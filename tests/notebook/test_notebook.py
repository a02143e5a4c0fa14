"""The worked examples of the notebook that this project started from, number by number, with today's names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lmclassify.classify.scoring import log_likelihoods
from lmclassify.lm import LanguageModel, NumpyLanguageModel
from lmclassify.lm.inference.directions import DirectedLanguageModel
from lmclassify.lm.neural.loss import token_nll
from lmclassify.lm.neural.model import last_step
from lmclassify.text.sequences import input_and_target, make_batch, pad, padding_mask, sequence_lengths
from lmclassify.text.tokenizer import Tokenizer

LENGTHS = [4, 9, 10, 5, 10]


def a_model(**options) -> LanguageModel:
    model = LanguageModel(50, 11, 7, 2, seed=3, **options)
    with torch.no_grad():  # large enough weights that a mistake shows
        for parameter in model.parameters():
            parameter.uniform_(-0.8, 0.8, generator=model.generator)
    return model.eval()


def some_texts(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 50, size=length) for length in LENGTHS]


def test_tokenizer_numbers_words_from_1_by_frequency():
    texts = ["b a a c", "a b", "c b a", "d d e"]
    tokenizer = Tokenizer.train("word", texts, 3)
    assert tokenizer.tokens == ["a", "b", "c"]  # a: 4, b: 3, c: 2, d: 2 (over the cap), e: once
    sequence = tokenizer.sequences(["a b c d zzz"])[0]
    assert sequence[1:-1].tolist() == [1, 2, 3, tokenizer.unknown_id, tokenizer.unknown_id]
    assert 0 not in sequence  # 0 is no word


def test_input_is_all_but_the_last_and_target_all_but_the_first():
    inputs, targets = input_and_target([1, 5, 10, 9])
    assert inputs.tolist() == [1, 5, 10]
    assert targets.tolist() == [5, 10, 9]


@pytest.mark.parametrize("length", [7, 8, 12])
def test_truncation(length):
    sequence = list(range(1, length + 1))
    inputs, targets = input_and_target(sequence, 7)
    assert inputs.tolist() == sequence[: 7 - 1]
    assert targets.tolist() == sequence[1:7]


def test_padding():
    assert pad([1, 5, 10, 9], 7).tolist() == [1, 5, 10, 9, 0, 0, 0]
    assert pad([3, 6, 1], 7).tolist() == [3, 6, 1, 0, 0, 0, 0]


def test_padding_follows_input_and_target():
    batch = make_batch([[1, 5, 10, 9], [3, 6, 1], [1, 2, 3, 4, 5, 6, 7]])
    assert batch.inputs.tolist() == [[1, 5, 10, 0, 0, 0], [3, 6, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6]]
    assert batch.targets.tolist() == [[5, 10, 9, 0, 0, 0], [6, 1, 0, 0, 0, 0], [2, 3, 4, 5, 6, 7]]


def test_embeddings():
    model = LanguageModel(10_000, 20, 4)
    weight = model.embedding.weight
    assert weight.shape == (10_000, 10)
    assert weight.min() >= -0.05
    assert weight.max() <= 0.05
    assert weight.abs().max() > 0.049  # the whole range is used


def test_lstm_equals_torch_and_the_formulas():
    model = LanguageModel(50, 11, 7, 1, seed=1).eval()
    ids = torch.from_numpy(np.stack([pad(text, 10) for text in some_texts()]))
    values = model.embedding(ids)
    layer = model.layers[0]
    reference = nn.LSTM(model.embedding_dim, 7, batch_first=True)
    reference.load_state_dict(layer.state_dict())
    expected, _ = reference(values)

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    weights = {name: value.detach().numpy().astype(np.float64) for name, value in layer.named_parameters()}
    h = c = np.zeros((len(LENGTHS), 7))
    by_hand = []
    for x in values.detach().numpy().astype(np.float64).swapaxes(0, 1):
        gates = x @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
        gates += h @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]
        i, f, g, o = np.split(gates, 4, axis=1)  # input, forget, candidate, output
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        by_hand.append(h)
    outputs, _ = model.outputs(ids)
    in_numpy, _ = NumpyLanguageModel(model.arrays()).outputs(ids.numpy())
    real = padding_mask(ids.numpy())
    assert torch.allclose(outputs, expected, atol=1e-6)
    assert np.allclose(outputs.detach().numpy(), np.stack(by_hand, axis=1), atol=1e-6)
    assert np.allclose(in_numpy[real], np.stack(by_hand, axis=1)[real], atol=1e-6)


@pytest.mark.parametrize("cell", ["gru", "peephole", "coupled"])
def test_variants(cell):
    """One step of each by hand; tests/lm/neural/test_cells.py has the rest, gradient checks too."""
    model = a_model(cell=cell)
    ids = np.array([[7, 9]])
    outputs, _ = model.outputs(torch.from_numpy(ids))
    in_numpy, _ = NumpyLanguageModel(model.arrays()).outputs(ids)
    assert np.allclose(in_numpy, outputs.detach().numpy(), atol=1e-6)
    layer = {name: value.detach() for name, value in model.layers[0].named_parameters()}
    x = model.embedding.weight[7].detach()
    gates = layer["weight_ih_l0"] @ x + layer.get("bias_l0", layer.get("bias_ih_l0"))
    if cell == "gru":
        r, z, n = (gates + torch.cat([layer["bias_hh_l0"][:14], torch.zeros(7)])).chunk(3)
        n = torch.tanh(n + torch.sigmoid(r) * layer["bias_hh_l0"][14:])
        h = (1 - torch.sigmoid(z)) * n
    elif cell == "peephole":  # the cell state is zero before the first step: only the output gate sees one
        i, _, g, o = gates.chunk(4)
        c = torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o + layer["weight_ch_l0"][2] * c) * torch.tanh(c)
    else:
        i, g, o = gates.chunk(3)
        h = torch.sigmoid(o) * torch.tanh(torch.sigmoid(i) * torch.tanh(g))
    first, _ = model.layers[0](model.embedding(torch.from_numpy(ids)))
    assert torch.allclose(first[0, 0], h, atol=1e-6)


def test_dropout_is_for_training_alone():
    model = LanguageModel(50, 11, 7, dropout=0.5)
    ids = torch.ones(1, 5, dtype=torch.int64)
    model.train()
    first, second = model.outputs(ids)[0], model.outputs(ids)[0]
    assert not torch.equal(first, second)
    dropped = torch.cat([model.outputs(ids)[0] for _ in range(200)]) == 0
    assert 0.45 < dropped.float().mean() < 0.55  # keeps one half
    model.eval()
    assert torch.equal(model.outputs(ids)[0], model.outputs(ids)[0])


def test_bidirectional_is_a_language_model_of_each_direction():
    """A network that reads both ways would see the word that it predicts; two language models do not."""
    forward, backward = (NumpyLanguageModel(a_model(cell=cell).arrays()) for cell in ("lstm", "gru"))
    text = np.array([48, 5, 9, 7, 49])  # beginning, three words, end of text
    found = log_likelihoods([DirectedLanguageModel(forward, backward, end_id=49)], [text])[0, 0]
    forward_scores, backward_scores = (
        -model.token_nll(ids[np.newaxis, :-1], ids[np.newaxis, 1:])[0].sum()
        for model, ids in ((forward, text), (backward, np.array([48, 7, 9, 5, 49])))
    )
    assert found == pytest.approx((forward_scores + backward_scores) / 2, abs=1e-5)


def test_stacked_layers_feed_each_other():
    model = a_model()
    ids = torch.from_numpy(np.stack([pad(text, 10) for text in some_texts()]))
    first, _ = model.layers[0](model.embedding(ids))
    second, _ = model.layers[1](first)
    assert len(model.layers) == 2
    assert torch.equal(model.outputs(ids)[0], second)


@pytest.mark.parametrize("tie_weights", [False, True])
def test_sequence_lengths_each_text_as_if_alone(tie_weights):
    model = a_model(tie_weights=tie_weights)
    in_numpy = NumpyLanguageModel(model.arrays())
    texts = some_texts()
    batch = np.stack([pad(text, 10) for text in texts])
    assert sequence_lengths(batch).tolist() == LENGTHS  # the sum of sign(ids)
    assert sequence_lengths(batch).tolist() == np.sign(batch).sum(axis=1).tolist()
    together, _ = model.outputs(torch.from_numpy(batch))
    numpy_together, numpy_state = in_numpy.outputs(batch)
    for row, text in enumerate(texts):
        alone, _ = model.outputs(torch.from_numpy(text[np.newaxis]))
        assert torch.allclose(together[row, : len(text)], alone[0], atol=1e-6)
        numpy_alone, alone_state = in_numpy.outputs(text[np.newaxis])
        assert np.allclose(numpy_together[row, : len(text)], numpy_alone[0], atol=1e-6)
        assert not numpy_together[row, len(text) :].any()  # nothing is computed on padding
        for (h, c), (h_alone, c_alone) in zip(numpy_state, alone_state, strict=True):
            assert np.allclose(h[row], h_alone[0], atol=1e-6)
            assert np.allclose(c[row], c_alone[0], atol=1e-6)


def test_logits_and_loss():
    logits = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(10).reshape(2, 5) % 8
    nll = token_nll(logits, targets, torch.ones(2, 5, dtype=torch.bool))
    for row in range(2):
        for step in range(5):
            exponentials = logits[row, step].exp()
            expected = -torch.log(exponentials[targets[row, step]] / exponentials.sum())
            assert nll[row, step] == pytest.approx(expected.item(), abs=1e-6)


def test_padding_mask():
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]], dtype=torch.bool)
    logits = torch.randn(2, 5, 8, requires_grad=True)
    targets = torch.arange(10).reshape(2, 5) % 8
    nll = token_nll(logits, targets, mask)
    assert (nll > 0).sum() == 6  # of 10 losses
    assert torch.equal(nll > 0, mask)
    nll.sum().backward()
    loss, gradient = nll.sum().item(), logits.grad.clone()

    changed = logits.detach().clone()
    changed[~mask] = 1e6
    changed.requires_grad_()
    other_targets = torch.where(mask, targets, 7)
    other = token_nll(changed, other_targets, mask)
    other.sum().backward()
    assert other.sum().item() == loss
    assert torch.equal(changed.grad, gradient)
    assert not gradient[~mask].any()


def test_mask_of_padded_ids():
    batch = make_batch([[1, 5, 10, 9, 2], [3, 6, 1]])
    assert padding_mask(batch.targets).tolist() == [[True] * 4, [True, True, False, False]]


def test_probabilities_are_one_distribution_a_step():
    model = a_model()
    texts = np.stack([pad(text, 10) for text in some_texts()])
    logits, _ = model(torch.from_numpy(texts))
    assert logits.shape == (5, 10, 50)
    assert torch.allclose(logits.softmax(dim=-1).sum(dim=-1), torch.ones(5, 10), atol=1e-5)
    outputs, _ = NumpyLanguageModel(model.arrays()).outputs(texts)
    log_probs = NumpyLanguageModel(model.arrays()).log_probabilities(outputs[:, 3])
    assert np.exp(log_probs).sum(axis=1) == pytest.approx(np.ones(5), abs=1e-6)


def test_word_predictions_at_the_last_real_step():
    predictions = torch.tensor([[1, 2, 3], [4, 5, 6]])
    mask = torch.tensor([[True, True, False], [True, True, False]])
    assert last_step(predictions, mask).tolist() == [2, 5]  # gather [0, 1] and [1, 1]


def test_the_next_word_is_the_prediction_after_the_text():
    model = a_model()
    texts = some_texts()
    together = model.predict_next(torch.from_numpy(np.stack([pad(text, 10) for text in texts])))
    for row, text in enumerate(texts):
        logits, _ = model(torch.from_numpy(text[np.newaxis]))
        assert together[row] == logits[0, -1].argmax()


def test_classification_by_the_largest_summed_log_probability(model):
    texts = ["Win a FREE prize now", "meeting notes for tuesday"]
    for text in texts:
        sums = []
        for lm in model.models:
            batch = make_batch(model.tokenizer.sequences([text]))
            nll, _ = lm.token_nll(batch.inputs, batch.targets)
            sums.append(-nll.sum())
        joint = np.array(sums) + model.log_priors
        assert model.predict([text])[0] == model.classes_[joint.argmax()]
        assert model.log_likelihood([text])[0] == pytest.approx(np.array(sums), abs=1e-5)
