"""A small causal Transformer language model (torch), for comparison: no saved model holds one.

Shapes: B texts, T steps, D columns, V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmclassify.lm.neural.model import BaseLanguageModel, State

_WIDER = 4  # the feed-forward layer than the block


class TransformerLanguageModel(BaseLanguageModel):
    """A Transformer decoder without encoder: from the tokens so far to one distribution over the vocabulary.

    Embedding (times the root of D) plus sinusoidal positions, blocks of causal self-attention and a
    feed-forward layer, layer normalisation, a dense layer to the vocabulary. Step t attends to steps up to t
    alone, so padding after a text's tokens can reach no score. No state: a text is read at once.

    Parameters
    ----------
    vocab_size : int
        V, number of token ids, padding (id 0) included.
    max_length : int
        Longest sequence, in tokens, that training reads.
    width : int
        D, of embedding and blocks; a multiple of twice the number of heads.
    num_blocks, num_heads : int
    dropout : float, default=0.1
        Share zeroed in training of the embedding and of what each half of a block adds.
    tie_weights : bool, default=False
        Use the embedding as the output layer too, after a projection.
    seed : int, default=0
        Of the first weights and of dropout.

    Notes
    -----
    Vaswani et al. 2017, "Attention is all you need"; normalisation before each half of a block as in Xiong et
    al. 2020, "On layer normalization in the Transformer architecture".
    """

    def __init__(
        self,
        vocab_size: int,
        max_length: int,
        width: int,
        num_blocks: int = 2,
        num_heads: int = 4,
        *,
        dropout: float = 0.1,
        tie_weights: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            vocab_size,
            max_length,
            width,
            width,
            lambda: nn.ModuleList(
                [*(_Block(width, num_heads) for _ in range(num_blocks)), nn.LayerNorm(width)]
            ),
            dropout=dropout,
            tie_weights=tie_weights,
            seed=seed,
        )

    @torch.no_grad()
    def _initialise(self, width: int) -> None:
        super()._initialise(width)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
        bound = (3 / width) ** 0.5  # times the root of D they have variance 1, like the positions
        self.embedding.weight.uniform_(-bound, bound, generator=self.generator)

    def outputs(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run the blocks.

        Parameters
        ----------
        ids : Tensor of int64, (B, T)
        state : None
            There is none to go on from.

        Returns
        -------
        outputs : Tensor, (B, T, D)
        state : list
            Empty.

        Raises
        ------
        ValueError
            If a state is given.
        """
        if state:
            raise ValueError("a Transformer has no state to go on from: give it the whole text")
        width = self.embedding.embedding_dim
        values = self.embedding(ids) * math.sqrt(width)
        values = self._drop(values + positions(ids.shape[1], width).to(values))
        *blocks, norm = self.layers
        for block in blocks:
            assert isinstance(block, _Block)
            values = values + self._drop(block.attention(values))
            values = values + self._drop(block.feed_forward(values))
        return norm(values), []


class _Block(nn.Module):
    """What the two halves of a block add to their input."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_heads, self.from_heads = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wider, self.narrower = nn.Linear(width, _WIDER * width), nn.Linear(_WIDER * width, width)

    def attention(self, values: Tensor) -> Tensor:
        """Return ``softmax(Q K' / sqrt(D / heads), over steps up to t) V`` of all heads, mixed."""
        batch, steps, width = values.shape
        heads = self.to_heads(self.first_norm(values)).view(batch, steps, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (B, heads, T, D / heads) each
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed: Tensor = self.from_heads(attended.transpose(1, 2).reshape(batch, steps, width))
        return mixed

    def feed_forward(self, values: Tensor) -> Tensor:
        """Return ``W2 gelu(W1 x + b1) + b2``."""
        narrowed: Tensor = self.narrower(functional.gelu(self.wider(self.second_norm(values))))
        return narrowed


def positions(steps: int, width: int) -> Tensor:
    """Return sines and cosines of the steps, (T, D): of wavelengths from 2 pi to 10,000 * 2 pi."""
    frequencies = 10_000 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(steps)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1) * math.sqrt(2)  # variance 1
