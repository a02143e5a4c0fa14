"""Measures of the TREC spam track, from a spam score and a verdict for each message.

*Ham* is good mail. ``hm%`` is the percentage of ham that is misclassified, ``sm%`` that of spam.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

Scores = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def one_minus_auc(is_spam: Flags, scores: Scores) -> float | None:
    """Return (1-AUC)%: how often, in percent, a random ham has a higher score than a random spam.

    Equal scores count one half. None without messages of both kinds.
    """
    if is_spam.all() or not is_spam.any():
        return None
    return 100 * (1 - float(roc_auc_score(is_spam, scores)))


def ham_misclassified(is_spam: Flags, scores: Scores, spam_missed: float) -> float | None:
    """Return hm% at the highest threshold that misses at most `spam_missed` percent of the spam.

    A message is spam if its score is at least the threshold, so ham with the threshold's score is
    misclassified. None without messages of both kinds.
    """
    ham, spam = scores[~is_spam], np.sort(scores[is_spam])
    if not len(ham) or not len(spam):
        return None
    threshold = spam[_allowed(spam_missed, len(spam))] if spam_missed < 100 else np.inf
    return 100 * float((ham >= threshold).mean())


def spam_misclassified(is_spam: Flags, scores: Scores, ham_lost: float) -> float | None:
    """Return sm% at the lowest threshold that misclassifies at most `ham_lost` percent of the ham.

    Here a message is spam if its score is above the threshold. None without messages of both kinds.
    """
    return ham_misclassified(~is_spam, -scores, ham_lost)


def _allowed(percent: float, number: int) -> int:
    """Return the largest number of messages that is at most a percentage of all messages."""
    return int(percent * number / 100 + 1e-9)


def measures(is_spam: Flags, scores: Scores, called_spam: Flags, unsure: Flags) -> dict[str, Any]:
    """Return the measures by name, all in percent.

    Parameters
    ----------
    is_spam : array of bool, shape (n,)
    scores : array, shape (n,)
        Higher for messages that are likelier spam.
    called_spam, unsure : array of bool, shape (n,)
        The filter's own verdicts. Mail of which it is unsure is delivered: it counts as called ham.
    """
    return {
        "one_minus_auc": one_minus_auc(is_spam, scores),
        "hm_at_sm_1": ham_misclassified(is_spam, scores, 1),
        "hm_at_sm_5": ham_misclassified(is_spam, scores, 5),
        "sm_at_hm_01": spam_misclassified(is_spam, scores, 0.1),
        "sm_at_hm_1": spam_misclassified(is_spam, scores, 1),
        "sm_at_hm_5": spam_misclassified(is_spam, scores, 5),
        "hm": _percentage(called_spam[~is_spam]),
        "sm": _percentage(~called_spam[is_spam]),
        "unsure": _percentage(unsure),
    }


def learning_curve(
    is_spam: Flags, scores: Scores, called_spam: Flags, ends: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Return the errors in consecutive parts of the stream.

    Parameters
    ----------
    ends : tuple of int
        The end of each part. Parts after the last message are left out; the last one may be shorter.
    """
    curve = []
    for start, end in zip((0, *ends), ends, strict=False):
        if start >= len(is_spam):
            break
        part = slice(start, end)
        spam, called = is_spam[part], called_spam[part]
        curve.append(
            {
                "start": start,
                "end": start + len(spam),
                "ham": int((~spam).sum()),
                "ham_lost": int((called & ~spam).sum()),
                "spam_missed": int((~called & spam).sum()),
                "one_minus_auc": one_minus_auc(spam, scores[part]),
            }
        )
    return curve


def _percentage(flags: Flags) -> float | None:
    return 100 * float(flags.mean()) if len(flags) else None
