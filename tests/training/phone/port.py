"""The device's decision written anew from the words of docs/phone.md, as an app would have it: plain Python, no numpy.

It shares nothing with `edge`. Where the page does not say enough, this goes wrong on the vectors.
"""

from __future__ import annotations

import math
from typing import Any

Numbers = list[float]
RULES = {
    "note_like": 0.5,
    "several_at": 0.6,
    "change_factor": 2,
    "change_span": 0.6,
    "forget_after_s": 2.0,
    "seen_after": 2,
    "forget_blur_after_s": 10.0,
    "seen_share": 0.7,
    "near_for_s": 0.5,
    "fresh_s": 1.5,
    "fewest": 2,
    "claimed": 0.5,
    "rounding_s": 1e-6,
    "stays": 0.3,
    "fades_s": 0.1,
    "other": 0.5,
}


def scores_of(logits: Numbers, temperature: float) -> Numbers:
    soft = [value / temperature for value in logits]
    top = max(soft)
    total = top + math.log(sum(math.exp(value - top) for value in soft))
    return [value - total for value in soft]


def fuse(rows: list[Numbers]) -> Numbers:
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    powers = [math.exp(mean - max(means)) for mean in means]
    return [power / sum(powers) for power in powers]


def log_odds(log_probability: float) -> float:
    bounded = min(log_probability, -1e-9)
    return bounded - math.log(-math.expm1(bounded))


