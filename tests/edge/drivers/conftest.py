"""The fixtures of the ports' suites, for the details of single drivers."""

from __future__ import annotations

from tests.ports.conftest import picamera2

__all__ = ["picamera2"]
