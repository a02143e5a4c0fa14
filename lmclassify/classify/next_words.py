"""Next words and sampled texts: `suggest` and `generate` ask the labels' forward language models."""

from __future__ import annotations

import re
from typing import TypedDict

import numpy as np

from lmclassify.classify.online.uniform_model import UniformModel
from lmclassify.classify.predictor import Predictor
from lmclassify.classify.scoring import log_likelihoods
from lmclassify.classify.texts import as_texts
from lmclassify.classify.tuned_predictor import TunedPredictor
from lmclassify.errors import OptionError
from lmclassify.lm.inference.directions import DirectedLanguageModel
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.lm.inference.generation import Unfinished, next_words, sample
from lmclassify.lm.inference.interpolation import Interpolation, NextTokenModel
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.text.scripts import CJK, ends_unspaced
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer

MAX_MIXED = 10
"""Labels whose models are mixed, where no label is given: each takes time, and all others hardly matter."""
MAX_UNFINISHED = 8
"""Tokens at the end of a prefix in a script without spaces that what follows may change."""
_STRAY_SPACE = re.compile(f"(?<=[^!-~]) (?=[{CJK}])")


class Suggestion(TypedDict):
    """A likely next word."""

    word: str
    probability: float


def suggest(predictor: Predictor, prefix: str, label: object = None, n: int = 5) -> list[Suggestion]:
    """Return the likeliest next words; see `lmclassify.FittedModel.suggest`."""
    if n < 1:
        raise OptionError(f"n must be at least 1, not {n}")
    forward = forward_models(predictor, "suggest")
    begun, unfinished = _begun(predictor.tokenizer, as_texts([prefix])[0])
    if label is None:
        joint = (predictor.log_priors + log_likelihoods(forward, [begun]))[0]
        likeliest = np.sort(np.argsort(-joint, kind="stable")[:MAX_MIXED])
        labels, weights = likeliest.tolist(), joint[likeliest] - np.logaddexp.reduce(joint[likeliest])
    else:
        labels, weights = [predictor.label_index(label)], np.zeros(1)
    models = [next_token_model(predictor, index) for index in labels]
    words = next_words(models, weights, predictor.tokenizer, begun, n, unfinished=unfinished)
    return [Suggestion(word=word, probability=probability) for word, probability in words]


def generate(
    predictor: Predictor,
    label: object,
    n: int = 1,
    *,
    prefix: str = "",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    max_tokens: int = 100,
    seed: int | None = None,
) -> list[str]:
    """Return texts sampled from one label's language model; see `lmclassify.FittedModel.generate`."""
    if n < 1:
        raise OptionError(f"n must be at least 1, not {n}")
    model = next_token_model(predictor, predictor.label_index(label), "generate")
    prefix = as_texts([prefix])[0]
    begun, unfinished = _begun(predictor.tokenizer, prefix)
    texts = sample(
        model,
        predictor.tokenizer,
        begun,
        n,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        max_tokens=max_tokens + (0 if unfinished is None else MAX_UNFINISHED),
        begun=unfinished,
        seed=seed,
    )
    if unfinished is None:
        decoded = [predictor.tokenizer.decode(text, after=prefix.rstrip()) for text in texts]
    else:
        length = len(unfinished.content.decode(errors="ignore"))
        decoded = [prefix + predictor.tokenizer.decode(text)[length:] for text in texts]
    return [_without_stray_spaces(text, len(prefix)) for text in decoded]


def _begun(tokenizer: Tokenizer, prefix: str) -> tuple[Ids, Unfinished | None]:
    """Return the tokens that a text begins with, and its end whose tokens depend on what follows."""
    sequence = tokenizer.sequences([prefix])[0][:-1]  # the text goes on: its end is not scored
    if tokenizer.kind == "word" or len(sequence) == 1 or not ends_unspaced(prefix):
        return sequence, None
    starts = tokenizer.starts_word[sequence]
    first = len(sequence) - 1
    while first > 1 and not starts[first] and len(sequence) - first < MAX_UNFINISHED:
        first -= 1
    content = b"".join(map(tokenizer.token_bytes, sequence[first:].tolist()))
    return sequence[:first], Unfinished(content, bool(starts[first]))


def _without_stray_spaces(text: str, begun: int) -> str:
    """Remove spaces before characters of Chinese and Japanese, except after ASCII, from a position on."""
    return _STRAY_SPACE.sub(lambda space: "" if space.start() >= begun else " ", text)


def next_token_model(predictor: Predictor, index: int, purpose: str = "suggest") -> NextTokenModel:
    """Return the language model that `suggest` and `generate` ask for the label at an index.

    The label's forward LSTM; with recipe tuned, interpolated with its token n-gram model; with recipe ngram
    the latter alone.
    """
    forward = forward_models(predictor, purpose)[index]
    if isinstance(predictor, TunedPredictor) and not isinstance(forward, TokenNgrams):
        return Interpolation([forward, predictor.token_ngrams[index]])
    return forward


def forward_models(predictor: Predictor, purpose: str) -> list[NumpyLanguageModel | TokenNgrams]:
    """Return the labels' language models that read a text from its beginning.

    Raises
    ------
    OptionError
        If there are none; it names the purpose they are needed for.
    """
    forward = [
        model.forward if isinstance(model, DirectedLanguageModel) else model for model in predictor.models
    ]
    found = [model for model in forward if model is not None and not isinstance(model, UniformModel)]
    if predictor.settings.recipe == "online":
        raise OptionError(
            f"{purpose} needs language models, which recipe online does not have: choose another"
        )
    if len(found) < len(forward):
        raise OptionError(
            f"{purpose} needs language models that read forward; this model's read backward only: "
            "fit with direction forward or both"
        )
    return found
