"""Owns the hardware seams: Protocols of at most six methods, in our own nouns; knows no vendor.

Every driver in `edge.drivers` serves one of these and is chosen by name in the configuration. The same
test suite (`tests/ports`) runs over each. A driver's constructor opens its device or raises `HardwareError`;
`close()` may be called twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.core.messages import Edge, Frame, Pcm
from edge.core.rehearsal import Answer


class Camera(Protocol):
    """Gives the newest picture, never a backlog."""

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame not given before, waiting up to `timeout_s`; None when a recording has ended.

        Raises HardwareError(STOPPED) when no frame came in time or the device is gone.
        """

    def close(self) -> None:
        """Let the device go."""


class Engine(Protocol):
    """Runs one model."""

    def input_shape(self) -> tuple[int, ...]:
        """(1, height, width, 3)."""

    def invoke(self, tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The model's outputs, dequantised, for a picture of `input_shape`, RGB 0..255.

        The driver maps 0..255 onto the model's own input type and quantisation.
        """

    def close(self) -> None:
        """Let the interpreter go."""


class Synth(Protocol):
    """Turns text into sound, without playing it."""

    def render(self, text: str, language: str) -> Pcm:
        """The spoken text. Raises HardwareError("speech", ...) when it cannot."""

    def version(self) -> str:
        """What renders, with its version: part of the key under which the sound is kept."""


class Speaker(Protocol):
    """Plays sound from memory through a device that is kept open."""

    def play(self, pcm: Pcm) -> None:
        """Start `pcm` now, cutting off what is still playing; returns at once."""

    def stop(self) -> None:
        """Silence, now."""

    def wait(self, timeout_s: float) -> bool:
        """True once nothing is playing, False when `timeout_s` ran out first."""

    def check(self) -> None:
        """Raise HardwareError when the device has gone, which may happen in the middle of a sound."""

    def close(self) -> None:
        """Let the device go."""


class Button(Protocol):
    """One contact."""

    def listen(self, callback: Callable[[Edge], None]) -> None:
        """Call `callback` on every raw change, from a thread of the driver's; it must only hand on."""

    def close(self) -> None:
        """Let the pin go."""


class Pulser(Protocol):
    """One pin that is switched: a motor, a buzzer, a lamp."""

    def set(self, on: bool) -> None:
        """Switch it; returns at once. Raises HardwareError when it cannot."""

    def close(self) -> None:
        """Switch it off and let the pin go."""


class Broker(Protocol):
    """Takes messages to where the owner wants them."""

    # Called on every connection, and at once where there is one, from a thread of the driver's: it must only hand on.
    on_connect: Callable[[], None] | None

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Return once the broker has acknowledged it (QoS 1).

        Raises RefusedError when the broker says no to it, UnansweredError when it was sent and nothing came back, any
        other TransientError when it could not be sent, ValueError when nobody could send it.
        """

    def listen(self, topic: str, heard: Callable[[str, bytes, bool], None]) -> None:
        """Hand each message on `topic`, or on what its wildcards match, to `heard`: topic, payload, whether retained.

        From a thread of the driver's: it must only hand on. What comes too fast, or is too long, is not heard.
        """

    def taken_over(self) -> int:
        """Times that another device of the same name has thrown us out, since the driver was opened."""

    def close(self) -> None:
        """Say goodbye and let the connection go."""


class Shadow(Protocol):
    """A bundle that looks at frames unheard, somewhere apart: what breaks there breaks there."""

    def lend(self, frame: Frame) -> None:
        """Have it look at `frame`, which stays as it is until it has answered; the next one after that."""

    def answer(self, within_s: float) -> Answer | None:
        """What it makes of that frame; None: it is not done `within_s`.

        Raises BundleError once it has refused its bundle, or has broken down.
        """

    def close(self) -> None:
        """End it; may be called twice."""


class Clock(Protocol):
    """Time, as a port: tests and recordings bring their own."""

    def now_s(self) -> float:
        """Seconds, monotonic."""

    def wall_s(self) -> float | None:
        """Seconds since 1970; None until `is_set` has found out that the clock was set. Returns at once."""

    def is_set(self) -> bool:
        """Whether the machine's clock was set, rather than going on from its last shutdown; may take seconds.

        Once it was, it stays so.
        """

    def sleep(self, seconds: float) -> None:
        """Let that much time pass."""


class Supervisor(Protocol):
    """Who restarts us: systemd, or nobody."""

    def ready(self) -> None:
        """Drivers, bundle and self-test are up."""

    def alive(self) -> None:
        """The main loop turns."""

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""

    def stopping(self) -> None:
        """A wanted end has begun."""


class Board(Protocol):
    """What the computer itself reports."""

    def temperature_c(self) -> float | None:
        """Of the processor, where known."""

    def throttled(self) -> bool | None:
        """Under-voltage or heat slows it down, where known."""

    def hot(self) -> bool | None:
        """Heat slows it down now, where known."""

    def weak(self) -> bool | None:
        """The supply's voltage is too low now, where known."""

    def free_bytes(self, folder: Path) -> int | None:
        """Room on the disk that holds `folder`, or will; None where it cannot be told."""

    def memory_bytes(self) -> int | None:
        """What this process holds of the memory, where known."""
