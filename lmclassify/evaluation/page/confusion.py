"""The confusion matrix: a table with shaded cells of few labels, an overview and the worst pairs of many."""

from __future__ import annotations

from collections import defaultdict

from lmclassify.evaluation.metrics import Evaluation
from lmclassify.evaluation.page.markup import Html, element, joined, name, percent, table

MOST_LABELS = 12
"""In a table that can be read."""
_PAIRS = 25
_SHADES = 5
_LONGEST_NAME = 24


def confusion(evaluation: Evaluation) -> Html:
    """Return the confusion matrix as HTML.

    Parameters
    ----------
    evaluation : Evaluation
    """
    if len(evaluation.per_label) <= MOST_LABELS:
        return _matrix(evaluation)
    return joined([_pairs(evaluation), _overview(evaluation)])


def _rows(evaluation: Evaluation) -> list[tuple[int, list[int]]]:
    """Return the place and counts of each label's row: not those of what no text is, as unsure."""
    return [
        (place, row)
        for place, (label, row) in enumerate(zip(evaluation.labels, evaluation.confusion_matrix, strict=True))
        if label in evaluation.per_label
    ]


def _matrix(evaluation: Evaluation) -> Html:
    rows = []
    for place, counts in _rows(evaluation):
        texts = sum(counts)
        cells: list[object] = [name(evaluation.labels[place], _LONGEST_NAME)]
        for column, count in enumerate(counts):
            share = count / texts if texts else 0.0
            kind = "right" if column == place else "wrong"
            cells.append(
                element(
                    "td",
                    f"{count:,}",
                    element("small", percent(share)) if texts else "",
                    class_=f"shaded {kind}",
                    style=f"--s:{share:.3f}",
                )
            )
        rows.append([*cells, f"{texts:,}"])
    columns = [name(label, _LONGEST_NAME) for label in evaluation.labels]
    return table(
        "Confusion matrix",
        "Rows: true labels; columns: predicted ones; below each count its share of the row. Blue: right, "
        "orange: wrong, the stronger the larger the share.",
        ["true", *columns, "texts"],
        rows,
        class_="matrix",
    )


def _pairs(evaluation: Evaluation) -> Html:
    pairs = sorted(
        (-count, place, column, sum(counts))
        for place, counts in _rows(evaluation)
        for column, count in enumerate(counts)
        if count and column != place
    )
    mistakes = sum(-count for count, *_ in pairs)
    shown = pairs[:_PAIRS]
    if not shown:
        return element("p", "No text was given another label than its own.")
    of_shown = sum(-count for count, *_ in shown)
    return table(
        "Most confused labels",
        f"The most confused of {len(pairs):,} pairs of labels; these {len(shown)} make up {of_shown:,} of "
        f"{mistakes:,} mistakes.",
        ["true", "predicted", "texts", "of the true label's"],
        [
            [
                name(evaluation.labels[place]),
                name(evaluation.labels[column]),
                f"{-count:,}",
                percent(-count / texts),
            ]
            for count, place, column, texts in shown
        ],
        texts=2,
    )


def _overview(evaluation: Evaluation) -> Html:
    """Return the whole matrix as a picture, a square a cell, those of one shade in one path."""
    squares: dict[tuple[str, int], list[str]] = defaultdict(list)
    rows = _rows(evaluation)
    for at, (place, counts) in enumerate(rows):
        texts = sum(counts)
        for column, count in enumerate(counts):
            if count:
                shade = min(int(count / texts * _SHADES), _SHADES - 1)
                kind = "right" if column == place else "wrong"
                squares[kind, shade].append(f"M{column} {at}h1v1h-1z")
    width, height = len(evaluation.labels), len(rows)
    paths = [
        element("path", d="".join(parts), class_=kind, opacity=f"{0.3 + 0.7 * shade / (_SHADES - 1):.2f}")
        for (kind, shade), parts in sorted(squares.items())
    ]
    label = f"Confusion matrix of {height} labels, {evaluation.accuracy:.1%} of texts on its diagonal"
    picture = element(
        "svg",
        *paths,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
        shape_rendering="crispEdges",
    )
    return element(
        "figure",
        element("div", picture, class_="plot overview"),
        element(
            "figcaption",
            f"All {height} labels in alphabetical order: a row for each true one, from the top, and a column "
            "for each predicted one. Blue: right, orange: wrong, the darker the larger the share of the row.",
        ),
    )
