"""Owns the stories of the decision's test vectors: what is in view when, of which bundles. Decides nothing itself.

The bundles have no network: what it would say is part of the story.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edge.core.bundle import BACKGROUND, SEVERAL, Bundle, DecisionSpec, InputSpec, Manifest
from edge.core.manifest import SoonSpec
from edge.core.messages import Look

SIZE_PX = 32
# No limit of the rule is a multiple of these: rounding decides nothing.
STEP_S, SLOW_S = 0.09, 0.19  # between frames
MIDDLE = (0.5, 0.5, 0.6, 0.4, 0.95)

PLAIN = DecisionSpec(
    temperature=0.5,
    thresholds={"10": 0.9, "20": 0.9, "500": 0.95},
    window_s=0.6,
    min_frames=3,
    agree=0.6,
    unsure_after_s=1.5,
    rearm_s=0.7,
    span_s=0.2,
    least_visible=0.5,
)
ONE_LOOK = InputSpec(SIZE_PX, SIZE_PX, "squash")
FOUR_LOOKS = InputSpec(SIZE_PX, SIZE_PX, "squash", (0, 180), 0.15)


@dataclass(frozen=True)
class Sight:
    """What a frame shows for some moments: how likely each label is to each bundle; the rest is spread evenly."""

    likely: dict[str, dict[str, float]]  # by currency
    place: tuple[float, float, float, float, float] = MIDDLE
    look: Look = Look.CLEAR


@dataclass(frozen=True)
class Case:
    """One story: what is in view, from when on, and of which bundles."""

    name: str
    bundles: tuple[Bundle, ...]
    sights: tuple[tuple[float, Sight], ...]  # from when on, in seconds
    times_s: tuple[float, ...]  # of the frames


def _bundle(currency: str, labels: tuple[str, ...], spec: DecisionSpec, input_: InputSpec) -> Bundle:
    manifest = Manifest(1, currency.lower(), "1", currency, input_, spec, True, 1.0, {}, "")
    pictures = np.zeros((1, input_.height, input_.width, 3), np.uint8)
    return Bundle(Path(), manifest, labels, b"", pictures, np.zeros((1, len(labels)), np.float32))


RUPEES = _bundle("INR", ("10", "20", "500", BACKGROUND, SEVERAL), PLAIN, ONE_LOOK)
SOON = msgspec.structs.replace(PLAIN, span_s=0.4, soon=SoonSpec(evidence=8.1, most=6.9))
SAID_SOON = _bundle("INR", RUPEES.labels, SOON, FOUR_LOOKS)
LOOKING_NEAR = _bundle("INR", RUPEES.labels, PLAIN, FOUR_LOOKS)
CROWNS = _bundle(
    "XTS",
    ("5", BACKGROUND, "50"),
    msgspec.structs.replace(PLAIN, temperature=1.5, thresholds={"5": 0.8, "50": 0.8}, least_visible=0.0),
    ONE_LOOK,
)


def _sees(likely: dict[str, float] | None = None, place: tuple[float, float, float, float, float] = MIDDLE) -> Sight:
    """A clear frame that shows this to the rupees, and nothing of its own to the crowns."""
    return Sight({"INR": likely or {BACKGROUND: 0.98}, "XTS": {BACKGROUND: 0.97}}, place)


def _stopped(look: Look) -> Sight:
    return Sight({}, look=look)


def _frames(until_s: float, step_s: float = STEP_S, since_s: float = 0.0) -> tuple[float, ...]:
    return tuple(round(since_s + number * step_s, 3) for number in range(round((until_s - since_s) / step_s)))


HARDLY = _sees({"10": 0.5, "20": 0.45})
NOTHING, TEN, TWENTY = _sees(), _sees({"10": 0.97}), _sees({"20": 0.97})
CROWN = Sight({"INR": {BACKGROUND: 0.9}, "XTS": {"50": 0.95}})
BOTH = Sight({"INR": {"10": 0.97}, "XTS": {"50": 0.95}})
ONE, NEAR, EARLY, TWO = (RUPEES,), (LOOKING_NEAR,), (SAID_SOON,), (RUPEES, CROWNS)
CASES = (
    Case("a note comes, is said once and goes", ONE, ((0, NOTHING), (0.3, TEN), (1.2, NOTHING)), _frames(2.3)),
    Case("the same note again is said again", ONE, ((0, TEN), (0.6, NOTHING), (1.6, TEN)), _frames(2.2)),
    Case("three frames at once are no time to be sure in", ONE, ((0, TEN),), (0.0, 0.03, 0.06, 0.09, 0.12, 0.16, 0.22)),
    Case("a likely amount below its threshold is not said", ONE, ((0, _sees({"500": 0.93})),), _frames(2.0)),
    Case("what nobody is sure of is unsure once", ONE, ((0, _sees({"10": 0.5})), (2.2, NOTHING)), _frames(3.4)),
    Case(
        "an amount that only time is missing for is not preceded by unsure",
        ONE,
        ((0, HARDLY), (0.65, _stopped(Look.BLURRED)), (1.3, TEN)),
        _frames(2.0),
    ),
    Case(
        "what flickers as a note is not unsure",
        ONE,
        tuple((round(STEP_S * n, 2), TEN if n % 4 == 0 else NOTHING) for n in range(20)),
        _frames(2.0),
    ),
    Case(
        "frames that say another amount hold the first back",
        ONE,
        tuple((round(STEP_S * n, 2), _sees({"10": 0.999}) if n % 2 else TWENTY) for n in range(12)),
        _frames(1.2),
    ),
    Case("another note slips in before the first has gone", ONE, ((0, TEN), (0.8, TWENTY)), _frames(2.0)),
    Case("a slow camera sees another note in fewer frames", ONE, ((0, TEN), (1.0, TWENTY)), _frames(2.4, SLOW_S)),
    Case(
        "a slow camera sees another note in most frames, which is not enough",
        ONE,
        tuple(
            (round(SLOW_S * n, 2), TEN if n < 6 else HARDLY if n % 3 == 2 else _sees({"20": 0.999})) for n in range(14)
        ),
        _frames(2.6, SLOW_S),
    ),
    Case("two notes are several, and no amount", ONE, ((0, _sees({SEVERAL: 0.8})), (1.9, TEN)), _frames(2.8)),
    Case(
        "too little of the note to be seen",
        ONE,
        ((0, _sees({"10": 0.97}, (0.5, 0.5, 0.3, 0.3, 0.4))),),
        _frames(1.9),
    ),
    Case("a shaken note is one note", ONE, ((0, TEN), (0.5, _stopped(Look.BLURRED)), (2.0, TEN)), _frames(2.6)),
    Case(
        "blur for ten seconds is a note that has gone",
        ONE,
        ((0, TEN), (0.5, _stopped(Look.BLURRED))),
        _frames(12.0, 0.45),
    ),
    Case(
        "a covered camera, the dark and a bare table are no note",
        ONE,
        ((0, TEN), (0.5, _stopped(Look.COVERED)), (0.8, _stopped(Look.DARK)), (1.0, _stopped(Look.EMPTY))),
        _frames(1.5),
    ),
    Case("a gap in time ends what was in view", ONE, ((0, TEN),), _frames(0.6) + _frames(3.3, since_s=2.7)),
    Case(
        "time that runs backwards ends it too", ONE, ((0, TEN),), _frames(5.6, since_s=5.0) + _frames(1.5, since_s=1.0)
    ),
    Case(
        "turned and near looks",
        NEAR,
        ((0, NOTHING), (0.2, _sees({"10": 0.97}, (0.3, 0.4, 0.5, 0.2, 0.9))), (1.6, NOTHING)),
        _frames(2.5),
    ),
    Case(
        "a near look at the edge is moved into the frame",
        NEAR,
        ((0, _sees({"20": 0.97}, (0.1, 0.95, 0.4, 0.3, 0.8))),),
        _frames(1.0),
    ),
    Case(
        "no near look at a place that is older than half a second",
        NEAR,
        ((0, TEN),),
        (0.0, 0.1, 0.9, 1.0, 1.1, 1.2, 1.3),
    ),
    Case("a plain note is said before it has lasted", EARLY, ((0, _sees({"10": 0.9995})),), _frames(0.7)),
    Case("a rather plain note takes more looks", EARLY, ((0, _sees({"10": 0.995})),), _frames(0.7, 0.07)),
    Case("a less plain one still more", EARLY, ((0, _sees({"10": 0.985})),), _frames(0.7, 0.07)),
    Case("what is less plain has to last", EARLY, ((0, TEN),), _frames(0.9)),
    Case(
        "however sure a look is it says no more than so much",
        EARLY,
        ((0, _sees({"10": 0.9999999})),),
        _frames(0.5, 0.02),
    ),
    Case(
        "a look that says something else is no evidence",
        EARLY,
        ((0, _sees({"10": 0.99})), (0.08, HARDLY), (0.17, _sees({"10": 0.99}))),
        _frames(0.7),
    ),
    Case(
        "another note is never said before it has lasted", EARLY, ((0, TEN), (1.0, _sees({"20": 0.9999}))), _frames(2.2)
    ),
    Case("a rupee that the crowns have refused", TWO, ((0, NOTHING), (0.2, TEN), (1.6, NOTHING)), _frames(2.6)),
    Case("a crown that the rupees have refused", TWO, ((0, CROWN), (1.5, NOTHING)), _frames(2.5)),
    Case("what both take for their own is unsure", TWO, ((0, BOTH),), _frames(3.0)),
    Case("a note of the other currency slips in", TWO, ((0, TEN), (1.2, CROWN)), _frames(3.4)),
    Case("a gap in time with two bundles", TWO, ((0, TEN),), _frames(1.2) + _frames(4.4, since_s=3.4)),
)
