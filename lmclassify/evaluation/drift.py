"""Whether new text still looks like the text that a model was measured on: nats per word, chunk by chunk.

A model grows stale where words change: they become less probable. The cross-entropy per word of each chunk
of new texts is compared with that of held-out texts by Welch's t-test (Welch 1947), for all labels together
and for each predicted label; the level is divided by the number of chunks (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from lmclassify.classify.thresholds import HeldOut
from lmclassify.errors import DataError, printable

Array = npt.NDArray[np.float64]

CHUNKS = 10
_FEWEST_TEXTS = 5  # of a label in a chunk, to say something of it
_LEVEL = 0.01
_LEAST_CHANGE = 0.05  # of the held-out cross-entropy: what is significant may still be too little to matter


@dataclass(frozen=True)
class ChunkDrift:
    """One chunk of texts beside held-out ones."""

    number: int
    """From 1 up, of all texts' chunks."""
    first: str
    """What the chunk begins with: a row's number, or its time."""
    last: str
    texts: int
    nats_per_word: float
    change: float
    """In share of the held-out texts' cross-entropy per word."""
    p_value: float
    drifted: bool
    """Whether the change is significant and more than 5 percent."""


@dataclass(frozen=True)
class LabelDrift:
    """The chunks of one label's texts, or of all."""

    label: str | None
    """None: all labels."""
    held_out_texts: int
    held_out_nats_per_word: float
    chunks: list[ChunkDrift]


@dataclass(frozen=True)
class Drift:
    """How text changes against held-out text."""

    labels: list[LabelDrift]
    """All texts first, then each predicted label's."""

    @property
    def drifted(self) -> int:
        """Chunks of all texts that look unlike held-out ones."""
        return sum(chunk.drifted for chunk in self.labels[0].chunks)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON can hold them."""
        return {"drifted_chunks": self.drifted, **asdict(self)}

    def to_text(self) -> str:
        """Return the figures as lines to read."""
        lines = []
        for of_label in self.labels:
            name = "all texts" if of_label.label is None else f"texts given {printable(of_label.label)}"
            lines += [
                f"{name}: {of_label.held_out_nats_per_word:.3f} nats per word on "
                f"{of_label.held_out_texts:,} held-out texts",
                "  chunk                         texts  nats/word   change   p-value",
            ]
            for chunk in of_label.chunks:
                where = f"{chunk.first} to {chunk.last}"
                lines.append(
                    f"  {where:<26} {chunk.texts:>8,}  {chunk.nats_per_word:9.3f}  {chunk.change:+7.1%}"
                    f"  {chunk.p_value:8.2g}{'  drifted' if chunk.drifted else ''}"
                )
            lines.append("")
        whole = self.labels[0]
        verdict = "looks like the text it was measured on"
        if sum(chunk.texts for chunk in whole.chunks) < _FEWEST_TEXTS:
            verdict = "is too little to tell"
        elif self.drifted:
            worst = max(whole.chunks, key=lambda chunk: abs(chunk.change))
            verdict = (
                f"looks unlike the text it was measured on in {self.drifted} of {len(whole.chunks)} chunks "
                f"(at most {worst.change:+.1%} nats per word)"
            )
        return "\n".join([*lines, f"drift: to the model this text {verdict}"])


def measure_drift(
    cross_entropies: Array,
    predicted: Sequence[str],
    marks: Sequence[str],
    held_out: HeldOut,
    labels: Sequence[str],
    chunks: int = CHUNKS,
) -> Drift:
    """Compare texts, in their order, with held-out ones.

    Parameters
    ----------
    cross_entropies : ndarray, (n,)
        Nats per word of each text; all texts count the same.
    predicted : sequence of str, (n,)
    marks : sequence of str, (n,)
        What to call each text's place: its row or time.
    held_out : HeldOut
    labels : sequence of str, (K,)
    chunks : int, default=10
        Parts of like size; fewer where there are few texts.

    Raises
    ------
    DataError
        If there are no texts, or the model has no held-out scores.
    """
    if not len(cross_entropies):
        raise DataError("no texts to look for drift in")
    if len(held_out.codes) < 2:
        raise DataError("the model was fitted without held-out texts, so there is nothing to compare with")
    known = held_out.cross_entropies.astype(np.float64)
    of_known = held_out.joint.argmax(axis=1)
    names = np.asarray(predicted, dtype=object)
    count = max(1, min(chunks, len(names) // _FEWEST_TEXTS))
    parts = dict(enumerate(np.array_split(np.arange(len(names)), count), start=1))
    result = [_compare(None, cross_entropies, marks, known, parts)]
    for code, label in enumerate(labels):
        chosen = {number: part[names[part] == label] for number, part in parts.items()}
        chosen = {number: part for number, part in chosen.items() if len(part) >= _FEWEST_TEXTS}
        if chosen and (of_known == code).sum() > 1:
            result.append(_compare(label, cross_entropies, marks, known[of_known == code], chosen))
    return Drift(result)


def _compare(
    label: str | None,
    new: Array,
    marks: Sequence[str],
    known: Array,
    parts: Mapping[int, npt.NDArray[np.intp]],
) -> LabelDrift:
    usual = float(known.mean())
    chunks = []
    for number, part in parts.items():
        values = new[part]
        mean = float(values.mean())
        change = mean / usual - 1.0 if usual else 0.0
        p_value = 1.0
        if len(values) > 1 and (values.std() or known.std()):
            of_new, of_known = ((of.mean(), of.std(ddof=1), len(of)) for of in (values, known))
            p_value = float(stats.ttest_ind_from_stats(*of_new, *of_known, equal_var=False).pvalue)
        drifted = p_value < _LEVEL / len(parts) and abs(change) > _LEAST_CHANGE
        first, last = marks[int(part[0])], marks[int(part[-1])]
        chunks.append(ChunkDrift(number, first, last, len(part), mean, change, p_value, drifted))
    return LabelDrift(label, len(known), usual, chunks)
