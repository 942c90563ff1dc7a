from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("keras")

import keras
from ai_edge_litert import schema_py_generated as schema

import edge
from edge.core import bundle as bundles
from training.errors import TrainingError
from training.learn import network, quantize
from training.learn.network import build

XTS = Path(edge.__file__).parent / "bundles" / "xts"


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (24, 64, 64, 3), np.uint8)


@pytest.mark.integration
def test_a_shift_in_any_linear_layer_is_taken_back(pictures: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt = []

    def spoil(int8: bytes, reference: bytes, inputs: list[np.ndarray]) -> bytes:
        shifted = bytearray(int8)
        view = schema.Model.GetRootAsModel(shifted, 0)
        for layer in quantize.linear_layers(int8)[5:]:
            biases = view.Buffers(layer.bias_buffer).DataAsNumpy().view("<i4")
            biases += np.round(4 * layer.scale / layer.bias_scale).astype(np.int32)  # four steps of the output
        spoilt.append(bytes(shifted))
        return correct(bytes(shifted), reference, inputs)

    model = build("mobilenet_v2", 0.35, 64, 5, None, 0.1)
    rng = np.random.default_rng(2)
    model.set_weights([w + rng.normal(0, 0.1, w.shape) * (w.ndim == 1) for w in model.get_weights()])
    exact = network.logits(model, pictures)
    correct = quantize.with_biases_corrected
    monkeypatch.setattr(quantize, "with_biases_corrected", spoil)
    corrected = quantize.int8_outputs(quantize.to_int8(model, pictures), pictures)[0]
    error = np.abs((corrected - exact).mean(axis=0)).max()
    before = np.abs((quantize.int8_outputs(spoilt[0], pictures)[0] - exact).mean(axis=0)).max()
    assert error < 0.2 * before


def test_every_linear_layer_is_found_in_order() -> None:
    layers = quantize.linear_layers(bundles.read(XTS).model)
    # MobileNetV2 has 17 projections; then come the place and the logits.
    assert [layer.channels for layer in layers][-2:] == [5, 8]
    assert len(layers) == 19
    assert all(layer.scale > 0 and layer.bias_scale.shape == (layer.channels,) for layer in layers)


@pytest.mark.integration
def test_biases_of_another_network_are_refused() -> None:
    import tensorflow as tf

    other = keras.Sequential([keras.Input((32, 32, 3), batch_size=1), keras.layers.Conv2D(4, 3)])
    reference = tf.lite.TFLiteConverter.from_keras_model(other).convert()
    with pytest.raises(TrainingError, match="other layers"):
        quantize.with_biases_corrected(bundles.read(XTS).model, reference, [])


@pytest.mark.parametrize(("agreed", "lost"), [(989, 0), (995, 6)])
def test_the_gate_stops_what_quantisation_spoilt(agreed: int, lost: int) -> None:
    quantize.Parity(1000, agreed=995, float_right=990, int8_right=986).gate()
    with pytest.raises(TrainingError, match="differs too much"):
        quantize.Parity(1000, agreed=agreed, float_right=990, int8_right=990 - lost).gate()
