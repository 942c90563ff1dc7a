"""Owns the test vectors of the decision: what is seen from moment to moment, and what the device's stages say to it.

A port to a phone reads decisions.json, feeds `logits` and `place` to its own code and must find the rest. stories.py
tells each case; every number that a port must find is what `edge.core.pocket` gives for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core import preprocess
from edge.core.bundle import RESERVED, Bundle
from edge.core.messages import WHOLE, Box, Decision, Frame, Look, Observation, Pixels
from edge.core.pocket import Pocket, labels_of
from edge.core.whole import write as write_whole
from training.phone.facts import written
from training.phone.stories import CASES, NOTHING, Case
from training.pixels import as_pixels

FILE = "decisions.json"
FRAME_PX = (72, 96)  # height, width: what the scene gate looks at as it is
DIGITS = 5  # decimal, of what a port must find


def vectors() -> dict[str, Any]:
    """All of decisions.json."""
    kinds: list[Bundle] = []
    for case in CASES:
        kinds += [bundle for bundle in case.bundles if not any(bundle is other for other in kinds)]
    names = {id(bundle): f"{bundle.manifest.currency} {number}" for number, bundle in enumerate(kinds)}
    return {
        "format": 1,
        "bundles": {names[id(bundle)]: _told(bundle) for bundle in kinds},
        "cases": [
            {
                "name": case.name,
                "bundles": [names[id(bundle)] for bundle in case.bundles],
                "steps": list(_played(case)),
            }
            for case in CASES
        ],
    }


def write(folder: Path) -> list[Path]:
    """Write decisions.json into `folder`, a step a line; the files that were written."""
    path = folder / FILE
    write_whole(path, encode(vectors()))
    return [path]


def encode(found: dict[str, Any]) -> bytes:
    """The text of the file."""
    cases = ",\n".join(
        f'{{"name": {json.dumps(case["name"])}, "bundles": {json.dumps(case["bundles"])}, "steps": [\n'
        + ",\n".join(json.dumps(step) for step in case["steps"])
        + "\n]}"
        for case in found["cases"]
    )
    kinds = ",\n".join(f"{json.dumps(name)}: {json.dumps(told)}" for name, told in found["bundles"].items())
    return f'{{"format": {found["format"]},\n"bundles": {{\n{kinds}\n}},\n"cases": [\n{cases}\n]}}\n'.encode()


def _told(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "currency": manifest.currency,
        "labels": bundle.labels,
        "input": written(manifest.input),
        "decision": written(manifest.decision),
    }


class _Network:
    """Stands for one bundle's network: it answers what the story says, and remembers what it was shown."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.sight = NOTHING
        self.shown: NDArray[np.uint8] | None = None

    def __call__(self, tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        self.shown = tensor
        return [self.logits()[None], np.array([self.sight.place], np.float32)]

    def names(self, among: int) -> list[str]:
        """Its labels as `labels_of` calls them."""
        currency, labels = self._bundle.manifest.currency, self._bundle.labels
        return [label if among == 1 or label in RESERVED else f"{currency} {label}" for label in labels]

    def logits(self) -> NDArray[np.float32]:
        likely = self.sight.likely[self._bundle.manifest.currency]
        labels, temperature = self._bundle.labels, self._bundle.manifest.decision.temperature
        rest = (1 - sum(likely.values())) / (len(labels) - len(likely))
        found = [temperature * np.log(likely.get(label, rest)) for label in labels]
        return np.asarray(np.round(found, 3), np.float32)


def _played(case: Case) -> Iterator[dict[str, Any]]:
    """Each frame of the story with what the device's stages make of it."""
    networks = [_Network(bundle) for bundle in case.bundles]
    pocket = Pocket(list(zip(case.bundles, networks, strict=True)), lambda: 0.0)
    places: list[Box | None] = [None] * len(networks)  # where each saw a note last
    for number, t_s in enumerate(case.times_s):
        sight = [shown for since_s, shown in case.sights if since_s <= t_s][-1]
        frame = Frame(number, t_s, _frame(sight.look, number))
        reader = pocket.turn
        network = networks[reader]
        network.sight, network.shown = sight, None
        seen = pocket.observe(frame)
        if seen.scene.look is not sight.look:
            raise AssertionError(f"{case.name}: a frame of {sight.look} is taken for {seen.scene.look}")
        step: dict[str, Any] = {"t_s": t_s, "scene": seen.scene.look.value}
        if network.shown is not None:
            step |= {"reader": reader, **_look(case.bundles[reader], frame.pixels, network.shown, places[reader])}
            step |= _answer(case.bundles, network, seen)
            places[reader] = seen.box
        yield step | {"decisions": [_decided(decision) for decision in pocket.step(seen)]}


def _look(bundle: Bundle, pixels: Pixels, shown: NDArray[np.uint8], place: Box | None) -> dict[str, Any]:
    """Which turn and which part of the frame the network was shown, found by trying them."""
    input_ = bundle.manifest.input
    near = preprocess.around(place, input_.near) if place is not None and input_.near else WHOLE
    for area in (WHOLE, near):
        for turn in input_.turns:
            tried = preprocess.turned(preprocess.to_tensor(preprocess.cut(pixels, area), input_), turn)
            if np.array_equal(tried, shown):
                sides = (area.centre_x, area.centre_y, area.width, area.height)
                return {"turn": turn, "area": [round(side, DIGITS) for side in sides]}
    raise AssertionError("the network was shown something that no look explains")


def _answer(bundles: Sequence[Bundle], network: _Network, seen: Observation) -> dict[str, Any]:
    assert seen.scores is not None
    assert seen.box is not None
    box = (seen.box.centre_x, seen.box.centre_y, seen.box.width, seen.box.height, seen.box.visible)
    labels = labels_of(bundles)
    scores = [seen.scores[labels.index(name)] for name in network.names(among=len(bundles))]
    return {
        "logits": [round(float(value), 3) for value in network.logits()],
        "place": list(network.sight.place),
        "scores": [round(float(value), DIGITS) for value in scores],
        "box": [round(value, DIGITS) for value in box],
    }


def _decided(decision: Decision) -> dict[str, Any]:
    return {
        "verdict": decision.verdict.value,
        "presence": decision.presence,
        "label": decision.label,
        "currency": decision.currency,
        "confidence": round(decision.confidence, DIGITS),
        "frames": decision.frames,
    }


def _frame(look: Look, number: int) -> Pixels:
    """A frame that the scene gate takes for `look`; every clear one is another."""
    noise = as_pixels(np.random.default_rng(number).integers(0, 256, (*FRAME_PX, 3), np.uint8))
    if look is Look.CLEAR:
        return noise
    if look is Look.BLURRED:
        return np.broadcast_to(np.linspace(0, 255, FRAME_PX[1]).astype(np.uint8)[None, :, None], noise.shape).copy()
    return {
        Look.DARK: as_pixels(noise // np.uint8(20)),
        Look.COVERED: np.zeros_like(noise),
        Look.EMPTY: np.full_like(noise, 128),
    }[look]
