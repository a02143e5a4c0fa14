"""Finds texts that are empty, made by machines, damaged, or in a script that is rare in the data."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import groupby

from lmclassify.check.findings import CheckedRows, Finding
from lmclassify.errors import counted, shorten
from lmclassify.text.scripts import is_unspaced

PLACEHOLDERS = frozenset(
    ["nan", "null", "none", "n/a", "#n/a", "<na>", "undefined", "[deleted]", "[removed]"]
)
"""What programs write where a text is missing."""

LONG_WORD = 40
"""Characters of the longest word that a person writes; addresses of web pages are no words."""

REPEATED_CHARACTERS, REPEATED_WORDS = 12, 8
"""A letter or word that is repeated this often in a row is more than emphasis."""

MIN_LETTERS, MIN_LENGTH = 0.2, 20
"""A text of this length, of which fewer characters than this share are letters, is no sentence."""

RARE_SCRIPT, MIN_TEXTS = 0.01, 20
"""A script is rare if at most this share of the texts, or one of so many, is written in it."""

MIN_MIXED = 4
"""Characters of a word with letters of several scripts: shorter ones are formulas, such as Δt."""

MAX_ADDRESS = 200
"""Characters of a long word that are searched for an address: the search takes quadratic time."""

_ADDRESS = re.compile(r"(?:https?:|www\.|ftp:|mailto:)|[\w.+-]+@[\w-]+\.|[\w-]+(?:\.[\w-]+)+/", re.IGNORECASE)
_WORD = re.compile(rf"\S{{{LONG_WORD + 1},}}")
_LETTERS = re.compile(r"\w+")
_REPEATED = re.compile(rf"([^\W_])\1{{{REPEATED_CHARACTERS - 1},}}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_HEX = re.compile(r"(?<![\w])[0-9a-fA-F]{32,}(?![\w])")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,300}>")
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|nbsp|apos|#\d{1,6}|#x[0-9a-fA-F]{1,5});")
_MOJIBAKE = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u0178\u017d\u017e\u02c6\u02dc\u2013-\u203a\u20ac\u2122]+"
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffd]")
_CASED = frozenset(["LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"])
_LETTER_NAMES = (" LETTER ", " SYLLABLE ", " CHARACTER ", " IDEOGRAPH")
_SAME_SCRIPT = {
    "CJK": "CHINESE OR JAPANESE",
    "HIRAGANA": "CHINESE OR JAPANESE",
    "KATAKANA": "CHINESE OR JAPANESE",
}


def find_bad_texts(rows: CheckedRows) -> list[Finding]:
    """Return the rows whose text is empty, made by a machine or damaged."""
    return [
        finding
        for index, text in enumerate(rows.texts)
        for finding in (_empty(index, text), _machine(index, text), _damaged(index, text))
        if finding is not None
    ]


def _empty(index: int, text: str) -> Finding | None:
    bare = text.strip()
    if not bare:
        return Finding(index, "empty_text", "the text is empty")
    if bare.casefold() in PLACEHOLDERS:
        return Finding(index, "empty_text", f"{shorten(bare)} stands for a missing text")
    if not any(character.isalnum() or unicodedata.category(character) == "So" for character in bare):
        return Finding(index, "empty_text", f"no letter or digit: {shorten(bare, 30)}")
    return None


def _machine(index: int, text: str) -> Finding | None:
    found = next(_machine_signs(text), None)
    if found is None:
        return None
    sign, span = found
    return Finding(index, "machine_text", sign, marked=() if span is None else (span,))


def _machine_signs(text: str) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """Yield what tells that no person wrote a text, and where it stands."""
    if (found := _HEX.search(text)) and not found[0].isdigit():
        yield f"hexadecimal digits: {shorten(found[0], 30)}", found.span()
    for piece in _WORD.finditer(text):
        word = piece[0]
        if _ADDRESS.search(word[:MAX_ADDRESS]) or is_unspaced(word) or not any(map(str.isalnum, word)):
            continue
        what = "looks like base64" if _is_base64(word) else f"a word of {len(word):,} characters"
        yield f"{what}: {shorten(word, 30)}", piece.span()
    if found := _REPEATED.search(text):
        yield f"{found[1]!r} {len(found[0]):,} times in a row", found.span()
    words = list(_LETTERS.finditer(text)) if len(text) > 2 * REPEATED_WORDS else []
    for word, run in groupby(words, key=lambda found: found[0].casefold()):
        same = list(run)
        if len(same) >= REPEATED_WORDS and not word.isdigit():
            yield f"{shorten(word, 30)} {len(same):,} times in a row", (same[0].start(), same[-1].end())
    visible = "".join(text.split())
    letters = sum(map(str.isalpha, visible))
    symbols = sum(unicodedata.category(character) in ("So", "Mn", "Mc") for character in visible)
    if len(visible) >= MIN_LENGTH and letters + symbols < MIN_LETTERS * len(visible):
        yield f"only {letters:,} of {len(visible):,} characters are letters", None


def _is_base64(word: str) -> bool:
    """Return whether a long word has the mixture of letters and digits that encoded bytes have."""
    found = _BASE64.search(word)
    if found is None:
        return False
    upper, lower, digits = (sum(map(test, found[0])) for test in (str.isupper, str.islower, str.isdigit))
    return min(upper, lower, 4 * digits) >= len(found[0]) / 5


def _damaged(index: int, text: str) -> Finding | None:
    """Return what was lost when the text was read or written, if anything was."""
    if not text.isascii():
        for piece in _MOJIBAKE.finditer(text):
            meant = _decoded_again(piece[0])
            if meant is not None:
                reason = (
                    f"{shorten(piece[0], 20)} was probably {shorten(meant, 20)}, read in a wrong encoding"
                )
                return Finding(index, "damaged_text", reason, marked=(piece.span(),))
    if found := _CONTROL.search(text):
        what = "a character that could not be decoded" if found[0] == "\ufffd" else "a control character"
        return Finding(index, "damaged_text", f"{what}: {shorten(found[0])}", marked=(found.span(),))
    for pattern, what in ((_TAG, "HTML tag"), (_ENTITY, "HTML entity")):
        found_all = [found.span() for found in pattern.finditer(text)]
        if found_all and (what == "HTML entity" or len(found_all) > 1):
            start, end = found_all[0]
            reason = f"{counted(len(found_all), what, 'HTML entities' if what[-1] == 'y' else 'HTML tags')}"
            return Finding(
                index, "damaged_text", f"{reason}: {shorten(text[start:end], 30)}", marked=tuple(found_all)
            )
    return None


def _decoded_again(piece: str) -> str | None:
    """Return what a text was before UTF-8 was read as Latin-1 or Windows-1252; None if it was not."""
    for encoding in ("cp1252", "latin-1"):
        try:
            meant = piece.encode(encoding).decode()
        except UnicodeError:
            continue
        if len(meant) < len(piece):
            return meant
    return None


def find_rare_scripts(rows: CheckedRows) -> list[Finding]:
    """Return the rows in a script that few rows are in, and words with letters of several scripts."""
    findings = []
    main: dict[int, str] = {}
    for index, text in enumerate(rows.texts):
        if text.isascii():
            if any(map(str.isalpha, text)):
                main[index] = "LATIN"
            continue
        counts = Counter(script for character in text if (script := _script(character)) is not None)
        if counts:
            main[index] = counts.most_common(1)[0][0]
        mixed = _mixed_words(text)
        if mixed:
            (start, end), scripts = mixed[0]
            names = " and ".join(sorted(map(str.capitalize, scripts)))
            reason = f"{shorten(text[start:end], 30)} has {names} letters"
            findings.append(Finding(index, "mixed_script", reason, marked=tuple(span for span, _ in mixed)))
    by_script = Counter(main.values())
    total = len(main)
    rare = {
        script
        for script, count in by_script.items()
        if len(by_script) > 1 and (count <= RARE_SCRIPT * total or (count == 1 and total >= MIN_TEXTS))
    }
    for index, script in main.items():
        if script in rare:
            marked = tuple(_words_in(rows.texts[index], script))
            words = ", ".join(rows.texts[index][start:end] for start, end in marked[:3])
            reason = f"{counted(by_script[script], 'row is', 'rows are')} in {_name(script)} script: {words}"
            findings.append(
                Finding(index, "rare_script", reason, 1 - by_script[script] / total, marked=marked)
            )
    return findings


def _name(script: str) -> str:
    return " ".join(word if word == "OR" else word.capitalize() for word in script.split()).replace(
        "OR", "or"
    )


def _words_in(text: str, script: str) -> Iterator[tuple[int, int]]:
    for found in _LETTERS.finditer(text):
        if any(_script(character) == script for character in found[0]):
            yield found.span()


def _mixed_words(text: str) -> list[tuple[tuple[int, int], set[str]]]:
    """Return the words with letters of several scripts that have letter case, and look alike in part."""
    result = []
    for found in _LETTERS.finditer(text):
        if len(found[0]) >= MIN_MIXED and not found[0].isascii():
            scripts = {script for character in found[0] if (script := _script(character)) in _CASED}
            if len(scripts) > 1:
                result.append((found.span(), {script for script in scripts if script is not None}))
    return result


@cache
def _script(character: str) -> str | None:
    """Return the script of a letter, as the Unicode names have it; None for other characters."""
    if not character.isalpha():
        return None
    if character.isascii():
        return "LATIN"
    name = unicodedata.name(character, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    if not any(kind in f"{name} " for kind in _LETTER_NAMES) or name.startswith("MODIFIER"):
        return None
    first = name.split()[0]
    return _SAME_SCRIPT.get(first, first)
