"""Tokenizers of the language models: their kind and vocabulary; without torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmclassify.classify.settings import Settings
from lmclassify.text.scripts import unspaced_share
from lmclassify.text.tokenizer import Tokenizer, TokenizerKind

VOCABULARY_SIZES = {"subword": 1000, "word": 4000, "char": 1000}
"""By tokenizer, where `vocab_size` is None: larger ones fit slower and gain little on short texts."""

MAX_UNKNOWN_SHARE = 0.5
"""If words leave more of the held-out text unknown, ``tokenizer="auto"`` takes subwords."""
MAX_UNSPACED_SHARE = 0.3
"""If more of the characters are of scripts without spaces, ``tokenizer="auto"`` takes subwords: what stands
between spaces is a sentence there."""


def train_tokenizer(kind: TokenizerKind, texts: Sequence[str], settings: Settings) -> Tokenizer:
    """Return a tokenizer trained on texts; if `lowercase` is None, word tokenizers fold letter case."""
    size = VOCABULARY_SIZES[kind] if settings.vocab_size is None else settings.vocab_size
    lowercase = kind == "word" if settings.lowercase is None else settings.lowercase
    return Tokenizer.train(kind, texts, size, lowercase=lowercase)


def choose_tokenizer(known: Sequence[str], held_out: Sequence[str], settings: Settings) -> Tokenizer:
    """Train the tokenizer of the settings.

    ``auto``: words, unless most of the held-out text is unknown or the script has no spaces between words.
    """
    if settings.tokenizer != "auto":
        return train_tokenizer(settings.tokenizer, known, settings)  # type: ignore[arg-type]
    if unspaced_share(known) > MAX_UNSPACED_SHARE:
        return train_tokenizer("subword", known, settings)
    words = train_tokenizer("word", known, settings)
    tokens = np.concatenate([np.zeros(0, np.int64), *words.sequences(list(held_out))])
    unknown = (tokens == words.unknown_id).sum() / max(1, len(tokens) - 2 * len(held_out))
    return words if unknown < MAX_UNKNOWN_SHARE else train_tokenizer("subword", known, settings)
