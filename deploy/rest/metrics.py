"""Owns what is counted for Prometheus. By verdict, never by amount: what somebody's notes are worth is no metric."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from edge.core.bundle import Bundle

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """All of one service, in a registry of its own."""

    def __init__(self, bundles: list[Bundle], waiting: Callable[[], float], held_bytes: Callable[[], float]) -> None:
        """`waiting`: pictures that wait or are judged; `held_bytes`: of requests in memory."""
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "saynote_requests", "Requests answered", ("route", "method", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "saynote_request_seconds", "From head to answer", ("route",), buckets=SECONDS, registry=self._registry
        )
        self.pictures = Counter(
            "saynote_pictures", "Pictures by what came of them", ("verdict",), registry=self._registry
        )
        self.stages = Histogram(
            "saynote_stage_seconds", "Of one picture", ("stage",), buckets=SECONDS, registry=self._registry
        )
        self.collected = Counter(
            "saynote_collected", "Pictures kept for training, or not", ("kept",), registry=self._registry
        )
        Gauge("saynote_waiting", "Pictures that wait or are judged", registry=self._registry).set_function(waiting)
        Gauge("saynote_held_bytes", "Of requests in memory", registry=self._registry).set_function(held_bytes)
        about = Info("saynote_bundle", "What it knows", ("currency",), registry=self._registry)
        for bundle in bundles:
            manifest = bundle.manifest
            about.labels(manifest.currency).info({"version": manifest.version, "digest": manifest.digest[:12]})

    def page(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)
