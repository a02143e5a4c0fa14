"""AdamW in torch. torch.optim imports torch's compiler, which takes as long as importing torch itself."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from lmclassify.lm.neural.training_state import Arrays

_BETA1, _BETA2 = 0.9, 0.999  # decay rates of the moments, the defaults of Kingma & Ba (2015)
_EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019) and clipped gradients.

    ::

        m  = 0.9 m + 0.1 g              v = 0.999 v + 0.001 g * g
        w' = w - rate * decay * w - rate * (m / (1 - 0.9^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8)

    Parameters
    ----------
    parameters : iterable of Parameter
        Parameters of one dimension (biases) do not decay unless `decay_all`.
    max_grad_norm : float
        Gradients are clipped to this global norm before each step.
    decay_all : bool, default=False
        Let biases decay, too.

    Attributes
    ----------
    steps : int
        Number of steps taken.
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
        self._moments = [(torch.zeros_like(each), torch.zeros_like(each)) for each in self._parameters]
        self._decays = [weight_decay if each.ndim > 1 or decay_all else 0.0 for each in self._parameters]
        self._max_grad_norm = max_grad_norm
        self.steps = 0

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update the parameters by their gradients, and clear these."""
        torch.nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm)
        self.steps += 1
        correction = math.sqrt(1 - _BETA2**self.steps)
        rate = learning_rate * correction / (1 - _BETA1**self.steps)
        for parameter, (first, second), decay in zip(
            self._parameters, self._moments, self._decays, strict=True
        ):
            gradient = parameter.grad
            if gradient is None:
                continue
            first.lerp_(gradient, 1 - _BETA1)
            second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
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
        """Load the moments that `arrays` returned after this number of steps."""
        self.steps = steps
        for number, both in enumerate(self._moments):
            for which, moment in zip(("first", "second"), both, strict=True):
                if f"{which}.{number}" in arrays:
                    moment.copy_(torch.from_numpy(np.array(arrays[f"{which}.{number}"])))
