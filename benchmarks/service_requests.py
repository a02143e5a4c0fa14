"""What `soak` asks a service: requests of every sort, and whether an answer is right."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmclassify.service.served import ServedModel

_TOLERANCE = 1e-5
"""Of numbers: texts that are scored together differ in the last bits from texts scored alone."""
_SHARES = {"one text": 50, "some texts": 20, "many texts": 3, "explain": 10, "suggest": 1, "invalid": 16}
_MANY = 700
"""Texts: more than are scored at a time, so that another model may come in between."""


@dataclass(frozen=True)
class Question:
    """A request, and what its answer must be."""

    kind: str
    path: str
    body: bytes
    answers: tuple[Any, ...] = ()
    """Of each model."""
    status: int = 200

    def request(self) -> bytes:
        """Return it as HTTP."""
        lines = [
            f"POST /v1/{self.path} HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Mixture:
    """Questions drawn at random, with the answers of some models.

    Parameters
    ----------
    models : sequence of ServedModel
    texts : sequence of str
    seed : int
    """

    def __init__(self, models: Sequence[ServedModel], texts: Sequence[str], seed: int) -> None:
        self.random = random.Random(seed)
        self._models = models
        self._texts = texts
        self._questions = {
            "one text": [self._predict("one text", 1) for _ in range(40)],
            "some texts": [self._predict("some texts", self.random.randint(2, 40)) for _ in range(15)],
            "many texts": [self._predict("many texts", _MANY) for _ in range(3)],
            "explain": [self._explain() for _ in range(20)],
            "suggest": [self._suggest() for _ in range(10)],
            "invalid": [Question("invalid", *wrong) for wrong in _INVALID],
        }

    def draw(self) -> Question:
        """Return one."""
        (kind,) = self.random.choices(list(_SHARES), list(_SHARES.values()))
        return self.random.choice(self._questions[kind])

    def _predict(self, kind: str, count: int) -> Question:
        texts = self.random.choices(self._texts, k=count)
        answers = tuple({"predictions": model.predict(texts)} for model in self._models)
        return Question(kind, "predict", json.dumps({"texts": texts}).encode(), answers)

    def _explain(self) -> Question:
        text = self.random.choice(self._texts)
        answers = tuple(model.explain(text) for model in self._models)
        return Question("explain", "explain", json.dumps({"text": text}).encode(), answers)

    def _suggest(self) -> Question:
        prefix = " ".join(self.random.choice(self._texts).split()[:2])
        answers = tuple({"suggestions": model.suggest(prefix)} for model in self._models)
        return Question("suggest", "suggest", json.dumps({"prefix": prefix}).encode(), answers)


_INVALID: list[tuple[str, bytes, tuple[Any, ...], int]] = [
    ("predict", b"{", (), 400),
    ("predict", b"\xff\xfe{\x00}\x00", (), 400),
    ("predict", b'{"text": "a", "text": "b"}', (), 400),
    ("predict", b"[" * 50_000, (), 400),
    ("predict", b'{"texts": "one"}', (), 422),
    ("predict", b'{"text": "\\ud800"}', (), 422),
    ("predict", json.dumps({"texts": ["a"] * 1001}).encode(), (), 422),
    ("predict", json.dumps({"text": "a" * 20_001}).encode(), (), 422),
    ("predict", b" " * ((1 << 20) + 1), (), 413),
    ("explain", b'{"text": "a", "label": "no such label"}', (), 422),
    ("suggest", b'{"prefix": "a", "n": -1}', (), 422),
    ("nothing", b"{}", (), 404),
]


def alike(expected: Any, found: Any) -> bool:
    """Return whether an answer is the expected one, numbers within a tolerance."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and list(expected) == list(found)
            and all(alike(value, found[name]) for name, value in expected.items())
        )
    if isinstance(expected, list):
        return isinstance(found, list) and len(expected) == len(found) and all(map(alike, expected, found))
    if isinstance(expected, float):
        return isinstance(found, int | float) and math.isclose(
            expected, found, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE
        )
    return bool(expected == found)
