"""LSTM language models as files of a saved model, and back.

Weights are stored in 16 bits where that loses nothing. A label's file leaves out the weights that it shares
with the background model. The roles of models that read backward begin with ``backward-``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lmclassify.lm.inference.directions import AnyLanguageModel, DirectedLanguageModel, directed
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.persistence.arrays import arrays_file, exceeds, in_fewest_bits, read_arrays, require_type
from lmclassify.persistence.layout import ModelFile, only_file
from lmclassify.persistence.reading import as_model_error
from lmclassify.text.tokenizer import Tokenizer

MAX_WEIGHT = float(np.finfo(np.float16).max)
"""Largest absolute weight accepted; keeps scores finite. `fit` rounds to 16 bits, so it stays below."""

LstmsByPrefix = dict[str, list[NumpyLanguageModel]]
"""Language models by the prefix of their role: none, or ``backward-``."""


def role_prefixes(direction: str) -> tuple[str, ...]:
    """Return the prefixes of a direction's roles."""
    return {"forward": ("",), "backward": ("backward-",), "both": ("", "backward-")}[direction]


def files_by_label(files: list[ModelFile], role: str, labels: int) -> list[ModelFile]:
    """Return each label's file of a role. Raises ValueError if a label has none, or there are others."""
    found = {file.label: file for file in files if file.role == role}
    if set(found) != set(range(labels)):
        raise ValueError(f"labels without a file of role {role}, or files without a label")
    return [found[label] for label in range(labels)]


def lstm_files(
    role: str, model: AnyLanguageModel, shared: AnyLanguageModel | None = None, label: int | None = None
) -> list[ModelFile]:
    """Return a language model's files, without the weights that equal those of a shared model."""
    if isinstance(model, NumpyLanguageModel):
        assert not isinstance(shared, DirectedLanguageModel)
        return [_lstm_file(role, model, shared, label)]
    assert not isinstance(shared, NumpyLanguageModel)
    forward, backward = (None, None) if shared is None else (shared.forward, shared.backward)
    files = [] if model.forward is None else [_lstm_file(role, model.forward, forward, label)]
    return [*files, _lstm_file(f"backward-{role}", model.backward, backward, label)]


def _lstm_file(
    role: str, model: NumpyLanguageModel, shared: NumpyLanguageModel | None, label: int | None
) -> ModelFile:
    common = {} if shared is None else shared.arrays
    own = {
        name: in_fewest_bits(array)
        for name, array in model.arrays.items()
        if name not in common or not np.array_equal(array, common[name])
    }
    return arrays_file(role, own, label)


def read_lstms(
    files: list[ModelFile],
    role: str,
    labels: int | None,
    direction: str,
    shared: LstmsByPrefix | None = None,
    default: LstmsByPrefix | None = None,
) -> LstmsByPrefix:
    """Return each label's models of a role, or the role's only model.

    Parameters
    ----------
    labels : int or None
        K; None where the role has one file that belongs to no label.
    direction : {"forward", "backward", "both"}
        Direction in which the models read a text.
    shared : optional
        The background model; supplies the weights that a label's file leaves out.
    default : optional
        The models of labels without a file of this role. Without it every label must have one.
    """
    found: LstmsByPrefix = {}
    for prefix in role_prefixes(direction):
        name = f"{prefix}{role}"
        common = {} if shared is None else shared[prefix][0].arrays
        if labels is None:
            models = [_read_lstm(only_file(files, name), common)]
        elif default is None:
            models = [_read_lstm(file, common) for file in files_by_label(files, name, labels)]
        else:
            present = {file.label: file for file in files if file.role == name}
            if not set(present) <= set(range(labels)):
                raise ValueError(f"files of role {name} without a label")
            models = [
                _read_lstm(present[label], common) if label in present else default[prefix][label]
                for label in range(labels)
            ]
        found[prefix] = models
    return found


def _read_lstm(file: ModelFile, common: Mapping[str, npt.NDArray[np.float32]]) -> NumpyLanguageModel:
    arrays = read_arrays(file)
    with as_model_error(file.path):
        for name, array in arrays.items():
            require_type(array, "f2 f4", name)
            if exceeds(array, MAX_WEIGHT):
                raise ValueError(f"{name} holds a value that is not finite, or too large")
        own = {name: array.astype(np.float32) for name, array in arrays.items()}
        return NumpyLanguageModel({**common, **own})


def directed_models(
    found: LstmsByPrefix, tokenizer: Tokenizer, cell: str, num_lstm_layers: int
) -> list[AnyLanguageModel]:
    """Return the models that `read_lstms` has read, the two directions of a label as one.

    Raises ValueError if they have another vocabulary, cell or number of layers.
    """
    expected = cell, num_lstm_layers
    for models in found.values():
        if any(model.vocab_size != tokenizer.vocab_size for model in models):
            raise ValueError("a language model of another vocabulary")
        if any((model.cell, model.num_lstm_layers) != expected for model in models):
            raise ValueError("a language model of another cell or number of layers than the settings say")
    return directed(found.get(""), found.get("backward-"), tokenizer.end_id)
