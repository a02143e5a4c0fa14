"""What training has come to after an epoch, as plain data: enough to go on as if it had not stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

_PLAIN = "lmclassify"

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class TrainingState:
    """The state of a trainer between two epochs.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Weights, the best ones so far, moments of the optimizer, states of random number generators.
    plain : dict
        The rest, in what JSON can hold.
    """

    arrays: Arrays
    plain: dict[str, Any]

    def to_bytes(self) -> bytes:
        """Return it as the content of a safetensors file."""
        return safetensors.numpy.save(self.arrays, {_PLAIN: json.dumps(self.plain)})

    @classmethod
    def from_bytes(cls, content: bytes) -> TrainingState:
        """Return what `to_bytes` was called of."""
        length = int.from_bytes(content[:8], "little")
        plain = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_PLAIN])
        return cls(safetensors.numpy.load(content), plain)


def named(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Return arrays under names that begin with a prefix; see `under`."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def under(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Return the arrays whose names begin with a prefix, without it."""
    return {
        name.removeprefix(f"{prefix}/"): array
        for name, array in arrays.items()
        if name.startswith(f"{prefix}/")
    }


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator of random numbers, in what JSON can hold."""
    return dict(generator.bit_generator.state)


def set_generator_state(generator: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Take over a state that `generator_state` returned."""
    generator.bit_generator.state = dict(state)
