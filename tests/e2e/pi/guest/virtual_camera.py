"""Runs the saynote command with libcamera's "virtual" camera in the place of a Pi's; lies on the device, knows no test.

`python virtual_camera.py WORDS of saynote...`. Real are picamera2, libcamera with its binding as Debian has them,
their request loop, and the driver. What stands in here, for a camera without hardware on a kernel without DMA heaps:

- DMA heaps are memory: `/dev/dma_heap` is not in a box.
- The camera is asked for raw streams as a camera at USB is: the virtual one refuses, and picamera2 asks all the same.
- A buffer has two planes, as the virtual camera writes them; picamera2 makes them in one.
- Buffers are whole: the virtual camera of libcamera 0.4 leaves their status unwritten, whatever was in memory before.
- Pictures come at a camera's pace: the virtual one answers at once.
- pykms (screens) and pidng (raw files) are in no registry for this Python, and nothing here calls them.
"""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import libcamera

FRAME_S = 0.05


class _Anything(type):
    """A class that has whatever is asked of it."""

    def __getattr__(cls, name: str) -> str:
        return name


def stand_in_for_modules() -> None:
    """Those that picamera2 imports and never uses here."""
    for name, holds in (
        ("pykms", "PixelFormat"),
        ("pidng", ""),
        ("pidng.core", "PICAM2DNG"),
        ("pidng.camdefs", "Picamera2Camera"),
    ):
        sys.modules[name] = ModuleType(name)
        if holds:
            setattr(sys.modules[name], holds, _Anything(holds, (), {}))


def stand_in_for_heaps() -> None:
    """Memory for buffers, with nothing to synchronise."""
    from picamera2 import dma_heap
    from picamera2.allocators import dmaallocator

    class Heap:
        isValid = True  # noqa: N815 -- picamera2's name

        def alloc(self, name: str, size: int) -> Any:
            memory = os.memfd_create(name)
            os.ftruncate(memory, size)
            return dma_heap.UniqueFD(memory)

        def close(self) -> None:
            pass

    dmaallocator.DmaHeap = Heap
    dmaallocator.fcntl = SimpleNamespace(ioctl=lambda *_: 0)


def stand_in_for_a_camera() -> None:
    """What a camera with hardware does and the virtual one does not."""
    generate, reuse, buffer = libcamera.Camera.generate_configuration, libcamera.Request.reuse, libcamera.FrameBuffer
    roles = libcamera.StreamRole

    def generated(camera: Any, wanted: list[Any]) -> Any:
        return generate(camera, [roles.Viewfinder if role == roles.Raw else role for role in wanted])

    def in_two_planes(planes: list[Any]) -> Any:
        (whole,) = planes
        colours = buffer.Plane()
        colours.fd, colours.offset, colours.length = whole.fd, whole.length * 2 // 3, whole.length // 3
        whole.length = colours.offset
        return buffer([whole, colours])

    def paced(request: Any) -> Any:
        time.sleep(FRAME_S)
        return reuse(request)

    in_two_planes.Plane = buffer.Plane  # type: ignore[attr-defined]
    buffer.metadata = property(lambda _: SimpleNamespace(status=libcamera.FrameMetadata.Status.Success))
    libcamera.Camera.generate_configuration, libcamera.Request.reuse = generated, paced
    libcamera.FrameBuffer = in_two_planes


def stand_in() -> None:
    """For all of it, before the driver is imported."""
    stand_in_for_modules()
    stand_in_for_heaps()
    stand_in_for_a_camera()


if __name__ == "__main__":
    stand_in()
    from edge.__main__ import main

    sys.exit(main())
