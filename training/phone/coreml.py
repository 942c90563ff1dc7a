"""Owns the way from a bundle's float network to a Core ML program: picture in, scores and the note's place out.

The program holds what the device's driver and `edge.core.classify` do around the network: pixel / 127.5 - 1 before it,
temperature and log-softmax after it. It is no Core ML classifier: that would hand an app the likeliest label, sure or
not, and hide the scores that the decision needs. Knows no frame and no decision.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.core.bundle import Bundle
from training.errors import TrainingError
from training.phone import facts
from training.phone.converters import FAILURES, first_line, quiet

if TYPE_CHECKING:
    import keras

PICTURE, SCORES, BOX = "picture", "scores", "box"
SCALE, BIAS = 1 / 127.5, [-1.0, -1.0, -1.0]  # as edge/drivers/tflite.py has it for every bundle


def said(model: keras.Model, temperature: float) -> keras.Model:
    """The network for one picture, with what `classify.scores` makes of its logits: [scores (1, n), box (1, 5)]."""
    import keras

    picture = keras.Input((*model.input_shape[1:3], 3), batch_size=1, name=PICTURE)
    outputs = model(picture, training=False)
    return keras.Model(picture, [keras.ops.log_softmax(outputs["logits"] / temperature), outputs["box"]])


def convert(model: keras.Model, bundle: Bundle, told: dict[str, str]) -> Any:
    """The MLModel of the float network `model` of `bundle`; `told` becomes its metadata. Raises TrainingError."""
    size = bundle.manifest.input
    try:
        with quiet():
            import coremltools as ct

            picture = ct.ImageType(
                name=PICTURE,
                shape=(1, size.height, size.width, 3),
                scale=SCALE,
                bias=BIAS,
                color_layout=ct.colorlayout.RGB,
            )
            converted = ct.convert(
                said(model, bundle.manifest.decision.temperature),
                source="tensorflow",
                convert_to="mlprogram",
                inputs=[picture],
                # What was compared with the device is then what runs; half precision would be another network.
                compute_precision=ct.precision.FLOAT32,
                minimum_deployment_target=ct.target.iOS16,
                skip_model_load=True,
            )
            return _described(ct, converted, bundle, told)
    except FAILURES as error:
        raise TrainingError(f"{bundle.path} cannot be converted to Core ML: {first_line(error)}") from error


def _described(ct: Any, converted: Any, bundle: Bundle, told: dict[str, str]) -> Any:
    """The same with names for its outputs and all that is told of it."""
    spec = converted.get_spec()
    for given, name in zip([output.name for output in spec.description.output], _in_order(spec), strict=True):
        ct.utils.rename_feature(spec, given, name)
    made = ct.models.MLModel(spec, weights_dir=converted.weights_dir, skip_model_load=True)
    made.author, made.license, made.version = "saynote", told["licence"], bundle.manifest.version
    made.short_description = facts.summary(bundle)
    made.input_description[PICTURE] = facts.PICTURE
    made.output_description[SCORES], made.output_description[BOX] = facts.SCORES, facts.PLACE
    made.user_defined_metadata.update(told)
    return made


def _in_order(spec: Any) -> list[str]:
    """What each output is. TensorFlow calls them Identity, Identity_1; Core ML may list them in another order."""
    names = {"Identity": SCORES, "Identity_1": BOX}
    return [names[output.name] for output in spec.description.output]


def write(converted: Any, folder: Path) -> None:
    """Write the package `folder`, for everybody to read as any other file."""
    with quiet():
        converted.save(str(folder))
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
