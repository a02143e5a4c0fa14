"""AdamW (torch). torch.optim would import torch's compiler, which takes as long as torch itself."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from lmclassify.lm.neural.training_state import Arrays

_FIRST, _SECOND = 0.9, 0.999  # shares of the old moments that are kept
_EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019) and clipped gradients.

    ::

        m  = 0.9 m + 0.1 g              v = 0.999 v + 0.001 g * g
        w' = w - rate * decay * w - rate * (m / (1 - 0.9^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8)

    Parameters
    ----------
    parameters : iterable of Parameter
        Those of one dimension (biases) do not decay unless `decay_all`.
    weight_decay : float
    max_grad_norm : float
        Before a step all gradients together are scaled down to this norm.
    decay_all : bool, default=False

    Attributes
    ----------
    steps : int
        Taken so far.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        weight_decay: float,
        max_grad_norm: float,
        *,
        decay_all: bool = False,
    ) -> None:
        self._parameters = list(parameters)
        self._moments = [(torch.zeros_like(of), torch.zeros_like(of)) for of in self._parameters]
        self._decays = [weight_decay if of.ndim > 1 or decay_all else 0.0 for of in self._parameters]
        self._max_grad_norm = max_grad_norm
        self.steps = 0

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Change the parameters by their gradients, which are used up."""
        torch.nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm)
        self.steps += 1
        correction = math.sqrt(1 - _SECOND**self.steps)
        rate = learning_rate * correction / (1 - _FIRST**self.steps)
        for parameter, (first, second), decay in zip(
            self._parameters, self._moments, self._decays, strict=True
        ):
            gradient = parameter.grad
            if gradient is None:
                continue
            first.lerp_(gradient, 1 - _FIRST)
            second.mul_(_SECOND).addcmul_(gradient, gradient, value=1 - _SECOND)
            if decay:
                parameter.mul_(1 - learning_rate * decay)
            parameter.addcdiv_(first, second.sqrt().add_(_EPSILON * correction), value=-rate)
            parameter.grad = None

    def arrays(self) -> Arrays:
        """Return a copy of the moments; see `load_arrays`."""
        return {
            f"{which}.{number}": moment.cpu().numpy().copy()
            for number, both in enumerate(self._moments)
            for which, moment in zip(("first", "second"), both, strict=True)
            if self._parameters[number].requires_grad
        }

    @torch.no_grad()
    def load_arrays(self, arrays: Arrays, steps: int) -> None:
        """Take over the moments that `arrays` returned after so many steps."""
        self.steps = steps
        for number, both in enumerate(self._moments):
            for which, moment in zip(("first", "second"), both, strict=True):
                if f"{which}.{number}" in arrays:
                    moment.copy_(torch.from_numpy(np.array(arrays[f"{which}.{number}"])))
