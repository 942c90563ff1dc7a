"""Owns speech synthesis with espeak-ng through py-espeak-ng; plays nothing and keeps nothing.

py-espeak-ng's `say()` starts a process that opens the sound card for each phrase and is not waited for, so only its
rendering is used. Its way of starting the program is replaced, because it waits for ever, ignores the exit status
and writes the spoken text to the root logger.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import wave
from typing import Any

import numpy as np

from edge.config import VoiceConfig
from edge.core.errors import HardwareError, Reason
from edge.core.messages import Pcm

PROGRAM = "espeak-ng"
TIMEOUT_S = 20.0  # a phrase takes tens of milliseconds; a Pi that boots may be far slower
ALIASES = {"zh": "cmn", "no": "nb"}  # what ISO 639 and espeak-ng call differently
UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f]+")


class EspeakSynth:
    """Renders text; safe to call from several threads, since nothing is shared but constants."""

    def __init__(self, config: VoiceConfig) -> None:
        self._config = config
        self._class = _bounded_espeak()
        if shutil.which(PROGRAM) is None:
            raise HardwareError("speech", Reason.NOT_INSTALLED, f"install it with: sudo apt install {PROGRAM}")
        self._version = _read_version()
        self._voices = self._read_voices()
        self._voice(config.language)

    def render(self, text: str, language: str) -> Pcm:
        """The spoken text, silence at both ends included."""
        engine = self._engine(self._voice(language))
        sound = engine.synth_wav(_plain(text))
        try:
            with wave.open(io.BytesIO(sound)) as file:
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
                return Pcm(samples, file.getframerate())
        except (wave.Error, EOFError) as error:
            raise HardwareError("speech", Reason.BROKEN, f"{PROGRAM} gave no sound: {error}") from error

    def version(self) -> str:
        """Such as "espeak-ng 1.51"."""
        return self._version

    def _engine(self, voice: str) -> Any:
        config = self._config
        return self._class(voice=voice, volume=config.volume, pitch=config.pitch, speed=config.words_per_minute)

    def _read_voices(self) -> frozenset[str]:
        names = set()
        for voice in self._engine("en").voices:
            names |= {voice["language"].lower(), voice["file"].rsplit("/", 1)[-1].lower()}
        return frozenset(names)

    def _voice(self, language: str) -> str:
        """espeak-ng's name for `language`; a region it lacks falls back to the language, never to another one."""
        tag = language.replace("_", "-").lower()
        base = tag.split("-")[0]
        for name in (tag, base, ALIASES.get(base, base)):
            if name in self._voices:
                return name
        raise HardwareError(
            "speech", Reason.MISSING, f"{PROGRAM} has no voice for {language!r}; see {PROGRAM} --voices"
        )


def _plain(text: str) -> str:
    """`text` so that none of it is taken for an option, a phoneme code or the end of an argument."""
    clean = UNSPEAKABLE.sub(" ", text).replace("[[", "[ [")
    return " " + clean.encode("utf-8", "replace").decode("utf-8")


def _run(command: list[str | bytes]) -> bytes:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError as error:
        raise HardwareError("speech", Reason.NOT_INSTALLED, f"install it with: sudo apt install {PROGRAM}") from error
    except subprocess.TimeoutExpired as error:
        raise HardwareError("speech", Reason.STOPPED, f"{PROGRAM} did not answer in {TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise HardwareError("speech", Reason.BROKEN, f"{PROGRAM} cannot be started: {error}") from error
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip() or f"exit status {done.returncode}"
        raise HardwareError("speech", Reason.BROKEN, f"{PROGRAM} failed: {reason}")
    return done.stdout


def _read_version() -> str:
    found = re.search(r"text-to-speech:\s*(\S+)", _run([PROGRAM, "--version"]).decode("utf-8", "replace"))
    return f"{PROGRAM} {found.group(1) if found else 'unknown'}"


def _bounded_espeak() -> Any:
    """py-espeak-ng's class, with a bound on the program's time and a look at its exit status."""
    try:
        from espeakng import ESpeakNG
    except ImportError as error:
        raise HardwareError("speech", Reason.NOT_INSTALLED, "install it with: pip install py-espeak-ng") from error

    class BoundedESpeakNG(ESpeakNG):  # type: ignore[misc]
        def _espeak_exe(self, args: list[str | bytes], sync: bool = False) -> list[bytes]:
            options: list[str | bytes] = ["-a", str(self.volume), "-p", str(self.pitch), "-s", str(self.speed)]
            return _run([PROGRAM, *options, "-v", self.voice, "-b", "1", *args]).splitlines(keepends=True)

    return BoundedESpeakNG
