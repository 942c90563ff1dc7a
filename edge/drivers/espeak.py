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
from typing import Any

import numpy as np

from edge.core.errors import ConfigError, HardwareError, Reason
from edge.core.messages import Pcm
from edge.settings import VoiceConfig

PROGRAM = "espeak-ng"
TIMEOUT_S = 20.0  # a phrase takes tens of milliseconds; a Pi that boots may be far slower
ALIASES = {"zh": "cmn", "no": "nb"}  # what ISO 639 and espeak-ng call differently
UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f]+")
# Where espeak-ng misreads text in Unicode's own order of marks: what to give it instead.
READINGS = [
    # The vowel of a doubled Arabic consonant is dropped where it stands before the doubling mark.
    (re.compile("([\u064b-\u0650])\u0651"), "\u0651\\1"),
    # A final teh marbuta of a vowelled word is read as "t", which before a pause is "h".
    (re.compile(r"(?<=[\u064b-\u0652\u0627])\u0629(?=\s*(?:[.,:;!?\u060c\u061b\u061f]|$))"), "\u0647"),
    # Bengali letters with a dot below lose the vowel that follows where letter and dot are two characters.
    (re.compile("\u09a1\u09bc"), "\u09dc"),
    (re.compile("\u09a2\u09bc"), "\u09dd"),
    (re.compile("\u09af\u09bc"), "\u09df"),
]
VARIANT = re.compile(r"!v/(.+?)\s*(?:\([^()]*\)\s*)*$", re.MULTILINE)


class EspeakSynth:
    """Renders text; safe to call from several threads, since nothing is shared but constants."""

    def __init__(self, config: VoiceConfig) -> None:
        self._config = config
        self._class = _bounded_espeak()
        if shutil.which(PROGRAM) is None:
            raise HardwareError("speech", Reason.NOT_INSTALLED, f"install it with: sudo apt install {PROGRAM}")
        self._version = _read_version()
        self._voices = self._read_voices()
        self.voice(config.language)
        _check_variant(config.variant)

    def render(self, text: str, language: str) -> Pcm:
        """The spoken text, silence at both ends included."""
        import wave  # not where every phrase is kept

        engine = self._engine(self.voice(language))
        sound = engine.synth_wav(readable(text))
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

    def voice(self, language: str) -> str:
        """espeak-ng's name for `language`; a region it lacks falls back to the language, never to another one."""
        tag = language.replace("_", "-").lower()
        base = tag.split("-")[0]
        for name in (tag, base, ALIASES.get(base, base)):
            if name in self._voices:
                return f"{name}+{self._config.variant}" if self._config.variant else name
        raise HardwareError(
            "speech", Reason.MISSING, f"{PROGRAM} has no voice for {language!r}; see {PROGRAM} --voices"
        )


def readable(text: str) -> str:
    """`text` as espeak-ng reads it right, and none of it taken for an option, a phoneme code or an argument's end."""
    clean = UNSPEAKABLE.sub(" ", text).replace("[[", "[ [")
    for misread, better in READINGS:
        clean = misread.sub(better, clean)
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


def _check_variant(name: str) -> None:
    """espeak-ng itself takes any name and speaks in the plain voice, which nobody would understand."""
    if not name:
        return
    known = VARIANT.findall(_run([PROGRAM, "--voices=variant"]).decode("utf-8", "replace"))
    if name not in known:
        import difflib  # only a mistake needs it

        near = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"{PROGRAM} --voices=variant lists them: f1 to f5, m1 to m8, ..."
        raise ConfigError([f"voice.variant: {PROGRAM} has no variant {name!r}; {hint}"])


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
