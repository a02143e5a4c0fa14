"""Drift: does new text still look like the text that a model was evaluated on when it was fitted?

When the language changes, words become less probable. The cross-entropy per word of each chunk of new texts
is compared with that of the held-out texts by Welch's t-test (Welch 1947), for all labels together and for
each predicted label. The significance level is divided by the number of chunks (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from lmclassify.classify.thresholds import HeldOut
from lmclassify.errors import DataError, counted
from lmclassify.text.display import shown

Array = npt.NDArray[np.float64]

DEFAULT_CHUNKS = 10
"""Chunks of equal size: enough to see when a change begins."""
_MIN_TEXTS = 5
"""Texts of a label in a chunk: a mean of fewer says little."""
_SIGNIFICANCE_LEVEL = 0.01
"""Probability of a false alarm, for all chunks of a label together."""
_MAX_SHOWN = 20
"""Labels with a table of their own as text: a few screens."""
_MIN_CHANGE = 0.05
"""Relative change of the cross-entropy: with many texts, changes too small to matter are significant too."""


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
    change: float
    """Relative to the held-out texts' cross-entropy per word."""
    p_value: float
    drifted: bool
    """Whether the change is significant and more than 5 percent."""


@dataclass(frozen=True)
class LabelDrift:
    """The chunks of the texts of one predicted label, or of all texts."""

    label: str | None
    """None: all labels."""
    held_out_texts: int
    held_out_nats_per_word: float
    chunks: list[ChunkDrift]


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
        return {"drifted_chunks": self.drifted, **asdict(self)}

    def to_text(self) -> str:
        """Return the figures as text, with the verdict in the last line."""
        lines = []
        parts = self.labels[1:]
        if len(parts) > _MAX_SHOWN:
            parts = sorted(parts, key=lambda part: -sum(chunk.texts for chunk in part.chunks))[:_MAX_SHOWN]
        for part in [self.labels[0], *parts]:
            name = "all texts" if part.label is None else f"texts predicted as {shown(part.label)}"
            lines += [
                f"{name}: {part.held_out_nats_per_word:.3f} nats per word on "
                f"{counted(part.held_out_texts, 'held-out text')}",
                "  chunk                         texts  nats/word   change   p-value",
            ]
            for chunk in part.chunks:
                where = f"{chunk.first} to {chunk.last}"
                lines.append(
                    f"  {where:<26} {chunk.texts:>8,}  {chunk.nats_per_word:9.3f}  {chunk.change:+7.1%}"
                    f"  {chunk.p_value:8.2g}{'  drifted' if chunk.drifted else ''}"
                )
            lines.append("")
        if len(self.labels) - 1 > _MAX_SHOWN:
            lines.append(
                f"{counted(len(self.labels) - 1 - _MAX_SHOWN, 'more label')}: --format json shows all\n"
            )
        return "\n".join([*lines, f"drift: {self.verdict()}"])

    def verdict(self) -> str:
        """Return the result in one sentence, without its full stop."""
        chunks = self.labels[0].chunks
        if sum(chunk.texts for chunk in chunks) < _MIN_TEXTS:
            return "too few texts to tell"
        if not self.drifted:
            return "the texts look like the held-out texts"
        largest = max(chunks, key=lambda chunk: abs(chunk.change))
        return (
            f"the texts differ from the held-out texts in {self.drifted} of {counted(len(chunks), 'chunk')} "
            f"(by up to {largest.change:+.1%} nats per word)"
        )


def measure_drift(
    cross_entropies: Array,
    predicted: Sequence[str],
    positions: Sequence[str],
    held_out: HeldOut,
    labels: Sequence[str],
    chunks: int = DEFAULT_CHUNKS,
) -> Drift:
    """Compare texts, in the order given, with the held-out texts of a model.

    Raises DataError if there are no texts, or the model has no held-out scores.

    Parameters
    ----------
    cross_entropies : ndarray, (n,)
        Nats per word of each text; every text has the same weight.
    predicted : sequence of str, (n,)
    positions : sequence of str, (n,)
        Row or time of each text, to name the ends of chunks.
    labels : sequence of str, (K,)
    chunks : int, default=10
        Chunks of equal size; fewer if there are few texts.
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
    result = [_compare(None, cross_entropies, positions, reference, rows_of_chunk)]
    for code, label in enumerate(labels):
        by_chunk = {number: rows[names[rows] == label] for number, rows in rows_of_chunk.items()}
        by_chunk = {number: rows for number, rows in by_chunk.items() if len(rows) >= _MIN_TEXTS}
        same_label = reference[reference_codes == code]
        if by_chunk and len(same_label) > 1:
            result.append(_compare(label, cross_entropies, positions, same_label, by_chunk))
    return Drift(result)


def _compare(
    label: str | None,
    cross_entropies: Array,
    positions: Sequence[str],
    reference: Array,
    rows_of_chunk: Mapping[int, npt.NDArray[np.intp]],
) -> LabelDrift:
    reference_mean = float(reference.mean())
    chunks = []
    for number, rows in rows_of_chunk.items():
        values = cross_entropies[rows]
        mean = float(values.mean())
        change = mean / reference_mean - 1.0 if reference_mean else 0.0
        p_value = 1.0
        if len(values) > 1 and (values.std() or reference.std()):
            new, old = ((part.mean(), part.std(ddof=1), len(part)) for part in (values, reference))
            p_value = float(stats.ttest_ind_from_stats(*new, *old, equal_var=False).pvalue)
        chunks.append(
            ChunkDrift(
                number=number,
                first=positions[int(rows[0])],
                last=positions[int(rows[-1])],
                texts=len(rows),
                nats_per_word=mean,
                change=change,
                p_value=p_value,
                drifted=p_value < _SIGNIFICANCE_LEVEL / len(rows_of_chunk) and abs(change) > _MIN_CHANGE,
            )
        )
    return LabelDrift(label, len(reference), reference_mean, chunks)