class Reader:
    """One bundle: where it looks, what it saw, what it would say."""

    def __init__(self, told: dict[str, Any], rules: dict[str, float]) -> None:
        self.currency, self.labels = told["currency"], told["labels"]
        self.input, self.spec, self.rules = told["input"], told["decision"], rules
        self.background = self.labels.index("background")
        self.looks = 0
        self.place: tuple[float, Numbers] | None = None
        self.since: float | None = None
        self.now = self.away = self.blurred = 0.0
        self.row = self.presence = 0
        self.said = self.sure_of = None
        self.told: set[str] = set()
        self.recent: list[tuple[float, Numbers, float, bool]] = []
        self.near = False
        self.seen: list[tuple[float, bool]] = []
        self.kept: list[tuple[float, Numbers]] = []

    def next_look(self, t: float) -> tuple[int, Numbers]:
        turns = self.input["turns"]
        turn, near = turns[self.looks % len(turns)], self.looks // len(turns) % 2 == 1
        self.looks += 1
        if near and self.input["near"] and self.place and 0 <= t - self.place[0] <= self.rules["near_for_s"]:
            x, y, *sides = self.place[1][:4]
            w, h = (min(1.0, side * (1 + self.input["near"])) for side in sides)
            return turn, [min(max(x, w / 2), 1 - w / 2), min(max(y, h / 2), 1 - h / 2), w, h]
        return turn, [0.5, 0.5, 1.0, 1.0]

    def take(self, t: float, scores: Numbers, place: Numbers, turn: int, area: Numbers) -> Numbers:
        x, y, w, h, visible = (min(1.0, max(0.0, value)) for value in place)
        for _ in range(turn // 90):
            x, y, w, h = 1 - y, x, h, w
        left, top = area[0] - area[2] / 2, area[1] - area[3] / 2
        box = [left + x * area[2], top + y * area[3], w * area[2], h * area[3], visible]
        self.place = (t, box) if self.is_note(scores) else None
        return box

    def is_note(self, scores: Numbers | None) -> bool:
        return scores is not None and math.exp(scores[self.background]) < self.rules["note_like"]

    def step(
        self, t: float, scene: str, scores: Numbers | None, visible: float, contested: bool
    ) -> list[dict[str, Any]]:
        if scores is not None:
            self.kept.append((t, scores))
        self.kept = [look for look in self.kept if 0 <= t - look[0] <= self.rules["fresh_s"]]
        passed, self.now = t - self.now, t
        out = []
        if self.since is not None and not 0 <= passed <= self.rules["forget_after_s"]:
            out.append(self.end())
        passed, note = max(0.0, passed), self.is_note(scores)
        if note and self.since is None:
            self.begin(t)
        if self.since is None:
            return out
        self.remember(t, scene, scores, visible, note)
        if self.gone(scene, note, passed):
            return [*out, self.end()]
        if self.row >= self.rules["seen_after"] and not self.told and self.said is None:
            out += self.once("seen", 0.0, self.row)
        return out + (self.judge(t, contested) if scores is not None else [])

    def begin(self, t: float) -> None:
        self.since, self.said, self.sure_of = t, None, None
        self.presence += 1
        self.away, self.blurred, self.row = 0.0, 0.0, 0
        self.told, self.recent, self.seen = set(), [], []

    def end(self) -> dict[str, Any]:
        self.since = None
        return {"verdict": "gone", "label": self.said or "", "confidence": 0.0, "frames": 0}

    def remember(self, t: float, scene: str, scores: Numbers | None, visible: float, note: bool) -> None:
        if scores is not None:
            self.recent.append((t, scores, visible, self.near))
        if scene != "blurred":
            self.seen.append((t, note))
        self.recent = [look for look in self.recent if t - look[0] <= self.spec["window_s"]]
        self.seen = [look for look in self.seen if t - look[0] <= self.spec["unsure_after_s"]]

    def gone(self, scene: str, note: bool, passed: float) -> bool:
        if scene == "blurred":
            self.blurred += passed
            return self.blurred >= self.rules["forget_blur_after_s"]
        self.blurred = 0.0
        self.row, self.away = (self.row + 1, 0.0) if note else (0, self.away + passed)
        return self.away >= self.spec["rearm_s"]

    def judge(self, t: float, contested: bool) -> list[dict[str, Any]]:
        fused = fuse([scores for _, scores, *_ in self.recent])
        best = fused.index(max(fused))
        label, sureness, frames = self.labels[best], fused[best], len(self.recent)
        coming = label not in ("background", "several") and self.enough(label, sureness, best)
        if coming and self.lasts(label, best):
            self.sure_of, coming = label, False
            if not contested:
                return self.amount(label, sureness, frames)
        if label == "several" and sureness >= self.rules["several_at"] and frames >= self.spec["min_frames"]:
            return self.once("several", sureness, frames)
        long = t - self.since - (self.spec["span_s"] if coming else 0.0) >= self.spec["unsure_after_s"]
        notes = sum(note for _, note in self.seen)
        enough = notes > 0 and notes >= self.rules["seen_share"] * len(self.seen)
        if self.said is None and long and "several" not in self.told and enough:
            return self.once("unsure", sureness, frames)
        return []

    def enough(self, label: str, sureness: float, best: int) -> bool:
        frames = len(self.recent)
        agree = sum(look[1].index(max(look[1])) == best for look in self.recent) / frames
        whole = sum(look[2] for look in self.recent) / frames
        if frames < self.spec["min_frames"] or sureness < self.spec["thresholds"][label] or agree < self.spec["agree"]:
            return False
        return whole >= self.spec["least_visible"]

    def lasts(self, label: str, best: int) -> bool:
        frames, least = len(self.recent), self.spec["min_frames"]
        times = [t for t, scores, *_ in self.recent if scores.index(max(scores)) == best]
        span = times[-1] - times[0] + self.rules["rounding_s"] if times else -math.inf
        lasts = span >= self.spec["span_s"]
        if self.sure_of in (None, label):
            return lasts or self.soon(best)
        if frames >= self.rules["change_factor"] * least:
            return lasts
        return lasts and len(times) == frames and span >= self.rules["change_span"] * self.spec["window_s"]

    def soon(self, best: int) -> bool:
        soon = self.spec["soon"]
        if soon is None:
            return False
        told = [min(max(log_odds(scores[best]), -100.0), soon["most"]) for _, scores, *_ in self.recent]
        saying = [look for look in self.recent if look[1].index(max(look[1])) == best]
        alike = 0.0
        for t, _, _, near in saying:
            for u, _, _, too in saying:
                fading = math.exp(-abs(t - u) / self.rules["fades_s"]) * (1.0 if near == too else self.rules["other"])
                alike += self.rules["stays"] + (1 - self.rules["stays"]) * fading
        worth = len(saying) ** 2 / alike if saying else 1.0
        return worth * sum(told) / len(told) >= soon["evidence"]

    def amount(self, label: str, sureness: float, frames: int) -> list[dict[str, Any]]:
        if self.said == label:
            return []
        if self.said is not None:
            self.told = set()
        self.said = label
        return [{"verdict": "amount", "label": label, "confidence": sureness, "frames": frames}]

    def once(self, verdict: str, sureness: float, frames: int) -> list[dict[str, Any]]:
        if verdict in self.told:
            return []
        self.told.add(verdict)
        return [{"verdict": verdict, "label": "", "confidence": sureness, "frames": frames}]

    def refuses(self, since: float, t: float, window: float) -> bool:
        looks = [look for look in self.kept if since <= look[0] <= t and t - look[0] <= self.rules["fresh_s"]]
        if len(looks) < self.rules["fewest"] or t - looks[-1][0] > window:
            return False
        return 1 - fuse([scores for _, scores in looks])[self.background] < self.rules["claimed"]

    def sees_what_it_said(self) -> bool:
        if self.since is None or self.said is None:
            return False
        last = self.kept[-1][1]
        return self.labels[last.index(max(last))] == self.said


class Pocket:
    """All bundles together: who looks, and what of what they decide is said."""

    def __init__(self, told: list[dict[str, Any]], rules: dict[str, float] | None = None) -> None:
        self.rules = RULES | (rules or {})
        self.readers = [Reader(one, self.rules) for one in told]
        self.turn = self.presence = 0
        self.open, self.said, self.told = False, None, set()

    def contested(self, number: int, t: float) -> bool:
        reader = self.readers[number]
        others = [other for other in self.readers if other is not reader]
        if reader.since is None:
            return bool(others)
        return not all(other.refuses(reader.since, t, reader.spec["window_s"]) for other in others)

    def step(self, t: float, scene: str, scores: Numbers | None, visible: float) -> list[dict[str, Any]]:
        if scores is None:
            found = [
                (n, one) for n, reader in enumerate(self.readers) for one in reader.step(t, scene, None, 1.0, False)
            ]
        else:
            number = self.turn
            reader = self.readers[number]
            contested = self.contested(number, t)
            found = [(number, one) for one in reader.step(t, scene, scores, visible, contested)]
            keeps = reader.since is not None and (reader.sees_what_it_said() or not self.contested(number, t))
            self.turn = number if keeps else (number + 1) % len(self.readers)
        heard = [one for number, decision in found if (one := self.hear(number, decision))]
        if not self.open and any(reader.since is not None for reader in self.readers):
            self.begin()
        return heard

    def begin(self) -> None:
        self.open, self.said, self.told = True, None, set()
        self.presence += 1

    def hear(self, number: int, decision: dict[str, Any]) -> dict[str, Any] | None:
        if not self.open:
            self.begin()
        if decision["verdict"] == "gone":
            if any(other.since is not None for n, other in enumerate(self.readers) if n != number):
                return None
            by, label = self.said or (number, "")
            self.open = False
            return self.signed({**decision, "label": label}, by)
        if decision["verdict"] == "amount":
            if self.said is not None:
                self.begin()
            self.said = (number, decision["label"])
            return self.signed(decision, number)
        if (self.said is not None and self.said[0] != number) or decision["verdict"] in self.told:
            return None
        self.told.add(decision["verdict"])
        return self.signed(decision, number)

    def signed(self, decision: dict[str, Any], number: int) -> dict[str, Any]:
        currency = self.readers[number].currency if decision["label"] else ""
        return {**decision, "presence": self.presence, "currency": currency}


def play(told: list[dict[str, Any]], steps: list[dict[str, Any]], rules: dict[str, float] | None = None) -> list[Any]:
    """The steps of a case as this port finds them, with what it was given left as it was."""
    pocket, found = Pocket(told, rules), []
    for step in steps:
        mine = {"t_s": step["t_s"], "scene": step["scene"]}
        scores, visible = None, 1.0
        if step["scene"] == "clear":
            reader = pocket.readers[pocket.turn]
            turn, area = reader.next_look(step["t_s"])
            reader.near = area != [0.5, 0.5, 1.0, 1.0]
            logits = step["logits"][: len(reader.labels)]
            scores = scores_of(logits + [-99.0] * (len(reader.labels) - len(logits)), reader.spec["temperature"])
            box = reader.take(step["t_s"], scores, step["place"], turn, area)
            visible = box[4]
            given = {"logits": step["logits"], "place": step["place"]}
            mine |= {"reader": pocket.turn, "turn": turn, "area": area, **given, "scores": scores, "box": box}
        found.append({**mine, "decisions": pocket.step(step["t_s"], step["scene"], scores, visible)})
    return found
