"""Owns the device as measuring sees it: a bundle's model, run by the device's own driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.observe import Invoke
from edge.drivers.tflite import TfliteEngine


@contextlib.contextmanager
def running(bundle: Bundle) -> Iterator[Invoke]:
    """The bundle's model on one thread of the device's own driver, after its self-test. Raises BundleError."""
    with contextlib.closing(TfliteEngine(bundle.model, threads=1)) as engine:
        bundles.selftest(bundle, engine.invoke)
        yield engine.invoke
