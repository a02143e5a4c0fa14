"""Explanations as text and as an HTML snippet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lmclassify.classify.explain import ByLabel, ExplainedEnd, ExplainedWord, Explanation, InformativeWord
from lmclassify.errors import counted
from lmclassify.evaluation.page.formats import percent
from lmclassify.text.display import aligned, shown

_BAR_WIDTH = 20
"""Characters of the longest bar: the table should fit into 80 columns."""
_MAX_LABELS = 20
"""Labels whose informative words are shown as text: a few screens."""
_MAX_VARIANT = 200
"""Characters shown of the text as it was scored."""

Style = Callable[[str, bool], str]
"""Returns a text in colour; the second argument is whether it speaks for the label."""


def to_text(explanation: Explanation, style: Style, bar: str, *, terminal: bool = False) -> str:
    """Return an explanation as a table with one line per word and a bar for its contribution.

    Parameters
    ----------
    style : callable
        See `Style`.
    bar : str
        Character that bars are made of.
    terminal : bool, default=False
        Whether it is for a terminal; see `lmclassify.text.display.shown`.
    """

    def cell(text: str) -> str:
        return shown(text, terminal=terminal)

    labels = _labels(explanation)
    rows: list[tuple[str, ByLabel | None, float]] = [("(prior)", None, explanation["prior"]["part"])]
    rows += [(cell(word["word"]), word["log_probability"], word["part"]) for word in explanation["words"]]
    end = explanation["end_of_text"]
    rows.append(("(end of text)", end["log_probability"], end["part"]))
    largest = max(abs(part) for _, _, part in rows) or 1.0
    cells = [["word", *(f"log p({cell(name)})" for name in labels), "part"]]
    bars = [""]
    for word, log_probability, part in rows:
        nats = [f"{log_probability[name]:.3f}" if log_probability else "" for name in labels]
        cells.append([word, *nats, f"{part:+.3f}"])
        bars.append(style(bar * round(abs(part) / largest * _BAR_WIDTH), part > 0))
    cells.append(["sum", *([""] * len(labels)), f"{explanation['decision']:+.3f}"])
    bars.append("")
    lines = ["  ".join([*row, bar]).rstrip() for row, bar in zip(aligned(cells), bars, strict=True)]
    note = shown(_variant_note(explanation), None, terminal=terminal)
    return "\n".join([_title(explanation, terminal=terminal), *([note] if note else []), "", *lines])


def to_html(explanation: Explanation) -> str:
    """Return an explanation as a self-contained HTML snippet: the text, each word shaded."""
    from lmclassify.evaluation.page.formats import environment

    words, end, text = explanation["words"], explanation["end_of_text"], explanation["text"]

    labels = _labels(explanation)

    def title(item: ExplainedWord | ExplainedEnd) -> str:
        nats = ", ".join(f"log p({label}) {item['log_probability'][label]:.3f}" for label in labels)
        return f"{item['part']:+.3f}; {nats}"

    pieces, done = [], 0
    for word in words:
        before = text[done : word["start"]]
        pieces.append(
            {"before": before, "text": word["word"], "title": title(word), "contribution": word["part"]}
        )
        done = word["end"]
    end_title = f"end of text: {title(end)}"
    pieces.append({"before": text[done:] + " ", "text": "⏎", "title": end_title, "contribution": end["part"]})
    return (
        environment()
        .get_template("explanation.html")
        .render(
            labels=[(label, explanation["probabilities"][label]) for label in labels],
            explanation=explanation,
            pieces=pieces,
            largest=max(abs(item["part"]) for item in [*words, end]) or 1.0,
            note=_variant_note(explanation),
        )
    )


def informative_words_to_text(
    words: Mapping[str, Sequence[InformativeWord]], *, terminal: bool = False
) -> str:
    """Return the most informative words of each label, one table per label.

    With many labels, those whose words say most.
    """
    chosen = list(words)
    if len(chosen) > _MAX_LABELS:
        chosen.sort(key=lambda label: -sum(word["total"] for word in words[label]))
        chosen = [label for label in chosen[:_MAX_LABELS] if words[label]]
    tables = []
    for label in chosen:
        cells = [["word", "count", "part", "total"]]
        cells += [
            [
                shown(word["word"], terminal=terminal),
                f"{word['count']:,}",
                f"{word['part']:+.3f}",
                f"{word['total']:+.1f}",
            ]
            for word in words[label]
        ]
        lines = ["  ".join(row) for row in aligned(cells)]
        tables.append("\n".join([f"for {shown(label, terminal=terminal)}", *lines]))
    if len(chosen) < len(words):
        tables.append(f"{counted(len(words) - len(chosen), 'more label')}: --format json shows all")
    return "\n\n".join(tables)


def _variant_note(explanation: Explanation) -> str:
    """Return a note on the variant of a disguised text that was scored; empty if it is the text itself."""
    variant = explanation["reading"]
    if variant is None:
        return ""
    short = variant if len(variant) <= _MAX_VARIANT else variant[: _MAX_VARIANT - 1] + "…"
    return f"disguised text, scored as “{short}”; words that are not in it contribute nothing"


def _title(explanation: Explanation, *, terminal: bool = False) -> str:
    """Return, for example, "spam (98.2%), compared with ham (1.8%)"."""
    return ", compared with ".join(
        f"{shown(label, terminal=terminal)} ({percent(explanation['probabilities'][label])})"
        for label in _labels(explanation)
    )


def _labels(explanation: Explanation) -> list[str]:
    """Return the label and the one it is compared with, if any."""
    return [label for label in (explanation["label"], explanation["against"]) if label is not None]
