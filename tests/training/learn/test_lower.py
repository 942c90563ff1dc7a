from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edge
from edge.core import bundle as bundles
from training.errors import TrainingError
from training.learn import lower

XTS = bundles.read(Path(edge.__file__).parent / "bundles" / "xts")
PICTURES = np.random.default_rng(1).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
TO_BLOCK_12 = 39  # layers with weights: one, two of the first block, three of each of twelve


def test_what_lies_below_gives_numbers_for_each_picture_and_the_same_again() -> None:
    below = lower.below(XTS.model, TO_BLOCK_12)
    numbers = below(PICTURES)
    assert numbers.shape == (3, *below.shape) == (3, 6, 6, 96)
    assert np.array_equal(below(PICTURES[1:2])[0], numbers[1])
    assert not np.array_equal(numbers[0], numbers[1])
    assert below.real(np.int8([below.zero_point]))[0] == 0.0


@pytest.mark.integration
def test_the_last_layers_make_of_it_what_the_whole_network_says() -> None:
    pytest.importorskip("keras")
    from training.learn import network, warmstart

    whole = warmstart.restored(XTS)
    parts = network.parts(whole, 38)
    assert parts.weighted_below == TO_BLOCK_12
    below = lower.below(XTS.model, parts.weighted_below)
    said = np.asarray(parts.upper(below.real(below(PICTURES)), training=False)["logits"])
    assert np.abs(said - network.logits(whole, PICTURES)).max() < 0.3  # what the int8 half rounds
    with pytest.raises(TrainingError, match=r"before its last 37 layers: \[.*38.*\] are possible"):
        network.parts(whole, 37)


def test_a_shortcut_that_leads_past_is_named() -> None:
    with pytest.raises(TrainingError, match="a shortcut leads past"):
        lower.below(XTS.model, TO_BLOCK_12 - 1)
