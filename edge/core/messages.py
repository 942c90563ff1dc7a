"""Owns the nouns that travel inside the process; knows nothing of who makes or takes them.

Times named `t_s` are seconds on the camera's monotonic clock: a recording carries its own, so it replays
exactly and faster than life. Pixels are RGB, uint8, shape (height, width, 3).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import HardwareError
from edge.core.ledger import Tally
from edge.core.spread import Percentiles, Spread

Pixels: TypeAlias = NDArray[np.uint8]
Scores: TypeAlias = NDArray[np.float32]

NOTE_LIKE = float(np.log(0.5))  # less log-probability of "background": something like a note is in view
ROUNDING_S = 1e-6  # times of frames are sums: a span of them may fall short by so much


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture from a camera."""

    seq: int  # counts up by one for each frame the camera took, given out or not
    t_s: float  # when it was taken
    pixels: Pixels  # (height, width, 3) RGB
    name: str = ""  # the file it came from, for recordings


class Look(enum.Enum):
    """What the scene gate makes of a frame before any inference."""

    CLEAR = "clear"  # worth an inference
    DARK = "dark"
    COVERED = "covered"  # dark and without any structure: a finger or a pocket
    EMPTY = "empty"  # lit, but nothing with detail in view
    BLURRED = "blurred"


@dataclass(frozen=True, slots=True)
class Scene:
    """The scene gate's measurements of one frame."""

    look: Look
    luma: float  # mean brightness, 0..255
    detail: float  # standard deviation of brightness, 0..127
    sharpness: float  # variance of the Laplacian of the small grey picture


@dataclass(frozen=True, slots=True)
class Box:
    """Where the note is, in shares of the frame: 0..1 from the left and from the top."""

    centre_x: float
    centre_y: float
    width: float
    height: float
    visible: float  # share of the note's face to be seen, 0..1: cut by the frame, covered, folded away do not count


WHOLE = Box(0.5, 0.5, 1.0, 1.0, 1.0)  # all of the frame


@dataclass(frozen=True, slots=True)
class Observation:
    """What one frame says; `scores` is None where the scene gate stopped it before inference."""

    seq: int
    t_s: float
    scene: Scene
    scores: Scores | None = None  # (labels,) log-probabilities after temperature, natural log
    box: Box | None = None
    ms: dict[str, float] = field(default_factory=dict)  # milliseconds per stage, by its name
    name: str = ""
    reader: int = 0  # which of several bundles looked
    near: bool = False  # it looked at the note's place alone


class Verdict(enum.Enum):
    """What the decision stage says about the note in view."""

    SEEN = "seen"  # something like a note has come into view: a presence has begun, nothing is known of it yet
    AMOUNT = "amount"
    UNSURE = "unsure"
    SEVERAL = "several"  # two different notes in view: never an amount
    GONE = "gone"  # the note has left; the next one may be announced


@dataclass(frozen=True, slots=True)
class Decision:
    """A change worth acting on. One presence of a note gives at most one AMOUNT per amount."""

    verdict: Verdict
    seq: int
    t_s: float
    presence: int  # counts notes shown since start; the same number until the note has gone
    label: str = ""  # the denomination, for AMOUNT
    confidence: float = 0.0  # fused probability of `label`
    frames: int = 0  # observations that went into it
    ms: dict[str, float] = field(default_factory=dict)  # of the last frame's stages
    currency: str = ""  # of `label`, ISO 4217


class Hint(enum.Enum):
    """What would help the hand that holds the note."""

    TOO_DARK = "too dark"
    HOLD_STILL = "hold still"
    CLOSER = "closer"
    FURTHER = "further away"
    LEFT = "left"  # as the hand sees it that holds the note
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    COVERED = "camera covered"


@dataclass(frozen=True, slots=True)
class Guidance:
    """One hint for the hand."""

    hint: Hint
    t_s: float


class Press(enum.Enum):
    """A finished gesture on the one button."""

    SHORT = "short"
    DOUBLE = "double"
    LONG = "long"
    VERY_LONG = "very long"


