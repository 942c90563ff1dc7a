from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core.messages import Pixels
from tests.peers import readers
from training.playmoney.notes import draw

FOUR = ("20", "50", "100", "500")


def drawn(amount: str) -> Pixels:
    """The play note, whatever a checkout would show."""
    return draw(int(amount), "front", seed=1)


def written(folder: Path, amounts: tuple[str, ...], name: Callable[[str], str]) -> Path:
    for amount in amounts:
        path = folder / name(amount)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), drawn(amount)[:, :, ::-1])
    return folder


def test_templates_know_their_own_pictures_again_and_say_nothing_to_a_wall(tmp_path: Path) -> None:
    checkout = written(tmp_path, FOUR, lambda amount: f"files/{amount}.jpg")
    name, read = readers.opened(checkout)
    assert "kashyap07" in name
    assert [read(drawn(amount)) for amount in FOUR] == list(FOUR)
    assert read(np.full((480, 640, 3), 128, np.uint8)) == ""


def test_a_template_that_is_missing_is_passed_over(tmp_path: Path) -> None:
    checkout = written(tmp_path, ("10", "500"), lambda amount: f"CODE/{amount}/1.jpg")
    (checkout / "CODE" / "detect_final.py").touch()
    name, read = readers.opened(checkout)
    assert "ANSHU1112" in name
    assert [read(drawn(amount)) for amount in ("10", "500")] == ["10", "500"]


def test_a_folder_of_something_else_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no reader that is known here"):
        readers.opened(tmp_path)


@pytest.mark.integration
def test_a_network_says_the_likeliest_of_its_amounts(tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    pixels = keras.Input((224, 224, 3))
    weights = np.zeros((3, 7), np.float32)
    weights[0, 2], weights[2, 5] = 1.0, 1.0  # red is 50, blue is 500
    dense = keras.layers.Dense(7, use_bias=False)
    network = keras.Model(pixels, dense(keras.layers.GlobalAveragePooling2D()(pixels)))
    dense.set_weights([weights])
    model = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    (tmp_path / "NewTrained2.tflite").write_bytes(model)
    name, read = readers.opened(tmp_path)
    assert "ujjwal404" in name
    red, blue = np.zeros((2, 48, 64, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    assert (read(red), read(blue)) == ("50", "500")
