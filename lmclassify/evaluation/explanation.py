"""Explanations as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from lmclassify.classify.explain import (
    MIN_SHARE,
    ExplainedRest,
    ExplainedWord,
    Explanation,
    InformativeWord,
    explained_sum,
)
from lmclassify.classify.label_colours import COLOURS, TERMINAL_GREY, colour_numbers
from lmclassify.errors import counted, cut
from lmclassify.text.display import MAX_CELL, aligned, percent, shown, word_lines

_MAX_LABELS = 20
"""Labels whose informative words are shown as text: a few screens."""
_MAX_VARIANT = 200
"""Characters shown of the text as it was scored."""
_MAX_FIELD = 12
"""Characters shown of the name of a text column."""
_MIN_BAR, _MAX_BAR = 6, 20
"""Columns of the longest bar, in narrow and wide terminals."""
_MIN_WORD = 14
"""Smallest width to which a word is cut, in terminal columns."""
_MIN_HEAD = 14
"""Width from which the heads of the bars are names of labels, which may be cut; below it they are signs."""


@dataclass(frozen=True)
class Screen:
    """Width and colours of the output that explanations are printed on."""

    width: int = 80
    """Terminal columns."""
    terminal: bool = False
    """Whether it is a terminal; see `lmclassify.text.display.shown`."""
    colour: bool = False
    """Whether it shows colours."""
    bar: str = "#"
    """Character that bars are made of."""

    def cell(self, text: str, most: int = MAX_CELL) -> str:
        """Return a text as a cell of a table."""
        return shown(text, most, terminal=self.terminal)

    def paint(self, text: str, terminal_colour: int) -> str:
        """Return a text in one of the 256 colours of terminals, where there are colours."""
        return f"\x1b[38;5;{terminal_colour}m{text}\x1b[39m" if self.colour and text else text

    def label(self, label: str, number: int | None) -> str:
        """Return a label's name, after a square of its colour where there are colours."""
        name = self.cell(label)
        return (
            name
            if not self.colour or number is None
            else f"{self.paint('■', COLOURS[number].terminal)} {name}"
        )


def to_text(
    explanation: Explanation,
    screen: Screen,
    *,
    most: int = 30,
    language_models: str | None = None,
    strongest_first: bool = False,
) -> str:
    """Return an explanation as a table with one line per word and a bar for its contribution.

    Bars to the right are contributions to the label, bars to the left those to the label compared with.

    Parameters
    ----------
    most : int, default=30
        Largest number of lines of words: those that contribute most. One more line stands for all others.
    language_models : str, optional
        What the labels' language models are, such as "LSTM": also show their log-probabilities.
    strongest_first : bool, default=False
        Sort the words by what they contribute, and equal words share a line, as fits long texts; by default
        they keep the order of the text.
    """
    labels = [label for label in (explanation["label"], explanation["against"]) if label is not None]
    numbers = colour_numbers(list(explanation["probabilities"]), labels)
    rows, left_out = _rows(explanation, most, strongest_first)
    heads = [f"{language_models} of {screen.cell(label, 10)}" for label in labels] if language_models else []
    with_field = any(row.field for row in rows)
    cells = [["word", *(["field"] if with_field else []), "nats", *heads]]
    for row in rows:
        nats = [
            "" if row.log_probability is None else f"{row.log_probability[label]:.2f}" for label in labels
        ]
        field = [screen.cell(row.field, _MAX_FIELD)] if with_field else []
        cells.append([row.name, *field, f"{row.contribution:+z.2f}", *(nats if language_models else [])])
    last = [f"{explanation['decision']:+z.2f}", *("" for _ in heads)]
    cells.append(["sum", *([""] if with_field else []), *last])
    notes = [explained_sum(explanation, "{:+z.2f}".format, screen.cell)]
    if len(labels) == 2:
        notes[0] += f" Words {'in grey' if screen.colour else 'without a bar'} hardly matter."
    if language_models:
        models = ", ".join(heads)
        notes.append(f"{models}: log-probability of the word under the label's language model, in nats.")
    if left_out:
        notes.append(
            f"The words that contribute most are shown: -n {most * 2} shows more, --format json all."
        )
    names = [
        f"{screen.label(label, numbers.get(label))} ({percent(explanation['probabilities'][label])})"
        for label in labels
    ]
    one_line = sum(cell_len(screen.cell(label)) + 20 for label in labels) <= screen.width
    title = (", compared with " if one_line else ",\ncompared with ").join(names)
    likeliest = max(explanation["probabilities"], key=explanation["probabilities"].__getitem__)
    if likeliest != explanation["label"]:
        title += f"\nThe most probable label is {screen.cell(likeliest)}."
    variant = explanation["reading"]
    return "\n".join(
        [
            title,
            *([] if variant is None else [_variant_note(variant, screen)]),
            "",
            *_table(cells, rows, labels, [COLOURS[numbers[label]].terminal for label in labels], screen),
            "",
            *(line for note in notes for line in word_lines(note, screen.width)),
        ]
    )


@dataclass(frozen=True)
class _Row:
    """A line of the table: a word, several words, the end of text or the prior."""

    name: str
    contribution: float
    log_probability: Mapping[str, float] | None
    matters: bool
    field: str = ""
    """The text column of a word, where several columns make a text."""


