"""Owns what a person before a virtual device does and notices: holds a note, presses, hears words, feels pulses."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.drivers.espeak import EspeakSynth
from edge.settings import VoiceConfig
from tests.e2e.pi.step import StepError
from tests.e2e.vm.machine import Machine

CHANNELS = 2  # at 22 050 Hz, the synthesiser's own
WIDTH_PX, HEIGHT_PX = 640, 480
SAMPLE_BYTES = 2 * CHANNELS
HEARD, FELT, PINS = "/run/heard.raw", "/run/felt", "/run/pins"
# Of 1 for the very same sound. The most alike of other amounts is 10 for 50 play crowns, 0.61.
SURE = 0.8
LOOK_S = 1.0


class Person:
    """Stands before `machine`."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self._machine, self._folder = machine, folder
        self._synth = EspeakSynth(VoiceConfig())
        self._from = 0  # bytes of the recording that were listened to before

    def show(self, picture: Path | None) -> None:
        """Hold that before the camera, or nothing."""
        file = self._folder / "scene"
        pixels = np.full((HEIGHT_PX, WIDTH_PX, 3), 128, np.uint8) if picture is None else cv2.imread(str(picture))
        whole = cv2.resize(np.asarray(pixels, np.uint8), (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
        file.write_bytes(yuyv(np.asarray(whole, np.uint8)))
        self._machine.send(file, "/run/scene")

    def press(self) -> None:
        """The button, for a short time."""
        pull = f"{PINS}/sim_gpio17/pull"
        self._machine.run(f"echo pull-down >{pull}; sleep 0.2; echo pull-up >{pull}")

    def listen_from_now(self) -> None:
        """Forget what was heard before."""
        size = int(self._machine.run(f"stat -c %s {HEARD} 2>/dev/null || echo 0"))
        self._from = size - size % SAMPLE_BYTES

    def heard(self) -> NDArray[np.float64]:
        """The sound since then, in one channel."""
        data = self._machine.fetch(f"{HEARD} | tail -c +{self._from + 1}")
        samples = np.frombuffer(data[: len(data) - len(data) % SAMPLE_BYTES], "<i2")
        return samples.reshape(-1, CHANNELS).mean(axis=1)

    def likeness(self, text: str) -> float:
        """How like `text` the most alike moment of the sound is: 1 for the same."""
        return likeness(self.heard(), self._synth.render(text, "en").samples.astype(np.float64))

    def hears(self, text: str, patience_s: float) -> float:
        """Wait until that is said; its likeness. StepError where it is not."""
        end_s, best = time.monotonic() + patience_s, 0.0
        while best < SURE:
            if time.monotonic() > end_s:
                log = self._machine.run("journalctl -u saynote -n 30 --no-pager -o cat", check=False)
                raise StepError(f"{text!r} was not heard within {patience_s:.0f} s (likeness {best:.2f}):\n{log}")
            time.sleep(LOOK_S)
            best = max(best, self.likeness(text))
        return best

    def feels_from_now(self) -> float:
        """The moment, on the device's clock, after which pulses count."""
        return float(self._machine.run("cut -d' ' -f1 /proc/uptime"))

    def felt_since(self, moment_s: float) -> list[tuple[float, float]]:
        """Each pulse since then that has ended: when it began, and how long it was, in seconds."""
        lines = self._machine.fetch(FELT).decode().splitlines()
        changes = [(float(at), level == "1") for at, level in (line.split() for line in lines) if float(at) > moment_s]
        began_s, pulses = None, []
        for at_s, on in changes:
            if on:
                began_s = at_s
            elif began_s is not None:
                pulses.append((began_s, at_s - began_s))
        return pulses


def yuyv(pixels: NDArray[np.uint8]) -> bytes:
    """A picture (height, width, 3) BGR as the camera gives it."""
    yuv = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV)
    packed = np.empty((*pixels.shape[:2], 2), np.uint8)
    packed[..., 0] = yuv[..., 0]
    packed[:, 0::2, 1], packed[:, 1::2, 1] = yuv[:, 0::2, 1], yuv[:, 0::2, 2]
    return packed.tobytes()


def likeness(sound: NDArray[np.float64], phrase: NDArray[np.float64]) -> float:
    """The largest normalised cross-correlation of `phrase` with a part of `sound` that is as long; 0 where none is."""
    phrase = np.trim_zeros(phrase)
    if len(sound) < len(phrase):
        return 0.0
    size = 1 << (len(sound) + len(phrase)).bit_length()
    product = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(phrase, size)), size)
    product = product[: len(sound) - len(phrase) + 1]
    total = np.concatenate([[0.0], np.cumsum(sound**2)])
    energy = total[len(phrase) :] - total[: -len(phrase)]
    loud = energy > 1e-3 * float(np.sum(phrase**2))  # silence is like nothing
    return float(np.max(product[loud] / np.sqrt(energy[loud] * np.sum(phrase**2)), initial=0.0))
