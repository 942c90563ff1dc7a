"""Owns the live view in a browser: what is shown to whom, as messages; knows no HTTP and not how the page looks.

    main loop      offer() returns at once. While nobody watches, frames are left where they are: nothing is kept,
                   copied or encoded
    own thread     puts what was offered into words, encodes a picture a few times a second, hands both to each viewer
    viewer         watch() gives a Viewer with a mailbox: the newest picture and a bounded list of news, so that a slow
                   reader misses pictures and costs no memory

It remembers the last lines of news and the last health for whoever comes later, and one frame while somebody watches.

    inbox: 64 items, the oldest makes room
"""

from __future__ import annotations

import base64
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec

from edge.core import picture
from edge.core.bundle import RESERVED
from edge.core.captions import describe, sees
from edge.core.gestures import Gestures, Timings
from edge.core.messages import (
    Box,
    Decision,
    Edge,
    Fault,
    Frame,
    Gesture,
    Guidance,
    Health,
    Holding,
    Observation,
    Recovered,
    Sight,
    Utterance,
    Verdict,
)
from edge.outlets.inbox import Inbox
from edge.outlets.worker import Mishaps, serve
from edge.ports import Clock

log = logging.getLogger(__name__)

INBOX_SIZE = 64
LOOK_EVERY_S = 0.2  # between two pictures: enough to aim by, little to encode
WIDEST_PX, QUALITY = 640, 70
REMEMBERED = 30  # lines of news for whoever comes later
NEWS_WAITING = 100  # for one viewer who does not take them
IDLE_TURN_S = 0.5
CLOSE_S = 2.0

Line: TypeAlias = Decision | Guidance | Fault | Recovered | Utterance
Item: TypeAlias = Line | Health | Edge | Sight
Waiting: TypeAlias = Line | Health | Edge | Observation


class Server(Protocol):
    """What shows the page to those who ask for it, until it is closed."""

    def close(self) -> None:
        """Answer nobody any more."""


class About(msgspec.Struct, frozen=True):
    """What does not change while it runs."""

    version: str
    bundle: str
    camera: str
    language: str  # of what is said


class News(msgspec.Struct, frozen=True):
    """One line that happened."""

    kind: str  # decision, hint, said, press, fault
    text: str
    detail: str = ""
    age_s: float = 0.0


class Look(msgspec.Struct, frozen=True):
    """One frame and what was seen in it."""

    seq: int
    t_s: float
    sees: str
    scores: list[tuple[str, float]]  # label and probability; none where the frame was stopped before inference
    box: tuple[float, float, float, float] | None  # left, top, width, height in shares of the picture
    ms: dict[str, float]
    picture: str  # JPEG, base64


class Hello(msgspec.Struct, frozen=True):
    """All that a viewer who has just come needs."""

    about: About
    labels: tuple[str, ...]
    news: list[News]
    health: Health | None
    health_age_s: float


class Viewer:
    """The mailbox of one who watches; filled by the outlet, emptied by a thread of the server's."""

    def __init__(self, hello: bytes) -> None:
        self._changed = threading.Condition()
        self._news: deque[bytes] = deque([hello], maxlen=NEWS_WAITING)
        self._look: bytes | None = None
        self._ended = False

    def put_news(self, message: bytes) -> None:
        """To be given after all news before it."""
        with self._changed:
            self._news.append(message)
            self._changed.notify()

    def put_look(self, message: bytes) -> None:
        """To be given next, instead of a picture that was not taken."""
        with self._changed:
            self._look = message
            self._changed.notify()

    def next(self, timeout_s: float) -> bytes | None:
        """The next message of the event stream; None when there was none in time, or never will be."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or self._look or self._ended, timeout_s)
            if self._news:
                return self._news.popleft()
            message, self._look = self._look, None
            return message

    def end(self) -> None:
        """No more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    @property
    def ended(self) -> bool:
        """Whether the outlet has closed."""
        return self._ended


