"""Makes the tiny models in `models/`, of which the answers are known: run `python tests/ports/tiny_models.py FOLDER`.

Each takes an 8 x 8 picture; logit i is the mean of colour i % 3 (in -1..1) times (i + 1), the box the mean of
green times 1 to 5.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SIZE = 8


def make(folder: Path) -> None:
    """Write the models into `folder`."""
    os.environ.update(CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3")
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    for name, labels, box_first, dtype in (
        ("int8", 7, False, tf.int8),
        ("uint8", 7, False, tf.uint8),
        ("float32", 7, False, None),
        ("box-first", 7, True, tf.int8),
        ("five-labels", 5, False, tf.int8),
    ):
        (folder / f"{name}.tflite").write_bytes(_convert(tf, _build(tf, labels, box_first), dtype))


def _build(tf, labels: int, box_first: bool):
    import numpy as np

    picture = tf.keras.Input((SIZE, SIZE, 3), batch_size=1)
    means = tf.keras.layers.GlobalAveragePooling2D()(picture)
    logits, box = tf.keras.layers.Dense(labels, name="logits"), tf.keras.layers.Dense(5, name="box")
    outputs = [box(means), logits(means)] if box_first else [logits(means), box(means)]
    weights = np.zeros((3, labels), np.float32)
    for label in range(labels):
        weights[label % 3, label] = label + 1
    logits.set_weights([weights, np.zeros(labels, np.float32)])
    green = np.zeros((3, 5), np.float32)
    green[1] = np.arange(1, 6)
    box.set_weights([green, np.zeros(5, np.float32)])
    return tf.keras.Model(picture, outputs)


def _convert(tf, model, dtype) -> bytes:
    import numpy as np

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if dtype is not None:
        random = np.random.default_rng(0)
        flat = [np.full((1, SIZE, SIZE, 3), value, np.float32) for value in (-1, 1)]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [sample] for sample in flat + [random.uniform(-1, 1, flat[0].shape).astype(np.float32) for _ in range(20)]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = dtype
    return converter.convert()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
