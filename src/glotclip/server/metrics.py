"""Counts and times of a server, in Prometheus' format."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from glotclip.server.limits import App, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What is counted; each server has its own.

    Args:
        items: how many items the library shows.
    """

    def __init__(self, items: Callable[[], int]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self.registry: CollectorRegistry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "glotclip_requests", "Requests answered.", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "glotclip_request_seconds", "Time to the end of an answer.", ["route"], buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.waiting = Gauge("glotclip_requests_inside", "Requests that are worked on.", registry=self.registry)
        Gauge("glotclip_items", "Pictures and videos that the library shows.", registry=self.registry).set_function(
            lambda: float(items())
        )

    def text(self) -> tuple[bytes, str]:
        """All of it, and its media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class Measured:
    """ASGI middleware that counts and times; routes are named by their pattern, not by what was asked for."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.metrics.waiting.inc()
        try:
            await self.app(scope, receive, sending)
        finally:
            self.metrics.waiting.dec()
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, scope["method"], str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - began)
