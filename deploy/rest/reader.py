"""Owns the way from the bytes of a picture to an answer, on one interpreter: the device's own code and nothing else.

    bytes -> edge.core.picture (format, limits, turn) -> edge.core.photograph (a device just switched on) -> Reading

Not for two threads at once. Knows no HTTP.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge import selection
from edge.core import photograph, picture
from edge.core.bundle import Bundle
from edge.core.decide import fuse
from edge.core.messages import Decision, Pixels, Verdict
from edge.core.pictureheader import OtherFormatError, TooLargeError, UnreadError
from edge.core.pocket import labels_of
from edge.core.speech import Speech
from edge.devices import open_engine
from edge.settings import Config, ModelConfig, VoiceConfig

__all__ = ["NO_NOTE", "OtherFormatError", "Reader", "Reading", "TooLargeError", "UnreadError"]

NO_NOTE = "no note"


@dataclass(frozen=True)
class Reading:
    """What a device would say of a picture, and what it was said by."""

    verdict: str  # a value of Verdict, or NO_NOTE: silence
    amount: str
    currency: str
    confidence: float  # of the amount, or of what it is not sure of
    said: str  # the sentence that it speaks, "" for silence
    scores: dict[str, float]  # probabilities by label, all looks fused; none where the scene gate stopped it
    box: tuple[float, float, float, float] | None  # where the last look that saw a note saw it, in shares
    pixels: Pixels  # upright
    decode_ms: float
    judge_ms: float


class Reader:
    """One interpreter for each bundle, whole and self-tested."""

    def __init__(self, bundles: Sequence[str], language: str = "en", most_pixels: int = picture.MOST_PIXELS) -> None:
        """Raises BundleError, HardwareError, ConfigError for two bundles of a currency or a language without texts."""
        one = bundles[0] if len(bundles) == 1 else tuple(bundles)
        config = Config(model=ModelConfig(bundle=one, threads=1), voice=VoiceConfig(language=language))
        self._loaded = selection.load(config, lambda bundle: open_engine(config, bundle))
        self._readers = [(bundle, engine.invoke) for bundle, engine in self._loaded]
        self._speech = Speech(language, self.bundles[0].manifest.currency)
        self._labels = labels_of(self.bundles)
        self._most_pixels = most_pixels

    @property
    def bundles(self) -> list[Bundle]:
        """What it knows."""
        return [bundle for bundle, _ in self._loaded]

    def read(self, data: bytes) -> Reading:
        """The answer to one picture. Raises UnreadError and HardwareError."""
        started = time.perf_counter()
        pixels = picture.parse(data, self._most_pixels).pixels
        decoded = time.perf_counter()
        held = photograph.hold(self._readers, pixels)
        judged = time.perf_counter()
        return self._reading(held, pixels, (decoded - started) * 1e3, (judged - decoded) * 1e3)

    def close(self) -> None:
        """Let the interpreters go."""
        with contextlib.ExitStack() as closing:
            for _, engine in self._loaded:
                closing.callback(engine.close)

    def _reading(self, held: photograph.Held, pixels: Pixels, decode_ms: float, judge_ms: float) -> Reading:
        answer = held.answer
        boxes = [look.box for look in held.observations if look.box is not None] if answer else []
        return Reading(
            verdict=answer.verdict.value if answer else NO_NOTE,
            amount=answer.label if answer else "",
            currency=answer.currency if answer else "",
            confidence=answer.confidence if answer else 0.0,
            said=self._said(answer),
            scores=self._scores(held),
            box=(boxes[-1].centre_x, boxes[-1].centre_y, boxes[-1].width, boxes[-1].height) if boxes else None,
            pixels=pixels,
            decode_ms=decode_ms,
            judge_ms=judge_ms,
        )

    def _said(self, answer: Decision | None) -> str:
        if answer is None:
            return ""
        if answer.verdict is Verdict.AMOUNT:
            return self._speech.amount(answer.label, currency=answer.currency)
        return self._speech.decision(answer) or ""

    def _scores(self, held: photograph.Held) -> dict[str, float]:
        """Of the first bundle that looked, where there are several."""
        rows = [look.scores for look in held.observations if look.scores is not None and look.reader == 0]
        if not rows:
            return {}
        fused = fuse(np.array(rows)).tolist()
        return {name: round(score, 4) for name, score in zip(self._labels, fused, strict=True) if math.isfinite(score)}
