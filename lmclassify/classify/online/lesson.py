"""One lesson: the changes of a model's weights that a text caused, and their encoding as bytes.

A lesson holds hashes and numbers only, never text.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify.text.tokenizer import encodable

ID_BYTES = 16
QUANTUM = 2.0**-18
"""All weights are multiples of this. 32-bit floats represent such numbers exactly below 64 in absolute value,
so that sums have no rounding errors and a lesson can be undone exactly."""

_HEAD = struct.Struct("<16sdHHHIffH")
_MOVE = struct.Struct("<16sIH")
_NONE = 0xFFFF
_OWN = bytes(ID_BYTES)
MAX_LABELS = _NONE


@dataclass(frozen=True)
class Move:
    """A change of the weights of one text's features."""

    buckets: npt.NDArray[np.uint32]
    """(f,) see `lmclassify.classify.online.features`."""
    steps: npt.NDArray[np.float16]
    """(f,) the change for a label of size 1."""
    labels: npt.NDArray[np.uint16]
    """(l,) indices of the labels whose weights change."""
    sizes: npt.NDArray[np.float32]
    """(l,) a weight changes by its step times its label's size."""
    owner: bytes | None = None
    """Identity of the earlier text whose weights this move changes (a rehearsal; see
    `lmclassify.classify.online.teach`). None: the text of the lesson itself."""

    def change(self) -> npt.NDArray[np.float32]:
        """Return the change of each weight, (f, l)."""
        product = self.steps.astype(np.float64)[:, np.newaxis] * self.sizes.astype(np.float64)
        return (np.round(product / QUANTUM) * QUANTUM).astype(np.float32)


@dataclass(frozen=True)
class Lesson:
    """One text that a model learned."""

    id: bytes
    """See `lesson_id`."""
    time: float
    """Seconds since 1970, UTC."""
    label: int
    """Index of the label."""
    before: int | None
    """Index of the label that the model predicted before the lesson. None: the model had too few lessons for
    predictions."""
    moved_from: int | None
    """Index of the label that the text had before, if it was given."""
    moves: Sequence[Move]
    words: int = 0
    """How many of the text's features are words and pairs of words; with recipe online."""
    values: tuple[float, float] = (0.0, 0.0)
    """The values of these features, and of the others; see `lmclassify.classify.online.features`."""

    @property
    def is_correction(self) -> bool:
        """Whether the model had given the text another label."""
        return self.before is not None and self.before != self.label

    def to_bytes(self) -> bytes:
        """Return the lesson as bytes; `from_bytes` reads it back exactly."""
        optional = [_NONE if index is None else index for index in (self.before, self.moved_from)]
        head = self.id, self.time, self.label, *optional, self.words, *self.values, len(self.moves)
        parts = [_HEAD.pack(*head)]
        for move in self.moves:
            parts.append(_MOVE.pack(move.owner or _OWN, len(move.buckets), len(move.labels)))
            parts += [array.tobytes() for array in (move.buckets, move.steps, move.labels, move.sizes)]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes, labels: int) -> Lesson:
        """Make a lesson of what `to_bytes` returned.

        Raises
        ------
        ValueError
            If the bytes are no lesson for a model of so many labels.
        """
        try:
            identity, time, label, before, moved_from, words, first, second, count = _HEAD.unpack_from(data)
            offset, moves = _HEAD.size, []
            for _ in range(count):
                move, offset = _read_move(data, offset)
                moves.append(move)
        except struct.error as error:
            raise ValueError(f"a lesson that ends early: {error}") from error
        found = [label, *(index for index in (before, moved_from) if index != _NONE)]
        found += [index for move in moves for index in move.labels.tolist()]
        if offset != len(data) or max(found) >= labels or not np.isfinite([time, first, second]).all():
            raise ValueError("a lesson of another model")
        before, moved_from = (None if index == _NONE else index for index in (before, moved_from))
        return cls(identity, time, label, before, moved_from, moves, words, (first, second))


def _read_move(data: bytes, offset: int) -> tuple[Move, int]:
    owner, features, labels = _MOVE.unpack_from(data, offset)
    offset += _MOVE.size
    arrays: list[npt.NDArray[Any]] = []
    for count, kind in ((features, "<u4"), (features, "<f2"), (labels, "<u2"), (labels, "<f4")):
        size = count * np.dtype(kind).itemsize
        if offset + size > len(data):
            raise ValueError("a lesson that ends early")
        arrays.append(np.frombuffer(data, kind, count, offset))
        offset += size
    if not all(np.isfinite(array).all() for array in (arrays[1], arrays[3])):
        raise ValueError("a lesson with a number that is not finite")
    buckets, steps, label_indices, sizes = arrays
    return Move(buckets, steps, label_indices, sizes, None if owner == _OWN else owner), offset


def lesson_id(text: str) -> bytes:
    """Return the identity of a text: a hash of its words.

    White space does not count, as mail programs change it. Message-IDs do not count either, as senders choose
    them.
    """
    content = " ".join(text.split())
    return hashlib.blake2b(encodable(content).encode(), digest_size=ID_BYTES).digest()


def undo_to_bytes(identity: bytes) -> bytes:
    """Return the journal record that undoes a lesson: the identity of its text."""
    return identity


def is_undo(record: bytes) -> bool:
    """Return whether a journal record undoes a lesson."""
    return len(record) == ID_BYTES
