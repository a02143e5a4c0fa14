"""Undoes what disguises words: invisible characters, look-alike letters, spaced-out spelling.

The result is a second reading of a text, never what a model learns from. It knows which words of the text
each of its words comes from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from math import inf, log

WordCounts = Callable[[Sequence[str]], Sequence[float]]
"""Returns how often each of some words has been seen."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point of the Unicode Character Database."""
_JOINERS = "\u200c\u200d\ufe0f"  # some scripts and emoji need them
_LATIN = re.compile(
    r"LATIN (?:(SMALL|CAPITAL) LETTER|LETTER SMALL CAPITAL) (?:DOTLESS )?([A-Z])(?: WITH .+)?"
)
_SPACED = re.compile(r"(?<!\S)\w(?:\s\w){2,}(?!\S)")
_LONGEST_WORD = 16  # that spaced-out letters are put together to
_MOST_SPACED = 4096  # letters of a text that are put together: a long text must not take long
_LETTERS_COST = 12.0  # nats, of a word never seen, however long


@dataclass(frozen=True)
class PlainText:
    """A text without disguises."""

    text: str
    """Its words, with single spaces between them."""
    sources: list[tuple[int, int]]
    """For each of its words: the first of the text's words that it comes from, and the one after the last."""


def as_it_stands(text: str) -> PlainText:
    """Return a text's own words."""
    words = text.split()
    return PlainText(" ".join(words), [(place, place + 1) for place in range(len(words))])


def plain_text(text: str, counts: WordCounts) -> PlainText:
    """Return a text without invisible characters, look-alikes and spaced-out spelling.

    Parameters
    ----------
    text : str
    counts : callable
        How often words have been seen: of several ways to read letters, the likeliest is taken.
    """
    words = text.split()
    if not text.isascii():
        native = _native_scripts(words)
        words = [plain_word(word, native) for word in words]
    pieces = [(word, (place, place + 1)) for place, word in enumerate(words)]
    if _SPACED.search(" ".join(words)):
        pieces = _joined(pieces, counts)
    split = [(part, source) for word, source in pieces for part in word.split()]
    return PlainText(" ".join(word for word, _ in split), [source for _, source in split])


def plain_word(word: str, native: frozenset[str] = frozenset()) -> str:
    """Return a word without invisible characters and look-alikes of Latin letters.

    Compatibility characters become what they stand for (NFKC), Latin letters lose their marks, and letters of
    other scripts become the Latin ones that they look like (Unicode Technical Standard 39) in words that have
    Latin ones too or look Latin as a whole. Words in their own script stay.

    Parameters
    ----------
    word : str
    native : frozenset of str, optional
        Scripts that the text is written in; a word of these alone stays even if it looks Latin.
    """
    while not word.isascii():  # what is undone may lay more bare
        plain = _latin(unicodedata.normalize("NFKC", _visible(word)), native)
        if plain == word:
            break
        word = plain
    return word


def _visible(word: str) -> str:
    """Remove characters that show nothing; joiners stay where a script or emoji beside may need them."""

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
    """Return the ASCII letter that a Latin one is made from, by its name; others as they are."""
    if character.isascii() or not (match := _LATIN.fullmatch(unicodedata.name(character, ""))):
        return character
    return match[2] if match[1] == "CAPITAL" else match[2].lower()


@cache
def _script(character: str) -> str:
    """Return the first word of a letter's name, which names its script where it has letter case."""
    return "LATIN" if character.isascii() else unicodedata.name(character, "?").split()[0]


def _native_scripts(words: Sequence[str]) -> frozenset[str]:
    """Return the scripts of words that are in one script and do not look Latin."""
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
    """Return the ASCII letter that each letter of another script is confusable with.

    Not those of scripts that no word of Latin letters could be made of: written from right to left, or wide.
    """
    from confusable_homoglyphs.confusables import confusables_data  # reads a file

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
    """Put runs of three and more single letters together into the likeliest words."""
    result: list[Piece] = []
    left = _MOST_SPACED
    for single, group in groupby(pieces, lambda piece: len(piece[0]) == 1 and _has_case(piece[0])):
        run = list(group)
        if not single or len(run) < 3:
            result += run
            continue
        place = 0
        for word in _segmented("".join(letter for letter, _ in run[:left]), counts):
            result.append((word, (run[place][1][0], run[place + len(word) - 1][1][1])))
            place += len(word)
        result += run[place:]
        left -= place
    return result


def _segmented(letters: str, counts: WordCounts) -> list[str]:
    """Cut letters into words, so that the product of the words' probabilities is largest."""
    size = len(letters)
    spans = [(start, end) for end in range(1, size + 1) for start in range(max(0, end - _LONGEST_WORD), end)]
    seen = counts([letters[start:end] for start, end in spans])
    best, back = [0.0] + [inf] * size, [0] * (size + 1)
    for (start, end), count in zip(spans, seen, strict=True):
        cost = best[start] + (log(1e6 / count) if count > 0 else _LETTERS_COST + 3.0 * (end - start))
        if cost < best[end]:
            best[end], back[end] = cost, start
    words, end = [], size
    while end:
        words.append(letters[back[end] : end])
        end = back[end]
    return words[::-1]
