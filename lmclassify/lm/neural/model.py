"""The recurrent language model as a torch module, for training.

Shapes: B texts, T steps, E embedding columns, H units, V vocabulary.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lmclassify.lm.neural.cells import new_layer
from lmclassify.lm.neural.loss import linear_nll, token_nll
from lmclassify.text.sequences import PADDING_ID

State = list[tuple[Tensor, Tensor]]
"""Output and cell state of each layer, (1, B, H) both; gru has no cell state: (1, B, 0)."""


def default_embedding_dim(vocab_size: int) -> int:
    """Return the fourth root of the vocabulary size, rounded down: 10 for 10,000."""
    root = int(vocab_size**0.25)
    # The power may be rounded down: 10,000 to the power 0.25 to 9.99…
    return root + 1 if (root + 1) ** 4 <= vocab_size else root


class BaseLanguageModel(nn.Module):
    """Base of language models in torch: embedding, layers, dense layer to the vocabulary.

    Parameters
    ----------
    vocab_size : int
        V, number of token ids, padding (id 0) included.
    max_length : int
        Longest training sequence, in tokens. Kept for the code that makes batches; not applied here.
    embedding_dim : int
        E.
    width : int
        H, columns of the layers' outputs.
    layers : callable
        Creates the layers.
    dropout : float
        Share of values zeroed in training.
    tie_weights : bool
        Use the embedding as the output layer too, after a projection from H to E columns (Press &
        Wolf 2017).
    seed : int
        Random seed of initial weights and dropout.
    """

    def __init__(
        self,
        vocab_size: int,
        max_length: int,
        embedding_dim: int,
        width: int,
        layers: Callable[[], nn.ModuleList],
        *,
        dropout: float,
        tie_weights: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.max_length = max_length
        self.embedding_dim = embedding_dim
        self.dropout = dropout
        self.generator = torch.Generator().manual_seed(seed)
        to_output = embedding_dim if tie_weights else width
        with torch.device("meta"):  # does not use torch's global random number generator
            # Neither initialized here nor made by to_empty below: for both torch imports its compiler.
            empty = torch.empty(vocab_size, embedding_dim)
            self.embedding = nn.Embedding(vocab_size, embedding_dim, _weight=empty)
            self.layers = layers()
            self.projection = nn.Linear(width, to_output, bias=False) if tie_weights else None
            self.output = nn.Linear(to_output, vocab_size)
        for module in self.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                setattr(module, name, nn.Parameter(torch.empty(parameter.shape)))
        if tie_weights:
            self.output.weight = self.embedding.weight
        self._initialize(width)

    @torch.no_grad()
    def _initialize(self, width: int) -> None:
        for parameter in self.parameters():  # torch's own ranges for nn.LSTM and nn.Linear
            parameter.uniform_(-(width**-0.5), width**-0.5, generator=self.generator)
        half = 0.5 / self.embedding_dim
        self.embedding.weight.uniform_(-half, half, generator=self.generator)
        self.output.bias.zero_()

    @torch.no_grad()
    def start_from_unigram(self, counts: npt.NDArray[np.float64], smoothing: float = 0.5) -> None:
        """Set the output biases to the log-probabilities of a smoothed unigram model.

        Training then starts at a naive Bayes model instead of at chance. Tokens that were never seen keep the
        probability that smoothing gives them, which matters if there are few texts.

        Parameters
        ----------
        counts : ndarray, (V,)
            How often each token is a target.
        smoothing : float, default=0.5
            Added to each count (Lidstone).
        """
        smoothed = torch.from_numpy(counts) + smoothing
        self.output.bias.copy_(torch.log(smoothed / smoothed.sum()))

    @abstractmethod
    def outputs(
        self, ids: Tensor, state: State | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """Run the layers: from ids (B, T) and a state to outputs (B, T, H) and the state after step T."""

    def _drop(self, values: Tensor, generator: torch.Generator | None = None) -> Tensor:
        if not self.training or not self.dropout:
            return values
        keep = 1.0 - self.dropout
        kept = torch.rand(values.shape, generator=generator or self.generator) < keep
        return values * (kept.to(values) / keep)

    def logits(self, outputs: Tensor) -> Tensor:
        """Return unnormalised log-probabilities (..., V) from outputs (..., H)."""
        if self.projection is not None:
            outputs = self.projection(outputs)
        logits: Tensor = self.output(outputs)
        return logits

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return logits (B, T, V) and the state after step T; see `outputs`."""
        outputs, state = self.outputs(ids, state)
        return self.logits(outputs), state

    def token_nll(self, inputs: Tensor, targets: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the negative log-probability of each target, (B, T) nats, zero at padding.

        Dropout uses `generator`, so that threads can share the model; by default the model's own.
        """
        outputs, _ = self.outputs(inputs, generator=generator)
        return token_nll(outputs, targets, targets != PADDING_ID, self._nll)

    def _nll(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-probability of each target, (N,), after outputs (N, H)."""
        if self.projection is not None:
            outputs = self.projection(outputs)
        return linear_nll(outputs, self.output.weight, self.output.bias, targets)

    def predict_next(self, ids: Tensor) -> Tensor:
        """Return the most probable next token after each padded text: (B, T) to (B,)."""
        logits, _ = self(ids)
        return last_step(logits.argmax(dim=-1), ids != PADDING_ID)

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return a copy of the weights, by the names that `lmclassify.lm.inference.forward` reads."""
        own = {name: value for name, value in self.state_dict().items() if name not in self._shared()}
        return {name: value.detach().cpu().numpy().astype(np.float32) for name, value in own.items()}

    def load_arrays(self, arrays: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Load weights that `arrays` returned.

        Raises
        ------
        RuntimeError
            If names or shapes differ from this model's.
        """
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        for name in self._shared():
            tensors[name] = tensors["embedding.weight"]
        self.load_state_dict(tensors)

    def trained_arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return a copy of the weights that training changes."""
        trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        return {name: array for name, array in self.arrays().items() if name in trained}

    def _shared(self) -> set[str]:
        return set() if self.projection is None else {"output.weight"}


class LanguageModel(BaseLanguageModel):
    """A recurrent language model: maps the tokens so far to a distribution over the vocabulary.

    Embedding, `num_lstm_layers` recurrent layers (by default LSTMs, Hochreiter & Schmidhuber 1997, with the
    gates of torch.nn.LSTM), dropout on each layer's outputs, and a dense layer to the vocabulary. Padding
    comes after a text's tokens and cannot influence them: outputs at tokens equal those of the text alone.

    Parameters
    ----------
    vocab_size : int
        V, number of token ids, padding (id 0) included.
    max_length : int
        Longest training sequence, in tokens. Kept for the code that makes batches; not applied here.
    num_lstm_units : int
        H, units of each layer.
    num_lstm_layers : int, default=1
    cell : {"lstm", "gru", "peephole", "coupled"}, default="lstm"
        Cell of every layer; for the formulas see `lmclassify.lm.neural.cells`.
    embedding_dim : int, optional
        E; by default ``int(vocab_size ** 0.25)``.
    dropout : float, default=0.5
        Share of cell outputs zeroed in training (none in evaluation).
    tie_weights : bool, default=False
        Use the embedding as the output layer too, after a projection from H to E columns (Press &
        Wolf 2017).
    seed : int, default=0
        Random seed of initial weights and dropout. Each model has its own random number generator, so that
        models trained in several threads do not influence each other.
    """

    def __init__(
        self,
        vocab_size: int,
        max_length: int,
        num_lstm_units: int,
        num_lstm_layers: int = 1,
        *,
        cell: str = "lstm",
        embedding_dim: int | None = None,
        dropout: float = 0.5,
        tie_weights: bool = False,
        seed: int = 0,
    ) -> None:
        embedding_dim = embedding_dim or default_embedding_dim(vocab_size)
        sizes = [embedding_dim] + [num_lstm_units] * (num_lstm_layers - 1)
        super().__init__(
            vocab_size,
            max_length,
            embedding_dim,
            num_lstm_units,
            lambda: nn.ModuleList(new_layer(cell, size, num_lstm_units) for size in sizes),
            dropout=dropout,
            tie_weights=tie_weights,
            seed=seed,
        )

    def outputs(
        self, ids: Tensor, state: State | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """Run the recurrent layers.

        Parameters
        ----------
        ids : Tensor of int64, (B, T)
        state : State, optional
            State after an earlier call; zeros by default.
        generator : torch.Generator, optional
            Random numbers of dropout; by default the model's own.

        Returns
        -------
        outputs : Tensor, (B, T, H)
            Outputs of the last layer, after dropout.
        state : State
            State after step T. Not usable for texts shorter than T, as it has processed their padding.
        """
        values = self.embedding(ids)
        after: State = []
        for number, layer in enumerate(self.layers):
            values, layer_state = layer(values, None if state is None else state[number])
            values = self._drop(values, generator)
            after.append(layer_state)
        return values, after


def last_step(values: Tensor, mask: Tensor) -> Tensor:
    """Return each row's value at its last token (step ``mask.sum() - 1``): (B, T) to (B,)."""
    last = mask.sum(dim=1) - 1
    return values[torch.arange(len(values), device=values.device), last]
