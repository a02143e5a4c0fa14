"""How unlike the training texts a text is: the features that novelty is computed from (numpy).

Gangal et al. 2020 divide a text's likelihood under the labels' language models by its likelihood under a
background model. Of the background models tried, the weakest works best: single symbols
(docs/experiments.md). Here each label's ratio is weighted by the label's posterior and divided by the number
of symbols, so that long texts are not newer than short ones.

In recipe tuned the language models are the character n-gram models; a second feature is the largest of the
labels' linear SVM scores over characters. In recipe plain the language models are the labels' LSTMs, per
character and without a background model, which works less well.

Shapes: n texts, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.text.scripts import is_unspaced
from lmclassify.text.words import words_of

Array = npt.NDArray[np.float64]


def likelihood_ratio(
    log_posteriors: Array, log_likelihoods: Array, background: Array | float, lengths: Array
) -> Array:
    """Return ``sum_c p(c | x) (log p(x | c) - log p_background(x)) / length``, (n,) nats per symbol.

    Parameters
    ----------
    log_posteriors, log_likelihoods : ndarray, (n, K)
    background : ndarray, (n,), or float
        Log-likelihoods under the background model; 0 for none.
    lengths : ndarray, (n,)
        Number of symbols scored; the ratio of a text without symbols is 0.
    """
    expected = (np.exp(log_posteriors) * log_likelihoods).sum(axis=1)
    ratio: Array = (expected - background) / np.maximum(lengths, 1)
    return ratio


def ood_features(log_posteriors: Array, scores: Sequence[Array], background: Array, lengths: Array) -> Array:
    """Return the features of recipe tuned, (n, 2): larger for texts like the training texts.

    Parameters
    ----------
    log_posteriors : ndarray, (n, K)
    scores : sequence of ndarray, (n, K)
        Of the n-gram models. The first two are those of character n-grams: linear SVM and language model.
    background, lengths : ndarray, (n,)
        As `lmclassify.classify.scoring.ngram_background` returns them for the character n-grams.
    """
    ratio = likelihood_ratio(log_posteriors, scores[1], background, lengths)
    return np.column_stack([scores[0].max(axis=1), ratio])


def plain_ood_features(log_posteriors: Array, log_likelihoods: Array, texts: Sequence[str]) -> Array:
    """Return the feature of recipe plain, (n, 1): the expected log-likelihood per character.

    Parameters
    ----------
    log_posteriors, log_likelihoods : ndarray, (n, K)
    texts : sequence of str, (n,)
        Their characters and their ends are counted; a run of white space counts as one character.
    """
    lengths = np.array([len(" ".join(text.split())) + 1.0 for text in texts])
    return likelihood_ratio(log_posteriors, log_likelihoods, 0.0, lengths)[:, np.newaxis]


def cross_entropies(
    log_posteriors: Array, log_likelihoods: Array, texts: Sequence[str], *, unspaced_words: bool
) -> Array:
    """Return the expected negative log-likelihood per word, (n,) nats.

    Parameters
    ----------
    log_posteriors, log_likelihoods : ndarray, (n, K)
        Log-likelihoods under the labels' LSTMs (recipe plain) or character n-gram models (tuned).
    texts : sequence of str, (n,)
        A text without words counts as one word.
    unspaced_words : bool
        Whether the grapheme clusters of scripts without spaces are words; otherwise words stand between white
        space in all scripts. Must be the same for held-out texts and those that are compared with them.
    """
    counts = [
        len(words_of(text)) if unspaced_words and is_unspaced(text) else len(text.split()) for text in texts
    ]
    words = np.maximum(1, np.array(counts, dtype=np.intp))
    return -likelihood_ratio(log_posteriors, log_likelihoods, 0.0, words)
