"""Changes that spammers make to a text to get past a filter, as seeded functions.

Look-alike letters come from Unicode's character names and from a list of letters of other scripts that was
compiled by eye. They do not come from the data with which `lmclassify.text.normalization` undoes them.
"""

from __future__ import annotations

import math
import random
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

_OTHER_SCRIPTS = {
    "a": "аαɑաӓ", "b": "Ьƅъҍɓ", "c": "сϲҫᴄ", "d": "ԁժɗđ", "e": "еєҽεэ", "f": "ғƒϝբ", "g": "ɡցǥɠ",
    "h": "һհћн", "i": "іɩιյї", "j": "јϳյʝ", "k": "кκҡқ", "l": "ӏ|ⅼاո", "m": "мϻтʍ", "n": "пηոи", "o": "оοօσ๐",
    "p": "рρքþ", "q": "ԛզգφ", "r": "гʀяɾ", "s": "ѕʂꜱş", "t": "тτեŧ", "u": "υսцʋ", "v": "ѵνүʋ", "w": "ѡωшա",
    "x": "хχжӿ", "y": "уүγყ", "z": "ʐᴢʒȥ",
    "A": "АΑᎪД", "B": "ВΒᏴЬ", "C": "СϹᏟҪ", "D": "ᎠĐꓓ", "E": "ЕΕᎬЄ", "F": "ϜҒꓝƑ", "G": "ԌᏀɢႺ", "H": "НΗᎻԊ",
    "I": "ІΙӀꓲ", "J": "ЈᎫꓙĴ", "K": "КΚᏦҚ", "L": "ᏞꓡԼ£", "M": "МΜᎷӍ", "N": "ΝꓠИП", "O": "ОΟՕ০", "P": "РΡᏢҎ",
    "Q": "ԚႭԺǪ", "R": "ᎡꓣЯƦ", "S": "ЅՏᏚ§", "T": "ТΤᎢҬ", "U": "ՍᑌԱЦ", "V": "ѴᏙꓦ٧", "W": "ԜᎳШѠ", "X": "ХΧꓫЖ",
    "Y": "ΥҮᎩЎ", "Z": "ΖᏃꓜȤ",
}  # fmt: skip
_LEET = {
    "a": "4@", "b": "8", "e": "3", "g": "9", "i": "1!", "l": "1|", "o": "0", "s": "5$", "t": "7+", "z": "2",
}  # fmt: skip
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_LETTERS_AND_DIGITS = string.ascii_lowercase + string.digits
NUM_TYPICAL_WORDS = 100  # enough that 20 words of padding seldom repeat one
MAX_SUFFIX_LENGTH = 4  # short enough that a reader still sees the word


def homoglyphs(text: str, share: float, rng: random.Random) -> str:
    """Replace a share of the ASCII letters by look-alikes."""

    def change(character: str) -> str:
        kinds = _look_alikes().get(character)
        if kinds is None or rng.random() >= share:
            return character
        return rng.choice(rng.choice(kinds))

    return "".join(map(change, text))


def zero_width(text: str, share: float, rng: random.Random) -> str:
    """Insert invisible characters at a share of the positions between two characters of a word."""

    def change(match: re.Match[str]) -> str:
        return rng.choice(_INVISIBLE) if rng.random() < share else ""

    return re.sub(r"(?<=\S)(?=\S)", change, text)


def spaced(text: str, share: float, rng: random.Random) -> str:
    """Put spaces between the characters of a share of the words. Spaces between words stay as they are."""
    return _words(text, share, rng, " ".join)


def leet(text: str, share: float, rng: random.Random) -> str:
    """Replace a share of the letters by digits and signs that look like them."""

    def change(character: str) -> str:
        options = _LEET.get(character.lower())
        return character if options is None or rng.random() >= share else rng.choice(options)

    return "".join(map(change, text))


def suffixes(text: str, share: float, rng: random.Random) -> str:
    """Add one to four letters or digits to a share of the words."""

    def change(word: str) -> str:
        return word + "".join(rng.choices(_LETTERS_AND_DIGITS, k=rng.randint(1, MAX_SUFFIX_LENGTH)))

    return _words(text, share, rng, change)


def padding(text: str, words: int, good: Sequence[str], rng: random.Random) -> str:
    """Append random words from `good`."""
    return " ".join([text, *rng.choices(good, k=words)]) if words else text


def typical_words(texts: Sequence[str], labels: Sequence[str], label: str) -> list[str]:
    """Return the words most typical of a label, the most typical first.

    Words are ranked by the log-ratio of their document frequencies inside and outside the label (add-one
    smoothing), times the number of the label's texts that contain them.
    """
    inside, outside = Counter[str](), Counter[str]()
    for text, own_label in zip(texts, labels, strict=True):
        (inside if own_label == label else outside).update(set(re.findall(r"\w+", text.lower())))
    rest = len(labels) - labels.count(label)
    scale = math.log((labels.count(label) + 2) / (rest + 2))
    gains = {word: n * (math.log((n + 1) / (outside[word] + 1)) - scale) for word, n in inside.items()}
    return sorted(gains, key=lambda word: (-gains[word], word))[:NUM_TYPICAL_WORDS]


CHANGES: dict[str, Callable[[str, float, random.Random], str]] = {
    "homoglyphs": homoglyphs,
    "zero-width": zero_width,
    "spaced": spaced,
    "l33t": leet,
    "suffixes": suffixes,
}
"""Functions that change a share of a text, by name."""


def _words(text: str, share: float, rng: random.Random, change: Callable[[str], str]) -> str:
    """Change a share of the words that consist of at least two letters and nothing else."""

    def maybe(match: re.Match[str]) -> str:
        return change(match[0]) if rng.random() < share else match[0]

    return re.sub(r"\b[^\W\d_]{2,}\b", maybe, text)


@cache
def _look_alikes() -> dict[str, list[str]]:
    """Return the look-alikes of each ASCII letter by kind: of other scripts, accented, styled."""
    accented: dict[str, str] = dict.fromkeys(string.ascii_letters, "")
    styled = dict(accented)
    for code in [*range(0x80, 0xFFFF), *range(0x1D400, 0x1D6A4)]:
        name = unicodedata.name(chr(code), "")
        if match := re.fullmatch(r"LATIN (SMALL|CAPITAL) LETTER ([A-Z]) WITH [A-Z ]+", name):
            accented[match[2].lower() if match[1] == "SMALL" else match[2]] += chr(code)
        elif match := re.fullmatch(
            r"(?:FULLWIDTH LATIN|CIRCLED LATIN|MATHEMATICAL [A-Z -]+?)( SMALL| CAPITAL)(?: LETTER)? ([A-Z])",
            name,
        ):
            styled[match[2].lower() if match[1] == " SMALL" else match[2]] += chr(code)
        elif match := re.fullmatch(r"LATIN LETTER SMALL CAPITAL ([A-Z])", name):
            styled[match[1].lower()] += chr(code)
    return {
        letter: [kind for kind in (_OTHER_SCRIPTS[letter], accented[letter], styled[letter]) if kind]
        for letter in string.ascii_letters
    }