@dataclass(frozen=True, slots=True)
class Gesture:
    """One press, as understood; `t_s` is on the monotonic clock of the process."""

    press: Press
    t_s: float


class Hold(enum.Enum):
    """How far a press under way has come: the hand cannot see how long it holds."""

    DOWN = "down"  # taken for a press, no bounce
    LONG = "long"  # let go now, it is a long press
    VERY_LONG = "very long"


@dataclass(frozen=True, slots=True)
class Holding:
    """A press under way has come so far; the gesture follows when the button is let go."""

    hold: Hold
    t_s: float


@dataclass(frozen=True, slots=True)
class Edge:
    """One raw change of the button's contact, bounces included."""

    down: bool
    t_s: float


@dataclass(frozen=True, slots=True)
class Fault:
    """A device failed; spoken, since its owner cannot read a log."""

    device: str  # the port's name in lower case, as in HardwareError
    reason: str  # a value of errors.Reason
    detail: str = ""

    @classmethod
    def of(cls, error: HardwareError) -> Fault:
        """What `error` says of its device."""
        return cls(error.device, error.reason.value, error.detail)


@dataclass(frozen=True, slots=True)
class Recovered:
    """A device that had failed works again."""

    device: str
    reason: str = ""  # which of its troubles is over, where it is one of `edge.core.stands.CONDITIONS`


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to say that no note caused: "ready", "demonstration, play money", ..."""

    phrase: str  # a key of edge.core.speech


@dataclass(frozen=True, slots=True)
class Health:
    """How the daemon does, for telemetry and the watchdog."""

    uptime_s: float
    frames: int  # seen since start
    inferences: int  # run since start
    announced: int  # amounts said since start
    ms: dict[str, float]  # mean milliseconds per stage since the last beat
    temperature_c: float | None = None
    throttled: bool | None = None  # under-voltage or heat, as the board reports it
    memory_bytes: int | None = None  # resident
    disk_free_bytes: int | None = None
    frames_per_s: float = 0.0  # since the last beat, as the next two
    stages: dict[str, Percentiles] = field(default_factory=dict)  # of milliseconds
    speech_ms: Percentiles | None = None  # of `Reaction`
    dropped: int = 0  # things that an outlet had no room for, since start


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the last minute or less has brought, to be added up by day."""

    seconds: float
    frames: int
    stages: dict[str, Spread]  # of milliseconds
    speech: Spread  # of `Reaction`
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class Reaction:
    """How long an amount waited from its decision until its first sample was handed to the speaker."""

    ms: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of a bundle that was installed."""

    entry: str  # currency, version and the beginning of its digest; "configured" for what the settings name
    what: str  # in the shadow, refused, switched, stays, rolled back
    why: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """What an installed bundle has shown in the shadow by now."""

    entry: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class InUse:
    """From the next frame on another bundle looks."""

    bundle: str  # name and version, as `Source` has them
    digest: str
    thresholds: dict[str, float]  # by label
    versions: dict[str, str] = field(default_factory=dict)  # of the bundles in use, by currency


Event: TypeAlias = Decision | Guidance | Fault | Recovered | Notice | Health | Arrival


@dataclass(frozen=True, slots=True)
class Sight:
    """One frame with what was made of it, for those few outlets that show or keep pictures."""

    frame: Frame
    observation: Observation


@dataclass(frozen=True, slots=True)
class Turn:
    """A thread that must never stand still has turned: the watchdog lives on it."""

    thread: str  # "loop" or "announcer"


class Rank(enum.IntEnum):
    """Of what is said: what may cut off or push aside what."""

    HINT = 0
    DOUBT = 1
    NEWS = 2  # faults, repairs, notices
    AMOUNT = 3  # amounts and answers to a press


@dataclass(frozen=True, slots=True)
class Utterance:
    """One thing that was said."""

    text: str
    rank: Rank
    t_s: float  # on the process's clock, when its sound was handed to the speaker
    sounded: bool  # False: there is no working sound card just now


@dataclass(frozen=True, slots=True)
class Pcm:
    """Sound in memory."""

    samples: NDArray[np.int16]  # (n,) mono
    rate_hz: int

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.samples) / self.rate_hz
