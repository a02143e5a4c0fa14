"""Explanations as lines to read and as HTML; without pandas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.cells import cell_len

from lmclassify.classify.explain import ByLabel, ExplainedEnd, ExplainedWord, Explanation, InformativeWord
from lmclassify.errors import printable
from lmclassify.evaluation.page.markup import escaped

_BAR = 20
_LONGEST_WORD = 40
_LONGEST_READING = 200
_FOR, _AGAINST = "46, 160, 67", "218, 54, 51"

Style = Callable[[str, bool], str]
"""Colours a text, by whether it speaks for the label."""


def to_text(explanation: Explanation, style: Style, bar: str) -> str:
    """Return an explanation as a table: a line a word, its bar of `bar` as long as its part is large."""
    shown = _labels(explanation)
    rows: list[tuple[str, ByLabel | None, float]] = [("(prior)", None, explanation["prior"]["part"])]
    rows += [(_shown(word["word"]), word["log_probability"], word["part"]) for word in explanation["words"]]
    end = explanation["end_of_text"]
    rows.append(("(end of text)", end["log_probability"], end["part"]))
    largest = max(abs(part) for _, _, part in rows) or 1.0
    cells = [["word", *(f"log p({_shown(name)})" for name in shown), "part"]]
    bars = [""]
    for word, log_probability, part in rows:
        nats = [f"{log_probability[name]:.3f}" if log_probability else "" for name in shown]
        cells.append([word, *nats, f"{part:+.3f}"])
        bars.append(style(bar * round(abs(part) / largest * _BAR), part > 0))
    cells.append(["sum", *([""] * len(shown)), f"{explanation['decision']:+.3f}"])
    bars.append("")
    lines = ["  ".join([*row, bar]).rstrip() for row, bar in zip(_aligned(cells), bars, strict=True)]
    note = _reading_note(explanation)
    return "\n".join([_title(explanation), *([printable(note)] if note else []), "", *lines])


def to_html(explanation: Explanation) -> str:
    """Return an explanation as an HTML snippet that needs nothing else: the text, each word shaded."""
    words, end = explanation["words"], explanation["end_of_text"]
    labels = _labels(explanation)
    largest = max((abs(item["part"]) for item in [*words, end]), default=0.0) or 1.0

    def shaded(shown: str, item: ExplainedWord | ExplainedEnd, what: str = "") -> str:
        nats = ", ".join(f"log p({label}) {item['log_probability'][label]:.3f}" for label in labels)
        title = escaped(f"{what}{item['part']:+.3f}; {nats}")
        colour = f"rgba({_FOR if item['part'] > 0 else _AGAINST}, {abs(item['part']) / largest * 0.7:.2f})"
        style = f"background: {colour}; border-radius: 3px; padding: 1px 2px"
        return f'<span title="{title}" style="{style}">{escaped(shown)}</span>'

    text, done = explanation["text"], 0
    pieces: list[str] = []
    for word in words:
        pieces.append(escaped(text[done : word["start"]]))
        pieces.append(shaded(word["word"], word))
        done = word["end"]
    pieces.append(escaped(text[done:]))
    pieces.append(" " + shaded("⏎", end, "end of text: "))
    note = f"prior {explanation['prior']['part']:+.3f}, sum {explanation['decision']:+.3f} nats. "
    note += f"Green speaks for {explanation['label']}, red against it. {_reading_note(explanation)}"
    return (
        '<div class="lmclassify-explanation" style="font-family: sans-serif; line-height: 1.8">\n'
        f"<p><strong>{escaped(_title(explanation))}</strong></p>\n"
        f'<p style="white-space: pre-wrap; overflow-wrap: anywhere">{"".join(pieces)}</p>\n'
        f"<p><small>{escaped(note)}</small></p>\n"
        "</div>"
    )


def informative_words_to_text(words: Mapping[str, Sequence[InformativeWord]]) -> str:
    """Return the words that speak most for each label as a table a label."""
    tables = []
    for label, found in words.items():
        cells = [["word", "count", "part", "total"]]
        cells += [
            [_shown(word["word"]), f"{word['count']:,}", f"{word['part']:+.3f}", f"{word['total']:+.1f}"]
            for word in found
        ]
        lines = ["  ".join(row) for row in _aligned(cells)]
        tables.append("\n".join([f"for {_shown(label)}", *lines]))
    return "\n\n".join(tables)


def _reading_note(explanation: Explanation) -> str:
    """Say which reading of a text decides, if it is not the text as it stands."""
    reading = explanation["reading"]
    if reading is None:
        return ""
    short = reading if len(reading) <= _LONGEST_READING else reading[: _LONGEST_READING - 1] + "…"
    return f"disguised: decided by the reading “{short}”; what is not in it adds nothing"


def _title(explanation: Explanation) -> str:
    return " rather than ".join(
        f"{_shown(label)} (probability {explanation['probabilities'][label]:.4f})"
        for label in _labels(explanation)
    )


def _labels(explanation: Explanation) -> list[str]:
    """Return the label and the one it is held against, if any."""
    return [label for label in (explanation["label"], explanation["against"]) if label is not None]


def _shown(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST_WORD else text[: _LONGEST_WORD - 1] + "…"


def _aligned(cells: Sequence[Sequence[str]]) -> list[list[str]]:
    """Pad the first column to the left and the others to the right, as wide characters need."""
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return [
        [
            cell + " " * (width - cell_len(cell)) if place == 0 else " " * (width - cell_len(cell)) + cell
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]
