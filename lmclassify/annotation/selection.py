"""Which texts a person should label next (active learning)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lmclassify.check.duplicates import equal_text

if TYPE_CHECKING:
    from lmclassify.classify.estimator import LMClassifier

Indices = npt.NDArray[np.intp]

RANDOM_SHARE = 0.2
"""Share of the texts that are drawn at random: accuracy is estimated from these without bias."""
MAX_SCORED = 10_000
"""Texts among which the model chooses, drawn at random: more take longer and hardly change the choice."""
MAX_CLUSTERED = 3_000
"""Texts among which the first ones are chosen."""
UNCERTAIN_PER_CHOICE = 10
"""Per text to choose, as many of the most uncertain ones are clustered."""
_DIMENSIONS = 50


@dataclass(frozen=True)
class Chosen:
    """A text to label."""

    index: int
    why: str
    """``uncertain`` (the model is unsure), ``diverse`` (unlike the others) or ``random``."""


def fit_model(texts: Sequence[str], labels: Sequence[str], seed: int = 0) -> LMClassifier:
    """Fit the model that chooses texts and guesses labels: the n-gram experts, in seconds."""
    from lmclassify.classify.estimator import LMClassifier

    return LMClassifier(recipe="ngram", random_state=seed).fit(list(texts), list(labels))


def choose_rows(
    texts: Sequence[str],
    labels: Mapping[int, str],
    n: int,
    *,
    model: LMClassifier | None = None,
    excluded: Collection[int] = (),
    seed: int = 0,
    random_share: float = RANDOM_SHARE,
) -> list[Chosen]:
    """Return up to `n` texts to label, in the order to label them; no text twice, and no empty one.

    With a model, the most uncertain texts (smallest margin between the two likeliest labels; Scheffer,
    Decomain & Wrobel 2001) are clustered, weighted by uncertainty, and one is taken from each cluster, so
    that a batch does not repeat itself (Zhdanov 2019, "Diverse mini-batch active learning"). Without one,
    texts from the middle of clusters of all texts are taken.

    Parameters
    ----------
    labels : mapping of int to str
        The labels so far, by index.
    n : int
    model : LMClassifier, optional
        Fitted to the labels so far.
    excluded : collection of int
        Texts that are not to be chosen, such as skipped ones.
    seed : int, default=0
    random_share : float, default=`RANDOM_SHARE`
        Share of the texts that are drawn at random from all that are left.
    """
    rng = np.random.default_rng(seed)
    candidates = rng.permutation(_candidates(texts, labels, excluded))
    num_random = min(
        len(candidates), int(rng.binomial(n, random_share)) if n < 5 else round(random_share * n)
    )
    at_random, others = candidates[:num_random], candidates[num_random:]
    num_others = min(n - num_random, len(others))
    if num_others == 0:
        chosen, why = np.empty(0, dtype=np.intp), "diverse"
    elif model is None:
        others = others[:MAX_CLUSTERED]
        chosen = others[_representative([texts[at] for at in others], None, num_others, seed)]
        why = "diverse"
    else:
        others = others[:MAX_SCORED]
        uncertainty = uncertainties(model.predict_proba([texts[at] for at in others]))
        first = np.argsort(-uncertainty, kind="stable")[: UNCERTAIN_PER_CHOICE * num_others]
        picked = _representative([texts[at] for at in others[first]], uncertainty[first], num_others, seed)
        chosen = others[first[np.sort(picked)]]
        why = "uncertain"
    return _interleaved(
        [Chosen(int(at), why) for at in chosen], [Chosen(int(at), "random") for at in at_random]
    )


def uncertainties(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return 1 minus the margin between the two likeliest labels, from 0 (sure) to 1, (n,)."""
    if probabilities.shape[1] < 2:
        return np.zeros(len(probabilities))
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    margins: npt.NDArray[np.float64] = 1 - np.abs(two[:, 1] - two[:, 0])
    return margins


def _candidates(texts: Sequence[str], labels: Mapping[int, str], excluded: Collection[int]) -> Indices:
    """Return the texts to choose from: not empty, one of each that differ only in case and blanks."""
    done = {equal_text(texts[index]) for index in [*labels, *excluded]}
    done.add("")
    found = []
    for index, text in enumerate(texts):
        key = equal_text(text)
        if key not in done:
            done.add(key)
            found.append(index)
    return np.array(found, dtype=np.intp)


def _representative(
    texts: Sequence[str], weights: npt.NDArray[np.float64] | None, n: int, seed: int
) -> Indices:
    """Return the positions of `n` texts, each nearest to the centre of a cluster."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    if len(texts) <= n:
        return np.arange(len(texts))
    counts = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=20_000)
    points = counts.fit_transform(texts)
    dimensions = min(_DIMENSIONS, min(points.shape) - 1)
    if dimensions > 0:
        points = normalize(TruncatedSVD(dimensions, random_state=seed).fit_transform(points))
    else:
        points = points.toarray()
    clusters = KMeans(n, n_init=1, random_state=seed)
    distances = clusters.fit(points, sample_weight=weights).transform(points)
    chosen: list[int] = []
    for cluster in np.argsort(-np.bincount(clusters.labels_, minlength=n), kind="stable"):
        members = np.flatnonzero(clusters.labels_ == cluster)
        if len(members):
            chosen.append(int(members[np.argmin(distances[members, cluster])]))
    return np.array(chosen, dtype=np.intp)


def _interleaved(main: list[Chosen], others: list[Chosen]) -> list[Chosen]:
    """Spread the others evenly among the main ones."""
    result, total = list(main), len(main) + len(others)
    for number, choice in enumerate(others):
        result.insert(math.ceil((number + 0.5) * total / len(others) - 0.5), choice)
    return result
