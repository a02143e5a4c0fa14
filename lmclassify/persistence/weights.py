"""The weights of a saved model: in few bits, shared where labels share them, sparse where most are zero.

Shapes: F n-grams known, K labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from lmclassify.lm.inference.directions import AnyLanguageModel, DirectedLanguageModel, directed
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.lm.ngram.models import NgramModel
from lmclassify.persistence.model_folder import Part, content_of, only_part
from lmclassify.text.ngrams import NgramAnalyzer
from lmclassify.text.tokenizer import Tokenizer

_LONGEST_HEADER = 1 << 20  # bytes; some hundred arrays take a few thousand
_LARGEST_WEIGHT = float(np.finfo(np.float16).max)
"""Of a language model, in amount: `fit` rounds to 16 bits. With it, no score is infinite."""
_LARGEST_COUNT = 1e25  # of which a million add up to a number of 32 bits
_OF_LABEL = {
    "known": "i8",
    "bias": "f4",
    "tuned": "f2",
    "tuned.where": "u1",
    "counts": "u1 u2 f4",
    "counts.where": "u1",
}
_LARGE = 1 << 28  # bytes from which on n-grams' weights may not be made of next to nothing
_SPARSEST = 32

Arrays = dict[str, npt.NDArray[Any]]
ByReading = dict[str, list[NumpyLanguageModel]]
"""Language models by what stands before their role: nothing, or ``backward-``."""


def arrays_part(role: str, arrays: Mapping[str, npt.NDArray[Any]], label: int | None = None) -> Part:
    """Return arrays as a part of a saved model."""
    return Part(role, safetensors.numpy.save(dict(arrays), {"lmclassify": role}), "safetensors", label)


def read_arrays(part: Part, **kinds: str) -> Arrays:
    """Return the arrays of a part.

    Parameters
    ----------
    part : Part
    **kinds : str
        What the arrays are to be, where it is known: a name and the types that it may have, in numpy's
        letters ("f4" or "f2 f4", say). There must be no others.

    Raises
    ------
    ModelError
        If they are not there, or others are; it names the file.
    """
    with content_of(part.path):
        header = int.from_bytes(part.content[:8], "little")
        if header > _LONGEST_HEADER:
            raise ValueError(f"a header of {header:,} bytes")
        arrays = safetensors.numpy.load(part.content)
        if kinds and set(arrays) != set(kinds):
            raise ValueError(f"unexpected or missing arrays: {sorted(set(arrays) ^ set(kinds))}")
        for name, allowed in kinds.items():
            require_type(arrays[name], allowed, name)
        return arrays


def require_type(array: npt.NDArray[Any], allowed: str, name: str) -> None:
    """Raise ValueError if an array is of none of some types, in numpy's letters."""
    if array.dtype.str[1:] not in allowed.split():
        raise ValueError(f"{name} is {array.dtype}, expected one of {allowed}")


