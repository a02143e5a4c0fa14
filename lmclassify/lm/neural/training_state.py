"""The state of training after an epoch, as plain data. Training resumes from it as if it had not stopped."""

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
        Current and best weights, moments of the optimizer, state of the model's random number generator.
    plain : dict
        Everything else, as JSON-serializable values.
    """

    arrays: Arrays
    plain: dict[str, Any]

    def to_bytes(self) -> bytes:
        """Return the content of a safetensors file."""
        return safetensors.numpy.save(self.arrays, {_PLAIN: json.dumps(self.plain)})

    @classmethod
    def from_bytes(cls, content: bytes) -> TrainingState:
        """Return the state that `to_bytes` serialized."""
        length = int.from_bytes(content[:8], "little")
        plain = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_PLAIN])
        return cls(safetensors.numpy.load(content), plain)


def add_prefix(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Return arrays with ``<prefix>/`` before their names; see `with_prefix`."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def with_prefix(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Return the arrays whose names begin with ``<prefix>/``, without it."""
    return {
        name.removeprefix(f"{prefix}/"): array
        for name, array in arrays.items()
        if name.startswith(f"{prefix}/")
    }


def generator_state(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a random number generator as JSON-serializable values."""
    return dict(generator.bit_generator.state)


def set_generator_state(generator: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Load a state that `generator_state` returned."""
    generator.bit_generator.state = dict(state)
