"""Near-duplicates among many texts: MinHash signatures in bands (Broder 1997; Leskovec et al. 2020, ch. 3).

The similarity of two texts is the Jaccard similarity of their sets of character 5-grams. Texts whose
signatures agree in one band are candidates; the similarity of candidates is computed exactly.

Shapes: n texts, p pairs, S signature numbers of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
import numpy.typing as npt

from lmclassify.text.ngrams import NgramAnalyzer

Indices = npt.NDArray[np.intp]
Signatures = npt.NDArray[np.uint32]

SHINGLE = 5
"""Characters of an n-gram. Fewer are shared by texts of different words, more by copies only."""

BANDS, BAND_ROWS = 20, 5
"""Two texts of similarity .8 are candidates with probability .9996, of .5 with .47, of .3 with .05."""

MARGIN = 0.15
"""Candidates whose signatures agree less than the threshold by this are not compared: three standard errors
of a similarity that is estimated by 100 numbers."""

MAX_COMPARED = 3
"""Earlier texts that a text is compared with: those with the most similar signatures. This bounds the time if
many texts follow one template."""

_CHARACTERS = 1 << 18
"""Characters whose n-grams are in memory at a time, if no text is longer."""
_KEPT_SETS = 4096
"""N-gram sets that are kept, as several texts are compared with the same one."""


def near_duplicates(
    texts: Sequence[str], threshold: float, progress: Callable[[int], object] = lambda done: None
) -> tuple[Indices, Indices, npt.NDArray[np.float64]]:
    """Return for each text the most similar earlier text, if their similarity reaches the threshold.

    Texts of fewer than `SHINGLE` characters have no near-duplicates.

    Parameters
    ----------
    texts : sequence of str, (n,)
    threshold : float
        From 0.5 to 1. Few pairs of smaller similarity would be found.
    progress : callable, optional
        Gets the number of texts whose signatures are ready.

    Returns
    -------
    later, earlier : ndarray of int, (p,)
        Indices of texts; `later` is ascending.
    similarity : ndarray, (p,)
    """
    signatures = _signatures(texts, progress)
    long_enough = np.array([len(text) >= SHINGLE for text in texts], dtype=bool)
    later, earlier = _candidates(signatures, np.flatnonzero(long_enough))
    estimate = np.zeros(len(later))
    for first in range(0, len(later), 1 << 16):
        part = slice(first, first + (1 << 16))
        estimate[part] = (signatures[later[part]] == signatures[earlier[part]]).mean(axis=1)
    likely = np.flatnonzero(estimate >= threshold - MARGIN)
    likely = likely[np.lexsort((earlier[likely], -estimate[likely], later[likely]))]

    @lru_cache(maxsize=_KEPT_SETS)
    def shingles(index: int) -> frozenset[str]:
        text = texts[index]
        return frozenset(text[start : start + SHINGLE] for start in range(len(text) - SHINGLE + 1))

    best: dict[int, tuple[float, int]] = {}
    compared: dict[int, int] = {}
    for index, other in zip(later[likely].tolist(), earlier[likely].tolist(), strict=True):
        compared[index] = compared.get(index, 0) + 1
        if compared[index] > MAX_COMPARED:
            continue
        one, two = shingles(index), shingles(other)
        shared = len(one & two)
        similarity = shared / (len(one) + len(two) - shared)
        if similarity >= threshold and similarity > best.get(index, (0.0, 0))[0]:
            best[index] = similarity, other
    found = sorted(best)
    return (
        np.array(found, dtype=np.intp),
        np.array([best[index][1] for index in found], dtype=np.intp),
        np.array([best[index][0] for index in found], dtype=np.float64),
    )


def _signatures(texts: Sequence[str], progress: Callable[[int], object]) -> Signatures:
    """Return the smallest hash of each text's n-grams by S hash functions, (n, S)."""
    size = BANDS * BAND_ROWS
    factors = np.random.default_rng(0).integers(1, 2**63, size, dtype=np.uint64) | np.uint64(1)
    result = np.zeros((len(texts), size), dtype=np.uint32)
    analyzer = NgramAnalyzer("character", SHINGLE)
    rest, done = iter(texts), 0
    while chunk := _chunk(rest):
        found = analyzer.occurrences(chunk, [])
        whole = np.flatnonzero(found.position >= SHINGLE - 1)
        keys, owner = found.keys[-1][whole], found.text_index[whole]
        if len(owner):
            starts = np.flatnonzero(np.diff(owner, prepend=-1))
            for column, factor in enumerate(factors):  # the upper half of a product depends on all bits
                hashes = ((keys * factor) >> np.uint64(32)).astype(np.uint32)
                result[done + owner[starts], column] = np.minimum.reduceat(hashes, starts)
        done += len(chunk)
        progress(done)
    return result


def _chunk(texts: object) -> list[str]:
    """Return the next texts: as many as have `_CHARACTERS` characters, at least one if there is one."""
    chunk: list[str] = []
    characters = 0
    for text in islice(texts, 4096):  # type: ignore[call-overload]
        chunk.append(text)
        characters += len(text)
        if characters >= _CHARACTERS:
            break
    return chunk


def _candidates(signatures: Signatures, chosen: Indices) -> tuple[Indices, Indices]:
    """Return pairs of texts that agree in a band, each once: a text, and the first and the last before it."""
    n = len(signatures)
    pairs: list[Indices] = []
    factors = np.random.default_rng(1).integers(1, 2**63, BAND_ROWS, dtype=np.uint64) | np.uint64(1)
    for band in range(BANDS):
        rows = signatures[chosen, band * BAND_ROWS : (band + 1) * BAND_ROWS].astype(np.uint64)
        keys = (rows * factors).sum(axis=1, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        begins = np.append(True, ordered[1:] != ordered[:-1]) if len(order) else np.zeros(0, bool)
        first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
        at = np.flatnonzero(~begins)
        for before in (first[at], at - 1):
            pairs.append(chosen[order[at]] * n + chosen[order[before]])
    unique = np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, np.intp)
    return unique // max(1, n), unique % max(1, n)
