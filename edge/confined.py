"""Owns how a process of its own loads a bundle that nobody knows yet: within limits, at a low priority."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Mapping
from pathlib import Path

from edge.devices import open_engine
from edge.loading import Loaded, load
from edge.settings import Config, changed

MEMORY_BYTES = 4 << 30  # of addresses, of which a runtime takes far more than it uses


def load_confined(folder: Path, runtime: str, niceness: int, limits: Mapping[int, int] | None = None) -> Loaded:
    """The bundle in `folder` with its engine, in one thread; from then on this process writes no file.

    `limits`: of this process besides, by `resource.RLIMIT_*`. Raises BundleError and HardwareError.
    """
    most = {resource.RLIMIT_AS: MEMORY_BYTES, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, **(limits or {})}
    for what, limit in most.items():
        with contextlib.suppress(ValueError, OSError):  # a lower one holds already
            resource.setrlimit(what, (limit, limit))
    with contextlib.suppress(OSError):
        os.nice(niceness)
    config = changed(Config(), "model", runtime=runtime, threads=1)
    return load(folder, lambda bundle: open_engine(config, bundle))
