"""Save and load predictors: their fields as the files of a saved model, and back.

`lmclassify.persistence` writes them. The roles of the files are ``tokenizer``; ``lm`` for each label;
``held-out`` (scores of held-out texts). Recipe tuned has also ``background``, ``subwords`` (the tokenizer of
the n-gram models), ``ngrams`` (the known n-grams, by view), ``ngram-weights`` and ``token-ngrams`` for each
label, ``tuned-lm`` for each label whose fine-tuned model differs from its ``lm``, ``combination``, and, if
texts are kept, ``held-out-texts`` and ``expert-scores``. ``lessons`` holds what was learned one text at a
time. Arrays that a label's language model shares with the background model are stored there only. The roles
of models that read backward are ``backward-lm``, ``backward-background`` and ``backward-tuned-lm``, beside
the others or, with direction backward, instead of them.
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
from lmclassify.classify.data_frames import TextColumn
from lmclassify.classify.ensemble import LSTMS, Combination
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.online.stored_lessons import ROLE as LESSONS
from lmclassify.classify.online.stored_lessons import lessons_file, read_lessons
from lmclassify.classify.online.uniform_model import UniformModel
from lmclassify.classify.predictor import Predictor
from lmclassify.classify.settings import Settings
from lmclassify.classify.stored_lstms import (
    directed_models,
    files_by_label,
    lstm_files,
    read_lstms,
    role_prefixes,
)
from lmclassify.classify.stored_ngrams import known_ngram_arrays, label_ngram_arrays, read_ngram_models
from lmclassify.classify.thresholds import HeldOut, HeldOutTexts
from lmclassify.classify.tuned_predictor import TunedPredictor
from lmclassify.datasets.reading import Reading
from lmclassify.errors import ModelError
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.persistence.arrays import arrays_file, read_arrays
from lmclassify.persistence.commit import write_model
from lmclassify.persistence.journal import replace_model
from lmclassify.persistence.layout import ModelFile, StoredModel, only_file
from lmclassify.persistence.reading import as_model_error, require_few_values
from lmclassify.text.tokenizer import Tokenizer

MAX_LOG_PRIOR = 700.0
"""Largest log prior in a file: its exponential is a finite number."""
MAX_LABEL_CHARACTERS = 1 << 24
"""Largest size of a file's labels: their number times the longest one, which is how much numpy stores."""
PARAMETERS = ("class_prior", "class_weight", "random_state")
"""Parameters of the estimator that a file may hold beside the settings."""


def save(predictor: Predictor, path: str | os.PathLike[str], *, replaces: str | None = None) -> None:
    """Write a model into a folder; see `lmclassify.FittedModel.save`."""
    if replaces is None:
        write_model(path, to_stored(predictor))
    else:
        replace_model(path, to_stored(predictor), replaces)


def to_stored(model: Predictor) -> StoredModel:
    """Return what a folder holds of a model; `fields_from_stored` reads it back."""
    config = {
        "labels": model.classes_.tolist(),
        "log_priors": model.log_priors.tolist(),
        "label_weights": model.label_weights.tolist(),
        "settings": _saved_settings(model.settings),
        "parameters": model.parameters,
        "versions": model.versions,
    }
    if model.text_column is not None:
        config["text_column"] = model.text_column
    if model.reading != Reading():
        config["reading"] = model.reading.to_json()
    shared = model.background if isinstance(model, TunedPredictor) else None
    files = [ModelFile("tokenizer", model.tokenizer.to_json().encode(), "json")]
    for label, language_model in enumerate(model.models):
        if not isinstance(language_model, (TokenNgrams, UniformModel)):
            files += lstm_files("lm", language_model, shared, label)
    files.append(arrays_file("held-out", _held_out_arrays(model.held_out)))
    if isinstance(model, TunedPredictor):
        files += _tuned_files(model)
    if model.lessons is not None and model.lessons.taught:
        files.append(lessons_file(model.lessons))
    return StoredModel(config, files, model.training)


def _tuned_files(model: TunedPredictor) -> list[ModelFile]:
    """Return the files that recipe tuned has in addition, in the order of version 0.7."""
    files: list[ModelFile] = []
    kept = model.held_out_texts
    if kept is not None:
        content = {"lmclassify": "held-out-texts", "texts": kept.texts, "codes": kept.codes.tolist()}
        files.append(ModelFile("held-out-texts", json.dumps(content).encode(), "json"))
        files.append(arrays_file("expert-scores", {"scores": kept.scores, "background": kept.background}))
    if model.background is not None:
        files += lstm_files("background", model.background)
    files.append(ModelFile("subwords", model.subwords.to_json().encode(), "json"))
    files.append(ModelFile("combination", model.combination.to_json().encode(), "json"))
    files.append(arrays_file("ngrams", known_ngram_arrays(model.ngrams)))
    for label in range(len(model.classes_)):
        tuned = model.tuned[label]
        if tuned != model.models[label] and not isinstance(tuned, (TokenNgrams, UniformModel)):
            files += lstm_files("tuned-lm", tuned, model.background, label)
        files.append(arrays_file("ngram-weights", label_ngram_arrays(model.ngrams, label), label))
        files.append(arrays_file("token-ngrams", model.token_ngrams[label].arrays, label))
    return files