def _exceeds(array: npt.NDArray[Any], limit: float) -> bool:
    """Return whether a number is larger in amount, or NaN; of 16 bits or fewer none is, unless infinite."""
    if array.dtype.itemsize < 4 or not array.size:
        return False
    return not max(float(array.max()), -float(array.min())) <= limit


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
    direction: str,
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
    direction : {"forward", "backward", "both"}
        How the models read a text.
    shared : optional
        The background model, whose weights stand for those that a label lacks.
    instead : optional
        Models of labels that have no part.
    """
    found: ByReading = {}
    for reading in readings(direction):
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
    arrays = read_arrays(part)
    with content_of(part.path):
        for name, array in arrays.items():
            require_type(array, "f2 f4", name)
            if _exceeds(array, _LARGEST_WEIGHT):
                raise ValueError(f"{name} holds a value that is not finite, or too large")
        own = {name: array.astype(np.float32) for name, array in arrays.items()}
        return NumpyLanguageModel({**common, **own})


def language_models(
    found: ByReading, tokenizer: Tokenizer, cell: str, num_lstm_layers: int
) -> list[AnyLanguageModel]:
    """Return the models that `lstms` has found, of both directions together.

    Raises
    ------
    ValueError
        If they are of another vocabulary, cell or number of layers.
    """
    expected = cell, num_lstm_layers
    for models in found.values():
        if any(model.vocab_size != tokenizer.vocab_size for model in models):
            raise ValueError("a language model of another vocabulary")
        if any((model.cell, model.num_lstm_layers) != expected for model in models):
            raise ValueError("a language model of another cell or number of layers than the settings say")
    return directed(found.get(""), found.get("backward-"), tokenizer.end_id)


def known_ngrams(models: list[NgramModel]) -> Arrays:
    """Return the n-grams that all labels' weights belong to."""
    known: Arrays = {}
    for number, ngrams in enumerate(models):
        known[f"{number}.{ngrams.analyzer.symbols}.{ngrams.analyzer.longest}"] = ngrams.keys
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
        learnt = model.known_to(label)
        arrays[f"{number}.known"] = np.array([len(learnt)])
        arrays[f"{number}.bias"] = model.svm_bias[label : label + 1]
        for name, values in (
            ("tuned", model.svm_weights[learnt, label].astype(np.float16)),
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
    part = only_part(parts, "ngrams")
    known = read_arrays(part)
    names = sorted(name for name in known if name.count(".") == 2)
    with content_of(part.path):
        if [name.split(".")[0] for name in names] != [str(number) for number in range(len(names))]:
            raise ValueError("views of n-grams that are not numbered from 0")
    of_each = of_labels(parts, "ngram-weights", labels)
    kinds = {f"{number}.{name}": kind for number in range(len(names)) for name, kind in _OF_LABEL.items()}
    weights = [read_arrays(part, **kinds) for part in of_each]
    models = []
    for number, name in enumerate(names):
        with content_of(part.path):
            view, keys, idf, contexts, order = _known(known, name)
        sizes = []
        for of_label, arrays in zip(of_each, weights, strict=True):
            with content_of(of_label.path):
                sizes.append(_number_known(arrays, number, len(keys)))
        with content_of(part.path):
            if 8 * len(keys) * labels > _LARGE and sum(sizes) * _SPARSEST < len(keys) * labels:
                raise ValueError("n-grams that hardly any label knows")
            models.append(
                NgramModel(
                    view,
                    keys,
                    idf,
                    _columns(of_each, weights, f"{number}.tuned", sizes, len(keys), order),
                    np.concatenate([arrays[f"{number}.bias"] for arrays in weights]),
                    _columns(of_each, weights, f"{number}.counts", sizes, len(keys), order),
                    contexts,
                    order,
                    sizes,
                )
            )
    return models


def _known(
    known: Arrays, name: str
) -> tuple[
    NgramAnalyzer,
    npt.NDArray[np.uint64],
    npt.NDArray[np.float32],
    npt.NDArray[np.int32] | None,
    npt.NDArray[np.intp] | None,
]:
    """Return what a view's n-grams are: view, keys, idf, contexts and order."""
    number, symbols, longest = name.split(".")
    keys, idf = known[name], known[f"{number}.idf"]
    contexts, order = known.get(f"{number}.contexts"), known.get(f"{number}.order")
    for array, kind in ((keys, "u8"), (idf, "f4"), (contexts, "i4"), (order, "i4")):
        if array is not None:
            require_type(array, kind, name)
            if array.shape != (len(keys),):
                raise ValueError("n-grams that do not fit one another")
    view = NgramAnalyzer(symbols, int(longest))  # type: ignore[arg-type]
    return view, keys, idf, contexts, None if order is None else order.astype(np.intp)


def _number_known(arrays: Arrays, number: int, size: int) -> int:
    """Return how many n-grams a label knows, if its weights fit them."""
    counted, bias = arrays[f"{number}.known"], arrays[f"{number}.bias"]
    known = int(counted[0]) if counted.shape == (1,) else -1
    if not 0 <= known <= size or bias.shape != (1,):
        raise ValueError("weights of other n-grams")
    for name in ("tuned", "counts"):
        values, where = arrays[f"{number}.{name}"], arrays[f"{number}.{name}.where"]
        if where.shape != (-(-known // 8),) or values.ndim != 1:
            raise ValueError("weights of other n-grams")
        if _exceeds(values, _LARGEST_COUNT):
            raise ValueError("a weight or count of an n-gram that is not finite, or too large")
    return known


def _columns(
    parts: list[Part],
    of_each: list[Arrays],
    name: str,
    sizes: list[int],
    size: int,
    order: npt.NDArray[np.intp] | None,
) -> npt.NDArray[np.float32]:
    """Return all labels' weights, (F, K): none for what became known later than a label."""
    result = np.zeros((size, len(of_each)), dtype=np.float32)
    for label, (part, arrays, known) in enumerate(zip(parts, of_each, sizes, strict=True)):
        bits = np.unpackbits(arrays[f"{name}.where"], count=known)
        places, values = np.flatnonzero(bits), arrays[name]
        with content_of(part.path):
            if len(values) != len(places):
                raise ValueError("weights of other n-grams")
        result[places if order is None else order[places], label] = values
    return result
