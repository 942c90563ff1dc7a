"""Owns the way of one frame through the stages to its observation; evaluation walks the same way.

One look after the other sees its picture turned as the bundle says: what the network takes a note for depends a little
on how it lies, so two turns err less often together than one does twice. Where the bundle says so, every other round of
turns looks near, at the note's own place alone: the frame has more to show of it than the model's small picture of all
the frame can hold. Where nothing moves and no note is, the last look holds for a while.
Its only memory is whose turn it is, where the note was last, and what `still` remembers.
Time is measured with a timer that is handed in: a stage reads no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.core import classify, preprocess, scene
from edge.core.bundle import BACKGROUND, Bundle, InputSpec
from edge.core.messages import NOTE_LIKE, WHOLE, Box, Frame, Look, Observation, Pixels, Scores
from edge.core.still import Still

Invoke: TypeAlias = Callable[[NDArray[np.uint8]], Sequence[NDArray[np.float32]]]  # as edge.ports.Engine.invoke

STAGES = ("scene", "preprocess", "invoke", "classify")  # by which an observation, and telemetry, gives its milliseconds
NEAR_FOR_S = 0.5  # a place that is older may be that of a note which has gone


class Shown:
    """A picture and what was made of it: of one that is looked at more than once, the same is made once."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        self.small = scene.small(pixels)
        self.scene = scene.judge(self.small)
        self._tensors: dict[tuple[Box, InputSpec], NDArray[np.uint8]] = {}

    def tensor(self, area: Box, spec: InputSpec) -> NDArray[np.uint8]:
        """What a model of `spec` is given of `area`, before it is turned."""
        found = self._tensors.get((area, spec))
        if found is None:
            found = preprocess.to_tensor(preprocess.cut(self._pixels, area), spec)
            self._tensors[area, spec] = found
        return found


class Observer:
    """Looks at frames with one bundle."""

    def __init__(self, bundle: Bundle, invoke: Invoke, timer_s: Callable[[], float]) -> None:
        self._input = bundle.manifest.input
        self._has_box = bundle.manifest.has_box
        self._temperature = bundle.manifest.decision.temperature
        self._invoke = invoke
        self._timer_s = timer_s
        self._background = bundle.labels.index(BACKGROUND)
        self._looks = 0
        self._place: tuple[float, Box] | None = None  # where a note was seen last, and when
        self._still = Still(self._background, len(self._input.turns))

    def observe(self, frame: Frame, shown: Shown | None = None) -> Observation:
        """What `frame` says; without scores where the scene gate stopped it.

        With those of the last look where no note is and nothing has changed since. `shown`: its picture, where that was
        looked at before.
        """
        started = self._timer_s()
        shown = shown or Shown(frame.pixels)
        small, seen = shown.small, shown.scene
        known = self._still.answer(frame.t_s, seen.sharpness, small) if seen.look is Look.CLEAR else None
        gated = self._timer_s()
        ms = {STAGES[0]: (gated - started) * 1e3}
        if known is not None:
            return Observation(frame.seq, frame.t_s, seen, known.scores, known.box, ms, frame.name)
        if seen.look is not Look.CLEAR:
            return Observation(frame.seq, frame.t_s, seen, ms=ms, name=frame.name)
        look = self._look(frame, shown, ms, gated)
        self._still.heed(look, small)
        return look

    def _look(self, frame: Frame, shown: Shown, ms: dict[str, float], gated: float) -> Observation:
        """The way through the model, begun at `gated`."""
        turn, area = self._next_look(frame.t_s)
        tensor = preprocess.turned(shown.tensor(area, self._input), turn)
        ready = self._timer_s()
        outputs = self._invoke(tensor)
        inferred = self._timer_s()
        scores = classify.scores(outputs[0], self._temperature)
        box = classify.box(outputs, turn, area) if self._has_box else None
        self._remember(frame.t_s, scores, box)
        ended = self._timer_s()
        spans_ms = (ready - gated) * 1e3, (inferred - ready) * 1e3, (ended - inferred) * 1e3
        ms.update(zip(STAGES[1:], spans_ms, strict=True))
        return Observation(frame.seq, frame.t_s, shown.scene, scores, box, ms, frame.name, near=area != WHOLE)

    def _next_look(self, now_s: float) -> tuple[int, Box]:
        """Degrees by which the next look is turned, and the part of the frame that it sees."""
        rounds, which = divmod(self._looks, len(self._input.turns))
        self._looks += 1
        area = WHOLE
        if self._input.near and rounds % 2 == 1 and self._place is not None:
            seen_s, box = self._place
            if 0 <= now_s - seen_s <= NEAR_FOR_S:
                area = preprocess.around(box, self._input.near)
        return self._input.turns[which], area

    def _remember(self, now_s: float, scores: Scores, box: Box | None) -> None:
        """Only a note has a place worth a nearer look."""
        note = scores[self._background] < NOTE_LIKE
        self._place = (now_s, box) if note and box is not None else None
