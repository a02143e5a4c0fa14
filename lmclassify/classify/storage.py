"""A fitted model as the parts of a saved one, and back. `persistence` knows how parts become files.

Roles: ``tokenizer``; ``lm`` of each label; ``held-out`` (scores of held-out texts); ``held-out-texts`` and
``expert-scores`` where texts are kept; with a combination also ``background``, ``subwords`` (the n-gram
models' tokenizer), ``ngrams`` (the n-grams known, by view), ``ngram-weights`` and ``token-ngrams`` of each
label, ``tuned-lm`` of each label whose tuned language model is another than its ``lm``, and ``combination``.
What a label's language model has in common with the background model stands there alone. Of language
models that read backward the roles are ``backward-lm``, ``backward-background`` and ``backward-tuned-lm``,
beside the others or, with direction backward, instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.cascade import MAX_ABS_VALUE
from lmclassify.classify.ensemble import LSTMS, Combination
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.predictor import Predictor
from lmclassify.classify.settings import Settings
from lmclassify.classify.stored_lstms import (
    LstmsByPrefix,
    directed_models,
    files_by_label,
    lstm_files,
    read_lstms,
    role_prefixes,
)
from lmclassify.classify.stored_ngrams import known_ngram_arrays, label_ngram_arrays, read_ngram_models
from lmclassify.classify.thresholds import HeldOut, HeldOutTexts
from lmclassify.classify.tuned_predictor import TunedPredictor
from lmclassify.errors import ModelError
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.persistence.arrays import arrays_file, read_arrays
from lmclassify.persistence.commit import write_model
from lmclassify.persistence.layout import ModelFile, StoredModel, only_file
from lmclassify.persistence.reading import as_model_error, require_few_values
from lmclassify.text.tokenizer import Tokenizer

_LARGEST_LOG_PRIOR = 700.0  # of which there is an exponential
_PARAMETERS = ("class_prior", "class_weight", "random_state")
_MOST_CHARACTERS = 1 << 24  # of labels: numpy has room for the longest in each


def save(predictor: Predictor, path: str | os.PathLike[str], *, replaces: str | None = None) -> None:
    """Write a model into a folder; see `lmclassify.FittedModel.save`."""
    write_model(path, to_stored(predictor), replaces=replaces)


def to_stored(model: Predictor) -> StoredModel:
    """Return a model as what a folder holds."""
    config = {
        "labels": model.classes_.tolist(),
        "log_priors": model.log_priors.tolist(),
        "label_weights": model.label_weights.tolist(),
        "settings": asdict(model.settings),
        "parameters": model.parameters,
        "versions": model.versions,
    }
    background = model.background if isinstance(model, TunedPredictor) else None
    parts = [ModelFile("tokenizer", model.tokenizer.to_json().encode(), "json")]
    for label, language_model in enumerate(model.models):
        parts += lstm_files("lm", language_model, background, label)
    parts.append(arrays_file("held-out", _held_out_arrays(model.held_out)))
    if isinstance(model, TunedPredictor):
        parts += _tuned_parts(model)
    return StoredModel(config, parts, model.training)


def _tuned_parts(model: TunedPredictor) -> list[ModelFile]:
    """Return the parts that only recipe tuned has."""
    parts: list[ModelFile] = []
    kept = model.held_out_texts
    if kept is not None:
        content = {"lmclassify": "held-out-texts", "texts": kept.texts, "codes": kept.codes.tolist()}
        parts.append(ModelFile("held-out-texts", json.dumps(content).encode(), "json"))
        parts.append(arrays_file("expert-scores", {"scores": kept.scores, "background": kept.background}))
    parts += lstm_files("background", model.background)
    parts.append(ModelFile("subwords", model.subwords.to_json().encode(), "json"))
    parts.append(ModelFile("combination", model.combination.to_json().encode(), "json"))
    parts.append(arrays_file("ngrams", known_ngram_arrays(model.ngrams)))
    for label in range(len(model.classes_)):
        if model.tuned[label] != model.models[label]:
            parts += lstm_files("tuned-lm", model.tuned[label], model.background, label)
        parts.append(arrays_file("ngram-weights", label_ngram_arrays(model.ngrams, label), label))
        parts.append(arrays_file("token-ngrams", model.token_ngrams[label].arrays, label))
    return parts


def from_stored(stored: StoredModel) -> dict[str, Any]:
    """Return the fields of a predictor: of a `TunedPredictor` if "combination" is among them.

    Raises
    ------
    ModelError
        If a file's content is not that of a model; it names the file.
    """
    with as_model_error(stored.path):
        return _fields(stored)


def _fields(stored: StoredModel) -> dict[str, Any]:
    config, parts = stored.config, stored.files
    labels = _labels(config["labels"])
    tokenizer = _tokenizer(parts, "tokenizer")
    log_priors = _numbers(config["log_priors"], len(labels), "priors")
    if log_priors.max() > _LARGEST_LOG_PRIOR:
        raise ValueError("priors that are no usable numbers")
    # Models made before there was this setting decide as they did.
    settings = Settings(**{"disguised_label": "none", **config["settings"]})
    reads = role_prefixes(settings.direction)
    combined = any(part.role == "combination" for part in parts)
    shared = read_lstms(parts, "background", None, settings.direction) if combined else None
    own = read_lstms(parts, "lm", len(labels), settings.direction, shared)

    def models(of_role: LstmsByPrefix) -> list[AnyLanguageModel]:
        return directed_models(of_role, tokenizer, settings.cell, settings.num_lstm_layers)

    fields: dict[str, Any] = {
        "classes_": labels,
        "log_priors": log_priors,
        "tokenizer": tokenizer,
        "models": models(own),
        "settings": settings,
        "parameters": _plain(config["parameters"], _PARAMETERS),
        "versions": _plain(config["versions"]),
        "training": stored.training,
        "held_out": _held_out(only_file(parts, "held-out"), len(labels), combined),
        "label_weights": _label_weights(config["label_weights"], len(labels)),
    }
    expected = len(reads) * len(labels) + 2
    if shared is not None:
        ngrams = read_ngram_models(parts, len(labels))
        if not ngrams or ngrams[0].contexts is None or ngrams[0].analyzer.symbols == "subword":
            raise ValueError("no n-gram language model of characters")
        word_views = [model.analyzer for model in ngrams if model.analyzer.symbols == "word"]
        if len(word_views) != 1 or word_views[0].longest < 2:
            raise ValueError("no n-gram model of words and pairs of words")
        combination = _combination(only_file(parts, "combination"), ngrams, len(labels))
        fields |= {
            "background": models(shared)[0],
            "tuned": models(read_lstms(parts, "tuned-lm", len(labels), settings.direction, shared, own)),
            "token_ngrams": [
                _token_ngrams(part, tokenizer) for part in files_by_label(parts, "token-ngrams", len(labels))
            ],
            "subwords": _tokenizer(parts, "subwords"),
            "ngrams": ngrams,
            "combination": combination,
        }
        expected += 3 + 2 * len(labels) + len(reads)
        expected += sum(part.role.endswith("tuned-lm") for part in parts)
    if any(part.role == "held-out-texts" for part in parts):
        fields["held_out_texts"] = _held_out_texts(parts, fields.get("combination"))
        expected += 2
    if len(parts) != expected:
        raise ValueError("files that belong to no label")
    return fields


def _labels(given: Any) -> npt.NDArray[Any]:
    if not isinstance(given, list) or len({type(label) for label in given}) != 1:
        raise ValueError("labels that are not all of one type")
    if type(given[0]) not in (str, int, float, bool) or given != sorted(set(given)):
        raise ValueError("labels that are not sorted or not distinct")
    if isinstance(given[0], str):
        if len(given) * max(map(len, given)) > _MOST_CHARACTERS:
            raise ValueError("labels that are too long")
        "".join(given).encode()  # what cannot be written could not be predicted
    labels = np.array(given)
    if labels.dtype.kind not in "Uifb" or labels.tolist() != given:
        raise ValueError("labels that numpy cannot hold")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("labels that are not finite")
    return labels


def _numbers(given: Any, count: int, what: str) -> npt.NDArray[np.float64]:
    numbers = np.array(given, dtype=np.float64)
    if numbers.shape != (count,) or not (np.abs(numbers) <= MAX_ABS_VALUE).all():
        raise ValueError(f"{what} that fit no labels, or are no usable numbers")
    return numbers


def _plain(given: Any, known: Collection[str] | None = None) -> dict[str, Any]:
    """Return what says more about a model by name, for a reader or for fitting again."""
    if not isinstance(given, dict) or (known is not None and not set(given) <= set(known)):
        raise ValueError("parameters or versions that make no sense")
    return given


def _held_out_arrays(held_out: HeldOut) -> dict[str, npt.NDArray[Any]]:
    """Return held-out scores under their names in the file."""
    return {
        "joint": held_out.joint,
        "codes": held_out.codes,
        "signals": held_out.ood_features,
        "cross_entropies": held_out.cross_entropies,
    }


def _held_out(part: ModelFile, labels: int, combined: bool) -> HeldOut:
    arrays = read_arrays(part, joint="f4", codes="i4", signals="f4", cross_entropies="f4")
    with as_model_error(part.path):
        found = HeldOut(arrays["joint"], arrays["codes"], arrays["signals"], arrays["cross_entropies"])
        if found.joint.shape[1] != labels:
            raise ValueError("held-out scores of other labels")
        if found.ood_features.shape[1] != (2 if combined else 1):
            raise ValueError("held-out scores of another recipe")
        return found


def _combination(part: ModelFile, ngrams: Sequence[NgramModel], labels: int) -> Combination:
    names = [name for model in ngrams for name in model.score_names]
    with as_model_error(part.path):
        require_few_values(part.content)
        found = Combination.from_json(part.content.decode())
        if list(found.experts) != [*names, *LSTMS] or found.bias.shape != (labels,):
            raise ValueError("a combination of other experts or labels")
        return found


def _token_ngrams(part: ModelFile, tokenizer: Tokenizer) -> TokenNgrams:
    arrays = read_arrays(part)
    with as_model_error(part.path):
        return TokenNgrams(arrays, tokenizer.vocab_size, tokenizer.begin_id)


def _held_out_texts(parts: list[ModelFile], combination: Combination | None) -> HeldOutTexts:
    of_texts, of_scores = only_file(parts, "held-out-texts"), only_file(parts, "expert-scores")
    arrays = read_arrays(of_scores, scores="f4", background="f4")
    with as_model_error(of_texts.path):
        content = json.loads(of_texts.content)
        texts, codes = content["texts"], np.array(content["codes"], dtype=np.int32)
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError("held-out texts that are no texts")
    with as_model_error(of_scores.path):
        found = HeldOutTexts(texts, codes, arrays["scores"], arrays["background"])
        experts, _, labels = found.scores.shape
        if combination is None or (experts, labels) != (len(combination.experts), len(combination.bias)):
            raise ValueError("held-out texts with scores of other experts or labels")
        return found


def _label_weights(given: Any, labels: int) -> npt.NDArray[np.float64]:
    weights = _numbers(given, labels, "weights of labels")
    if (weights <= 0).any():
        raise ValueError("weights of labels that make no sense")
    return weights


def _tokenizer(parts: list[ModelFile], role: str) -> Tokenizer:
    part = only_file(parts, role)
    with as_model_error(part.path):
        require_few_values(part.content)
        try:
            return Tokenizer.from_json(part.content.decode())
        except ModelError as error:
            raise ValueError(error) from error
