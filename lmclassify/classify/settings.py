"""All that can be set about a classifier, its defaults and limits; without torch."""

from __future__ import annotations

from collections.abc import Sequence
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
        "tuned",
        "How labels are modelled. tuned: language models adapted from a common one and n-gram models, tuned "
        "to tell the labels apart, combined and calibrated on held-out text; "
        "plain: independent language models, maximum likelihood.",
        choices=("tuned", "plain"),
    )
    tokenizer: str = setting(
        "auto",
        "What a token of the language models is. auto: words, or subwords where words leave most of "
        "the held-out text unknown (recipe plain: subwords).",
        choices=("auto", "subword", "word", "char"),
    )
    direction: str = setting(
        "forward",
        "How the language models read a text. forward: from its beginning; backward: from its end; both: two "
        "models a label, whose log-likelihoods are averaged.",
        choices=("forward", "backward", "both"),
    )
    vocab_size: int | None = setting(
        None,
        "Words, subwords or characters learnt at most (none: 4000 words, else 1000).",
        minimum=2,
        maximum=250_000,
        optional=int,
    )
    lowercase: bool | None = setting(None, "Fold letter case (default: that of words only).", optional=bool)
    long_texts: str = setting(
        "chunk",
        "Texts longer than max-length when scored. chunk: read piece by piece, state carried on; "
        "truncate: only their beginning counts.",
        choices=("chunk", "truncate"),
    )
    disguised_label: str = setting(
        "auto",
        "Label whose writers disguise their texts by look-alike letters, invisible characters, spaced-out "
        "spelling and words of other labels added (recipe tuned): what speaks for it is looked for below "
        "that. auto: the label spam, if there is one; none.",
    )
    validation_fraction: float = setting(
        0.1,
        "Share of each label's texts held out to stop training; recipe tuned, with few texts or 0, lets "
        "models of one part score the other instead, so that none is lost.",
        minimum=0.0,
        maximum=0.5,
    )
    keep_held_out: bool = setting(
        False,
        "Keep a sample of held-out texts in the model, for add-label (else it makes up texts of the other "
        "labels). Recipe plain needs none.",
    )
    fit_prior: bool = setting(True, "Learn the labels' priors from their frequencies (else all equal).")

    def disguised_among(self, names: Sequence[str]) -> int | None:
        """Return the index of the disguised label; None where there is none, or no other label."""
        name = self.disguised_label
        wanted = name if name not in ("auto", "none") else "spam" if name == "auto" else None
        found = [index for index, label in enumerate(names) if label == wanted]
        if name == "auto" and not found:
            found = [index for index, label in enumerate(names) if label.casefold() == "spam"]
        return found[0] if found and len(names) > 1 else None

    @property
    def limit(self) -> int | None:
        """How many tokens of a text count when it is scored, beginning of text included; None: all."""
        return self.max_length if self.long_texts == "truncate" else None
