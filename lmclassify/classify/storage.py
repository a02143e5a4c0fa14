"""A fitted model as the parts of a saved one, and back. `persistence` knows how parts become files.

Roles: ``tokenizer``; ``lm`` of each label; ``held-out`` (scores of held-out texts); ``held-out-texts`` and
``expert-scores`` where texts are kept; with a combination also ``background``, ``subwords`` (the n-gram
models' tokenizer), ``ngrams`` (the n-grams known, by view), ``tuned-lm``, ``ngram-weights`` and
``token-ngrams`` of each label, and ``combination``. Of language models that read backward the roles are
``backward-lm``, ``backward-background`` and ``backward-tuned-lm``, beside the others or, with direction
backward, instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from lmclassify.classify.calibration import LSTMS, Combination
from lmclassify.classify.held_out import HeldOut, HeldOutTexts
from lmclassify.classify.persistence import Part, StoredModel, only_part
from lmclassify.classify.settings import Settings
from lmclassify.lm.directions import AnyLanguageModel, directed
from lmclassify.lm.inference import NumpyLanguageModel
from lmclassify.lm.ngram import NgramModel
from lmclassify.lm.token_ngrams import TokenNgrams
from lmclassify.text.ngrams import NgramView
from lmclassify.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from lmclassify.classify.fitted import FittedModel

Arrays = dict[str, npt.NDArray[Any]]


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
    for label, of_label in enumerate(model.models):
        parts += _directed("lm", of_label, label)
    parts.append(_arrays("held-out", vars(model.held_out)))
    if model.held_out_texts is not None:
        kept = model.held_out_texts
        content = {"lmclassify": "held-out-texts", "texts": kept.texts, "codes": kept.codes.tolist()}
        parts.append(Part("held-out-texts", json.dumps(content).encode(), "json"))
        parts.append(_arrays("expert-scores", {"scores": kept.scores, "background": kept.background}))
    if model.combination is not None:
        assert model.background is not None
        assert model.subwords is not None
        parts += _directed("background", model.background)
        parts.append(Part("subwords", model.subwords.to_json().encode(), "json"))
        parts.append(Part("combination", model.combination.to_json().encode(), "json"))
        known: Arrays = {}
        for number, ngrams in enumerate(model.ngrams):
            known[f"{number}.{ngrams.view.symbols}.{ngrams.view.longest}"] = ngrams.keys
            known[f"{number}.idf"] = ngrams.idf
            if ngrams.contexts is not None:
                known[f"{number}.contexts"] = ngrams.contexts
            if (np.diff(ngrams.order) != 1).any():
                known[f"{number}.order"] = ngrams.order.astype(np.int32)
        parts.append(_arrays("ngrams", known))
        for label in range(len(model.classes_)):
            parts += _directed("tuned-lm", model.tuned[label], label)
            parts.append(_arrays("ngram-weights", _ngram_weights(model.ngrams, label), label))
            parts.append(_arrays("token-ngrams", model.token_ngrams[label].arrays, label))
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
    settings = Settings(**config["settings"])
    reads = _reads(settings.direction)
    fields: dict[str, Any] = {
        "classes_": np.array(labels),
        "log_priors": log_priors,
        "tokenizer": tokenizer,
        "models": _language_models(parts, "lm", len(labels), tokenizer, settings),
        "settings": settings,
        "parameters": dict(config["parameters"]),
        "versions": dict(config["versions"]),
        "training": stored.training,
        "held_out": HeldOut(**_read(only_part(parts, "held-out"))),
        "label_weights": _label_weights(config["label_weights"], len(labels)),
    }
    expected = len(reads) * len(labels) + 2
    if any(part.role == "combination" for part in parts):
        combination = Combination.from_json(only_part(parts, "combination").content.decode())
        ngrams = _ngram_models(parts, len(labels))
        names = [name for model in ngrams for name in model.score_names]
        if list(combination.experts) != [*names, *LSTMS] or combination.bias.shape != (len(labels),):
            raise ValueError("a combination of other experts or labels")
        fields |= {
            "background": _language_models(parts, "background", None, tokenizer, settings)[0],
            "tuned": _language_models(parts, "tuned-lm", len(labels), tokenizer, settings),
            "token_ngrams": [
                TokenNgrams(_read(part), tokenizer.vocab_size, tokenizer.begin_id)
                for part in _by_label(parts, "token-ngrams", len(labels))
            ],
            "subwords": _tokenizer(parts, "subwords"),
            "ngrams": ngrams,
            "combination": combination,
        }
        expected += 3 + 2 * len(labels) + len(reads) * (1 + len(labels))
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


def _directed(role: str, model: AnyLanguageModel, label: int | None = None) -> list[Part]:
    if isinstance(model, NumpyLanguageModel):
        return [_arrays(role, model.arrays, label)]
    forward = [] if model.forward is None else [_arrays(role, model.forward.arrays, label)]
    return [*forward, _arrays(f"backward-{role}", model.backward.arrays, label)]


def _reads(direction: str) -> tuple[str, ...]:
    """Return what comes before the roles of a direction's language models."""
    return {"forward": ("",), "backward": ("backward-",), "both": ("", "backward-")}[direction]


