"""Normalizes disguised text: invisible characters, look-alike letters, spaced-out spelling.

The result is a variant of a text to be scored, never training text. It records which words of the original
text each of its words comes from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, pairwise
from math import inf, log

WordCounts = Callable[[Sequence[str]], Sequence[float]]
"""Returns how often each of some words occurs in the training texts."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point of the Unicode Character Database."""
_JOINERS = "\u200c\u200d\ufe0f"  # needed in some scripts and emoji
_LATIN = re.compile(
    r"LATIN (?:(SMALL|CAPITAL) LETTER|LETTER SMALL CAPITAL) (?:DOTLESS )?([A-Z])(?: WITH .+)?"
)
_SPACED = re.compile(r"(?<!\S)\w(?:\s\w){2,}(?!\S)")
MAX_JOINED_WORD = 16
"""Longest word that spaced-out letters are joined to; the search takes time proportional to it."""
MAX_JOINED_LETTERS = 4096
"""Spaced-out letters per text that are joined; bounds the time that a long text takes."""
UNKNOWN_WORD_COST = 12.0
"""Nats of a word that was never seen, plus 3 for each letter. About the cost of a word seen a few times."""


@dataclass(frozen=True)
class NormalizedText:
    """A text without disguises."""

    text: str
    """Words separated by single spaces."""
    sources: list[tuple[int, int]]
    """For each word, the range of the original words that it comes from: first, and one after the last."""


def unchanged_text(text: str) -> NormalizedText:
    """Return a text's own words."""
    words = text.split()
    return NormalizedText(" ".join(words), list(pairwise(range(len(words) + 1))))


def may_be_disguised(text: str) -> bool:
    """Return whether `normalize_text` may change a text whose words have single spaces between them."""
    return not text.isascii() or _SPACED.search(text) is not None


def normalize_text(text: str, counts: WordCounts) -> NormalizedText:
    """Return a text without invisible characters, look-alikes and spaced-out spelling.

    Parameters
    ----------
    text : str
    counts : callable
        How often words occur. Of several segmentations of letters, the most probable one is used.
    """
    words = text.split()
    if not text.isascii():
        native = _native_scripts(words)
        words = [normalize_word(word, native) for word in words]
    pieces = [(word, (index, index + 1)) for index, word in enumerate(words)]
    if _SPACED.search(" ".join(words)):
        pieces = _joined(pieces, counts)
    split = [(part, source) for word, source in pieces for part in word.split()]
    return NormalizedText(" ".join(word for word, _ in split), [source for _, source in split])


def normalize_word(word: str, native: frozenset[str] = frozenset()) -> str:
    """Return a word without invisible characters and look-alikes of Latin letters.

    Compatibility characters are replaced by their equivalents (NFKC) and Latin letters lose their marks.
    Letters of other scripts are replaced by the Latin letters that they look like (Unicode Technical Standard
    39), in words that also have Latin letters or look Latin as a whole. Other words of other scripts are not
    changed.

    Parameters
    ----------
    word : str
    native : frozenset of str, optional
        Scripts that the text is written in. A word in these scripts only is not changed even if it looks
        Latin.
    """
    while not word.isascii():  # each pass may reveal more
        normalized = _latin(unicodedata.normalize("NFKC", _visible(word)), native)
        if normalized == word:
            break
        word = normalized
    return word


def _visible(word: str) -> str:
    """Remove invisible characters, except joiners that the script or emoji before them may need."""

    def kept(match: re.Match[str]) -> str:
        before = word[match.start() - 1 : match.start()]
        needed = (
            match[0] in _JOINERS
            and before
            and not before.isascii()
            and not (_has_case(before) or _INVISIBLE.match(before))
        )
        return match[0] if needed else ""

    return _INVISIBLE.sub(kept, word)


def _has_case(character: str) -> bool:
    return character.lower() != character.upper()


