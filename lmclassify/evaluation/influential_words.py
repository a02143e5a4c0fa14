"""Words that influence predictions most, without stop words.

Words such as "the" contribute little to a label each time, but occur so often that they would lead the list.
Words that are frequent under most labels are left out, which works in every language, and English stop words,
because a few hundred texts do not show which rarer words those are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from lmclassify.classify.explain import InformativeWord
from lmclassify.classify.model import FittedModel
from lmclassify.classify.thresholds import subsample
from lmclassify.text.words import words_of

MIN_SHARE = 0.02
"""Share of a label's texts from which a word is frequent under the label: "the" is in 3% of subject lines."""
MIN_LABELS = 2 / 3
"""A word that is frequent under more than this share of the labels is common."""
MIN_RATIO = 3.0
"""A common word still counts for a label whose texts have it this many times as often as the others' do."""
_CONTENT_WORDS = (
    "amount bill bottom call computer cry describe detail empty fill find fire front full interest mill mine "
    "move name serious show sincere system top"
)
STOP_WORDS = ENGLISH_STOP_WORDS - {*_CONTENT_WORDS.split()}
"""scikit-learn's list, without its nouns, verbs and adjectives that say what a text is about."""
_MAX_TEXTS = 20_000
"""Texts in which words are counted: enough for shares of a few percent."""
_MAX_LEFT_OUT = 300
"""Words of a label looked at beyond those that are shown."""
_PUNCTUATION = ".,:;!?\"'()[]<>«»„“”‘’…*-"


def normal_form(word: str) -> str:
    """Return a word without case and punctuation at its ends; words that are only punctuation are empty."""
    return word.strip(_PUNCTUATION).casefold()


def common_words(
    texts: Sequence[str], true: Sequence[str], split: Callable[[str], Sequence[str]] = str.split
) -> dict[str, dict[str, float]]:
    """Return the words that are frequent under most labels, with the share of texts of each label.

    Parameters
    ----------
    texts, true : sequence of str, (n,)
    split : callable, optional
        Returns the words of a text.
    """
    counts: dict[str, Counter[str]] = {}
    for text, label in zip(texts, true, strict=True):
        counts.setdefault(label, Counter()).update({normal_form(word) for word in split(text)})
    sizes = Counter(true)
    labels_with = Counter(
        word
        for label, words in counts.items()
        for word, count in words.items()
        if count >= MIN_SHARE * sizes[label]
    )
    least = MIN_LABELS * len(sizes)
    common = [word for word, labels in labels_with.items() if labels > least and len(sizes) > 1]
    return {word: {label: counts[label][word] / sizes[label] for label in sizes} for word in common}


def is_common(word: str, label: str, common: Mapping[str, Mapping[str, float]]) -> bool:
    """Return whether a word is left out of the words for a label: a stop word, common, or punctuation."""
    form = normal_form(word)
    if not form or form in STOP_WORDS:
        return True
    if form not in common:
        return False
    shares = common[form]
    others = [share for other, share in shares.items() if other != label]
    return shares.get(label, 0.0) < MIN_RATIO * sum(others) / len(others)


def influential_words(
    fitted: FittedModel,
    texts: Sequence[str],
    true: Sequence[str],
    sample: Sequence[int],
    n: int,
    seed: int = 0,
) -> dict[str, list[InformativeWord]]:
    """Return the words that contribute most to each label in a sample of texts, without common words.

    Parameters
    ----------
    texts, true : sequence of str, (n,)
        Texts and their true labels.
    sample : sequence of int
        Indices of the texts to explain.
    n : int
        Largest number of words per label.
    seed : int, default=0
        Random seed of the texts in which words are counted, if there are very many.
    """

    def split(text: str) -> list[str]:
        return [text[start:end] for start, end in words_of(text, fitted.tokenizer)]

    counted = subsample(len(texts), _MAX_TEXTS, seed).tolist()
    common = common_words([texts[index] for index in counted], [true[index] for index in counted], split)
    found = fitted.informative_words([texts[index] for index in sample], n + _MAX_LEFT_OUT)
    return {
        label: [word for word in words if not is_common(word["word"], label, common)][:n]
        for label, words in found.items()
    }
