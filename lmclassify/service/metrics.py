"""Prometheus metrics of the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TEXTS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Metrics of one service, in a registry of their own.

    Parameters
    ----------
    waiting : callable
        Returns the number of requests without an answer.
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

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request; `path` must be one of a few known paths, as each makes its own time series."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def count_batch(self, num_texts: int, labels: Mapping[str, int]) -> None:
        """Count a batch of predicted texts and the number of texts per label."""
        self._batches.observe(num_texts)
        for label, count in labels.items():
            self._labels.labels(label).inc(count)

    def count_reload(self, succeeded: bool) -> None:
        """Count an attempt to reload the model."""
        self._reloads.labels("success" if succeeded else "failure").inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
