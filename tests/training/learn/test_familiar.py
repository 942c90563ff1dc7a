from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras")

import edge
from edge.core import bundle as bundles
from training.errors import TrainingError
from training.learn import familiar, network, quantize, warmstart
from training.learn.familiar import Familiar, Seen
from training.learn.prepare import from_play_money

XTS = Path(edge.__file__).parent / "bundles" / "xts"
LABELS = ("5", "50", "background", "several")
WIDTH = 12


def looks(rng: np.random.Generator, label: int, count: int, light: float) -> np.ndarray:
    """Features of an amount: its own direction, some noise, and much of what light does to all alike."""
    found = rng.normal(0, 0.3, (count, WIDTH))
    found[:, label] += 4
    found[:, -1] += rng.normal(0, light, count)
    return found.astype(np.float32)


def seen(rng: np.random.Generator, count: int, light: float) -> Seen:
    both = [looks(rng, label, count, light) for label in (0, 1)]
    return Seen(np.concatenate(both), np.repeat([0, 1], count))


@pytest.fixture(scope="module")
def known() -> Familiar:
    rng = np.random.default_rng(1)
    return familiar.learnt(seen(rng, 300, 6.0), seen(rng, 40, 0.2), seen(rng, 60, 2.0), LABELS)


def lost(known: Familiar, features: np.ndarray) -> np.ndarray:
    """What the logits lose, worked out anew."""
    inside = features @ known.whitening + known.offset
    inside /= np.linalg.norm(inside, axis=1, keepdims=True)
    return np.asarray(np.maximum(0, inside @ known.kernel + known.bias))


def test_an_amount_loses_hardly_anything_of_its_own_notes_and_much_of_others(known: Familiar) -> None:
    rng = np.random.default_rng(2)
    for label, other in ((0, 1), (1, 0)):
        own = lost(known, looks(rng, label, 400, 2.0))
        assert np.mean(own[:, label] == 0) > 0.7
        assert np.quantile(own[:, label], 0.98) < 1.5 * familiar.LOST
        assert own[:, other].min() > familiar.LOST


def test_every_amount_loses_of_what_points_another_way(known: Familiar) -> None:
    strange = looks(np.random.default_rng(3), 5, 200, 0.5)
    assert lost(known, strange)[:, :2].min() > familiar.LOST


def test_what_light_does_to_all_amounts_costs_little(known: Familiar) -> None:
    dim, bright = (looks(np.random.default_rng(4), 0, 200, 0.0) for _ in range(2))
    bright[:, -1] += 6  # one spread of what was composed
    assert lost(known, bright)[:, 0].mean() < familiar.LOST
    assert lost(known, dim)[:, 0].mean() < 0.3


def test_no_note_and_several_lose_nothing(known: Familiar) -> None:
    anything = np.random.default_rng(5).normal(0, 5, (100, WIDTH)).astype(np.float32)
    assert not lost(known, anything)[:, 2:].any()


def test_held_out_looks_that_are_all_alike_ask_no_endless_price() -> None:
    rng = np.random.default_rng(1)
    one = Seen(np.tile(looks(rng, 0, 1, 0.0), (5, 1)), np.zeros(5, np.int64))
    found = familiar.learnt(seen(rng, 300, 1.0), seen(rng, 40, 0.2), one, LABELS)
    assert np.abs(np.linalg.norm(found.kernel[:, :2], axis=0) - familiar.MOST_PRICE).max() < 1e-3


def test_an_amount_of_which_nothing_can_be_seen_is_named() -> None:
    rng = np.random.default_rng(1)
    fives = Seen(looks(rng, 0, 9, 1.0), np.zeros(9, np.int64))
    with pytest.raises(TrainingError, match="left to see of 50"):
        familiar.learnt(fives, seen(rng, 9, 1.0), fives, LABELS)


@pytest.mark.integration
def test_the_network_says_so_itself_in_float_in_int8_and_when_it_is_taken_back_from_the_bundle() -> None:
    bundle = bundles.read(XTS)
    labels = bundle.labels
    prepared = from_play_money(bundle.manifest.input, 3)
    pictures, amounts = prepared.held_pictures, prepared.held_truth < labels.index("background")
    model = warmstart.restored(bundle)
    found = Seen(familiar.features(model, pictures[amounts]), prepared.held_truth[amounts])
    known = familiar.learnt(found, found, found, labels)
    plain = network.logits(model, pictures)
    wary = familiar.attached(model, known)
    logits = network.logits(wary, pictures)
    np.testing.assert_allclose(plain - logits, lost(known, familiar.features(model, pictures)), atol=2e-3)
    assert (plain - logits)[~amounts].mean() > 2 * (plain - logits)[amounts, prepared.held_truth[amounts]].mean()

    int8 = quantize.to_int8(wary, pictures[::4])
    rounded = quantize.int8_outputs(int8, pictures)[0]
    assert np.sqrt(np.mean((rounded - logits) ** 2)) < 0.5
    assert (rounded.argmax(axis=1) == logits.argmax(axis=1)).mean() > 0.97
    again = warmstart.restored(dataclasses.replace(bundle, model=int8))
    taken_back = network.logits(again, pictures)
    assert (taken_back.argmax(axis=1) == logits.argmax(axis=1)).mean() > 0.97
    assert np.sqrt(np.mean((taken_back - logits) ** 2)) < 0.5
