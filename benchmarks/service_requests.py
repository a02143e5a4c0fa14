"""Requests of every kind for `benchmarks.service_soak`, with their expected answers."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lmclassify.service.model_scorer import ModelScorer

_TOLERANCE = 1e-5
"""For numbers: scores differ in the last bits between texts scored together and alone."""
_WEIGHTS = {"one text": 50, "some texts": 20, "many texts": 3, "explain": 10, "suggest": 1, "invalid": 16}
_LARGE_REQUEST_TEXTS = 700
"""More than are scored at a time, so that the model may be replaced in between."""


@dataclass(frozen=True)
class SoakRequest:
    """A request and its expected answer."""

    kind: str
    path: str
    body: bytes
    answers: tuple[Any, ...] = ()
    """Expected JSON, for each model."""
    status: int = 200

    def encode(self) -> bytes:
        """Return the bytes of the HTTP request."""
        lines = [
            f"POST /v1/{self.path} HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class RequestMixture:
    """A random mixture of requests, with the answers that the models give.

    Parameters
    ----------
    models : sequence of ModelScorer
    texts : sequence of str
    seed : int
    """

    def __init__(self, models: Sequence[ModelScorer], texts: Sequence[str], seed: int) -> None:
        self.random = random.Random(seed)
        self._first_kinds = 3 * list(_WEIGHTS)
        self._models = models
        self._texts = texts
        self._requests = {
            "one text": [self._predict("one text", 1) for _ in range(40)],
            "some texts": [self._predict("some texts", self.random.randint(2, 40)) for _ in range(15)],
            "many texts": [self._predict("many texts", _LARGE_REQUEST_TEXTS) for _ in range(3)],
            "explain": [self._explain() for _ in range(20)],
            "suggest": [self._suggest() for _ in range(10)],
            "invalid": [SoakRequest("invalid", *invalid) for invalid in INVALID_REQUESTS],
        }

    def sample(self) -> SoakRequest:
        """Return a random request. The first ones are of every kind, so that short runs have all of them."""
        if self._first_kinds:
            kind = self._first_kinds.pop()
        else:
            (kind,) = self.random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        return self.random.choice(self._requests[kind])

    def _predict(self, kind: str, count: int) -> SoakRequest:
        texts = self.random.choices(self._texts, k=count)
        answers = tuple({"predictions": model.predict(texts)} for model in self._models)
        return SoakRequest(kind, "predict", json.dumps({"texts": texts}).encode(), answers)

    def _explain(self) -> SoakRequest:
        text = self.random.choice(self._texts)
        answers = tuple(model.explain(text) for model in self._models)
        return SoakRequest("explain", "explain", json.dumps({"text": text}).encode(), answers)

    def _suggest(self) -> SoakRequest:
        prefix = " ".join(self.random.choice(self._texts).split()[:2])
        answers = tuple({"suggestions": model.suggest(prefix)} for model in self._models)
        return SoakRequest("suggest", "suggest", json.dumps({"prefix": prefix}).encode(), answers)


INVALID_REQUESTS: list[tuple[str, bytes, tuple[Any, ...], int]] = [
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


def matches(expected: Any, found: Any) -> bool:
    """Return whether an answer equals the expected one, numbers within a tolerance."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and list(expected) == list(found)
            and all(matches(value, found[name]) for name, value in expected.items())
        )
    if isinstance(expected, list):
        return isinstance(found, list) and len(expected) == len(found) and all(map(matches, expected, found))
    if isinstance(expected, float):
        return isinstance(found, int | float) and math.isclose(
            expected, found, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE
        )
    return bool(expected == found)
