"""Disguised texts: of several readings of a text, the one that speaks most for the label that is disguised.

Writers of spam spell words so that no filter knows them, and add words of good mail (the good word attack,
Lowd & Meek 2005). So a text is read as it stands, in plain spelling, and without its end or its beginning
where that is no running text, but words as if drawn one by one. A reading without it must be surer of the
label by a penalty, the larger the more its words belong together. The n-gram models alone judge readings.

Shapes: n texts, K labels, w words and m symbols of all texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ngram_models import NgramModel
from lmclassify.text.normalization import PlainText, as_it_stands, plain_text

Array = npt.NDArray[np.float64]

# Chosen on validation parts; docs/benchmarks.md has what they trade.
_END_PENALTY = 3.0  # nats, of an end whose words are as likely together as one by one
_BEGINNING_PENALTY = 4.5  # the same, of a beginning
_COHERENCE_WEIGHT = 0.35
_MOST_PENALTY = 5.0  # hardly any reading is so much surer
_MOST_CUTS = 4  # of a text
_SURE = 5.0  # nats, by which the label leads as the text stands: no other reading is needed
_LEAST_KEPT = 2  # words: one alone says too little
_SLACK = 2.0  # nats, that a reading may be surer of the label than its single words are
_FOLLOWERS = 0.8  # distinct followers of a word grow like this power of how often it was seen


@dataclass(frozen=True)
class TextVariant:
    """One way to read a text."""

    text: str
    sources: list[tuple[int, int]]
    """See `PlainText`."""
    penalty: float = 0.0
    """Nats, of the disguised label."""
    shift: float = 0.0
    """Nats, of all labels: with it, the likeliest other label is as likely as by the text as it stands."""


def word_model(models: Sequence[NgramModel]) -> NgramModel:
    """Return the n-gram model over words, which knows single ones and pairs."""
    return next(model for model in models if model.analyzer.symbols == "word")


def variants_of(texts: Sequence[str], words: NgramModel, label: int) -> list[tuple[int, TextVariant]]:
    """Return the readings of some texts other than the texts themselves.

    Parameters
    ----------
    texts : sequence of str, (n,)
    words : NgramModel
        See `word_model`.
    label : int
        Index of the disguised label.

    Returns
    -------
    list of (int, TextVariant)
        The first is the index of the text.
    """
    if not len(words.keys):  # nothing was learnt, so nothing tells how texts are to be read
        return []
    counts = partial(word_counts, words)
    found: list[tuple[int, PlainText]] = []
    result: list[tuple[int, TextVariant]] = []
    for index, text in enumerate(texts):
        own = as_it_stands(text)
        found.append((index, own))
        plain = plain_text(text, counts)
        if plain.text != own.text:
            found.append((index, plain))
            result.append((index, TextVariant(plain.text, plain.sources)))
    for place, first, last, penalty in _cuts([whole.text for _, whole in found], words, label):
        index, whole = found[place]
        kept = " ".join(whole.text.split()[first:last])
        result.append((index, TextVariant(kept, whole.sources[first:last], penalty)))
    return result


def word_counts(words: NgramModel, some: Sequence[str]) -> list[float]:
    """Return how often words have been seen; 0 for what is no word, or several."""
    windows = words.analyzer.occurrences(some, [])
    columns = words.look_up(windows)[0]
    counts = np.zeros(len(some))
    np.add.at(counts, windows.text_index, _seen(words, columns))
    single = np.bincount(windows.text_index, minlength=len(some)) == 1
    result: list[float] = (counts * single).tolist()
    return result


def _seen(words: NgramModel, columns: npt.NDArray[np.int32]) -> Array:
    counts: Array = np.where(columns >= 0, words.counts[columns].sum(axis=1, dtype=np.float64), 0.0)
    return counts


def _cuts(texts: Sequence[str], words: NgramModel, label: int) -> list[tuple[int, int, int, float]]:
    """Return parts of texts: which text, from which word, to before which, and the penalty.

    Of each text, those without the ends and beginnings whose words belong together least.
    """
    sizes = np.array([len(text.split()) for text in texts], dtype=np.intp)
    starts = np.cumsum(sizes) - sizes
    windows = words.analyzer.occurrences(texts, [])
    columns = words.look_up(windows)
    word = words.analyzer.words([" ".join(texts)], [np.zeros(0, np.intp)])
    gains, later = np.zeros(len(word)), np.flatnonzero(windows.position > 0)
    gains[later] = _belonging(words, columns[0, later - 1], columns[0, later], columns[1, later])
    belonging, odds = (
        np.cumsum(np.append(0.0, np.bincount(word, of_symbols, minlength=int(sizes.sum()))))
        for of_symbols in (gains, _log_odds(words, columns[0], label))
    )
    # Between any two words of a text, its end can be dropped, or its beginning.
    text_of_word = np.repeat(np.arange(len(texts)), sizes)
    cut = np.flatnonzero(text_of_word[:-1] == text_of_word[1:]) + 1  # before these words
    owner = text_of_word[cut]
    first, last = starts[owner], starts[owner] + sizes[owner]
    kept = np.concatenate([np.stack([first, cut]), np.stack([cut, last])], axis=1)
    dropped = np.concatenate([np.stack([cut, last]), np.stack([first, cut + 1])], axis=1)
    owner = np.concatenate([owner, owner])
    coherence, evidence = belonging[dropped[1]] - belonging[dropped[0]], odds[kept[1]] - odds[kept[0]]
    penalties = np.repeat([_END_PENALTY, _BEGINNING_PENALTY], len(cut)) + _COHERENCE_WEIGHT * coherence
    penalties = np.maximum(0.0, penalties)
    likely = (penalties < _MOST_PENALTY) & (evidence > penalties - _SLACK)
    usable = np.flatnonzero(likely & (kept[1] - kept[0] >= _LEAST_KEPT))
    usable = usable[np.lexsort((coherence[usable], owner[usable]))]
    rank = np.arange(len(usable)) - np.searchsorted(owner[usable], owner[usable])
    usable = usable[rank < _MOST_CUTS]
    from_, to = (kept[:, usable] - starts[owner[usable]]).tolist()
    return list(zip(owner[usable].tolist(), from_, to, penalties[usable].tolist(), strict=True))


def _log_odds(words: NgramModel, columns: npt.NDArray[np.int32], label: int) -> Array:
    """Return what each of some words says for a label and against the likeliest other (naive Bayes), nats."""
    counts = words.counts[columns].astype(np.float64)
    counts[columns < 0] = 0.0
    log_p = np.log(counts + 0.5) - np.log(words.counts.sum(axis=0, dtype=np.float64) + 1.0)
    odds: Array = log_p[:, label] - np.delete(log_p, label, axis=1).max(axis=1)
    return odds


def _belonging(
    words: NgramModel,
    before: npt.NDArray[np.int32],
    after: npt.NDArray[np.int32],
    pairs: npt.NDArray[np.int32],
) -> Array:
    """Return how much likelier words are after those before them than by themselves, nats.

    Pointwise mutual information, a pair's probability interpolated with the word's own (Witten & Bell 1991).
    """
    first, second, together = (_seen(words, columns) for columns in (before, after, pairs))
    total = float(words.counts.sum(dtype=np.float64)) / 2  # there are about as many pairs as words
    by_itself = (second + 0.5) / (total + 0.25 * len(words.keys))
    known = np.maximum(1.0, first)
    share = first / (known + known**_FOLLOWERS)
    gains: Array = np.log(share * together / known / by_itself + 1 - share)
    return gains


def candidate_variants(
    texts: Sequence[str], joint: Array, words: NgramModel, label: int
) -> list[tuple[int, TextVariant]]:
    """Return the variants of texts that are not surely of the disguised label; see `variants_of`.

    Parameters
    ----------
    texts : sequence of str, (n,)
    joint : ndarray, (n, K)
        Joint log-probabilities of the texts as they stand, by the fitted priors.
    words : NgramModel
        See `word_model`.
    label : int
        Index of the disguised label; there are others.
    """
    unsure = np.flatnonzero(_lead(joint, label) < _SURE).tolist()
    found = variants_of([texts[index] for index in unsure], words, label)
    return [(unsure[place], variant) for place, variant in found]


def best_variants(
    joint: Array,
    variants: Sequence[tuple[int, TextVariant]],
    variant_joint: Array,
    label: int,
    prior_shift: Array | float = 0.0,
) -> tuple[Array, list[TextVariant | None]]:
    """Return joint log-probabilities by the variants that speak most for the disguised label.

    Parameters
    ----------
    joint : ndarray, (n, K)
        Of the texts as they stand.
    variants : sequence of (int, TextVariant)
        See `candidate_variants`; v of them.
    variant_joint : ndarray, (v, K)
        Joint log-probabilities of the variants.
    label : int
        Index of the disguised label.
    prior_shift : ndarray, (K,), default=0
        Log priors minus those fitted. Variants are chosen by the fitted priors, so other priors shift the
        joint log-probabilities by this and change nothing else.

    Returns
    -------
    joint : ndarray, (n, K)
    variants : list of TextVariant or None
        The variant that decides; None for the text as it stands. A variant decides only if the label is its
        likeliest one by the fitted priors.
    """
    chosen: list[TextVariant | None] = [None] * len(joint)
    result = joint.copy()
    others = _others(joint - prior_shift, label)
    largest = np.maximum(0.0, _lead(joint - prior_shift, label))
    rows = variant_joint - prior_shift
    rows[:, label] -= [variant.penalty for _, variant in variants]
    for (index, variant), row, other in zip(variants, rows, _others(rows, label), strict=True):
        if row[label] - other > largest[index]:
            largest[index] = row[label] - other
            shift = float(others[index] - other)
            chosen[index] = replace(variant, shift=shift)
            result[index] = row + shift + prior_shift
    return result, chosen


def _lead(joint: Array, label: int) -> Array:
    """Return by how much each text's label leads the likeliest other, (n,) nats."""
    lead: Array = joint[:, label] - _others(joint, label)
    return lead


def _others(joint: Array, label: int) -> Array:
    largest: Array = np.delete(joint, label, axis=1).max(axis=1)
    return largest
