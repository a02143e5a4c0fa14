"""Reads and writes lessons: as a file of a saved model, and as records of the journal.

Shapes: R buckets with a weight, K labels, L lessons.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from lmclassify.classify.online.lesson import ID_BYTES, Lesson, is_undo
from lmclassify.classify.online.lessons import Lessons, Taught
from lmclassify.classify.online.weights import LessonWeights
from lmclassify.persistence.arrays import arrays_file, read_arrays
from lmclassify.persistence.layout import ModelFile
from lmclassify.persistence.reading import as_model_error

ROLE = "lessons"


def lessons_file(lessons: Lessons) -> ModelFile:
    """Return lessons as a file of a saved model. The latest are kept whole, so that they can be undone."""
    taught, kept = lessons.taught, [lesson.to_bytes() for lesson in lessons.kept()]
    arrays = {
        "buckets": lessons.weights.buckets,
        "weights": lessons.weights.weights,
        "lessons": lessons.weights.lessons,
        "ids": np.frombuffer(b"".join(taught), np.uint8).reshape(-1, ID_BYTES),
        "times": np.array([lesson.time for lesson in taught.values()]),
        "labels": np.array([lesson.label for lesson in taught.values()], dtype=np.uint16),
        "corrections": np.array([lesson.is_correction for lesson in taught.values()], dtype=np.uint8),
        "kept": np.frombuffer(b"".join(kept), np.uint8),
        "kept.ends": np.cumsum([len(record) for record in kept], dtype=np.int64),
    }
    return arrays_file(ROLE, {name: np.ascontiguousarray(array) for name, array in arrays.items()})


def read_lessons(file: ModelFile, labels: int) -> Lessons:
    """Return the lessons of a model with so many labels. Raises ModelError if the file holds none."""
    arrays = read_arrays(
        file,
        buckets="u4",
        weights="f4",
        lessons="u4",
        ids="u1",
        times="f8",
        labels="u2",
        corrections="u1",
        kept="u1",
        **{"kept.ends": "i8"},
    )
    with as_model_error(file.path):
        count = len(arrays["times"])
        if arrays["weights"].ndim != 2 or arrays["weights"].shape[1] != labels:
            raise ValueError("lessons of other labels")
        if arrays["ids"].shape != (count, ID_BYTES) or arrays["labels"].max(initial=0) >= labels:
            raise ValueError("lessons that do not fit one another")
        result = Lessons(labels)
        result.weights = LessonWeights.from_arrays(arrays["buckets"], arrays["weights"], arrays["lessons"])
        facts = zip(
            arrays["ids"],
            arrays["times"].tolist(),
            arrays["labels"].tolist(),
            arrays["corrections"],
            strict=True,
        )
        for identity, time, label, is_correction in facts:
            result.taught[identity.tobytes()] = Taught(time, label, bool(is_correction))
        content, ends = arrays["kept"].tobytes(), [0, *arrays["kept.ends"].tolist()]
        if any(end < start for start, end in pairwise(ends)) or ends[-1] != len(content):
            raise ValueError("lessons that do not fit one another")
        result.keep(Lesson.from_bytes(content[start:end], labels) for start, end in pairwise(ends))
        return result


def replay(lessons: Lessons, records: Iterable[bytes]) -> None:
    """Apply the records of a journal. Raises ValueError if one is not of this model."""
    for record in records:
        if is_undo(record):
            if lessons.can_undo(record):
                lessons.undo(record)
        else:
            lessons.apply(Lesson.from_bytes(record, lessons.labels))
