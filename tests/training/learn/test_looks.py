from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edge
from edge.core import bundle as bundles
from edge.core import classify
from edge.core.decide import fuse
from edge.core.messages import Frame
from edge.core.observe import Observer
from training.learn import quantize
from training.learn.looks import looked
from training.playmoney import scenes
from training.train import selftest_pictures

SHIPPED = Path(edge.__file__).parent / "bundles"


@pytest.mark.parametrize("near", [0.0, 0.15])
def test_a_round_of_looks_is_the_device_s_own(near: float) -> None:
    read = bundles.read(SHIPPED / "xts")
    input_ = msgspec.structs.replace(read.manifest.input, turns=(0, 180), near=near)
    bundle = dataclasses.replace(read, manifest=msgspec.structs.replace(read.manifest, input=input_))
    ground = scenes.draw_scene(1, (input_.height, input_.width))
    pictures = np.concatenate([selftest_pictures(input_), ground[None]])
    logits, visible = looked(bundle.model, pictures, bundle.labels, input_)

    def invoke(tensor: np.ndarray) -> list[np.ndarray]:
        found, place = quantize.int8_outputs(bundle.model, tensor)
        return [found, place]

    temperature = bundle.manifest.decision.temperature
    for picture, row, seen in zip(pictures, logits, visible, strict=True):
        observer = Observer(bundle, invoke, lambda: 0.0)
        looks = [observer.observe(Frame(0, 0.0, picture)) for _ in range(input_.looks)]
        scores = [look.scores for look in looks if look.scores is not None]
        if not scores:
            continue  # the scene gate saw nothing in it
        # The device looks near at where the look before saw it, here all near looks are at one place.
        off = 0.02 if near else 1e-4
        assert np.exp(classify.scores(row, temperature)) == pytest.approx(fuse(np.stack(scores)), abs=off)
        assert seen == pytest.approx(np.mean([look.box.visible for look in looks if look.box]), abs=off)
