"""What one runtime makes of the shipped recording, or of given tensors, a line of JSON a look; runs on any processor.

frames.py RUNTIME BUNDLE FRAMES [FILE.npy]    the first FRAMES of the recording; what the model saw goes to FILE
frames.py RUNTIME BUNDLE 0 FILE.npy           the tensors in FILE
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge import app
from edge.config import load_from
from edge.core.observe import Observer
from edge.devices import open_engine
from edge.drivers.clock import SystemClock
from edge.drivers.files import FilesCamera
from edge.settings import changed


def main(runtime: str, bundle_name: str, frames: int, file: str = "") -> None:
    """Load as the daemon does, which replays the bundle's self-test, and look at frames as the daemon does."""
    config = changed(load_from(None), "model", bundle=bundle_name, runtime=runtime, threads=1)
    [(bundle, engine)] = app.load(config, lambda found: open_engine(config, found))
    saw: list[NDArray[np.uint8]] = []

    def invoke(tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        outputs = engine.invoke(tensor)
        saw.append(tensor.copy())
        print(json.dumps([output[0].tolist() for output in outputs]))  # noqa: T201 -- its result
        return outputs

    observer = Observer(bundle, invoke, time.perf_counter)
    camera = FilesCamera(Path(app.REPLAY), pace=False, clock=SystemClock(), frames_per_s=15.0)
    with contextlib.closing(engine), contextlib.closing(camera):
        for _ in range(frames):
            frame = camera.read(1.0)
            assert frame is not None, "the recording has fewer frames"
            observer.observe(frame)
        for tensor in () if frames else np.load(file):
            invoke(tensor)
    if frames and file:
        np.save(file, np.stack(saw))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
