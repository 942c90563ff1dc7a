"""Owns which pictures are worth keeping for training, where the owner has said so; knows no file names.

At most one picture of each kind in one presence of a note:

    unsure    the one on which "not sure" was decided
    several   the one on which two notes were seen
    near      of those that look like a note, the one whose best amount came nearest to its threshold and stayed below
              it (and above half of it); kept once the note has gone

And the latest picture, whatever is on it, as `snapshot` when it is asked for from afar; that is said aloud each time.

    main loop     offer(): compares a few numbers and holds three frames at most; returns at once
    own thread    encodes and writes; a disk that is full or broken is said once in the log, and nothing else stops

    inbox: 4 pictures, a new one is turned away when it is full
"""

from __future__ import annotations

import datetime
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from edge.core import picture
from edge.core.bundle import BACKGROUND, RESERVED
from edge.core.errors import HardwareError, Reason
from edge.core.messages import NOTE_LIKE, Decision, Frame, InUse, Notice, Observation, Sight, Verdict
from edge.core.orders import SNAPSHOT, Command, Done
from edge.outlets.album import Album
from edge.outlets.inbox import Inbox
from edge.outlets.worker import Mishaps, Worker
from edge.ports import Clock

log = logging.getLogger(__name__)

INBOX_SIZE = 4
QUALITY = 92
NEAR_SHARE = 0.5  # of the threshold, from which an amount came near to it
CLOSE_S = 2.0
STALE_S = 10.0  # an older picture than that is none of now
REASONS = {Verdict.UNSURE: "unsure", Verdict.SEVERAL: "several"}

Item: TypeAlias = Sight | Decision | Command | InUse
Posted: TypeAlias = Done | Notice


class Line(msgspec.Struct, frozen=True):
    """What is written down with a picture: no time, no device, no amount that was said."""

    reason: str  # unsure, several, near, snapshot
    bundle: str  # name and version
    digest: str
    scores: dict[str, float]  # probabilities, by label
    box: tuple[float, float, float, float] | None  # centre x, centre y, width, height in shares of the picture


@dataclass(frozen=True, slots=True)
class Picked:
    """A picture to be kept."""

    reason: str
    frame: Frame
    observation: Observation
    id: str = ""  # of the command that asked for it


class Capture:
    """Keeps; `start` it once, `offer` it every frame and, after it, the decisions that come of it, `close` it."""

    def __init__(
        self,
        album: Album,
        labels: Sequence[str],
        thresholds: Mapping[str, float],
        bundle: str,
        digest: str,
        clock: Clock,
        *,
        post: Callable[[Posted], object] = lambda message: None,
    ) -> None:
        self._album, self._labels, self._bundle, self._digest, self._clock = album, tuple(labels), bundle, digest, clock
        self._post = post
        self._latest: tuple[Sight, float] | None = None  # and when it came
        self._background = self._labels.index(BACKGROUND)
        self._thresholds = thresholds
        self._newest: tuple[Frame, Observation] | None = None
        self._nearest: tuple[Frame, Observation] | None = None
        self._nearness = 0.0  # share of its threshold that the best amount of `_nearest` reached
        self._inbox: Inbox[Picked] = Inbox(INBOX_SIZE, drop="newest")
        self._failing = False  # said so in the log
        self._thread = Worker("capture", self._inbox, self._keep, mishaps=Mishaps("captures"))

    def start(self) -> None:
        """Remove what is too much, and begin, with what is too old. Raises HardwareError where nothing can be kept."""
        try:
            self._album.tidy(None)
        except OSError as error:
            raise HardwareError("disk", Reason.BROKEN, f"pictures cannot be kept: {error}") from error
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Pick what is worth keeping; called by the main loop. False when a picture was turned away."""
        if isinstance(item, Command):
            return item.verb != SNAPSHOT or self._asked(item.id)
        if isinstance(item, InUse):
            self._bundle, self._digest, self._thresholds = item.bundle, item.digest, item.thresholds
            return True
        if isinstance(item, Sight):
            self._latest = item, self._clock.now_s()
            self._look(item.frame, item.observation)
            return True
        if item.verdict is Verdict.GONE:
            return self._pick_nearest()
        if item.verdict in REASONS and self._newest is not None and self._newest[1].seq == item.seq:
            return self._inbox.offer(Picked(REASONS[item.verdict], *self._newest))
        return True

    def _asked(self, id_: str) -> bool:
        latest = self._latest
        if latest is None or self._clock.now_s() > latest[1] + STALE_S:
            self._post(Done(id_, "the camera gives no picture"))
            return True
        if taken := self._inbox.offer(Picked(SNAPSHOT, latest[0].frame, latest[0].observation, id_)):
            self._post(Notice("captures kept"))  # nobody is photographed without hearing of it
        else:
            self._post(Done(id_, "too many pictures wait to be written"))
        return taken

    def _look(self, frame: Frame, observation: Observation) -> None:
        self._newest = None
        if observation.scores is None or observation.scores[self._background] >= NOTE_LIKE:
            return
        self._newest = (frame, observation)
        best = int(observation.scores.argmax())
        if self._labels[best] in RESERVED:
            return
        nearness = math.exp(float(observation.scores[best])) / self._thresholds[self._labels[best]]
        if max(NEAR_SHARE, self._nearness) <= nearness < 1:
            self._nearest, self._nearness = self._newest, nearness

    def close(self) -> None:
        """Keep what was picked, then stop; may be called twice."""
        self._pick_nearest()
        self._thread.finish(CLOSE_S)

    def _pick_nearest(self) -> bool:
        nearest, self._nearest, self._nearness = self._nearest, None, 0.0
        return nearest is None or self._inbox.offer(Picked("near", *nearest))

    def _keep(self, picked: Picked | None) -> None:
        """Without a picture, at the start, only what is too old goes."""
        try:
            if picked is None:
                self._album.tidy(self._today())
                return
            line = msgspec.json.encode(self._line(picked)) + b"\n"
            name = self._album.add(picture.jpeg(picked.frame.pixels, quality=QUALITY), line, self._today())
            self._answer(picked, "" if name else "the picture is larger than capture.max_mb allows", name)
        except OSError as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "pictures cannot be kept just now: %s", error)
            self._failing = True
            if picked is not None:
                self._answer(picked, f"it cannot be kept: {error.strerror or error}")
            return
        if self._failing:
            log.info("pictures can be kept again")
        self._failing = False

    def _answer(self, picked: Picked, why: str, name: str = "") -> None:
        if picked.id:
            self._post(Done(picked.id, why, name))

    def _line(self, picked: Picked) -> Line:
        scores, box = picked.observation.scores, picked.observation.box
        return Line(
            reason=picked.reason,
            bundle=self._bundle,
            digest=self._digest,
            scores={}
            if scores is None
            else {n: round(math.exp(float(score)), 4) for n, score in zip(self._labels, scores, strict=True)},
            box=None if box is None else (box.centre_x, box.centre_y, box.width, box.height),
        )

    def _today(self) -> datetime.date | None:
        self._clock.is_set()  # on this thread: it may take a while to find out
        wall_s = self._clock.wall_s()
        return None if wall_s is None else datetime.datetime.fromtimestamp(wall_s).date()
