"""A straightforward PyTorch language model and training loop, as a baseline for training speed.

After PyTorch's example "word language model": layers of torch.nn, random batches padded to the longest
text, the loss of every step with padding ignored, plain gradient descent.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lmclassify.lm.settings import LanguageModelSettings
from lmclassify.text.sequences import PADDING_ID, Ids

_LEARNING_RATE = 1.0
_WARM_UP = 3  # batches that are not timed


class PlainModel(nn.Module):
    """Embedding, LSTM, projection, and the embedding again as output layer.

    Parameters
    ----------
    vocab_size : int
    settings : LanguageModelSettings
        Sizes and dropout.
    """

    def __init__(self, vocab_size: int, settings: LanguageModelSettings) -> None:
        super().__init__()
        columns, units = settings.embedding_dim or 64, settings.num_lstm_units
        self.embedding = nn.Embedding(vocab_size, columns)
        self.lstm = nn.LSTM(columns, units, settings.num_lstm_layers, batch_first=True)
        self.dropout = nn.Dropout(settings.dropout)
        self.projection = nn.Linear(units, columns, bias=False)
        self.output = nn.Linear(columns, vocab_size)
        self.output.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits, (B, T, V), of token ids, (B, T)."""
        outputs, _ = self.lstm(self.embedding(ids))
        logits: Tensor = self.output(self.projection(self.dropout(outputs)))
        return logits


def measure(
    sequences: Sequence[Sequence[Ids]], vocab_size: int, settings: LanguageModelSettings, batches: int
) -> tuple[float, float]:
    """Train one model per label for some batches, one after the other.

    Parameters
    ----------
    sequences : sequence of sequence of array of int
        The texts of each label, as token ids.
    vocab_size : int
    settings : LanguageModelSettings
    batches : int
        Number of batches per label, at most. Three more run before they are timed.

    Returns
    -------
    tokens, steps : float
        Per second. Steps include padding.
    """
    rng = np.random.default_rng(0)
    loss_function = nn.CrossEntropyLoss(ignore_index=PADDING_ID)
    tokens, steps, seconds = 0, 0, 0.0
    for texts in sequences:
        model = PlainModel(vocab_size, settings).train()
        order = rng.permutation(len(texts))
        starts = range(0, len(texts), settings.batch_size)[:batches]
        started = time.perf_counter()
        for number, start in enumerate([*starts[:_WARM_UP], *starts]):
            if number == len(starts[:_WARM_UP]):
                started = time.perf_counter()
            rows = [
                torch.from_numpy(texts[index][: settings.max_length])
                for index in order[start : start + settings.batch_size]
            ]
            padded = pad_sequence(rows, batch_first=True, padding_value=PADDING_ID)
            model.zero_grad()
            logits = model(padded[:, :-1])
            loss_function(logits.flatten(0, 1), padded[:, 1:].flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
            with torch.no_grad():
                for parameter in model.parameters():
                    assert parameter.grad is not None
                    parameter.add_(parameter.grad, alpha=-_LEARNING_RATE)
            if number >= len(starts[:_WARM_UP]):
                tokens += sum(len(row) - 1 for row in rows)
                steps += padded[:, 1:].numel()
        seconds += time.perf_counter() - started
    return tokens / seconds, steps / seconds
