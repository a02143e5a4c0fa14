"""Settings of a classifier: names, defaults, limits and help texts; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from lmclassify.errors import OptionError, listing
from lmclassify.lm.settings import LanguageModelSettings, setting


@dataclass(frozen=True, kw_only=True)
class Settings(LanguageModelSettings):
    """The hyper-parameters of `lmclassify.LMClassifier` that hold one value each.

    The estimator's defaults, the command line's options and a saved model's settings all come from here.

    Raises
    ------
    OptionError
        If a value is of the wrong type or out of bounds.
    """

    recipe: str = setting(
        "tuned",
        "Model of the labels. `tuned`: n-gram models and LSTM language models, trained to tell the labels "
        "apart, combined and calibrated on held-out texts. `ngram`: the n-gram "
        "models only, in a fraction of the time. `plain`: one independent language model per label, trained "
        "by maximum likelihood. `online`: a linear classifier that learns one text after the other.",
        choices=("tuned", "ngram", "plain", "online"),
    )
    tokenizer: str = setting(
        "auto",
        "Tokens of the language models. `auto`: words, or subwords if most words of the held-out texts are "
        "unknown or the script has no spaces between words (recipe plain: subwords).",
        choices=("auto", "subword", "word", "char"),
    )
    vectors: str = setting(
        "auto",
        "Word vectors, which help most where labelled texts are few: `wordllama` (the package), the folder "
        "of a model2vec model, a text file (word2vec, GloVe, fastText) or `none`. `auto`: wordllama, if "
        "installed. The fitted model does not need them. Recipes tuned and ngram.",
    )
    direction: str = setting(
        "forward",
        "Direction in which the language models read a text. `both`: two models per label, whose "
        "log-likelihoods are averaged.",
        choices=("forward", "backward", "both"),
    )
    vocab_size: int | None = setting(
        None,
        "Maximum number of words, subwords or characters in the vocabulary (`none`: 4000 words, else 1000).",
        minimum=2,
        maximum=250_000,
        optional=int,
    )
    lowercase: bool | None = setting(
        None, "Ignore letter case. Default: only with word tokens.", optional=bool
    )
    long_texts: str = setting(
        "chunk",
        "Scoring of texts longer than max-length. `chunk`: in full, in pieces that pass on the state; "
        "`truncate`: only the first max-length tokens.",
        choices=("chunk", "truncate"),
    )
    disguised_label: str = setting(
        "auto",
        "Label whose authors disguise their texts by look-alike letters, invisible characters, spaced-out "
        "spelling or added words of other labels. Texts are also scored without these disguises (recipe "
        "tuned). `auto`: the label spam, if there is one; `none`: no label.",
    )
    validation_fraction: float = setting(
        0.1,
        "Share of each label's texts held out for early stopping. With few texts, or with 0, recipe tuned "
        "uses cross-fitting instead and trains on all texts.",
        minimum=0.0,
        maximum=0.5,
    )
    keep_held_out: bool = setting(
        False,
        "Store a sample of the held-out texts in the model for add-label, which otherwise generates texts of "
        "the other labels. Recipe plain does not need them.",
    )
    fit_prior: bool = setting(
        True, "Estimate the labels' priors from their frequencies. Otherwise all labels have the same prior."
    )

    def disguised_among(self, names: Sequence[str]) -> int | None:
        """Return the index of the disguised label; None where there is none, or no other label."""
        name = self.disguised_label
        wanted = name if name not in ("auto", "none") else "spam" if name == "auto" else None
        found = [index for index, label in enumerate(names) if label == wanted]
        if name == "auto" and not found:
            found = [index for index, label in enumerate(names) if label.casefold() == "spam"]
        return found[0] if found and len(names) > 1 else None

    def given_for_lstms(self) -> list[str]:
        """Return the names of settings that only LSTMs have and that differ from their defaults."""
        kept = () if self.long_texts == "chunk" else ("max_length",)  # the limit of scoring, too
        changed = [item.name for item in fields(self) if getattr(self, item.name) != item.default]
        return [name for name in changed if name in LSTM_SETTINGS and name not in kept]

    def without_lstms(self) -> Settings:
        """Return these settings for recipe ngram."""
        defaults: dict[str, Any] = {item.name: item.default for item in fields(self)}
        return replace(self, recipe="ngram", **{name: defaults[name] for name in self.given_for_lstms()})

    @property
    def limit(self) -> int | None:
        """How many tokens of a text count when it is scored, beginning of text included; None: all."""
        return self.max_length if self.long_texts == "truncate" else None


LSTM_SETTINGS = frozenset(
    {item.name for item in fields(LanguageModelSettings)} | {"direction", "validation_fraction"}
)
"""Names of the settings that recipe ngram does not have."""


def lstm_options_error(names: Sequence[str]) -> OptionError:
    """Return the error for options that recipe ngram does not have."""
    are = "is for" if len(names) == 1 else "are for"
    return OptionError(
        f"{listing(names)} {are} LSTM language models, which recipe ngram does not have: leave "
        f"{'it' if len(names) == 1 else 'them'} out, or choose recipe tuned"
    )
