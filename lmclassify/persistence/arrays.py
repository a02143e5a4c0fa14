"""Arrays as safetensors files of a saved model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from lmclassify.persistence.layout import ModelFile
from lmclassify.persistence.reading import as_model_error

MAX_HEADER_BYTES = 1 << 20
"""Limit for the header of a safetensors file: a hundred arrays take a few thousand bytes."""

Arrays = dict[str, npt.NDArray[Any]]


def arrays_file(role: str, arrays: Mapping[str, npt.NDArray[Any]], label: int | None = None) -> ModelFile:
    """Return arrays as a file of a saved model."""
    return ModelFile(role, safetensors.numpy.save(dict(arrays), {"lmclassify": role}), "safetensors", label)


def read_arrays(file: ModelFile, **types: str) -> Arrays:
    """Return the arrays of a file.

    Raises ModelError if arrays are missing, unexpected or of another type; it names the file.

    Parameters
    ----------
    **types : str
        Names of the expected arrays, with the types that each may have, as numpy codes separated by blanks
        (``"f2 f4"``). No other arrays are allowed then. Without them any arrays are.
    """
    with as_model_error(file.path):
        header = int.from_bytes(file.content[:8], "little")
        if header > MAX_HEADER_BYTES:
            raise ValueError(f"a header of {header:,} bytes")
        arrays = safetensors.numpy.load(file.content)
        if types and set(arrays) != set(types):
            raise ValueError(f"unexpected or missing arrays: {sorted(set(arrays) ^ set(types))}")
        for name, allowed in types.items():
            require_type(arrays[name], allowed, name)
        return arrays


def require_type(array: npt.NDArray[Any], allowed: str, name: str) -> None:
    """Raise ValueError if an array has none of the allowed types, numpy codes separated by blanks."""
    if array.dtype.str[1:] not in allowed.split():
        raise ValueError(f"{name} is {array.dtype}, expected one of {allowed}")


def exceeds(array: npt.NDArray[Any], limit: float) -> bool:
    """Return whether an array of at least 32 bits has an absolute value above the limit, or NaN.

    Arrays of fewer bits are not checked: their finite values are below every limit in use, and the models
    made of them refuse infinite ones.
    """
    if array.dtype.itemsize < 4 or not array.size:
        return False
    return not max(float(array.max()), -float(array.min())) <= limit


def in_fewest_bits(array: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return an array in 16 bits if that changes none of its values."""
    half = array.astype(np.float16)
    return half if np.array_equal(half, array) else array
