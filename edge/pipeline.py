"""Owns the main loop: frame in, observation out, perhaps an event, posted to the outlets. One page, one thread.

A lost or frozen camera is said once and opened anew, for ever; the loop goes on turning meanwhile, so the watchdog
stays fed. It must not know which drivers or outlets there are.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

from edge.core import backoff
from edge.core.errors import HardwareError, Reason
from edge.core.guide import Guide
from edge.core.messages import Decision, Fault, Frame, Guidance, Observation, Recovered, Sight, Turn, Verdict
from edge.core.stale import Stale
from edge.ports import Camera

log = logging.getLogger(__name__)

REOPEN_FIRST_S, REOPEN_CAP_S = 0.5, 5.0


TURN = Turn("loop")
Posted: TypeAlias = Turn | Observation | Decision | Guidance | Fault | Recovered


class Pipeline:
    """Looks with one camera until it is told to stop or its recording ends."""

    def __init__(
        self,
        open_camera: Callable[[], Camera],
        observe: Callable[[Frame], Observation],
        decide: Callable[[Observation], list[Decision]],
        post: Callable[[Posted], object],
        *,
        guide: Guide | None = None,
        stalled_after_s: float,
        random: Callable[[], float],
        pictures: Callable[[Sight], object] | None = None,
        sensor: bool = False,
    ) -> None:
        """`post` and `pictures` must not block.

        `sensor`: the camera has one, whose noise makes every picture differ; recordings have none.
        """
        # Most devices hand their pictures to nobody: then there is nothing to call, and nobody who could keep one.
        self._pictures = pictures
        self._open_camera, self._observe, self._decide, self._post = open_camera, observe, decide, post
        self._stalled_after_s = stalled_after_s
        self._random = random
        self._guide = guide  # None: no hints are wanted
        self._stale = Stale() if sensor else None
        self._told: Reason | None = None  # why the camera is lost, as it was said
        self._waits = self._begin_waits()  # before the next tries to open it; begun anew by a frame

    def run(self, stop: threading.Event, camera: Camera | None = None) -> None:
        """Look until `stop` is set or a recording has ended; `camera`: one that is open already."""
        try:
            while not stop.is_set():
                camera = camera or self._find_camera(stop)
                if camera is None:
                    return
                try:
                    if not self._turn(camera):
                        return
                except HardwareError as error:
                    if error.device != "camera":
                        raise
                    self._tell(error)
                    camera.close()
                    camera = None
                    # One that opens and gives no frame must not be opened in a hot loop.
                    self._rest(next(self._waits), stop)
        finally:
            if camera is not None:
                camera.close()

    def _turn(self, camera: Camera) -> bool:
        """One frame; False once a recording has ended."""
        self._post(TURN)
        frame = camera.read(self._stalled_after_s)
        if frame is None:
            return False
        if self._repeats(frame):
            return True  # it saw nothing new: as evidence it would count twice
        if self._told and self._alive():
            self._told = None
            self._waits = self._begin_waits()
            self._post(Recovered("camera"))
        observation = self._observe(frame)
        self._post(observation)
        if self._pictures is not None:
            self._pictures(Sight(frame, observation))
        decisions = self._decide(observation)
        for decision in decisions:
            _log_decision(decision)
            self._post(decision)
        if self._guide is not None and (guidance := self._guide.step(observation, decisions)):
            self._post(guidance)
        return True

    def _repeats(self, frame: Frame) -> bool:
        if self._stale is None or not self._stale.repeats(frame):
            return False
        if self._stale.frozen:
            raise HardwareError("camera", Reason.FROZEN, "it gives the same picture again and again")
        return True

    def _alive(self) -> bool:
        """Whether what was wrong is over: the first picture after a freeze may be the next frozen one."""
        return self._told is not Reason.FROZEN or self._stale is None or self._stale.moves

    def _find_camera(self, stop: threading.Event) -> Camera | None:
        """The camera, as soon as there is one; None when told to stop first."""
        while not stop.is_set():
            self._post(TURN)
            try:
                camera = self._open_camera()
            except HardwareError as error:
                self._tell(error)
            else:
                if self._stale is not None:
                    self._stale.reset()
                return camera
            self._rest(next(self._waits), stop)
        return None

    def _begin_waits(self) -> Iterator[float]:
        return backoff.delays(REOPEN_FIRST_S, REOPEN_CAP_S, random=self._random)

    def _rest(self, seconds: float, stop: threading.Event) -> None:
        """Wait in slices, so that the watchdog is fed."""
        left = seconds
        while left > 0 and not stop.wait(min(left, 1.0)):
            left -= 1.0
            self._post(TURN)

    def _tell(self, error: HardwareError) -> None:
        if self._told:
            log.debug("camera still lost: %s", error)
            return
        self._told = error.reason
        log.error("%s", error)
        self._post(Fault.of(error))


def _log_decision(decision: Decision) -> None:
    if decision.verdict in (Verdict.SEEN, Verdict.GONE):
        log.debug("presence %d %s", decision.presence, decision.verdict.value)
        return
    log.info(
        "%s label=%s confidence=%.3f frames=%d presence=%d ms=%s",
        decision.verdict.value,
        decision.label or "-",
        decision.confidence,
        decision.frames,
        decision.presence,
        " ".join(f"{stage}:{ms:.1f}" for stage, ms in decision.ms.items()),
    )
