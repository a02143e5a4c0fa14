"""Drift: does new text still look like the text that a model was measured on when it was fitted?

Nats per word measure how unlike the training texts a text is. The texts are compared, chunk by chunk, with
the held-out texts, for all labels together and for each predicted label. The change is the typical ratio of
two texts' nats per word (Hodges & Lehmann 1963), with the confidence interval of the Mann-Whitney test. Both
depend on ranks only, so a few extreme texts change them little. A chunk has drifted if its whole interval
lies beyond `MIN_CHANGE`, above or below.

The intervals of a report hold together with a probability of 99% (Bonferroni: half of the 1% is for the
texts of all labels, half for those of single labels). So at most 1% of reports on unchanged texts find drift.
It is less in practice, because a change below `MIN_CHANGE` is no drift: of 2,000 simulated reports on the
sample of version 0.7 (1,380 subject lines) none found drift, and 0.7% did without that condition. Nor did 50
models of random halves of that sample find drift in the other halves (`benchmarks.drift_false_alarms`).
Texts are assumed to be independent of each other: many copies of one message in a chunk can be an alarm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from lmclassify.classify.thresholds import HeldOut
from lmclassify.errors import DataError, counted, listing
from lmclassify.text.display import aligned, shown, word_lines

Array = npt.NDArray[np.float64]

DEFAULT_CHUNKS = 10
"""Chunks of equal size: enough to see when a change begins."""
FALSE_ALARM_RATE = 0.01
"""Largest share of reports on unchanged texts that find drift anywhere."""
MIN_CHANGE = 0.1
"""Smallest relative change that is drift. On small data sets, unchanged texts get up to 9% fewer nats per
word than held-out texts did, because held-out texts were scored by models of fewer texts."""
_MIN_TEXTS = 5
"""Texts of a label in a chunk: fewer say little."""
_MAX_SHOWN = 20
"""Labels in a table: with the chunks of all texts, about a screen."""
_MAX_NAMED = 5
"""Labels named in the verdict, to keep it short."""
_WIDTH = 80
"""Characters of a line of text: the usual width of terminals."""
_MAX_PAIRED = 1000
"""Texts of a chunk, and held-out texts, in the pairs that a change comes from. Of more texts evenly spaced
ones in the order of their nats per word are taken, which gives the same change to three digits."""
LESS_LIKE, MORE_LIKE = "less like the training texts", "more like the training texts"


@dataclass(frozen=True)
class ChunkDrift:
    """One chunk of texts compared with the held-out texts."""

    number: int
    """From 1, among the chunks of all texts."""
    first: str
    """Row or time of its first text."""
    last: str
    texts: int
    nats_per_word: float
    """Median of the texts."""
    change: float
    """Of the nats per word relative to the held-out texts: the median over all pairs of a text of the chunk
    and a held-out text. Positive: less like the training texts."""
    interval: tuple[float, float | None]
    """Confidence interval of the change; None: unbounded, because of too few texts."""
    p_value: float
    """Of the two-sided Mann-Whitney test of no change, without correction for the number of chunks."""
    drifted: bool
    """Whether the whole interval is above `MIN_CHANGE` or below minus `MIN_CHANGE`."""

    @property
    def span(self) -> str:
        """First and last text, such as "rows 1 to 20"."""
        first, last = self.first.removeprefix("row "), self.last.removeprefix("row ")
        return f"{'rows ' if first != self.first else ''}{first} to {last}"

    @property
    def verdict(self) -> str:
        """In which direction the chunk has drifted; empty if it has not."""
        return "" if not self.drifted else LESS_LIKE if self.change > 0 else MORE_LIKE


@dataclass(frozen=True)
class LabelDrift:
    """The chunks of the texts of one predicted label, or of all texts."""

    label: str | None
    """None: all labels."""
    held_out_texts: int
    held_out_nats_per_word: float
    """Median."""
    whole: ChunkDrift
    """All texts together: it finds changes that chunks are too small for. Its number is 0."""
    chunks: list[ChunkDrift]
    """Of a label, those with at least five of its texts; may be empty."""

    @property
    def drifted(self) -> list[ChunkDrift]:
        """What has drifted: all texts together first, then chunks."""
        return [chunk for chunk in (self.whole, *self.chunks) if chunk.drifted]


@dataclass(frozen=True)
class Drift:
    """How texts differ from held-out texts."""

    labels: list[LabelDrift]
    """All texts first, then those of each predicted label."""

    @property
    def drifted(self) -> int:
        """Number of chunks of all texts that drifted."""
        return sum(chunk.drifted for chunk in self.labels[0].chunks)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-compatible data."""
        return {"drifted_chunks": self.drifted, "false_alarm_rate": FALSE_ALARM_RATE, **asdict(self)}

    def shown_labels(self) -> list[LabelDrift]:
        """Return the labels to show: those that drifted first, then the most frequent ones."""
        return sorted(self.labels[1:], key=lambda part: (not part.drifted, -part.whole.texts))[:_MAX_SHOWN]

    def rows(self) -> list[tuple[str, ChunkDrift]]:
        """Return the rows of a table with their names.

        Chunks of all texts, all texts together, labels; below each label its chunks that drifted.
        """
        whole = self.labels[0]
        rows = [(chunk.span, chunk) for chunk in whole.chunks]
        if len(whole.chunks) > 1:
            rows.append(("all texts", whole.whole))
        for part in self.shown_labels():
            rows.append((f"predicted as {shown(str(part.label), 24)}", part.whole))
            rows += [(f"- {chunk.span}", chunk) for chunk in part.chunks if chunk.drifted]
        return rows

    def to_text(self) -> str:
        """Return the figures as text, with the verdict in the last lines."""
        cells = [["", "texts", "nats/word", "change", "interval"]]
        cells += [
            [name, f"{chunk.texts:,}", f"{chunk.nats_per_word:.1f}", _signed(chunk.change), interval(chunk)]
            for name, chunk in self.rows()
        ]
        verdicts = ["", *(f"  {chunk.verdict}".rstrip() for _, chunk in self.rows())]
        hidden = len(self.labels) - 1 - _MAX_SHOWN
        return "\n".join(
            [
                "Drift: are the texts like the training texts?",
                *("  ".join(row) + verdict for row, verdict in zip(aligned(cells), verdicts, strict=True)),
                *([f"{counted(hidden, 'more label')}: --format json shows all"] if hidden > 0 else []),
                "",
                *word_lines(self.explanation(), _WIDTH),
                "",
                *word_lines(f"Verdict: {self.verdict()}", _WIDTH),
            ]
        )

    def explanation(self) -> str:
        """Return what the figures mean."""
        whole, least = self.labels[0], MIN_CHANGE
        texts = counted(whole.held_out_texts, "held-out text")
        held_out = f"{texts} ({whole.held_out_nats_per_word:.1f} nats per word)"
        return (
            "The more nats per word (median), the less a text is like the training texts. "
            f"The change compares with {held_out}. "
            f"Texts have drifted if the whole interval is above {least:+.0%} or below {-least:+.0%}. "
            f"At most {FALSE_ALARM_RATE:.0%} of reports on unchanged texts find drift."
        )

    def verdict(self) -> str:
        """Return the result and what to do, in a few sentences."""
        whole, *labels = self.labels
        if whole.whole.texts < _MIN_TEXTS:
            return f"too few texts to tell: there should be at least {_MIN_TEXTS}."
        sentences = []
        if whole.whole.drifted:
            sentences.append(f"All texts together are {whole.whole.verdict}.")
        for direction in (LESS_LIKE, MORE_LIKE):
            chunks = [chunk for chunk in whole.chunks if chunk.verdict == direction]
            if chunks and len(whole.chunks) > 1:
                sentences.append(
                    f"{len(chunks)} of {len(whole.chunks)} chunks are {direction}; the first one begins at "
                    f"{chunks[0].first}."
                )
        drifted = [part for part in labels if part.drifted]
        if drifted:
            names = listing([shown(str(part.label)) for part in drifted], _MAX_NAMED)
            sentences.append(f"Texts predicted as {names} have drifted.")
        directions = {chunk.verdict for part in self.labels for chunk in part.drifted}
        if LESS_LIKE in directions:
            sentences.append(
                "Predictions on texts less like the training texts are less reliable: label some of them, "
                "evaluate on these, and fit again with them."
            )
        if MORE_LIKE in directions:
            sentences.append(
                "Texts more like the training texts than held-out texts may be copies of training texts, or "
                "the same message many times: check this before you trust the accuracy."
            )
        return " ".join(sentences) or "no drift found in the nats per word."


