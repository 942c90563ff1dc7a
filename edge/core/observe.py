"""Owns the way of one frame through the stages to its observation; evaluation walks the same way.

One look after the other sees its picture turned as the bundle says: what the network takes a note for depends a little
on how it lies, so two turns err less often together than one does twice. Its only memory is whose turn it is.
Time is measured with a timer that is handed in: a stage reads no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.core import classify, preprocess, scene
from edge.core.bundle import Bundle
from edge.core.messages import Frame, Look, Observation

Invoke: TypeAlias = Callable[[NDArray[np.uint8]], Sequence[NDArray[np.float32]]]  # as edge.ports.Engine.invoke


class Observer:
    """Looks at frames with one bundle."""

    def __init__(self, bundle: Bundle, invoke: Invoke, timer_s: Callable[[], float]) -> None:
        self._input = bundle.manifest.input
        self._has_box = bundle.manifest.has_box
        self._temperature = bundle.manifest.decision.temperature
        self._invoke = invoke
        self._timer_s = timer_s
        self._looks = 0

    def observe(self, frame: Frame) -> Observation:
        """What `frame` says; without scores where the scene gate stopped it."""
        started = self._timer_s()
        seen = scene.assess(frame.pixels)
        gated = self._timer_s()
        ms = {"scene": (gated - started) * 1e3}
        if seen.look is not Look.CLEAR:
            return Observation(frame.seq, frame.t_s, seen, ms=ms, name=frame.name)
        turn = self._input.turns[self._looks % len(self._input.turns)]
        self._looks += 1
        tensor = preprocess.turned(preprocess.to_tensor(frame.pixels, self._input), turn)
        ready = self._timer_s()
        outputs = self._invoke(tensor)
        inferred = self._timer_s()
        scores = classify.scores(outputs[0], self._temperature)
        box = classify.box(outputs, turn) if self._has_box else None
        ended = self._timer_s()
        ms |= {
            "preprocess": (ready - gated) * 1e3,
            "invoke": (inferred - ready) * 1e3,
            "classify": (ended - inferred) * 1e3,
        }
        return Observation(frame.seq, frame.t_s, seen, scores, box, ms, frame.name)
