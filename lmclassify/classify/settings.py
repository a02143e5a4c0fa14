"""All that can be set about a classifier, its defaults and limits; without torch."""

from __future__ import annotations

from dataclasses import dataclass

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
        "plain",
        "How labels are modelled. plain: independent language models, maximum likelihood.",
        choices=("plain",),
    )
    tokenizer: str = setting("subword", "What a token is.", choices=("word", "subword", "char"))
    vocab_size: int = setting(1000, "Words, subwords or characters learnt at most.", minimum=2)
    lowercase: bool = setting(False, "Fold letter case.")
    long_texts: str = setting(
        "chunk",
        "Texts longer than max-length when scored. chunk: read piece by piece, state carried on; "
        "truncate: only their beginning counts.",
        choices=("chunk", "truncate"),
    )
    validation_fraction: float = setting(
        0.1, "Share of each label's texts held out to stop training.", minimum=0.0, maximum=0.5
    )
    fit_prior: bool = setting(True, "Learn the labels' priors from their frequencies (else all equal).")
