"""Owns the sound card through PortAudio; knows nothing of words.

The stream is opened once and never stops: a card that sleeps swallows the first second of speech, and opening one
takes up to half a second. Between phrases it plays silence. Some cards (HDMI, Bluetooth) sleep all the same when they
get nothing but zeros: for those each phrase that comes into silence is led in by noise that nobody hears.

A short buffer is heard sooner and is empty sooner: a card that stutters gets a longer one, once, between two phrases.

PortAudio lists the cards once, at its start, by number; a card that is plugged in again has another one, and its old
one may be another card's. So the list is made anew for every opening.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import random
import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Pcm
from edge.drivers.clock import SystemClock
from edge.drivers.resample import resample
from edge.ports import Clock
from edge.settings import VoiceConfig

log = logging.getLogger(__name__)

SPEECH_HZ = 22_050  # what espeak-ng gives: asked for first, so that nothing need be resampled here
LATENCY_S = 0.03  # of the card's own buffer, which comes on top of all that we do
PATIENT_S = 0.06  # of a card that stutters with less
STUTTERS = 3  # that are enough to know it
SETTLES_S = 1.0  # a card that was just opened may stutter once
WHISPER = 3  # of 32768: the loudest sample of the lead-in, -80 dB
UNAVAILABLE = -9985  # PortAudio's code for a card that another program holds
STALLED_AFTER_S = 2.0  # a card that asks for no samples for so long is dead


class AudioSpeaker:
    """Plays samples from memory; `backend` stands in for the sounddevice module.

    One at a time in a process: the list of cards cannot be made anew without ending every stream.
    """

    def __init__(self, config: VoiceConfig, backend: Any = None, clock: Clock | None = None) -> None:
        self._sound = _with_cards_of_now(backend)
        self._clock = clock or SystemClock()
        self._change = threading.Condition()
        self._samples = np.zeros(0, np.int16)
        self._position = 0
        self._leading = 0  # samples of lead-in that `_samples` begins with
        self._dead = False
        self._asked_s = self._clock.now_s()
        self._latency_s, self._stutters = LATENCY_S, 0
        self._card = card = _find_card(self._sound, config.device)
        self._stream: Any = self._open(card)
        length = config.lead_in_ms * self._rate_hz // 1000
        noise = np.frombuffer(random.Random(0).randbytes(length), np.uint8)
        self._whisper = noise.astype(np.int16) % (2 * WHISPER + 1) - WHISPER
        log.debug("speaker up card=%s rate_hz=%d", card["name"], self._rate_hz)

    def play(self, pcm: Pcm) -> None:
        """Start `pcm` now, cutting off what is still playing."""
        self.check()
        samples = resample(pcm, self._rate_hz)
        lead_in = self._lead_in()
        # What lies in the card's own buffer is not heard yet: the phrase lasts until that has gone, too.
        tail = np.zeros(int(self._latency_s * self._rate_hz), np.int16)
        self._swap(np.concatenate([lead_in, samples, tail]), len(lead_in))

    def stop(self) -> None:
        """Silence, now."""
        self._swap(np.zeros(0, np.int16))

    def wait(self, timeout_s: float) -> bool:
        """True once nothing is playing: at its end, or because the card died."""
        with self._change:
            return self._change.wait_for(lambda: self._dead or self._position >= len(self._samples), timeout_s)

    def check(self) -> None:
        """Raise HardwareError(STOPPED) when the card has gone or stands still."""
        if self._dead or self._stream is None:
            raise HardwareError("speaker", Reason.STOPPED, "the sound card is gone")
        if self._clock.now_s() - self._asked_s > STALLED_AFTER_S:
            raise HardwareError("speaker", Reason.STOPPED, "the sound card takes no more samples")
        if self._stutters >= STUTTERS and self._latency_s < PATIENT_S and self.wait(0.0):
            self._be_patient()

    def close(self) -> None:
        """Cut off and let the card go."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)
        self._finished()

    def _be_patient(self) -> None:
        """Open the card anew, with a longer buffer. Raises HardwareError, and then the card is gone."""
        log.warning("the sound card stutters: its buffer lasts %.0f ms from now on", PATIENT_S * 1e3)
        stream, self._stream = self._stream, None
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)
        self._latency_s = PATIENT_S
        stream = self._open(self._card)
        with self._change:
            self._asked_s, self._dead = self._clock.now_s(), False
        self._stream = stream

    def _lead_in(self) -> NDArray[np.int16]:
        """All of it into silence; what is left of it when a phrase is cut off before its first word."""
        with self._change:
            idle = self._position >= len(self._samples)
            left = len(self._whisper) if idle else max(0, self._leading - self._position)
        return self._whisper[len(self._whisper) - left :]

    def _swap(self, samples: NDArray[np.int16], leading: int = 0) -> None:
        with self._change:
            self._samples, self._position, self._leading = samples, 0, leading
            self._change.notify_all()

    def _open(self, card: dict[str, Any]) -> Any:
        channels = min(2, card["max_output_channels"])
        try:
            self._rate_hz = self._choose_rate(card, channels)
            stream = self._sound.OutputStream(
                samplerate=self._rate_hz,
                device=card["index"],
                channels=channels,
                dtype="int16",
                latency=self._latency_s,
                callback=self._fill,
                finished_callback=self._finished,
            )
        except self._sound.PortAudioError as error:
            raise _refusal(card["name"], error) from error
        self._opened_s = self._clock.now_s()
        try:
            stream.start()
        except self._sound.PortAudioError as error:
            stream.close(ignore_errors=True)
            raise HardwareError("speaker", Reason.BROKEN, f"{card['name']} does not start: {error}") from error
        return stream

    def _choose_rate(self, card: dict[str, Any], channels: int) -> int:
        try:
            self._sound.check_output_settings(
                device=card["index"], channels=channels, dtype="int16", samplerate=SPEECH_HZ
            )
        except self._sound.PortAudioError:
            return int(card["default_samplerate"])
        return SPEECH_HZ

    def _fill(self, out: NDArray[np.int16], frames: int, _time: Any, status: Any) -> None:
        with self._change:
            self._asked_s = self._clock.now_s()
            part = self._samples[self._position : self._position + frames]
            playing = self._position < len(self._samples)
            self._position += len(part)
            if playing and self._position >= len(self._samples):
                self._change.notify_all()
        out[: len(part)] = part[:, np.newaxis]
        out[len(part) :] = 0
        if status:
            log.debug("speaker stuttered status=%s", status)
            self._stutters += self._asked_s - self._opened_s > SETTLES_S and status.output_underflow

    def _finished(self) -> None:
        with self._change:
            self._dead = True
            self._change.notify_all()


