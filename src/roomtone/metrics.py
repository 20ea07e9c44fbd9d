"""What the server counts about itself, in Prometheus' terms; one registry per application."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

COMMIT_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
REQUEST_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)


class Metrics:
    """Counters, gauges and histograms of one server; `text()` is what /metrics answers."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "roomtone_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "roomtone_request_seconds",
            "Time to answer.",
            buckets=REQUEST_BUCKETS_S,
            registry=registry,
        )
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
        self.refused = Counter(
            "roomtone_refused", "Writes refused, by HTTP status.", ["status"], registry=registry
        )
        self.sealed = Counter("roomtone_sealed_sessions", "Sessions sealed.", registry=registry)
        self.purged = Counter(
            "roomtone_purged_meetings", "Meetings removed by retention.", registry=registry
        )

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self.registry)