def interval(chunk: ChunkDrift) -> str:
    """Return the interval of the change as text."""
    low, high = chunk.interval
    return "unknown (few texts)" if high is None else f"{_signed(low)} to {_signed(high)}"


def _signed(share: float) -> str:
    """Return a share as signed percent; "+0%" for a small negative one too."""
    return f"{share:+.0%}".replace("-0%", "+0%")


def measure_drift(
    cross_entropies: Array,
    predicted: Sequence[str],
    positions: Sequence[str],
    held_out: HeldOut,
    labels: Sequence[str],
    chunks: int = DEFAULT_CHUNKS,
    min_change: float = MIN_CHANGE,
) -> Drift:
    """Compare texts, in the order given, with the held-out texts of a model.

    Raises DataError if there are no texts, or the model has no held-out scores.

    Parameters
    ----------
    cross_entropies : ndarray, (n,)
        Nats per word of each text; every text has the same weight.
    predicted : sequence of str, (n,)
        Most probable labels.
    positions : sequence of str, (n,)
        Row or time of each text, to name the ends of chunks.
    labels : sequence of str, (K,)
    chunks : int, default=10
        Chunks of equal size; fewer if there are few texts.
    min_change : float, default=0.1
        A chunk has drifted if the interval of its change lies beyond this.
    """
    if not len(cross_entropies):
        raise DataError("no texts to measure drift on")
    if len(held_out.codes) < 2:
        raise DataError(
            "the model was fitted without held-out texts, so there is nothing to compare with: fit it again "
            "with --validation-fraction above 0"
        )
    reference = held_out.cross_entropies.astype(np.float64)
    reference_codes = held_out.joint.argmax(axis=1)
    names = np.asarray(predicted, dtype=object)
    count = max(1, min(chunks, len(names) // _MIN_TEXTS))
    rows_of_chunk = dict(enumerate(np.array_split(np.arange(len(names)), count), start=1))
    everything = np.arange(len(names))
    of_labels: list[_Compared] = []
    for code, label in enumerate(labels):
        by_chunk = {number: rows[names[rows] == label] for number, rows in rows_of_chunk.items()}
        by_chunk = {number: rows for number, rows in by_chunk.items() if len(rows) >= _MIN_TEXTS}
        rows_of_label, same_label = everything[names == label], reference[reference_codes == code]
        if len(rows_of_label) >= _MIN_TEXTS and len(same_label) > 1:
            of_labels.append(_Compared(label, same_label, rows_of_label, by_chunk))
    all_texts = _Compared(None, reference, everything, rows_of_chunk)
    half = FALSE_ALARM_RATE / 2 if of_labels else FALSE_ALARM_RATE
    result = []
    for family in ([all_texts], of_labels):
        comparisons = sum(1 + len(part.rows_of_chunk) for part in family)
        result += [
            part.compare(cross_entropies, positions, half / comparisons, min_change) for part in family
        ]
    return Drift(result)


@dataclass(frozen=True)
class _Compared:
    """Texts of one predicted label, or all texts, and the held-out texts to compare them with."""

    label: str | None
    reference: Array
    """Nats per word of the held-out texts."""
    rows: npt.NDArray[np.intp]
    rows_of_chunk: Mapping[int, npt.NDArray[np.intp]]

    def compare(
        self, cross_entropies: Array, positions: Sequence[str], error_rate: float, min_change: float
    ) -> LabelDrift:
        """Compare all texts and each chunk; an interval misses the change with probability `error_rate`."""

        def compare(number: int, rows: npt.NDArray[np.intp]) -> ChunkDrift:
            values = cross_entropies[rows]
            change, (low, high) = change_with_interval(values, self.reference, error_rate)
            return ChunkDrift(
                number=number,
                first=positions[int(rows[0])],
                last=positions[int(rows[-1])],
                texts=len(rows),
                nats_per_word=float(np.median(values)),
                change=change,
                interval=(low, high if math.isfinite(high) else None),
                p_value=float(stats.mannwhitneyu(values, self.reference, method="asymptotic").pvalue),
                drifted=low > min_change or high < -min_change,
            )

        return LabelDrift(
            self.label,
            len(self.reference),
            float(np.median(self.reference)),
            compare(0, self.rows),
            [compare(number, rows) for number, rows in self.rows_of_chunk.items()],
        )


def change_with_interval(
    values: Array, reference: Array, error_rate: float
) -> tuple[float, tuple[float, float]]:
    """Return how much larger `values` are than `reference`, relatively, and a confidence interval.

    The interval inverts the Mann-Whitney test (normal approximation, whose tails are longer than those of
    the exact distribution).

    Parameters
    ----------
    values : ndarray, (n,), n >= 1
    reference : ndarray, (m,), m >= 1
    error_rate : float
        Probability that the interval misses the change.
    """
    ratios = np.subtract.outer(_log_quantiles(values), _log_quantiles(reference)).ravel()
    n, m = len(values), len(reference)
    margin = float(stats.norm.isf(error_rate / 2)) * math.sqrt((n + m + 1) / (12 * n * m))
    shares = np.clip([0.5, 0.5 - margin, 0.5 + margin], 0.0, 1.0)
    change, low, high = np.expm1(np.quantile(ratios, shares)).tolist()
    return change, (-1.0, math.inf) if margin >= 0.5 else (low, high)


def _log_quantiles(values: Array) -> Array:
    """Return the logarithms of the values; of more than `_MAX_PAIRED` evenly spaced ones in sorted order."""
    if len(values) > _MAX_PAIRED:
        values = np.quantile(values, (np.arange(_MAX_PAIRED) + 0.5) / _MAX_PAIRED)
    logs: Array = np.log(np.maximum(values, np.finfo(float).tiny))
    return logs