def _with_cards_of_now(backend: Any) -> Any:
    """The sounddevice module, or what stands in for it, knowing the cards that are there now."""
    fresh = backend is None and "sounddevice" not in sys.modules  # an import makes the list
    sound = backend or _import_sounddevice()
    if fresh:
        return sound
    with contextlib.suppress(sound.PortAudioError):  # it is down where its last start failed
        sound._terminate()
    try:
        sound._initialize()
    except sound.PortAudioError as error:
        raise HardwareError("speaker", Reason.BROKEN, f"PortAudio does not start: {error}") from error
    return sound


def _import_sounddevice() -> Any:
    try:
        return importlib.import_module("sounddevice")
    except ImportError as error:
        raise HardwareError("speaker", Reason.NOT_INSTALLED, "install it with: pip install sounddevice") from error
    except OSError as error:
        hint = "PortAudio is missing; install it with: sudo apt install libportaudio2"
        raise HardwareError("speaker", Reason.NOT_INSTALLED, hint) from error


def _refusal(name: str, error: Exception) -> HardwareError:
    if UNAVAILABLE not in error.args:
        return HardwareError("speaker", Reason.BROKEN, f"{name} cannot be opened: {error}")
    hint = 'often a desktop\'s sound server: set voice.device = "pulse" or "pipewire" to play through it, or stop it'
    return HardwareError("speaker", Reason.BUSY, f"another program holds {name}, {hint}")


def _find_card(sound: Any, part: str) -> dict[str, Any]:
    """The first card whose name holds `part`, the system's default where `part` is empty."""
    card, names = _look_up(sound, part)
    if card is None:
        wanted = f"no sound card is called {part!r}" if part else "there is no sound card"
        known = f"; there are: {', '.join(names)}" if names else ""
        raise HardwareError("speaker", Reason.MISSING, wanted + known)
    return card


def _look_up(sound: Any, part: str) -> tuple[dict[str, Any] | None, list[str]]:
    cards = [card for card in sound.query_devices() if card["max_output_channels"] > 0]
    names = [card["name"] for card in cards]
    if part:
        return next((card for card in cards if part.lower() in card["name"].lower()), None), names
    try:
        return sound.query_devices(kind="output"), names
    except (sound.PortAudioError, ValueError):
        return None, names
