"""What the server counts about itself, in Prometheus' terms; one registry per application."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

COMMIT_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
REQUEST_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)


class Requests(Collector):
    """Requests answered, and their times. Only the event loop's thread counts.

    The library's own counter and histogram take a lock for each number: a fiftieth of the time of
    an answer that is at hand.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._buckets = [0] * (len(REQUEST_BUCKETS_S) + 1)
        self._seconds = 0.0

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one."""
        key = (method, route, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        self._buckets[bisect_left(REQUEST_BUCKETS_S, seconds)] += 1
        self._seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for."""
        requests = CounterMetricFamily(
            "roomtone_requests", "Requests answered.", labels=["method", "route", "status"]
        )
        for (method, route, status), count in list(self._counts.items()):
            requests.add_metric([method, route, str(status)], count)
        yield requests
        bounds = [*map(str, REQUEST_BUCKETS_S), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(self._buckets)), strict=True))
        times = HistogramMetricFamily("roomtone_request_seconds", "Time to answer.")
        times.add_metric([], buckets, self._seconds)
        yield times


class Metrics:
    """Counters, gauges and histograms of one server; `text()` is what /metrics answers."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Requests()
        registry.register(self.requests)
        self.queue_depth = Gauge(
            "roomtone_queue_depth", "Writes that wait for a commit.", registry=registry
        )
        self.commit_seconds = Histogram(
            "roomtone_commit_seconds",
            "Time of one group commit.",
            buckets=COMMIT_BUCKETS_S,
            registry=registry,
        )
        self.commit_writes = Counter(
            "roomtone_committed_writes", "Writes that were committed.", registry=registry
        )
        self.samples = Counter(
            "roomtone_samples", "Stream-samples taken in and committed.", registry=registry
        )
        self.reports = Counter(
            "roomtone_reports", "getStats() reports by fate.", ["fate"], registry=registry
        )
        self.hep_packets = Counter(
            "roomtone_hep_packets", "HEP3 datagrams by fate.", ["fate"], registry=registry
        )
        self.hep_reports = Counter(
            "roomtone_hep_reports", "RTCP reports of HEP3 by fate.", ["fate"], registry=registry
        )
        self.vq_reports = Counter(
            "roomtone_vq_reports", "RFC 6035 reports by fate.", ["fate"], registry=registry
        )
        self.vq_unused = Counter(
            "roomtone_vq_unused",
            "Lines of RFC 6035 metrics that nothing is made of.",
            ["line"],
            registry=registry,
        )
        self.janus_events = Counter(
            "roomtone_janus_events", "Janus' events by fate.", ["fate"], registry=registry
        )
        self.watchers = Gauge("roomtone_watchers", "Watchers of live meetings.", registry=registry)
        self.watchers_ended = Counter(
            "roomtone_watchers_ended",
            "Watchers of live meetings that are gone, by reason.",
            ["reason"],
            registry=registry,
        )
        self.live_computations = Counter(
            "roomtone_live_computations",
            "Times that a meeting was scored and explained for watchers and collectors.",
            registry=registry,
        )
        self.refused = Counter(
            "roomtone_refused", "Writes refused, by HTTP status.", ["status"], registry=registry
        )
        self.sealed = Counter("roomtone_sealed_sessions", "Sessions sealed.", registry=registry)
        self.scored = Counter(
            "roomtone_scored_meetings", "Meetings of which scores were kept.", registry=registry
        )
        self.purged = Counter(
            "roomtone_purged_meetings", "Meetings removed by retention.", registry=registry
        )

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self.registry)
