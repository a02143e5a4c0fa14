"""The weights of a saved model: in few bits, shared where labels share them, sparse where most are zero.

Shapes: F n-grams known, K labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from lmclassify.classify.persistence import Part, only_part
from lmclassify.classify.settings import Settings
from lmclassify.lm.directions import AnyLanguageModel, DirectedLanguageModel, directed
from lmclassify.lm.inference import NumpyLanguageModel
from lmclassify.lm.ngram import NgramModel
from lmclassify.text.ngrams import NgramView
from lmclassify.text.tokenizer import Tokenizer

Arrays = dict[str, npt.NDArray[Any]]
ByReading = dict[str, list[NumpyLanguageModel]]
"""Language models by what stands before their role: nothing, or ``backward-``."""


def arrays_part(role: str, arrays: Mapping[str, npt.NDArray[Any]], label: int | None = None) -> Part:
    """Return arrays as a part of a saved model."""
    return Part(role, safetensors.numpy.save(dict(arrays), {"lmclassify": role}), "safetensors", label)


def read_arrays(part: Part) -> Arrays:
    """Return the arrays of a part."""
    return safetensors.numpy.load(part.content)


def of_labels(parts: list[Part], role: str, labels: int) -> list[Part]:
    """Return each label's part of a role.

    Raises
    ------
    ValueError
        If a label has none, or there are others.
    """
    found = {part.label: part for part in parts if part.role == role}
    if set(found) != set(range(labels)):
        raise ValueError(f"labels without a file of role {role}, or files without a label")
    return [found[label] for label in range(labels)]


def readings(direction: str) -> tuple[str, ...]:
    """Return what comes before the roles of a direction's language models."""
    return {"forward": ("",), "backward": ("backward-",), "both": ("", "backward-")}[direction]


def lstm_parts(
    role: str, model: AnyLanguageModel, shared: AnyLanguageModel | None = None, label: int | None = None
) -> list[Part]:
    """Return a language model's parts, without the weights that it has in common with a shared one."""
    if isinstance(model, NumpyLanguageModel):
        assert not isinstance(shared, DirectedLanguageModel)
        return [_lstm_part(role, model, shared, label)]
    assert not isinstance(shared, NumpyLanguageModel)
    forward, backward = (None, None) if shared is None else (shared.forward, shared.backward)
    parts = [] if model.forward is None else [_lstm_part(role, model.forward, forward, label)]
    return [*parts, _lstm_part(f"backward-{role}", model.backward, backward, label)]


def _lstm_part(
    role: str, model: NumpyLanguageModel, shared: NumpyLanguageModel | None, label: int | None
) -> Part:
    common = {} if shared is None else shared.arrays
    own = {
        name: _in_few_bits(array)
        for name, array in model.arrays.items()
        if name not in common or not np.array_equal(array, common[name])
    }
    return arrays_part(role, own, label)