def _latin(word: str, native: frozenset[str]) -> str:
    scripts = {_script(character) for character in word if character.isalpha()}
    others = scripts - {"LATIN"}
    table = _look_alikes()
    if others and "LATIN" not in scripts:
        whole = all(character in table for character in word if character.isalpha())
        if not whole or scripts & native:
            return word
    plain = "".join(table.get(character, character) if others else character for character in word)
    if "LATIN" not in scripts and not others:
        return plain
    letters = unicodedata.normalize("NFD", plain)
    return unicodedata.normalize(
        "NFC", re.sub(r"([A-Za-z])[\u0300-\u036f]+", r"\1", "".join(map(_base_letter, letters)))
    )


@cache
def _base_letter(character: str) -> str:
    """Return the ASCII letter that a Latin letter is based on, by its Unicode name; others unchanged."""
    if character.isascii() or not (match := _LATIN.fullmatch(unicodedata.name(character, ""))):
        return character
    return match[2] if match[1] == "CAPITAL" else match[2].lower()


@cache
def _script(character: str) -> str:
    """Return the first word of a letter's Unicode name: its script, for scripts with letter case."""
    return "LATIN" if character.isascii() else unicodedata.name(character, "?").split()[0]


def _native_scripts(words: Sequence[str]) -> frozenset[str]:
    """Return the scripts of the words that are in one script only and do not look Latin."""
    found = set()
    table = _look_alikes()
    for word in words:
        if word.isascii():
            continue
        letters = [character for character in word if character.isalpha()]
        scripts = {_script(character) for character in letters}
        if len(scripts) == 1 and not all(character in table for character in letters):
            found |= scripts
    return frozenset(found)


@cache
def _look_alikes() -> dict[str, str]:
    """Return the ASCII letter that each letter of another script looks like.

    Scripts written from right to left and wide characters are left out: no Latin word could be made of them.
    """
    from confusable_homoglyphs.confusables import confusables_data  # slow: reads a file

    table = {}
    for character, others in confusables_data.items():
        letters = [other["c"] for other in others if re.fullmatch("[A-Za-z]", other["c"])]
        if letters and len(character) == 1 and character.isalpha() and _left_to_right(character):
            table[character] = "I" if letters[0] == "l" and character.isupper() else letters[0]
    return table


def _left_to_right(character: str) -> bool:
    """Say whether a letter is written as Latin ones are, and is none of ASCII."""
    narrow = unicodedata.east_asian_width(character) not in "WH"
    return not character.isascii() and narrow and unicodedata.bidirectional(character) == "L"


Piece = tuple[str, tuple[int, int]]


def _joined(pieces: list[Piece], counts: WordCounts) -> list[Piece]:
    """Join runs of three or more single letters to the most probable words."""
    result: list[Piece] = []
    remaining = MAX_JOINED_LETTERS
    for single, group in groupby(pieces, lambda piece: len(piece[0]) == 1 and _has_case(piece[0])):
        run = list(group)
        if not single or len(run) < 3:
            result += run
            continue
        joined = 0
        for word in _segmented("".join(letter for letter, _ in run[:remaining]), counts):
            result.append((word, (run[joined][1][0], run[joined + len(word) - 1][1][1])))
            joined += len(word)
        result += run[joined:]
        remaining -= joined
    return result


def _segmented(letters: str, counts: WordCounts) -> list[str]:
    """Split letters into words with the largest product of probabilities (Viterbi search)."""
    size = len(letters)
    spans = [
        (start, end) for end in range(1, size + 1) for start in range(max(0, end - MAX_JOINED_WORD), end)
    ]
    seen = counts([letters[start:end] for start, end in spans])
    best, back = [0.0] + [inf] * size, [0] * (size + 1)
    for (start, end), count in zip(spans, seen, strict=True):
        cost = best[start] + (log(1e6 / count) if count > 0 else UNKNOWN_WORD_COST + 3.0 * (end - start))
        if cost < best[end]:
            best[end], back[end] = cost, start
    words, end = [], size
    while end:
        words.append(letters[back[end] : end])
        end = back[end]
    return words[::-1]
