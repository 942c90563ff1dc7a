"""Owns what a person before a virtual device does and notices: holds a note, presses, hears words, feels pulses.

Sound, pulses and pictures lie in files that the device and this computer both see, so that listening costs the device
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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
SCENES, HEARD, FELT = "scenes", "heard.raw", "felt"
PULL = "/run/pins/sim_gpio17/pull"
PRESS_S = 0.2
AWAY_S = 3.0
# Of 1 for the very same sound. The most alike of other amounts is 10 for 50 play crowns, 0.61.
SURE = 0.8
LOOK_S = 0.5
AGAIN_S = 30.0
HOLE_SAMPLES = 110  # 5 ms
LONG_FROM_S = 0.45  # between a short pulse, 0.15, and a long one, 0.6
PAUSE_FROM_S = 0.6  # between the gap of two pulses, 0.2, and the pause of two signs, 0.8


class Person:
    """Stands before `machine`, and pays attention from now on."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._outside = machine, machine.outside
        self._synth = EspeakSynth(VoiceConfig())
        (self._outside / SCENES).mkdir(exist_ok=True)
        self._heard_bytes = self._felt_lines = 0
        self.attend()

    def attend(self) -> None:
        """Forget what was heard and felt before."""
        heard = self._outside / HEARD
        size = heard.stat().st_size if heard.exists() else 0
        self._heard_bytes = size - size % SAMPLE_BYTES
        self._felt_lines = len(self._read(FELT).splitlines())

    def show(self, picture: Path | None) -> None:
        """Hold that before the camera, or nothing."""
        pixels = np.full((HEIGHT_PX, WIDTH_PX, 3), 128, np.uint8) if picture is None else cv2.imread(str(picture))
        whole = cv2.resize(np.asarray(pixels, np.uint8), (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
        scenes = self._outside / SCENES
        before = max((int(path.name) for path in scenes.iterdir()), default=0)
        unfinished = self._outside / "scene"
        unfinished.write_bytes(yuyv(np.asarray(whole, np.uint8)))
        unfinished.rename(scenes / f"{before + 1:06}")
        for old in scenes.iterdir():
            if int(old.name) < before:
                old.unlink()

    def show_again(self, picture: Path) -> None:
        """Take it away and hold it there once more."""
        self.show(None)
        time.sleep(AWAY_S)
        self.show(picture)

    def press(self) -> None:
        """The button, for a short time."""
        self._machine.run(f"echo pull-down >{PULL}; sleep {PRESS_S}; echo pull-up >{PULL}")

    def heard(self) -> NDArray[np.float64]:
        """The sound since then, in one channel."""
        data = self._read(HEARD, self._heard_bytes)
        samples = np.frombuffer(data[: len(data) - len(data) % SAMPLE_BYTES], "<i2")
        return samples.reshape(-1, CHANNELS).mean(axis=1)

    def likeness(self, text: str) -> float:
        """How like `text` the most alike moment of the sound is: 1 for the same."""
        return likeness(self.heard(), self._synth.render(text, "en").samples.astype(np.float64))

    def hears(self, text: str, patience_s: float, again: Callable[[], None] | None = None) -> float:
        """Wait until that is said; its likeness. StepError where it is not.

        `again` asks once more now and then, as one does whom a busy computer's card gave a word in pieces.
        """
        began_s, best, asked = time.monotonic(), 0.0, 0
        while best < SURE:
            waited_s = time.monotonic() - began_s
            if again is not None and waited_s > (asked + 1) * AGAIN_S:
                asked += 1
                again()
            if waited_s > patience_s:
                log = self._machine.run("journalctl -u saynote -n 30 --no-pager -o short-monotonic", check=False)
                raise StepError(f"{text!r} was not heard within {patience_s:.0f} s (likeness {best:.2f}):\n{log}")
            time.sleep(LOOK_S)
            best = max(best, self.likeness(text))
        return best

    def felt(self) -> list[str]:
        """The signs since then, as `edge.core.pulsecode` writes them; the last may be unfinished."""
        lines = self._read(FELT).decode().splitlines()[self._felt_lines :]
        return signs([(float(at), level == "1") for at, level in (line.split() for line in lines)])

    def _read(self, name: str, skip_bytes: int = 0) -> bytes:
        if not (self._outside / name).exists():
            return b""
        with (self._outside / name).open("rb") as file:
            file.seek(skip_bytes)
            return file.read()


def signs(changes: list[tuple[float, bool]]) -> list[str]:
    """(when, on) of each change of a pin, in seconds: the pulses as ".-", one text for each sign."""
    found: list[str] = []
    began_s = ended_s = float("-inf")
    for at_s, on in changes:
        if on:
            began_s = at_s
        elif began_s > ended_s:
            if began_s - ended_s >= PAUSE_FROM_S:
                found.append("")
            found[-1] += "-" if at_s - began_s >= LONG_FROM_S else "."
            ended_s = at_s
    return found


def yuyv(pixels: NDArray[np.uint8]) -> bytes:
    """A picture (height, width, 3) BGR as the camera gives it."""
    yuv = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV)
    packed = np.empty((*pixels.shape[:2], 2), np.uint8)
    packed[..., 0] = yuv[..., 0]
    packed[:, 0::2, 1], packed[:, 1::2, 1] = yuv[:, 0::2, 1], yuv[:, 0::2, 2]
    return packed.tobytes()


def without_holes(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left where all that is wholly silent goes: a card that a busy computer leaves waiting plays nothing."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], sound == 0, [0]])))
    keep = np.ones(len(sound), bool)
    for begin, end in edges.reshape(-1, 2):
        keep[begin:end] = end - begin < HOLE_SAMPLES
    return sound[keep]


def likeness(sound: NDArray[np.float64], phrase: NDArray[np.float64]) -> float:
    """The largest normalised cross-correlation of `phrase` with a part of `sound` that is as long; 0 where none is."""
    sound, phrase = without_holes(sound), without_holes(phrase)
    if len(sound) < len(phrase):
        return 0.0
    size = 1 << (len(sound) + len(phrase)).bit_length()
    product = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(phrase, size)), size)
    product = product[: len(sound) - len(phrase) + 1]
    total = np.concatenate([[0.0], np.cumsum(sound**2)])
    energy = total[len(phrase) :] - total[: -len(phrase)]
    loud = energy > 1e-3 * float(np.sum(phrase**2))  # silence is like nothing
    return float(np.max(product[loud] / np.sqrt(energy[loud] * np.sum(phrase**2)), initial=0.0))
