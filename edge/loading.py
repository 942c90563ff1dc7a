"""Owns how a bundle becomes an engine that may be used: read whole, opened, of the right shape, self-tested.

Whatever is wrong with what somebody else has made is a BundleError. It knows no driver: whoever asks brings the way to
open an engine.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import BundleError, EdgeError
from edge.ports import Engine

log = logging.getLogger(__name__)

Loaded: TypeAlias = tuple[Bundle, Engine]


def load(path: Path, open_engine: Callable[[Bundle], Engine], digest: str = "") -> Loaded:
    """The bundle in the folder `path`, with the engine that runs it, its self-test behind it and forgotten.

    Raises BundleError, and HardwareError. `digest`: the identity that it must have, if any.
    """
    try:
        return _load_whole(path, open_engine, digest)
    except EdgeError:
        raise
    except Exception as error:  # outermost for what somebody else has made: it is refused, and its stand-in is tried
        log.debug("the bundle in %s", path, exc_info=True)
        raise BundleError(f"{path}: it cannot be used: {type(error).__name__}: {error}") from error


def _load_whole(path: Path, open_engine: Callable[[Bundle], Engine], digest: str) -> Loaded:
    bundle = bundles.read(path)
    if digest and bundle.manifest.digest != digest:
        raise BundleError(f"{path} is not the bundle that passed here")
    engine = open_engine(bundle)
    with contextlib.ExitStack() as closing:
        closing.callback(engine.close)
        expected = (1, bundle.manifest.input.height, bundle.manifest.input.width, 3)
        if engine.input_shape() != expected:
            raise BundleError(f"{bundle.path}: the model wants {engine.input_shape()}, the manifest says {expected}")
        bundles.selftest(bundle, engine.invoke)
        closing.pop_all()
    return bundle.without_selftest(), engine