class Web:
    """Shows; `start` it once, `offer` it everything, `close` it."""

    def __init__(
        self,
        labels: Sequence[str],
        about: About,
        timings: Timings,
        clock: Clock,
        open_server: Callable[[Web], Server] | None = None,
    ) -> None:
        """`open_server` begins to serve whoever comes to `watch`; None where others do that."""
        self._labels, self._about, self._clock = tuple(labels), about, clock
        self._open_server = open_server
        self._server: Server | None = None
        self._gestures = Gestures(timings)
        self._inbox: Inbox[Waiting] = Inbox(INBOX_SIZE, drop="oldest")
        self._sight: Sight | None = None  # the newest, only while somebody watches
        self._lock = threading.Lock()
        self._viewers: tuple[Viewer, ...] = ()
        self._news: deque[tuple[News, float]] = deque(maxlen=REMEMBERED)  # and when it happened
        self._health: Health | None = None
        self._health_s = clock.now_s()  # when it was reported
        self._looked_s = float("-inf")
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Begin to show. Raises HardwareError where the server cannot listen."""
        if self._open_server is not None:
            self._server = self._open_server(self)
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Take an item for later; a frame is not touched while nobody watches. Returns at once."""
        if isinstance(item, Sight):
            if not self._viewers:
                return True
            self._sight = item
            return self._inbox.offer(item.observation)  # the inbox holds no picture
        return self._inbox.offer(item)

    def watch(self) -> Viewer:
        """A mailbox for somebody new."""
        with self._lock:
            now_s = self._clock.now_s()
            news = [msgspec.structs.replace(line, age_s=round(now_s - t_s, 1)) for line, t_s in self._news]
            viewer = Viewer(
                _message(
                    "hello", Hello(self._about, self._labels, news, self._health, round(now_s - self._health_s, 1))
                )
            )
            self._viewers = (*self._viewers, viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """`viewer` has gone."""
        with self._lock:
            self._viewers = tuple(other for other in self._viewers if other is not viewer)
            if not self._viewers:
                self._sight = None

    def close(self) -> None:
        """Show nothing more; may be called twice."""
        if self._server is not None:
            self._server.close()
        self._inbox.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        for viewer in self._viewers:
            viewer.end()

    def _run(self) -> None:
        serve(self._inbox, self.turn, lambda: IDLE_TURN_S, mishaps=Mishaps("live view"))

    def turn(self, item: Waiting | None) -> None:
        """One turn of the thread: show `item`, and a picture when one is due."""
        now_s = self._clock.now_s()
        if isinstance(item, Edge):
            self._tell_presses(self._gestures.edge(item))
        elif isinstance(item, Health):
            self._tell_health(item)
        elif item is not None and not isinstance(item, Observation):
            self._tell(_news(item))
        if len(self._inbox) == 0:  # edges that wait there belong to the same press
            self._tell_presses(self._gestures.advance(now_s))
        if now_s - self._looked_s >= LOOK_EVERY_S and (sight := self._take_sight()):
            self._looked_s = now_s
            message = _message("look", _look(sight.frame, sight.observation, self._labels))
            for viewer in self._viewers:
                viewer.put_look(message)

    def _take_sight(self) -> Sight | None:
        with self._lock:
            sight, self._sight = self._sight, None
            return sight if self._viewers else None

    def _tell_presses(self, done: list[Gesture | Holding]) -> None:
        for gesture in done:
            if isinstance(gesture, Gesture):
                self._tell(_news(gesture))

    def _tell_health(self, health: Health) -> None:
        message = _message("health", health)
        with self._lock:
            self._health, self._health_s = health, self._clock.now_s()
            for viewer in self._viewers:
                viewer.put_news(message)

    def _tell(self, news: News) -> None:
        message = _message("news", news)  # before it is remembered: what cannot be told now cannot be told later
        with self._lock:
            self._news.append((news, self._clock.now_s()))
            for viewer in self._viewers:
                viewer.put_news(message)


def _message(event: str, body: msgspec.Struct | Health) -> bytes:
    """One message of an event stream; JSON holds no line break."""
    return b"event: " + event.encode() + b"\ndata: " + msgspec.json.encode(body) + b"\n\n"


def _news(item: Line | Gesture) -> News:
    """A line for a person."""
    if isinstance(item, Gesture):
        return News("press", item.press.value)
    if isinstance(item, Utterance):
        return News("said", item.text, "" if item.sounded else "not heard: no sound card")
    if isinstance(item, Guidance):
        return News("hint", item.hint.value)
    if isinstance(item, Fault | Recovered):
        return News("fault", describe(item))
    return _decision(item)


def _decision(decision: Decision) -> News:
    if decision.verdict is Verdict.GONE:
        return News("decision", "nothing in view")
    if decision.verdict is Verdict.SEEN:
        return News("decision", "something in view")
    detail = f"confidence {decision.confidence:.2f}, {decision.frames} frames"
    return News("decision", f"{decision.verdict.value} {decision.label}".rstrip(), detail)


def _look(frame: Frame, observation: Observation, labels: tuple[str, ...]) -> Look:
    scores, box = observation.scores, observation.box
    if scores is None or labels[int(scores.argmax())] in RESERVED:
        box = None  # the model always names a place; without a note it means nothing
    return Look(
        seq=observation.seq,
        t_s=observation.t_s,
        sees=sees(observation, labels),
        scores=[]
        if scores is None
        else [(n, round(math.exp(float(s)), 4)) for n, s in zip(labels, scores, strict=True)],
        box=None if box is None else _corner(box),
        ms={stage: round(ms, 2) for stage, ms in observation.ms.items()},
        picture=base64.b64encode(picture.jpeg(frame.pixels, quality=QUALITY, widest_px=WIDEST_PX)).decode(),
    )


def _corner(box: Box) -> tuple[float, float, float, float]:
    left, top = box.centre_x - box.width / 2, box.centre_y - box.height / 2
    return round(left, 4), round(top, 4), round(box.width, 4), round(box.height, 4)
