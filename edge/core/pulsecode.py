"""Owns the pulse code: what each event and answer feels like, as signs, and the way from signs to on and off.

    "."  short pulse       "-"  long pulse       " "  pause between two signs       "/"  longer pause

One sign, one meaning: an amount is its place in the list of denominations as so many short pulses, unless the owner
chose otherwise; everything else holds a long pulse. A number (the total) begins with ".-", as in braille; its digits
count 1 to 4 in short pulses, 5 as a long one, 6 to 9 as a long one and the rest, 0 as two long ones.

It knows no pin and reads no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from edge.core.errors import ConfigError
from edge.core.messages import Decision, Fault, Guidance, Hold, Notice, Recovered, Verdict
from edge.core.session import OLD_AFTER_S, Answer, Repeat, Reply, Total

PAUSE, REST = " ", "/"
NUMBER = ".-"  # a number follows; within one, the decimal point
CHANGE = "-"  # "not sure", and every hint: hold it another way
SEVERAL, FAULT, READY, GOODBYE, DEMONSTRATION = "--", "---", "-.-", ".-.-.", "-.-.-"
OLD = "-"  # after a repeated amount: it is old
REPLIES = {
    Reply.NOTHING_YET: "--.",
    Reply.NOTHING_TO_UNDO: "--.",
    Reply.UNDONE: "-.",
    Reply.ASK_CLEAR: "..-",
    Reply.CLEARED: "-..",
    Reply.KEPT: ".-.",
}
HOLDS = {Hold.DOWN: "", Hold.LONG: ".", Hold.VERY_LONG: ".."}  # the button itself is felt going down
NOTICES = {"ready": READY, "goodbye": GOODBYE, "demonstration": DEMONSTRATION}
DIGITS = ("--", ".", "..", "...", "....", "-", "-.", "-..", "-...", "-....")
UNFELT = ("broker", "outbox")  # parts whose faults change nothing for who feels the amounts
TAKEN = {CHANGE, SEVERAL, FAULT, READY, GOODBYE, DEMONSTRATION, NUMBER, *REPLIES.values()}


class PulseCode:
    """The code for the denominations of one bundle."""

    def __init__(self, denominations: Sequence[str], chosen: Mapping[str, int | str]) -> None:
        """`chosen`: number of short pulses, or signs, by denomination. ConfigError names all that cannot be."""
        self._amounts = {label: "." * (place + 1) for place, label in enumerate(denominations)}
        problems = [
            f"pulses.codes: the bundle knows no {label!r}; it knows {', '.join(denominations)}"
            for label in chosen
            if label not in self._amounts
        ]
        signs = {label: "." * code if isinstance(code, int) else code for label, code in chosen.items()}
        self._amounts |= {label: code for label, code in signs.items() if label in self._amounts}
        problems += self._ambiguous()
        if problems:
            raise ConfigError(problems)

    def amount(self, label: str) -> str:
        """The signs of one amount."""
        return self._amounts[label]

    def event(self, event: Decision | Guidance | Fault | Recovered | Notice) -> str:
        """The signs of an event; "" for what is not felt."""
        if isinstance(event, Decision):
            doubts = {Verdict.UNSURE: CHANGE, Verdict.SEVERAL: SEVERAL}
            return self.amount(event.label) if event.verdict is Verdict.AMOUNT else doubts.get(event.verdict, "")
        if isinstance(event, Guidance):
            return CHANGE
        if isinstance(event, Notice):
            return NOTICES.get(event.phrase, "")
        # What is measured may be over while another trouble of the part stands; its end is not spoken either.
        if event.device in UNFELT or (isinstance(event, Recovered) and event.reason):
            return ""
        return FAULT if isinstance(event, Fault) else READY

    def answer(self, answer: Answer) -> str:
        """The signs of an answer to a press."""
        if isinstance(answer, Repeat):
            return self.amount(answer.label) + (PAUSE + OLD if answer.age_s > OLD_AFTER_S else "")
        if isinstance(answer, Total):
            count = REST + number(Decimal(answer.notes)) if answer.notes else ""
            return NUMBER + PAUSE + number(answer.amount) + count
        return REPLIES[answer]

    def _ambiguous(self) -> list[str]:
        problems, owners = [], dict.fromkeys(TAKEN, "a sign of saynote's own")
        for label, signs in self._amounts.items():
            if signs in owners:
                problems.append(f"pulses.codes: {label} would feel like {owners[signs]}: {signs!r}")
            owners[signs] = label
        return problems


def number(value: Decimal) -> str:
    """The signs of a number's digits."""
    digits = f"{value.normalize():f}"
    return PAUSE.join(NUMBER if digit == "." else DIGITS[int(digit)] for digit in digits)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """All in seconds."""

    short_s: float = 0.15
    long_s: float = 0.6
    gap_s: float = 0.2  # between two pulses of one sign
    pause_s: float = 0.8  # between two signs


def steps(signs: str, rhythm: Rhythm) -> list[tuple[bool, float]]:
    """(on, seconds), ending with a pause: whatever follows is another sign."""
    durations = {
        ".": [(True, rhythm.short_s), (False, rhythm.gap_s)],
        "-": [(True, rhythm.long_s), (False, rhythm.gap_s)],
        PAUSE: [(False, rhythm.pause_s)],
        REST: [(False, 2.5 * rhythm.pause_s)],
    }
    return [step for sign in signs + PAUSE for step in durations[sign]]


class Player:
    """Plays signs. Late turns make a pulse longer, they never swallow or join two: a count must stay right."""

    def __init__(self, rhythm: Rhythm) -> None:
        self._rhythm = rhythm
        self._steps: list[tuple[bool, float]] = []
        self._until_s = 0.0
        self.on = False

    @property
    def playing(self) -> bool:
        """Whether signs, or the pause after them, are under way."""
        return bool(self._steps)

    def begin(self, signs: str, now_s: float) -> None:
        """Play `signs` from now on."""
        self._steps = steps(signs, self._rhythm)
        self._enter(now_s)

    def cut(self, now_s: float) -> None:
        """Stop, and pause: what follows must not be felt as more of the same."""
        if self.playing:
            self.begin("", now_s)

    def advance(self, now_s: float) -> None:
        """Go on to the next step if it is time; `on` says what the pin should be."""
        if self._steps and now_s >= self._until_s:
            del self._steps[0]
            self._enter(now_s)

    def due_s(self) -> float | None:
        """When `advance` should be called next."""
        return self._until_s if self._steps else None

    def _enter(self, now_s: float) -> None:
        self.on = bool(self._steps) and self._steps[0][0]
        self._until_s = now_s + (self._steps[0][1] if self._steps else 0.0)
