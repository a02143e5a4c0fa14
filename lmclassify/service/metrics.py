"""What a service counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one service, in a registry of their own.

    Parameters
    ----------
    waiting : callable
        Returns how many requests wait now.
    """

    MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "lmclassify_requests", "Answered requests", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "lmclassify_request_seconds",
            "From the request's head to the end of the answer",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._labels = Counter(
            "lmclassify_predictions", "Texts labelled, by label", ["label"], registry=self._registry
        )
        self._batches = Histogram(
            "lmclassify_batch_texts", "Texts scored together", buckets=_SIZES, registry=self._registry
        )
        self._reloads = Counter(
            "lmclassify_reloads", "Models loaded again", ["outcome"], registry=self._registry
        )
        gauge = Gauge("lmclassify_waiting_requests", "Requests without a result yet", registry=self._registry)
        gauge.set_function(waiting)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request; `path` must be one of a few."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def scored(self, texts: int, labels: Mapping[str, int]) -> None:
        """Count a batch of texts, and how many of them got each label."""
        self._batches.observe(texts)
        for label, count in labels.items():
            self._labels.labels(label).inc(count)

    def reloaded(self, succeeded: bool) -> None:
        """Count a model loaded again, or not."""
        self._reloads.labels("success" if succeeded else "failure").inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