def estimator_parameters(model: Predictor) -> dict[str, Any]:
    """Return the parameters of the estimator that fitted a model, as far as a model holds them."""
    parameters = {**asdict(model.settings), **model.parameters}
    for name in ("class_prior", "class_weight"):
        if isinstance(parameters.get(name), dict):
            parameters[name] = {pair["label"]: pair["value"] for pair in parameters[name]["pairs"]}
    return parameters


def fields_from_stored(stored: StoredModel) -> dict[str, Any]:
    """Return the fields of a predictor: of a `TunedPredictor` if "combination" is among them.

    Raises ModelError if a file's content is not that of a model; it names the file.
    """
    with as_model_error(stored.path):
        return _fields(stored)


def _saved_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings to save; without vectors, those that version 0.7 has."""
    return {name: value for name, value in asdict(settings).items() if (name, value) != ("vectors", "none")}


def _fields(stored: StoredModel) -> dict[str, Any]:
    config, files = stored.config, stored.files
    labels = _labels(config["labels"])
    log_priors = _numbers(config["log_priors"], len(labels), "priors")
    if log_priors.max() > MAX_LOG_PRIOR:
        raise ValueError("priors that are no usable numbers")
    # Models saved before these settings existed keep their decisions.
    settings = Settings(**{"disguised_label": "none", "vectors": "none", **config["settings"]})
    tokenizer = _tokenizer(files, "tokenizer")
    fields: dict[str, Any] = {
        "classes_": labels,
        "log_priors": log_priors,
        "tokenizer": tokenizer,
        "settings": settings,
        "parameters": _plain_data(config["parameters"], PARAMETERS),
        "versions": _plain_data(config["versions"]),
        "training": stored.training,
        "label_weights": _label_weights(config["label_weights"], len(labels)),
        "text_column": _text_column(config.get("text_column")),
        "reading": Reading.from_json(config.get("reading", {})),
    }
    taught = [file for file in files if file.role == LESSONS]
    if taught:
        fields["lessons"] = read_lessons(only_file(taught, LESSONS), len(labels))
    directions = 0 if settings.recipe in ("ngram", "online") else len(role_prefixes(settings.direction))
    expected = 2 + directions * len(labels) + len(taught)
    if any(file.role == "combination" for file in files):
        fields |= _tuned_fields(files, len(labels), tokenizer, settings)
        expected += 3 + directions + 2 * len(labels)
        expected += sum(file.role.endswith("tuned-lm") for file in files)
        expected += sum(file.role in ("held-out-texts", "expert-scores") for file in files)
    elif settings.recipe == "online":
        fields["models"] = [UniformModel() for _ in labels]
        fields["held_out"] = _held_out(only_file(files, "held-out"), len(labels), features=1)
    else:
        lms = read_lstms(files, "lm", len(labels), settings.direction)
        fields["models"] = directed_models(lms, tokenizer, settings.cell, settings.num_lstm_layers)
        fields["held_out"] = _held_out(only_file(files, "held-out"), len(labels), features=1)
    if len(files) != expected:
        raise ValueError("files that belong to no label")
    return fields


def _tuned_fields(
    files: list[ModelFile], labels: int, tokenizer: Tokenizer, settings: Settings
) -> dict[str, Any]:
    """Return the fields that depend on files which only recipes tuned and ngram have."""
    ngrams = read_ngram_models(files, labels)
    if not ngrams or ngrams[0].contexts is None or ngrams[0].analyzer.symbols == "subword":
        raise ValueError("no n-gram language model of characters")
    word_analyzers = [model.analyzer for model in ngrams if model.analyzer.unit == "word"]
    if len(word_analyzers) != 1 or word_analyzers[0].longest < 2:
        raise ValueError("no n-gram model of words and pairs of words")
    combination = _combination(only_file(files, "combination"), ngrams, labels)
    kept = any(file.role in ("held-out-texts", "expert-scores") for file in files)
    token_ngrams = [_token_ngrams(file, tokenizer) for file in files_by_label(files, "token-ngrams", labels)]
    if settings.recipe == "ngram":
        if combination.lstms_decide:
            raise ValueError("a combination with weights of language models that are not there")
        models = {"background": None, "models": token_ngrams, "tuned": token_ngrams}
    else:
        models = _lstm_fields(files, labels, tokenizer, settings)
    return {
        **models,
        "token_ngrams": token_ngrams,
        "subwords": _tokenizer(files, "subwords"),
        "ngrams": ngrams,
        "combination": combination,
        "held_out": _held_out(only_file(files, "held-out"), labels, features=2),
        "held_out_texts": _held_out_texts(files, combination) if kept else None,
    }


def _lstm_fields(
    files: list[ModelFile], labels: int, tokenizer: Tokenizer, settings: Settings
) -> dict[str, Any]:
    """Return the language models of recipe tuned."""
    background = read_lstms(files, "background", None, settings.direction)
    lms = read_lstms(files, "lm", labels, settings.direction, background)
    tuned = read_lstms(files, "tuned-lm", labels, settings.direction, background, lms)
    models = [
        directed_models(found, tokenizer, settings.cell, settings.num_lstm_layers)
        for found in (background, lms, tuned)
    ]
    return {"background": models[0][0], "models": models[1], "tuned": models[2]}


def _labels(given: Any) -> npt.NDArray[Any]:
    if not isinstance(given, list) or len({type(label) for label in given}) != 1:
        raise ValueError("labels that are not all of one type")
    if type(given[0]) not in (str, int, float, bool) or given != sorted(set(given)):
        raise ValueError("labels that are not sorted or not distinct")
    if isinstance(given[0], str):
        if len(given) * max(map(len, given)) > MAX_LABEL_CHARACTERS:
            raise ValueError("labels that are too long")
        "".join(given).encode()  # raises if they cannot be written as UTF-8
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


def _plain_data(given: Any, known: Collection[str] | None = None) -> dict[str, Any]:
    """Return parameters or versions by name."""
    if not isinstance(given, dict) or (known is not None and not set(given) <= set(known)):
        raise ValueError("parameters or versions that make no sense")
    return given


def _text_column(given: Any) -> TextColumn | None:
    names = given if isinstance(given, list) and len(given) > 1 else [given]
    if given is not None and any(type(name) not in (str, int) for name in names):
        raise ValueError("a text column that is no name of a column")
    column: TextColumn | None = given
    return column


def _held_out_arrays(held_out: HeldOut) -> dict[str, npt.NDArray[Any]]:
    """Return held-out scores under their names in the file."""
    return {
        "joint": held_out.joint,
        "codes": held_out.codes,
        "signals": held_out.ood_features,
        "cross_entropies": held_out.cross_entropies,
    }


def _held_out(file: ModelFile, labels: int, features: int) -> HeldOut:
    arrays = read_arrays(file, joint="f4", codes="i4", signals="f4", cross_entropies="f4")
    with as_model_error(file.path):
        found = HeldOut(arrays["joint"], arrays["codes"], arrays["signals"], arrays["cross_entropies"])
        if found.joint.shape[1] != labels:
            raise ValueError("held-out scores of other labels")
        if found.ood_features.shape[1] != features:
            raise ValueError("held-out scores of another recipe")
        return found


def _combination(file: ModelFile, ngrams: Sequence[NgramModel], labels: int) -> Combination:
    names = [name for model in ngrams for name in model.score_names]
    with as_model_error(file.path):
        require_few_values(file.content)
        found = Combination.from_json(file.content.decode())
        if list(found.experts) != [*names, *LSTMS] or found.bias.shape != (labels,):
            raise ValueError("a combination of other experts or labels")
        return found


def _token_ngrams(file: ModelFile, tokenizer: Tokenizer) -> TokenNgrams:
    arrays = read_arrays(file)
    with as_model_error(file.path):
        return TokenNgrams(arrays, tokenizer.vocab_size, tokenizer.begin_id)


def _held_out_texts(files: list[ModelFile], combination: Combination) -> HeldOutTexts:
    texts_file, scores_file = only_file(files, "held-out-texts"), only_file(files, "expert-scores")
    arrays = read_arrays(scores_file, scores="f4", background="f4")
    with as_model_error(texts_file.path):
        content = json.loads(texts_file.content)
        texts, codes = content["texts"], np.array(content["codes"], dtype=np.int32)
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError("held-out texts that are no texts")
    with as_model_error(scores_file.path):
        found = HeldOutTexts(texts, codes, arrays["scores"], arrays["background"])
        experts, _, labels = found.scores.shape
        if (experts, labels) != (len(combination.experts), len(combination.bias)):
            raise ValueError("held-out texts with scores of other experts or labels")
        return found


def _label_weights(given: Any, labels: int) -> npt.NDArray[np.float64]:
    weights = _numbers(given, labels, "weights of labels")
    if (weights <= 0).any():
        raise ValueError("weights of labels that make no sense")
    return weights


def _tokenizer(files: list[ModelFile], role: str) -> Tokenizer:
    file = only_file(files, role)
    with as_model_error(file.path):
        require_few_values(file.content)
        try:
            return Tokenizer.from_json(file.content.decode())
        except ModelError as error:
            raise ValueError(error) from error
