"""The page's texts and words: mistakes with coloured words, and what speaks for each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from lmclassify.classify.explain import ExplainedWord, Explanation, InformativeWord
from lmclassify.evaluation.mistakes import Mistake
from lmclassify.evaluation.page.markup import Html, element, joined, name, signed, table

_MOST_WORDS = 150  # of a text
_LONGEST_WORD = 60
_NAMED = 4  # words in the line below a text
_LEAST = 0.03  # of the largest part, to be coloured


def mistakes(found: Sequence[tuple[Mistake, Explanation]]) -> Html:
    """Return texts that got a wrong label, each word coloured by what it adds."""
    return joined(_mistake(mistake, explanation) for mistake, explanation in found)


def _mistake(mistake: Mistake, explanation: Explanation) -> Html:
    words = explanation["words"]
    largest = max((abs(word["part"]) for word in words), default=0.0) or 1.0
    shown = [_word(word["word"], word["part"], largest) for word in islice(words, _MOST_WORDS)]
    if len(words) > len(shown):
        shown.append(element("i", f"… and {len(words) - len(shown):,} more words"))
    probability = ">0.9999" if mistake.probability > 0.99995 else f"{mistake.probability:.4f}"
    times = f" ({mistake.times:,} times)" if mistake.times > 1 else ""
    return element(
        "article",
        element(
            "p",
            "labelled ",
            element("strong", name(mistake.predicted)),
            f" with probability {probability}, is ",
            element("strong", name(mistake.true)),
            times,
            class_="verdict",
        ),
        element("p", joined(shown, " "), class_="words", dir="auto"),
        element("p", *_sum(explanation), class_="hint"),
    )


def _word(word: str, part: float, largest: float) -> Html:
    strength = abs(part) / largest
    shown = word if len(word) <= _LONGEST_WORD else word[: _LONGEST_WORD - 1] + "…"
    if strength < _LEAST:
        return element("span", shown)
    kind = "for" if part > 0 else "against"
    return element("span", shown, class_=kind, style=f"--s:{strength:.2f}", title=signed(part))


def _sum(explanation: Explanation) -> list[object]:
    """Return what the colours say, in words."""
    against = explanation["against"]
    line: list[object] = []
    ranked = sorted(explanation["words"], key=lambda word: -abs(word["part"]))
    for title, sign in (("for ", 1), ("against ", -1)):
        most = [word for word in ranked if word["part"] * sign > 0][:_NAMED]
        if most:
            line += [title, name(explanation["label"]), ": ", joined(map(_named, most), ", "), "; "]
    end = explanation["end_of_text"]["part"]
    line.append(f"end of text {signed(end)}, prior {signed(explanation['prior']['part'])}")
    line.append(f", sum {signed(explanation['decision'])} nats")
    if against is not None:
        line += [" over ", name(against)]
    return line


def _named(word: ExplainedWord) -> Html:
    return joined([element("q", name(word["word"], _LONGEST_WORD // 2)), " ", signed(word["part"])])


def legend() -> Html:
    """Return what the colours of words mean."""
    return element(
        "p",
        "Words with a ",
        element("span", "blue ground and a solid line", class_="for", style="--s:0.7"),
        " speak for the label that the text got, those with an ",
        element("span", "orange ground and a dotted line", class_="against", style="--s:0.7"),
        " against it: for the true label, or where the model lacks that, for the next likeliest one.",
        class_="hint",
    )


def words_for_labels(words: Mapping[str, Sequence[InformativeWord]], sampled: int, texts: int) -> Html:
    """Return the words that speak most for each label.

    Parameters
    ----------
    words : mapping of str to sequence of InformativeWord
    sampled : int
        How many texts they come from.
    texts : int
        How many there are.
    """
    which = (
        f"all {texts:,} texts" if sampled == texts else f"{sampled:,} of the {texts:,} texts, drawn at random"
    )
    return table(
        "Words for each label",
        f"Words by what they add for a label, less the mean of what they add for all others, in nats: the "
        f"sum over their occurrences in {which}.",
        ["label", "words"],
        [[name(label), _chips(found)] for label, found in words.items()],
        texts=2,
        class_="chips",
    )


def _chips(found: Sequence[InformativeWord]) -> Html:
    largest = max((word["total"] for word in found), default=0.0) or 1.0
    if not found:
        return element("i", "none")
    return joined(
        (
            element(
                "span",
                element("bdi", word["word"][:_LONGEST_WORD]),
                element("small", f" {signed(word['total'], 1)}"),
                class_="for",
                style=f"--s:{word['total'] / largest:.2f}",
            )
            for word in found
        ),
        " ",
    )
