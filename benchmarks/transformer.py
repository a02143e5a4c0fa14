"""A small causal Transformer language model (torch), for comparison only.

Shapes: B texts, T steps, D columns, V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmclassify.lm.neural.model import BaseLanguageModel, State

_FEED_FORWARD_FACTOR = 4  # width of the feed-forward layer, in widths of the block (Vaswani et al. 2017)


class TransformerLanguageModel(BaseLanguageModel):
    """A decoder-only Transformer: maps the tokens so far to a distribution over the next one.

    Embedding (times the square root of D) plus sinusoidal positions, blocks of causal self-attention and a
    feed-forward layer, layer normalization, a dense layer to the vocabulary. Step t attends to steps up to t
    only, so padding after a text's tokens does not affect its scores. There is no state: a text is read
    at once.

    Parameters
    ----------
    vocab_size : int
        V, number of token ids, padding (id 0) included.
    max_length : int
        Maximum sequence length in training, in tokens.
    width : int
        D, width of the embedding and of the blocks; a multiple of twice the number of heads.
    num_blocks, num_heads : int
    dropout : float, default=0.1
        Dropout rate of the embedding and of the output of each half of a block.
    tie_weights : bool, default=False
        Use the embedding as the output layer too, after a projection.
    seed : int, default=0
        Random seed of the initial weights and of dropout.

    Notes
    -----
    Vaswani et al. 2017, "Attention is all you need"; normalization before each half of a block as in Xiong et
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
    def _initialize(self, width: int) -> None:
        super()._initialize(width)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
        bound = (
            3 / width
        ) ** 0.5  # times the square root of D the embedding has variance 1, as the positions have
        self.embedding.weight.uniform_(-bound, bound, generator=self.generator)

    def outputs(
        self, ids: Tensor, state: State | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """Run the blocks.

        Parameters
        ----------
        ids : Tensor of int64, (B, T)
        state : None
            A Transformer has no state.
        generator : torch.Generator, optional
            Random numbers of dropout; by default the model's own.

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
            raise ValueError("a Transformer has no state: pass the whole text")
        width = self.embedding.embedding_dim
        values = self.embedding(ids) * math.sqrt(width)
        values = self._drop(values + positions(ids.shape[1], width).to(values), generator)
        *blocks, norm = self.layers
        for block in blocks:
            assert isinstance(block, _Block)
            values = values + self._drop(block.attention(values), generator)
            values = values + self._drop(block.feed_forward(values), generator)
        return norm(values), []


class _Block(nn.Module):
    """One block: attention and feed-forward layer. Each returns what is added to its input."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_heads, self.from_heads = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.expand, self.contract = (
            nn.Linear(width, _FEED_FORWARD_FACTOR * width),
            nn.Linear(_FEED_FORWARD_FACTOR * width, width),
        )

    def attention(self, values: Tensor) -> Tensor:
        """Return ``softmax(Q K' / sqrt(D / heads), over steps up to t) V`` for all heads, projected."""
        batch, steps, width = values.shape
        heads = self.to_heads(self.first_norm(values)).view(batch, steps, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (B, heads, T, D / heads) each
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed: Tensor = self.from_heads(attended.transpose(1, 2).reshape(batch, steps, width))
        return mixed

    def feed_forward(self, values: Tensor) -> Tensor:
        """Return ``W2 gelu(W1 x + b1) + b2``."""
        contracted: Tensor = self.contract(functional.gelu(self.expand(self.second_norm(values))))
        return contracted


def positions(steps: int, width: int) -> Tensor:
    """Return sinusoidal positions, (T, D), with wavelengths from 2 pi to 10,000 * 2 pi."""
    frequencies = 10_000 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(steps)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1) * math.sqrt(2)  # variance 1
