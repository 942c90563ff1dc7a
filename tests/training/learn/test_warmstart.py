from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras")

import edge
from edge.core import bundle as bundles
from training.errors import TrainingError
from training.learn import network, quantize, warmstart
from training.learn.network import build
from training.learn.prepare import from_play_money
from training.learn.settings import FitSettings

pytestmark = pytest.mark.integration

XTS = Path(edge.__file__).parent / "bundles" / "xts"


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return from_play_money(bundles.read(XTS).manifest.input, 3).held_pictures[:160]


def test_a_network_taken_back_from_a_bundle_says_what_the_bundle_says(pictures: np.ndarray) -> None:
    bundle = bundles.read(XTS)
    size = bundle.manifest.input.height
    model = build("mobilenet_v2", 1.0, size, len(bundle.labels), None, FitSettings().dropout)
    before = network.logits(model, pictures).argmax(axis=1)
    warmstart.begin(model, XTS, "XTS", bundle.labels, pictures)
    after, shipped = network.logits(model, pictures), quantize.int8_outputs(bundle.model, pictures)[0]
    assert (before == shipped.argmax(axis=1)).mean() < 0.5
    assert (after.argmax(axis=1) == shipped.argmax(axis=1)).mean() >= 0.97
    # It must hold while training too, where the normalisations go by the batch's own statistics.
    training = np.asarray(model(pictures[:96].astype(np.float32) / 127.5 - 1, training=True)["logits"])
    assert (training.argmax(axis=1) == shipped[:96].argmax(axis=1)).mean() >= 0.9


def test_another_currency_takes_the_trunk_and_where_a_note_lies_and_names_it_itself(pictures: np.ndarray) -> None:
    model = build("mobilenet_v2", 1.0, pictures.shape[1], 3, None, 0.1)
    heads = model.get_layer("logits").get_weights()[0].copy()
    warmstart.begin(model, XTS, "EUR", ("5", "background", "several"), pictures)
    assert np.array_equal(model.get_layer("logits").get_weights()[0], heads)
    places = np.asarray(model(network.inputs(pictures[:64]), training=False)["box"])
    shipped = quantize.int8_outputs(bundles.read(XTS).model, pictures[:64])[1]
    assert np.abs(places - shipped).mean() < 0.05


def test_an_amount_more_begins_with_all_that_is_known_of_the_others(pictures: np.ndarray) -> None:
    bundle = bundles.read(XTS)
    labels = ("2", *bundle.labels)
    model = build("mobilenet_v2", 1.0, pictures.shape[1], len(labels), None, 0.1)
    warmstart.begin(model, XTS, "XTS", labels, pictures)
    found, shipped = network.logits(model, pictures), quantize.int8_outputs(bundle.model, pictures)[0]
    assert ((found.argmax(axis=1) - 1) == shipped.argmax(axis=1)).mean() >= 0.97
    assert not (found.argmax(axis=1) == 0).any()


def test_a_network_of_another_kind_is_refused(pictures: np.ndarray) -> None:
    model = build("mobilenet_v2", 0.5, pictures.shape[1], 8, None, 0.1)
    with pytest.raises(TrainingError, match="another network"):
        warmstart.begin(model, XTS, "XTS", ("5",), pictures[:8])


def test_the_network_of_a_bundle_is_restored_without_a_picture_and_is_what_training_would_begin_with(
    pictures: np.ndarray,
) -> None:
    bundle = bundles.read(XTS)
    found = network.logits(warmstart.restored(bundle), pictures)
    begun = build("mobilenet_v2", 1.0, bundle.manifest.input.height, len(bundle.labels), None, 0.1)
    warmstart.begin(begun, XTS, "XTS", bundle.labels, pictures[:32])
    np.testing.assert_allclose(found, network.logits(begun, pictures), atol=0.02)
    shipped = quantize.int8_outputs(bundle.model, pictures)[0]
    assert (found.argmax(axis=1) == shipped.argmax(axis=1)).mean() >= 0.97