def _rows(explanation: Explanation, most: int, strongest_first: bool) -> tuple[list[_Row], int]:
    """Return the lines of the table, and how many words are in none of their own.

    If a text has more than `most` words or they are sorted, equal words share a line.
    """
    words: list[ExplainedWord] = explanation["words"]
    grouped: dict[object, list[ExplainedWord]] = defaultdict(list)
    for word in words:
        key = (word["word"], _field(word)) if strongest_first or len(words) > most else word["start"]
        grouped[key].append(word)
    groups = list(grouped.values())
    sums = [sum(word["contribution"] for word in group) for group in groups]
    ranked = sorted(range(len(groups)), key=lambda index: -abs(sums[index]))
    others = [word for index in ranked[most:] for word in groups[index]]
    end, prior = explanation["end_of_text"], explanation["prior"]
    largest = max([abs(end["contribution"]), *map(abs, sums)]) or 1.0

    def row(name: str, items: Sequence[ExplainedRest], models: Sequence[Mapping[str, float]]) -> _Row:
        contribution = sum(item["contribution"] for item in items)
        nats = {label: sum(model[label] for model in models) for label in (models[0] if models else ())}
        return _Row(name, contribution, nats or None, abs(contribution) >= MIN_SHARE * largest)

    def words_row(name: str, items: Sequence[ExplainedWord], field: str = "") -> _Row:
        return replace(row(name, items, [item["log_probability"] for item in items]), field=field)

    rows = [
        words_row(
            f"{group[0]['word']} ({len(group):,} times)" if group[1:] else group[0]["word"],
            group,
            _field(group[0]),
        )
        for group in (
            groups[index] for index in (ranked[:most] if strongest_first else sorted(ranked[:most]))
        )
    ]
    if others:
        rows.append(words_row(f"({counted(len(others), 'more word')})", others))
    rows.append(row("(end of text)", [end], [end["log_probability"]]))
    rows.append(row("(prior)", [prior], []))
    return rows, len(others)


def _field(word: ExplainedWord) -> str:
    return word.get("field", "")


def _table(
    cells: Sequence[list[str]],
    rows: Sequence[_Row],
    labels: Sequence[str],
    colours: Sequence[int],
    screen: Screen,
) -> list[str]:
    """Return the lines of the table: head, rows and sum, with bars on both sides of an axis."""
    columns = list(zip(*cells, strict=True))
    numbers_width = sum(2 + max(map(cell_len, column)) for column in columns[1:]) + 2
    room = screen.width - numbers_width - 1  # for the words and the bars of both sides
    words = [screen.cell(word, max(_MIN_WORD, min(MAX_CELL, room - 2 * _MIN_BAR))) for word in columns[0]]
    half = max(_MIN_BAR, min(_MAX_BAR, (room - max(map(cell_len, words))) // 2))
    axis = "│" if screen.bar == "█" else "|"
    right, *left = (screen.cell(f"for {label}", half - 1) for label in labels)
    if half < _MIN_HEAD and any(cell_len(f"for {label}") >= half for label in labels):
        right, *left = ("+", "-")[: len(labels)]  # explained below the table
    head = " ".join([" " * (half - 1 - sum(map(cell_len, left))) + "".join(left), axis, right])
    largest = max(abs(row.contribution) for row in rows) or 1.0

    def bars(row: _Row) -> str:
        length = max(1, round(abs(row.contribution) / largest * half)) if row.matters else 0
        bar, against = screen.bar * length, row.contribution < 0
        bar = screen.paint(bar, colours[-1 if against else 0])
        left = " " * (half - length * against) + bar * against
        return f"{left}{axis}{'' if against else bar}"

    sides = [head, *map(bars, rows), ""]
    grey = [False, *(not row.matters for row in rows), False]
    table = aligned([[word, *others] for word, (_, *others) in zip(words, cells, strict=True)])
    return [
        "  ".join([screen.paint("  ".join(row), TERMINAL_GREY) if dim else "  ".join(row), side]).rstrip()
        for row, side, dim in zip(table, sides, grey, strict=True)
    ]


def informative_words_to_text(words: Mapping[str, Sequence[InformativeWord]], screen: Screen) -> str:
    """Return the most informative words of each label, one table per label.

    With many labels, those whose words say most.
    """
    chosen = list(words)
    if len(chosen) > _MAX_LABELS:
        chosen.sort(key=lambda label: -sum(word["total"] for word in words[label]))
        chosen = [label for label in chosen[:_MAX_LABELS] if words[label]]
    colours = colour_numbers(list(words), chosen)
    largest = max((word["total"] for label in chosen for word in words[label]), default=1.0)
    tables = []
    for label in chosen:
        cells = [["word", "times", "contribution", "total"]]
        cells += [
            [
                screen.cell(word["word"]),
                f"{word['count']:,}",
                f"{word['contribution']:+z.2f}",
                f"{word['total']:+z.1f}",
            ]
            for word in words[label]
        ]
        bars = [
            "",
            *(screen.bar * max(1, round(word["total"] / largest * _MAX_BAR)) for word in words[label]),
        ]
        colour = COLOURS[colours[label]].terminal
        lines = [
            "  ".join([*row, screen.paint(bar, colour)]).rstrip()
            for row, bar in zip(aligned(cells), bars, strict=True)
        ]
        tables.append("\n".join([f"Words for {screen.label(label, colours[label])}", *lines]))
    notes = []
    if len(chosen) < len(words):
        notes.append(f"{counted(len(words) - len(chosen), 'more label')}: --format json shows all")
    notes += word_lines(
        "contribution: what a word adds to the label's joint log-probability on average, minus the mean of "
        "what it adds to the other labels, in nats; total: the sum over all times that the word occurs.",
        screen.width,
    )
    return "\n\n".join([*tables, "\n".join(notes)])


def _variant_note(variant: str, screen: Screen) -> str:
    """Return a note on the variant of a disguised text that was scored."""
    scored = cut(variant, _MAX_VARIANT)
    note = f"disguised text, scored as “{scored}”; words that are not in it contribute nothing"
    return shown(note, None, terminal=screen.terminal)
