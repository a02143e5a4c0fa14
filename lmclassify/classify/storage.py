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
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lmclassify.classify.calibration import LSTMS, Combination
from lmclassify.classify.held_out import HeldOut, HeldOutTexts
from lmclassify.classify.persistence import Part, StoredModel, only_part
from lmclassify.classify.settings import Settings
from lmclassify.classify.stored_weights import (
    ByReading,
    arrays_part,
    known_ngrams,
    language_models,
    lstm_parts,
    lstms,
    ngram_models,
    ngram_weights,
    of_labels,
    read_arrays,
    readings,
)
from lmclassify.lm.directions import AnyLanguageModel
from lmclassify.lm.token_ngrams import TokenNgrams
from lmclassify.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from lmclassify.classify.fitted import FittedModel


def to_stored(model: FittedModel) -> StoredModel:
    """Return a model as what a folder holds."""
    config = {
        "labels": model.classes_.tolist(),
        "log_priors": model.log_priors.tolist(),
        "label_weights": model.label_weights.tolist(),
        "settings": asdict(model.settings),
        "parameters": model.parameters,
        "versions": model.versions,
    }
    parts = [Part("tokenizer", model.tokenizer.to_json().encode(), "json")]
    background = model.background
    for label, of_label in enumerate(model.models):
        parts += lstm_parts("lm", of_label, background, label)
    parts.append(arrays_part("held-out", vars(model.held_out)))
    if model.held_out_texts is not None:
        kept = model.held_out_texts
        content = {"lmclassify": "held-out-texts", "texts": kept.texts, "codes": kept.codes.tolist()}
        parts.append(Part("held-out-texts", json.dumps(content).encode(), "json"))
        parts.append(arrays_part("expert-scores", {"scores": kept.scores, "background": kept.background}))
    if model.combination is not None:
        assert background is not None
        assert model.subwords is not None
        parts += lstm_parts("background", background)
        parts.append(Part("subwords", model.subwords.to_json().encode(), "json"))
        parts.append(Part("combination", model.combination.to_json().encode(), "json"))
        parts.append(arrays_part("ngrams", known_ngrams(model.ngrams)))
        for label in range(len(model.classes_)):
            if model.tuned[label] != model.models[label]:
                parts += lstm_parts("tuned-lm", model.tuned[label], background, label)
            parts.append(arrays_part("ngram-weights", ngram_weights(model.ngrams, label), label))
            parts.append(arrays_part("token-ngrams", model.token_ngrams[label].arrays, label))
    return StoredModel(config, parts, model.training)


def from_stored(stored: StoredModel) -> dict[str, Any]:
    """Return the fields of a `FittedModel`.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError, LMClassifyError, SafetensorError
        If they are not those of a model.
    """
    config, parts = stored.config, stored.parts
    labels = config["labels"]
    if not isinstance(labels, list) or len({type(label) for label in labels}) != 1:
        raise ValueError("labels that are not all of one type")
    if type(labels[0]) not in (str, int, float, bool) or labels != sorted(set(labels)):
        raise ValueError("labels that are not sorted or not distinct")
    tokenizer = _tokenizer(parts, "tokenizer")
    log_priors = np.array(config["log_priors"], dtype=np.float64)
    if log_priors.shape != (len(labels),) or not np.isfinite(log_priors).all():
        raise ValueError("priors that fit no labels")
    # Models made before there was this setting decide as they did.
    settings = Settings(**{"disguised_label": "none", **config["settings"]})
    reads = readings(settings.direction)
    combined = any(part.role == "combination" for part in parts)
    shared = lstms(parts, "background", None, settings) if combined else None
    own = lstms(parts, "lm", len(labels), settings, shared)

    def models(of_role: ByReading) -> list[AnyLanguageModel]:
        return language_models(of_role, tokenizer, settings)

    fields: dict[str, Any] = {
        "classes_": np.array(labels),
        "log_priors": log_priors,
        "tokenizer": tokenizer,
        "models": models(own),
        "settings": settings,
        "parameters": dict(config["parameters"]),
        "versions": dict(config["versions"]),
        "training": stored.training,
        "held_out": HeldOut(**read_arrays(only_part(parts, "held-out"))),
        "label_weights": _label_weights(config["label_weights"], len(labels)),
    }
    expected = len(reads) * len(labels) + 2
    if shared is not None:
        combination = Combination.from_json(only_part(parts, "combination").content.decode())
        ngrams = ngram_models(parts, len(labels))
        names = [name for model in ngrams for name in model.score_names]
        if list(combination.experts) != [*names, *LSTMS] or combination.bias.shape != (len(labels),):
            raise ValueError("a combination of other experts or labels")
        fields |= {
            "background": models(shared)[0],
            "tuned": models(lstms(parts, "tuned-lm", len(labels), settings, shared, own)),
            "token_ngrams": [
                TokenNgrams(read_arrays(part), tokenizer.vocab_size, tokenizer.begin_id)
                for part in of_labels(parts, "token-ngrams", len(labels))
            ],
            "subwords": _tokenizer(parts, "subwords"),
            "ngrams": ngrams,
            "combination": combination,
        }
        expected += 3 + 2 * len(labels) + len(reads)
        expected += sum(part.role.endswith("tuned-lm") for part in parts)
    if fields["held_out"].joint.shape[1] != len(labels):
        raise ValueError("held-out scores of other labels")
    if fields["held_out"].signals.shape[1] != (2 if "combination" in fields else 1):
        raise ValueError("held-out scores of another recipe")
    if any(part.role == "held-out-texts" for part in parts):
        fields["held_out_texts"] = _held_out_texts(parts, fields["combination"])
        expected += 2
    if len(parts) != expected:
        raise ValueError("files that belong to no label")
    return fields


def _held_out_texts(parts: list[Part], combination: Combination) -> HeldOutTexts:
    content = json.loads(only_part(parts, "held-out-texts").content)
    arrays = read_arrays(only_part(parts, "expert-scores"))
    scores = arrays["scores"]
    texts = [str(text) for text in content["texts"]]
    if (len(scores), scores.shape[2]) != (len(combination.experts), len(combination.bias)):
        raise ValueError("held-out texts with scores of other experts or labels")
    return HeldOutTexts(texts, np.array(content["codes"], dtype=np.int32), scores, arrays["background"])


def _label_weights(given: Any, labels: int) -> npt.NDArray[np.float64]:
    weights = np.array(given, dtype=np.float64)
    if weights.shape != (labels,) or not np.isfinite(weights).all() or (weights <= 0).any():
        raise ValueError("weights of labels that make no sense")
    return weights


def _tokenizer(parts: list[Part], role: str) -> Tokenizer:
    return Tokenizer.from_json(only_part(parts, role).content.decode())
