"""Labels, weights and priors of a fit, checked.

Shapes: n texts, K labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from lmclassify.errors import DataError, OptionError, counted, listing, shorten
from lmclassify.text.tokenizer import encodable

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Labels = npt.NDArray[Any]


def encode_labels(y: Any, n: int) -> tuple[Labels, Codes]:
    """Return the sorted labels (K,) and the index of each text's label among them (n,)."""
    if y is None:
        raise DataError("LMClassifier requires y to be passed, but the target y is None")
    array = np.asarray(y) if hasattr(y, "dtype") else np.asarray(y, dtype=object)
    labels = np.asarray(column_or_1d(array, warn=True)).tolist()
    if len(labels) != n:
        raise DataError(
            f"found {counted(n, 'text')} but {counted(len(labels), 'label')}: inconsistent numbers of samples"
        )
    if n == 0:
        raise DataError("no texts to fit on: found 0 samples, while a minimum of 1 is required")
    for row, label in enumerate(labels):
        if not isinstance(label, (str, Number)) or label != label:
            raise DataError(f"label {row} is {shorten(label)}; labels must be str, int, float or bool")
    distinct = set(labels)
    if len({isinstance(label, str) for label in distinct}) > 1:
        raise DataError("labels mix str with numbers; make them all str")
    broken = [label for label in distinct if isinstance(label, str) and encodable(label) != label]
    if broken:
        raise DataError(f"label {shorten(broken[0])} holds half of a surrogate pair, which is no text")
    if any(isinstance(label, str) and label.endswith("\0") for label in distinct):
        raise DataError("a label ends in a NUL character; numpy cannot tell it from the one without")
    classes = np.array(sorted(distinct))
    if classes.dtype.kind not in "Uifb":
        raise DataError("labels must be str, int, float or bool")
    if classes.dtype.kind == "f":
        check_classification_targets(classes)  # refuses numbers that are no classes
    code_of = {label: code for code, label in enumerate(classes.tolist())}
    return classes, np.array([code_of[label] for label in labels], dtype=np.intp)


def class_factors(class_weight: Mapping[Any, float] | str | None, classes: Labels, texts: Codes) -> Array:
    """Return what the weights of each label's texts are multiplied by, (K,).

    Parameters
    ----------
    class_weight : mapping, "balanced" or None
    classes : ndarray, (K,)
    texts : ndarray of int, (K,)
        Number of each label's texts.
    """
    if isinstance(class_weight, Mapping):
        unknown = set(class_weight) - set(classes.tolist())
        if unknown:
            raise OptionError(
                f"class_weight names {listing(map(shorten, unknown))}; labels there are: {listing(classes)}"
            )
        factors = np.array([float(class_weight.get(label, 1.0)) for label in classes.tolist()])
        if not (np.isfinite(factors) & (factors > 0)).all():
            raise OptionError("class_weight must hold positive, finite numbers")
        return factors
    if class_weight == "balanced":
        balanced: Array = texts.sum() / (len(texts) * texts)
        return balanced
    if class_weight is not None:
        raise OptionError(f"class_weight must be a mapping or 'balanced', not {class_weight!r}")
    return np.ones(len(classes))


def text_weights(sample_weight: npt.ArrayLike | None, texts: int) -> Array:
    """Return each text's weight, (n,)."""
    if sample_weight is None:
        return np.ones(texts)
    weights = np.array(sample_weight, dtype=np.float64)
    if weights.shape != (texts,):
        raise DataError(f"sample_weight must hold one number for each of {counted(texts, 'text')}")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise DataError("sample_weight must hold finite numbers that are not negative")
    return weights


def log_priors(
    class_prior: npt.ArrayLike | Mapping[Any, float] | None,
    classes: Labels,
    label_weights: Array,
    fit_prior: bool,
) -> Array:
    """Return the log priors of the fitted model, (K,)."""
    if class_prior is None:
        priors = label_weights if fit_prior else np.ones(len(classes))
    else:
        if isinstance(class_prior, Mapping):
            if set(class_prior) != set(classes.tolist()):
                raise OptionError(
                    f"class_prior must name every label ({listing(classes)}), not {listing(class_prior)}"
                )
            class_prior = [class_prior[label] for label in classes.tolist()]
        priors = np.asarray(class_prior, dtype=np.float64)
        if priors.shape != classes.shape:
            raise OptionError(f"class_prior must hold {len(classes)} numbers, one a label")
        if not (np.isfinite(priors).all() and (priors > 0).all()):
            raise OptionError("class_prior must hold positive numbers")
    log_priors: Array = np.log(priors / priors.sum())
    return log_priors
