"""Owns what a sighted helper reads of a frame, an event and an utterance: a line each, in English.

What is spoken is `edge.core.speech`'s, and never the same: this is read, at a desk. It knows no screen and no page.
"""

from __future__ import annotations

from edge.core.bundle import BACKGROUND, SEVERAL
from edge.core.messages import Box, Decision, Fault, Guidance, Look, Observation, Recovered, Utterance, Verdict


def describe(item: Decision | Guidance | Fault | Recovered | Utterance) -> str:
    """One line for a person; "" for what need not be shown."""
    if isinstance(item, Utterance):
        return f"“{item.text}”" + ("" if item.sounded else " (not heard: no sound card)")
    if isinstance(item, Decision):
        if item.verdict is Verdict.GONE:
            return "nothing in view"
        if item.verdict is Verdict.SEEN:
            return ""
        about = f"{item.label} {item.currency}".strip() + " " if item.label else ""
        return f"{item.verdict.value} {about}({item.confidence:.2f}, {item.frames} frames)"
    if isinstance(item, Guidance):
        return f"hint: {item.hint.value}"
    if isinstance(item, Fault):
        text = f"fault: {item.device} {item.reason} {item.detail}".rstrip()
        return text.encode("utf-8", "replace").decode()  # a file's name need not be Unicode
    return f"over: {item.device} {item.reason}" if item.reason else f"works again: {item.device}"


def sees(observation: Observation | None, labels: tuple[str, ...]) -> str:
    """What the device makes of a frame, in words."""
    if observation is None:
        return "no picture yet"
    if observation.scores is None:
        words = {Look.DARK: "too dark", Look.COVERED: "covered", Look.EMPTY: "nothing", Look.BLURRED: "a blur"}
        return words[observation.scene.look]
    best = labels[int(observation.scores.argmax())]
    if best == BACKGROUND:
        return "no note"
    if best == SEVERAL:
        return "several notes"
    return "a note" + (_place(observation.box) if observation.box else "")


def _place(box: Box) -> str:
    across = "left" if box.centre_x < 0.4 else "right" if box.centre_x > 0.6 else "middle"
    return f", {across}, {box.visible:.0%} of it in view"