def _arrays(role: str, arrays: Mapping[str, npt.NDArray[Any]], label: int | None = None) -> Part:
    return Part(role, safetensors.numpy.save(dict(arrays), {"lmclassify": role}), "safetensors", label)


def _read(part: Part) -> Arrays:
    return safetensors.numpy.load(part.content)


def _held_out_texts(parts: list[Part], combination: Combination) -> HeldOutTexts:
    content = json.loads(only_part(parts, "held-out-texts").content)
    arrays = _read(only_part(parts, "expert-scores"))
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


def _by_label(parts: list[Part], role: str, labels: int) -> list[Part]:
    found = {part.label: part for part in parts if part.role == role}
    if set(found) != set(range(labels)):
        raise ValueError(f"labels without a file of role {role}, or files without a label")
    return [found[label] for label in range(labels)]


def _language_models(
    parts: list[Part], role: str, labels: int | None, tokenizer: Tokenizer, settings: Settings
) -> list[AnyLanguageModel]:
    """Return each label's model, or without labels the one of the role, that the settings say."""
    found: dict[str, list[NumpyLanguageModel]] = {}
    for read in _reads(settings.direction):
        name = f"{read}{role}"
        of_role = [only_part(parts, name)] if labels is None else _by_label(parts, name, labels)
        found[read] = [NumpyLanguageModel(_read(part)) for part in of_role]
        if any(model.vocab_size != tokenizer.vocab_size for model in found[read]):
            raise ValueError("a language model of another vocabulary")
        if any(model.cell != settings.cell for model in found[read]):
            raise ValueError("a language model of another cell than the settings say")
    return directed(found.get(""), found.get("backward-"), tokenizer.end_id)


def _ngram_weights(models: list[NgramModel], label: int) -> Arrays:
    """Return one label's weights; the tuned ones in 16 bits, to which learning has rounded them.

    N-grams stand in the order in which they became known, so that later ones leave the file as it is.
    """
    arrays: Arrays = {}
    for number, model in enumerate(models):
        learnt = model.learnt(label)
        arrays[f"{number}.tuned"] = model.tuned[learnt, label].astype(np.float16)
        arrays[f"{number}.bias"] = model.bias[label : label + 1]
        arrays[f"{number}.counts"] = _smallest(model.counts[learnt, label])
    return arrays


def _smallest(counts: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return counts in as few bits as hold them exactly."""
    if (counts == np.floor(counts)).all() and counts.max(initial=0) < 1 << 16:
        return counts.astype(np.uint8 if counts.max(initial=0) < 1 << 8 else np.uint16)
    return counts.copy()


def _ngram_models(parts: list[Part], labels: int) -> list[NgramModel]:
    known = _read(only_part(parts, "ngrams"))
    of_labels = [_read(part) for part in _by_label(parts, "ngram-weights", labels)]
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
                _columns(of_labels, f"{number}.tuned", size, order),
                np.concatenate([arrays[f"{number}.bias"] for arrays in of_labels]),
                _columns(of_labels, f"{number}.counts", size, order),
                known.get(f"{number}.contexts"),
                order,
                [len(arrays[f"{number}.counts"]) for arrays in of_labels],
            )
        )
    return models


def _columns(
    of_labels: list[Arrays], name: str, size: int, order: npt.NDArray[np.intp] | None
) -> npt.NDArray[np.float32]:
    """Return all labels' weights, (F, K): none for what became known later than a label."""
    result = np.zeros((size, len(of_labels)), dtype=np.float32)
    for label, arrays in enumerate(of_labels):
        column = arrays[name]
        places = slice(len(column)) if order is None else order[: len(column)]
        result[places, label] = column
    return result
