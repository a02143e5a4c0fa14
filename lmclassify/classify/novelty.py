"""How unlike anything a model has learnt a text is, in numpy.

Gangal et al. 2020 divide a text's likelihood under the labels' language models by that under a background
model; of the backgrounds tried, the weakest, of single symbols, serves best (docs/benchmarks.md). Here each
label's ratio counts by the label's posterior, and per symbol, so that long texts are no newer than short.

In recipe "tuned" these are the n-gram language models of characters, and a second signal
stands beside: how strongly the machine over characters of the label that claims a text most claims it. In
recipe "plain" it is the labels' LSTMs, per character, without a background, which makes it worse there.

Shapes: n texts, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
        Symbols scored; a text without any has the ratio 0.
    """
    expected = (np.exp(log_posteriors) * log_likelihoods).sum(axis=1)
    ratio: Array = (expected - background) / np.maximum(lengths, 1)
    return ratio


def in_distribution_score(
    log_posteriors: Array, scores: Sequence[Array], background: Array, lengths: Array
) -> Array:
    """Return the signals of recipe "tuned", (n, 2), larger ones for familiar texts.

    Parameters
    ----------
    log_posteriors : ndarray, (n, K)
    scores : sequence of ndarray, (n, K)
        Of the n-gram models; the first two are the character view's: tuned, and language model.
    background, lengths : ndarray, (n,)
        As `lmclassify.lm.ngram.models.NgramModel.background` returns them for that view.
    """
    ratio = likelihood_ratio(log_posteriors, scores[1], background, lengths)
    return np.column_stack([scores[0].max(axis=1), ratio])


def plain_in_distribution_score(log_posteriors: Array, log_likelihoods: Array, texts: Sequence[str]) -> Array:
    """Return the signal of recipe "plain", (n, 1): the likelihood per character, labels by their posteriors.

    Parameters
    ----------
    log_posteriors, log_likelihoods : ndarray, (n, K)
    texts : sequence of str, (n,)
        Of each its characters count, white space as one, and its end.
    """
    lengths = np.array([len(" ".join(text.split())) + 1.0 for text in texts])
    return likelihood_ratio(log_posteriors, log_likelihoods, 0.0, lengths)[:, np.newaxis]


def cross_entropies(log_posteriors: Array, log_likelihoods: Array, texts: Sequence[str]) -> Array:
    """Return how many nats a word of each text takes, (n,), labels by their posteriors.

    Parameters
    ----------
    log_posteriors, log_likelihoods : ndarray, (n, K)
        The latter by the labels' LSTMs (recipe "plain") or n-gram language models of characters ("tuned").
    texts : sequence of str, (n,)
        A text without words counts as one.
    """
    words = np.array([max(1, len(text.split())) for text in texts])
    return -likelihood_ratio(log_posteriors, log_likelihoods, 0.0, words)
