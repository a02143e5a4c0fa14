"""N-gram models as files of a saved model, and back.

The known n-grams are in one file, each label's weights and counts in another. Weights are stored in 16 bits
and counts in as few bits as hold them; of both only the values that are not zero, with a bit for each n-gram
that tells where they belong.

Shapes: F known n-grams, K labels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.stored_lstms import files_by_label
from lmclassify.persistence.arrays import Arrays, exceeds, read_arrays, require_type
from lmclassify.persistence.layout import ModelFile, only_file
from lmclassify.persistence.reading import as_model_error
from lmclassify.text.ngrams import NgramAnalyzer

MAX_COUNT = 1e25
"""Largest weight or count accepted: a million of them add up to a number that 32 bits hold."""
MAX_DENSE_BYTES = 1 << 28
"""From this size of the dense weights on, `MAX_SPARSITY` is required."""
MAX_SPARSITY = 32
"""Labels must know one in so many n-grams on average. Otherwise a small file could claim much memory."""

_LABEL_ARRAYS = {
    "known": "i8",
    "bias": "f4",
    "tuned": "f2",
    "tuned.where": "u1",
    "counts": "u1 u2 f4",
    "counts.where": "u1",
}
"""Types of the arrays in a label's file, by name. ``tuned`` are the SVM weights."""


class _KnownNgrams(NamedTuple):
    """The part of a model that all labels share."""

    analyzer: NgramAnalyzer
    keys: npt.NDArray[np.uint64]
    idf: npt.NDArray[np.float32]
    contexts: npt.NDArray[np.int32] | None
    order: npt.NDArray[np.intp] | None


def known_ngram_arrays(models: list[NgramModel]) -> Arrays:
    """Return the arrays of the file of known n-grams.

    Names begin with the model's number. The keys are named ``<number>.<symbols>.<longest>``.
    """
    arrays: Arrays = {}
    for number, model in enumerate(models):
        arrays[f"{number}.{model.analyzer.symbols}.{model.analyzer.longest}"] = model.keys
        arrays[f"{number}.idf"] = model.idf
        if model.contexts is not None:
            arrays[f"{number}.contexts"] = model.contexts
        if (np.diff(model.order) != 1).any():
            arrays[f"{number}.order"] = model.order.astype(np.int32)
    return arrays


def label_ngram_arrays(models: list[NgramModel], label: int) -> Arrays:
    """Return the arrays of a label's file: its weights, rounded to 16 bits by `fit`, and its counts.

    N-grams are in the order in which they became known, so that later ones do not change the file.
    """
    arrays: Arrays = {}
    for number, model in enumerate(models):
        known = model.known_to(label)
        arrays[f"{number}.known"] = np.array([len(known)])
        arrays[f"{number}.bias"] = model.svm_bias[label : label + 1]
        for name, values in (
            ("tuned", model.svm_weights[known, label].astype(np.float16)),
            ("counts", _in_smallest_type(model.counts[known, label])),
        ):
            arrays[f"{number}.{name}"] = values[values != 0]
            arrays[f"{number}.{name}.where"] = np.packbits(values != 0)
    return arrays


def _in_smallest_type(counts: npt.NDArray[np.float32]) -> npt.NDArray[np.generic]:
    """Return counts in as few bits as hold them exactly."""
    if (counts == np.floor(counts)).all() and counts.max(initial=0) < 1 << 16:
        return counts.astype(np.uint8 if counts.max(initial=0) < 1 << 8 else np.uint16)
    return counts.copy()


def read_ngram_models(files: list[ModelFile], labels: int) -> list[NgramModel]:
    """Return the n-gram models of all labels.

    Raises KeyError, ValueError, ModelError if the files are not those of such models.
    """
    known_file = only_file(files, "ngrams")
    arrays = read_arrays(known_file)
    names = sorted(name for name in arrays if name.count(".") == 2)
    with as_model_error(known_file.path):
        if [name.split(".")[0] for name in names] != [str(number) for number in range(len(names))]:
            raise ValueError("n-gram models that are not numbered from 0")
    label_files = files_by_label(files, "ngram-weights", labels)
    types = {f"{number}.{name}": kind for number in range(len(names)) for name, kind in _LABEL_ARRAYS.items()}
    label_arrays = [read_arrays(file, **types) for file in label_files]
    models = []
    for number, name in enumerate(names):
        with as_model_error(known_file.path):
            known = _known_ngrams(arrays, name)
        size = len(known.keys)
        sizes = []
        for file, own in zip(label_files, label_arrays, strict=True):
            with as_model_error(file.path):
                sizes.append(_number_known(own, number, size))
        with as_model_error(known_file.path):
            if 8 * size * labels > MAX_DENSE_BYTES and sum(sizes) * MAX_SPARSITY < size * labels:
                raise ValueError("n-grams that hardly any label knows")
            models.append(
                NgramModel(
                    known.analyzer,
                    known.keys,
                    known.idf,
                    _dense(label_files, label_arrays, f"{number}.tuned", sizes, size, known.order),
                    np.concatenate([own[f"{number}.bias"] for own in label_arrays]),
                    _dense(label_files, label_arrays, f"{number}.counts", sizes, size, known.order),
                    known.contexts,
                    known.order,
                    sizes,
                )
            )
    return models


def _known_ngrams(arrays: Arrays, name: str) -> _KnownNgrams:
    """Return the known n-grams of the model whose keys have this name."""
    number, symbols, longest = name.split(".")
    keys, idf = arrays[name], arrays[f"{number}.idf"]
    contexts, order = arrays.get(f"{number}.contexts"), arrays.get(f"{number}.order")
    for array, kind in ((keys, "u8"), (idf, "f4"), (contexts, "i4"), (order, "i4")):
        if array is not None:
            require_type(array, kind, name)
            if array.shape != (len(keys),):
                raise ValueError("n-grams that do not fit one another")
    analyzer = NgramAnalyzer(symbols, int(longest))  # type: ignore[arg-type]
    return _KnownNgrams(analyzer, keys, idf, contexts, None if order is None else order.astype(np.intp))


def _number_known(arrays: Arrays, number: int, size: int) -> int:
    """Return how many n-grams a label knows, after checking that its arrays fit that number."""
    counted, bias = arrays[f"{number}.known"], arrays[f"{number}.bias"]
    known = int(counted[0]) if counted.shape == (1,) else -1
    if not 0 <= known <= size or bias.shape != (1,):
        raise ValueError("weights of other n-grams")
    for name in ("tuned", "counts"):
        values, where = arrays[f"{number}.{name}"], arrays[f"{number}.{name}.where"]
        if where.shape != (-(-known // 8),) or values.ndim != 1:
            raise ValueError("weights of other n-grams")
        if exceeds(values, MAX_COUNT):
            raise ValueError("a weight or count of an n-gram that is not finite, or too large")
    return known


def _dense(
    label_files: list[ModelFile],
    label_arrays: list[Arrays],
    name: str,
    sizes: list[int],
    size: int,
    order: npt.NDArray[np.intp] | None,
) -> npt.NDArray[np.float32]:
    """Return all labels' values (F, K); zero for n-grams that became known after a label was fitted."""
    result = np.zeros((size, len(label_arrays)), dtype=np.float32)
    for label, (file, arrays, known) in enumerate(zip(label_files, label_arrays, sizes, strict=True)):
        indices = np.flatnonzero(np.unpackbits(arrays[f"{name}.where"], count=known))
        with as_model_error(file.path):
            if len(arrays[name]) != len(indices):
                raise ValueError("weights of other n-grams")
        result[indices if order is None else order[indices], label] = arrays[name]
    return result