def _in_few_bits(array: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return weights in 16 bits where that changes none of them; `fit` rounds to these, `update` does not."""
    half = array.astype(np.float16)
    return half if np.array_equal(half, array) else array


def lstms(
    parts: list[Part],
    role: str,
    labels: int | None,
    settings: Settings,
    shared: ByReading | None = None,
    instead: ByReading | None = None,
) -> ByReading:
    """Return each label's models of a role, or without labels the one of the role.

    Parameters
    ----------
    parts : list of Part
    role : str
    labels : int or None
        K.
    settings : Settings
        Its direction says how they read.
    shared : optional
        The background model, whose weights stand for those that a label lacks.
    instead : optional
        Models of labels that have no part.
    """
    found: ByReading = {}
    for reading in readings(settings.direction):
        name = f"{reading}{role}"
        common = {} if shared is None else shared[reading][0].arrays
        if labels is None:
            models = [_lstm(only_part(parts, name), common)]
        elif instead is None:
            models = [_lstm(part, common) for part in of_labels(parts, name, labels)]
        else:
            there = {part.label: part for part in parts if part.role == name}
            if not set(there) <= set(range(labels)):
                raise ValueError(f"files of role {name} without a label")
            models = [
                _lstm(there[label], common) if label in there else instead[reading][label]
                for label in range(labels)
            ]
        found[reading] = models
    return found


def _lstm(part: Part, common: Mapping[str, npt.NDArray[np.float32]]) -> NumpyLanguageModel:
    own = {name: array.astype(np.float32) for name, array in read_arrays(part).items()}
    return NumpyLanguageModel({**common, **own})


def language_models(found: ByReading, tokenizer: Tokenizer, settings: Settings) -> list[AnyLanguageModel]:
    """Return the models that `lstms` has found, of both directions together.

    Raises
    ------
    ValueError
        If they are of another vocabulary or cell.
    """
    for models in found.values():
        if any(model.vocab_size != tokenizer.vocab_size for model in models):
            raise ValueError("a language model of another vocabulary")
        if any(model.cell != settings.cell for model in models):
            raise ValueError("a language model of another cell than the settings say")
    return directed(found.get(""), found.get("backward-"), tokenizer.end_id)


def known_ngrams(models: list[NgramModel]) -> Arrays:
    """Return the n-grams that all labels' weights belong to."""
    known: Arrays = {}
    for number, ngrams in enumerate(models):
        known[f"{number}.{ngrams.view.symbols}.{ngrams.view.longest}"] = ngrams.keys
        known[f"{number}.idf"] = ngrams.idf
        if ngrams.contexts is not None:
            known[f"{number}.contexts"] = ngrams.contexts
        if (np.diff(ngrams.order) != 1).any():
            known[f"{number}.order"] = ngrams.order.astype(np.int32)
    return known


def ngram_weights(models: list[NgramModel], label: int) -> Arrays:
    """Return one label's weights; the tuned ones in 16 bits, to which learning has rounded them.

    N-grams stand in the order in which they became known, so that later ones leave the file as it is.
    """
    arrays: Arrays = {}
    for number, model in enumerate(models):
        learnt = model.learnt(label)
        arrays[f"{number}.known"] = np.array([len(learnt)])
        arrays[f"{number}.bias"] = model.bias[label : label + 1]
        for name, values in (
            ("tuned", model.tuned[learnt, label].astype(np.float16)),
            ("counts", _smallest(model.counts[learnt, label])),
        ):
            arrays[f"{number}.{name}"] = values[values != 0]
            arrays[f"{number}.{name}.where"] = np.packbits(values != 0)
    return arrays


def _smallest(counts: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return counts in as few bits as hold them exactly."""
    if (counts == np.floor(counts)).all() and counts.max(initial=0) < 1 << 16:
        return counts.astype(np.uint8 if counts.max(initial=0) < 1 << 8 else np.uint16)
    return counts.copy()


def ngram_models(parts: list[Part], labels: int) -> list[NgramModel]:
    """Return the n-gram models of all labels.

    Raises
    ------
    KeyError, ValueError
        If the parts are not theirs.
    """
    known = read_arrays(only_part(parts, "ngrams"))
    of_each = [read_arrays(part) for part in of_labels(parts, "ngram-weights", labels)]
    models = []
    for name in sorted(name for name in known if name.count(".") == 2):
        number, symbols, longest = name.split(".")
        order = known.get(f"{number}.order")
        order = None if order is None else order.astype(np.intp)
        size = len(known[name])
        models.append(
            NgramModel(
                NgramView(symbols, int(longest)),  # type: ignore[arg-type]
                known[name],
                known[f"{number}.idf"],
                _columns(of_each, number, "tuned", size, order),
                np.concatenate([arrays[f"{number}.bias"] for arrays in of_each]),
                _columns(of_each, number, "counts", size, order),
                known.get(f"{number}.contexts"),
                order,
                [int(arrays[f"{number}.known"][0]) for arrays in of_each],
            )
        )
    return models


def _columns(
    of_each: list[Arrays], number: str, name: str, size: int, order: npt.NDArray[np.intp] | None
) -> npt.NDArray[np.float32]:
    """Return all labels' weights, (F, K): none for what became known later than a label."""
    result = np.zeros((size, len(of_each)), dtype=np.float32)
    for label, arrays in enumerate(of_each):
        known = int(arrays[f"{number}.known"][0])
        bits = np.unpackbits(arrays[f"{number}.{name}.where"], count=known)
        places = np.flatnonzero(bits)
        result[places if order is None else order[places], label] = arrays[f"{number}.{name}"]
    return result
