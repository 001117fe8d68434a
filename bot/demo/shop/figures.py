"""The shop's metrics, as Prometheus reads them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

__all__ = ["CONTENT_TYPE_PLAIN_0_0_4", "Figures", "Outcome"]


@dataclass
class Outcome:
    """The status of a request's answer; 500 until there is one."""

    status: int = 500


class Figures:
    """Requests by version and status, how long they took, and how many are under way."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "shop_requests", "Requests answered", ["version", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "shop_request_seconds", "Seconds until the answer", ["version"], registry=self._registry
        )
        self._in_flight = Gauge("shop_requests_in_flight", "Requests under way", registry=self._registry)

    @contextmanager
    def request(self, version: str) -> Iterator[Outcome]:
        """Measures one request, which says in the outcome how it was answered."""
        outcome = Outcome()
        began = time.perf_counter()
        with self._in_flight.track_inprogress():
            try:
                yield outcome
            finally:
                self._seconds.labels(version).observe(time.perf_counter() - began)
                self._requests.labels(version, str(outcome.status)).inc()

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return generate_latest(self._registry)
