"""Prometheus metrics of the service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TEXTS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Metrics of one service, in a registry of their own.

    Parameters
    ----------
    waiting : callable
        Returns the number of requests without an answer.

    Attributes
    ----------
    lesson_counts : mapping or None
        How many lessons the shared model has learned, whoever taught them: the fields of
        `lmclassify.classify.online.lessons.LessonStatistics`, where `per_label` is a mapping. None if that is
        unknown.
    last_lesson : float
        Time of the last lesson that this service answered; 0 if there was none.
    """

    MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "lmclassify_requests", "Answered requests.", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "lmclassify_request_seconds",
            "Time from the head of the request to the end of the response.",
            ["path"],
            buckets=_SECONDS_BUCKETS,
            registry=self._registry,
        )
        self._labels = Counter(
            "lmclassify_predictions", "Predicted texts by label.", ["label"], registry=self._registry
        )
        self._batches = Histogram(
            "lmclassify_batch_texts", "Texts per batch.", buckets=_TEXTS_BUCKETS, registry=self._registry
        )
        self._reloads = Counter(
            "lmclassify_reloads", "Reloads of the model by outcome.", ["outcome"], registry=self._registry
        )
        gauge = Gauge("lmclassify_waiting_requests", "Requests without an answer.", registry=self._registry)
        gauge.set_function(waiting)
        self._lessons = Counter(
            "lmclassify_lessons",
            "Answered lessons by outcome.",
            ["label", "outcome"],
            registry=self._registry,
        )
        self._rejected = Counter(
            "lmclassify_rejected_lessons",
            "Lessons answered with an error.",
            ["status"],
            registry=self._registry,
        )
        self.lesson_counts: Mapping[str, Any] | None = None
        self.last_lesson = 0.0
        self._registry.register(_ModelLessons(self))

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request; `path` must be one of a few known paths, as each makes its own time series."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def count_batch(self, num_texts: int, labels: Mapping[str, int]) -> None:
        """Count a batch of predicted texts and the number of texts per label."""
        self._batches.observe(num_texts)
        for label, count in labels.items():
            self._labels.labels(label).inc(count)

    def count_lesson(self, label: str, outcome: str) -> None:
        """Count a lesson; `outcome` is ``learned``, ``corrected``, ``undone`` or ``repeated``."""
        self._lessons.labels(label, outcome).inc()
        if outcome != "repeated":
            self.last_lesson = time.time()

    def count_rejected_lesson(self, status: int) -> None:
        """Count a lesson that was answered with an error."""
        self._rejected.labels(str(status)).inc()

    def count_reload(self, succeeded: bool) -> None:
        """Count an attempt to reload the model."""
        self._reloads.labels("success" if succeeded else "failure").inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _ModelLessons(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of lessons. Without a shared model there is only the time since the last one."""
        counts, now = self._metrics.lesson_counts, time.time()
        last = max(self._metrics.last_lesson, (counts and counts["last"]) or 0.0)
        if last:
            yield GaugeMetricFamily(
                "lmclassify_seconds_since_last_lesson",
                "Seconds since the last lesson.",
                value=max(now - last, 0.0),
            )
        if counts is None:
            return
        by_label = GaugeMetricFamily(
            "lmclassify_model_lessons", "Lessons that the model holds, by label.", labels=["label"]
        )
        for label, number in counts["per_label"].items():
            by_label.add_metric([label], number)
        yield by_label
        for name, help_text, number in (
            ("corrections", "Lessons that were corrections.", counts["corrections"]),
            ("lessons_today", "Lessons of this day.", counts["today"]),
            ("corrections_today", "Corrections of this day.", counts["corrections_today"]),
        ):
            yield GaugeMetricFamily(f"lmclassify_model_{name}", help_text, value=number)
