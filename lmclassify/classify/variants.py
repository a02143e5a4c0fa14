"""Variants of a text whose writer may have disguised it, and which of them decides.

Writers of spam spell words so that filters do not know them, and add words of legitimate mail (the good word
attack, Lowd & Meek 2005). So a text is scored as it stands, in plain spelling, and without its end or its
beginning where that is not running text but words as if drawn one by one. A variant without it must exceed
the text itself by a penalty, which is larger if the words left out belong together. Only the n-gram models
score variants.

Shapes: n texts, K labels, v variants, w words and m symbols of all texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from lmclassify.classify.ngram_models import NgramModel
from lmclassify.text.normalization import NormalizedText, may_be_disguised, normalize_text, unchanged_text

Array = npt.NDArray[np.float64]

# Penalties were chosen on validation data; docs/experiments.md shows what they trade.
END_PENALTY = 3.0
"""Nats, for an end left out whose words are as likely together as one by one."""
BEGINNING_PENALTY = 4.5
"""The same for a beginning left out."""
COHERENCE_WEIGHT = 0.35
"""Nats of penalty for each nat by which the words left out are more likely together than one by one."""
MAX_PENALTY = 5.0
"""Variants with a larger penalty are not scored: hardly any would exceed the text by as much."""
MAX_CUTS = 4
"""Largest number of cuts scored per text (and per spelling): more cost time and change few decisions."""
SURE = 5.0
"""Nats: if the disguised label leads by as much as the text stands, no variant is needed."""
MIN_WORDS = 2
"""Smallest number of words of a variant: a single word says too little."""
SLACK = 2.0
"""Nats: a cut is not scored if its single words' log-odds stay below its penalty by more than this."""
FOLLOWERS_EXPONENT = 0.8
"""The number of distinct followers of a word grows about like this power of its count."""


@dataclass(frozen=True)
class TextVariant:
    """A variant of a text."""

    text: str
    sources: list[tuple[int, int]]
    """See `NormalizedText`."""
    penalty: float = 0.0
    """Nats, of the disguised label."""
    shift: float = 0.0
    """Nats, of all labels: makes the likeliest other label as likely as it is for the text as it stands."""


def word_model(models: Sequence[NgramModel]) -> NgramModel:
    """Return the word n-gram model, which knows single words and pairs."""
    return next(model for model in models if model.analyzer.unit == "word")


def candidate_variants(
    texts: Sequence[str], joint: Array, words: NgramModel, label: int, *, sure: float = SURE
) -> list[tuple[int, TextVariant]]:
    """Return the variants of texts that are not surely of the disguised label; see `variants_of`.

    Parameters
    ----------
    texts : sequence of str, (n,)
    joint : ndarray, (n, K)
        Joint log-probabilities of the texts as they stand, with the fitted priors.
    words : NgramModel
        See `word_model`.
    label : int
        Index of the disguised label; there are others.
    sure : float
        See `SURE`.
    """
    unsure = np.flatnonzero(_lead(joint, label) < sure).tolist()
    variants = variants_of([texts[index] for index in unsure], words, label)
    return [(unsure[index], variant) for index, variant in variants]


