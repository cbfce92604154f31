"""What Prometheus reads: requests, how long they take, the queue, and the process."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.requests import Request
from starlette.responses import Response

import adain_rt
from adain_rt.serve.limits import Bodies
from adain_rt.serve.work import Workers
from adain_rt.stylizer import Stylizer

__all__ = ["Metrics"]

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts what the server does, in a registry of its own: several servers may run in one process."""

    def __init__(self, stylizer: Stylizer, workers: Workers, bodies: Bodies) -> None:
        self._registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        labels = ("method", "route", "status")
        self._requests = Counter("adain_rt_requests", "Requests that were answered.", labels, registry=registry)
        self._seconds = Histogram(
            "adain_rt_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.in_progress = Gauge(
            "adain_rt_requests_in_progress", "Requests that are not answered yet.", registry=registry
        )
        waiting = Gauge("adain_rt_queue_length", "Requests that wait for a worker.", registry=registry)
        waiting.set_function(lambda: workers.waiting)
        held = Gauge("adain_rt_body_bytes", "Bytes of the requests that are held.", registry=registry)
        held.set_function(lambda: bodies.held)
        facts = Gauge("adain_rt_info", "What runs.", ("version", "model", "backend", "precision"), registry=registry)
        facts.labels(adain_rt.__version__, stylizer.model, stylizer.backend, stylizer.precision).set(1)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def show(self, request: Request) -> Response:
        """Return all figures in Prometheus's text format."""
        del request
        return Response(generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