def variants_of(texts: Sequence[str], words: NgramModel, label: int) -> list[tuple[int, TextVariant]]:
    """Return the variants of texts other than the texts themselves.

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
        The index of the text, and the variant.
    """
    if not len(words.keys):  # without known words there is no way to tell running text
        return []
    counts = partial(word_counts, words)
    spellings: list[tuple[int, NormalizedText]] = []
    variants: list[tuple[int, TextVariant]] = []
    for index, text in enumerate(texts):
        own = unchanged_text(text)
        spellings.append((index, own))
        if not may_be_disguised(own.text):
            continue
        plain = normalize_text(text, counts)
        if plain.text != own.text:
            spellings.append((index, plain))
            variants.append((index, TextVariant(plain.text, plain.sources)))
    for number, first, last, penalty in _cuts([spelling.text for _, spelling in spellings], words, label):
        index, spelling = spellings[number]
        kept = " ".join(spelling.text.split()[first:last])
        variants.append((index, TextVariant(kept, spelling.sources[first:last], penalty)))
    return variants


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
    variants : sequence of (int, TextVariant), (v,)
        See `candidate_variants`.
    variant_joint : ndarray, (v, K)
        Joint log-probabilities of the variants.
    label : int
        Index of the disguised label.
    prior_shift : ndarray, (K,), default=0
        Log priors minus those fitted. Variants are chosen with the fitted priors, so other priors shift the
        joint log-probabilities by this and change nothing else.

    Returns
    -------
    joint : ndarray, (n, K)
    variants : list of TextVariant or None, (n,)
        The variant that decides; None for the text as it stands. A variant decides only if the label is its
        likeliest one with the fitted priors.
    """
    best: list[TextVariant | None] = [None] * len(joint)
    result = joint.copy()
    others = _largest_other(joint - prior_shift, label)
    largest_lead = np.maximum(0.0, _lead(joint - prior_shift, label))
    rows = variant_joint - prior_shift
    rows[:, label] -= [variant.penalty for _, variant in variants]
    for (index, variant), row, other in zip(variants, rows, _largest_other(rows, label), strict=True):
        if row[label] - other > largest_lead[index]:
            largest_lead[index] = row[label] - other
            shift = float(others[index] - other)
            best[index] = replace(variant, shift=shift)
            result[index] = row + shift + prior_shift
    return result, best


def word_counts(words: NgramModel, candidates: Sequence[str]) -> list[float]:
    """Return the training counts of candidate words; 0 for what is no word, or several."""
    occurrences = words.analyzer.occurrences(candidates, [])
    columns = words.look_up(occurrences)[0]
    counts = np.zeros(len(candidates))
    np.add.at(counts, occurrences.text_index, _total_counts(words, columns))
    single = np.bincount(occurrences.text_index, minlength=len(candidates)) == 1
    result: list[float] = (counts * single).tolist()
    return result


def _total_counts(words: NgramModel, columns: npt.NDArray[np.int32]) -> Array:
    """Return the counts of n-grams over all labels; 0 for unknown ones, whose column is negative."""
    counts: Array = np.where(columns >= 0, words.totals[columns], 0.0)
    return counts


def _cuts(texts: Sequence[str], words: NgramModel, label: int) -> list[tuple[int, int, int, float]]:
    """Return parts of texts: index of the text, first word, word after the last one, penalty.

    For each text, those without the ends and beginnings whose words belong together least.
    """
    sizes = np.array([len(text.split()) for text in texts], dtype=np.intp)
    starts = np.cumsum(sizes) - sizes
    occurrences = words.analyzer.occurrences(texts, [])
    columns = words.look_up(occurrences)
    pieces = " ".join(texts).split()
    word = np.repeat(np.arange(len(pieces)), words.analyzer.symbols_of_words(pieces))
    gains, later = np.zeros(len(word)), np.flatnonzero(occurrences.position > 0)
    gains[later] = _mutual_information(words, columns[0, later - 1], columns[0, later], columns[1, later])
    log_odds = _log_odds(words, columns[0], label)
    coherence_before, odds_before = (  # (w + 1,) sums over the words before each word
        np.cumsum(np.append(0.0, np.bincount(word, values, minlength=int(sizes.sum()))))
        for values in (gains, log_odds)
    )
    # The end or the beginning can be left out between any two words of a text.
    text_of_word = np.repeat(np.arange(len(texts)), sizes)
    cut = np.flatnonzero(text_of_word[:-1] == text_of_word[1:]) + 1  # before these words
    text = text_of_word[cut]
    first, last = starts[text], starts[text] + sizes[text]
    kept = np.concatenate([np.stack([first, cut]), np.stack([cut, last])], axis=1)
    dropped = np.concatenate([np.stack([cut, last]), np.stack([first, cut + 1])], axis=1)
    text = np.concatenate([text, text])
    coherence = coherence_before[dropped[1]] - coherence_before[dropped[0]]
    evidence = odds_before[kept[1]] - odds_before[kept[0]]
    penalties = np.repeat([END_PENALTY, BEGINNING_PENALTY], len(cut)) + COHERENCE_WEIGHT * coherence
    penalties = np.maximum(0.0, penalties)
    promising = (penalties < MAX_PENALTY) & (evidence > penalties - SLACK)
    usable = np.flatnonzero(promising & (kept[1] - kept[0] >= MIN_WORDS))
    usable = usable[np.lexsort((coherence[usable], text[usable]))]
    rank = np.arange(len(usable)) - np.searchsorted(text[usable], text[usable])
    usable = usable[rank < MAX_CUTS]
    from_, to = (kept[:, usable] - starts[text[usable]]).tolist()
    return list(zip(text[usable].tolist(), from_, to, penalties[usable].tolist(), strict=True))


def _log_odds(words: NgramModel, columns: npt.NDArray[np.int32], label: int) -> Array:
    """Return each word's log-odds of a label against the likeliest other (naive Bayes), (m,) nats."""
    counts = words.counts[columns].astype(np.float64)
    counts[columns < 0] = 0.0
    log_p = np.log(counts + 0.5) - np.log(words.label_totals + 1.0)
    odds: Array = log_p[:, label] - np.delete(log_p, label, axis=1).max(axis=1)
    return odds


def _mutual_information(
    words: NgramModel,
    before: npt.NDArray[np.int32],
    after: npt.NDArray[np.int32],
    pairs: npt.NDArray[np.int32],
) -> Array:
    """Return by how much words are more likely after those before them than by themselves, nats.

    Pointwise mutual information; a pair's probability is interpolated with the word's own as by Witten & Bell
    (1991).
    """
    first, second, together = (_total_counts(words, columns) for columns in (before, after, pairs))
    total = float(words.label_totals.sum()) / 2  # there are about as many pairs as words
    by_itself = (second + 0.5) / (total + 0.25 * len(words.keys))
    known = np.maximum(1.0, first)
    share = first / (known + known**FOLLOWERS_EXPONENT)
    gains: Array = np.log(share * together / known / by_itself + 1 - share)
    return gains


def _lead(joint: Array, label: int) -> Array:
    """Return by how much a label leads the likeliest other, (n,) nats."""
    lead: Array = joint[:, label] - _largest_other(joint, label)
    return lead


def _largest_other(joint: Array, label: int) -> Array:
    """Return the joint log-probability of the likeliest other label, (n,)."""
    largest: Array = np.delete(joint, label, axis=1).max(axis=1)
    return largest
