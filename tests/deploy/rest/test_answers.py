"""The service beside `saynote replay`: the same pictures, the same sentences."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import app
from edge.commands.replay import SILENCE, transcribe
from edge.devices import open_engine
from edge.settings import Config, ModelConfig
from tests.deploy.rest.service import Service
from tests.pictures import with_orientation
from training.playmoney import notes, scenes

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Play money in every format, turned by EXIF and not, whole, in parts and two at once; and none."""
    folder = tmp_path_factory.mktemp("photographs")
    for path in sorted(app.REPLAY.glob("*.jpg"))[::10]:
        (folder / path.name).write_bytes(path.read_bytes())
    rng = np.random.default_rng(5)
    for number, amount in enumerate(notes.DENOMINATIONS):
        scene = scenes.draw_scene(number, (480, 640))
        note = notes.draw(amount, ("front", "back")[number % 2], number, 520)
        scene[40 : 40 + note.shape[0], 60:580] = note
        bgr = np.ascontiguousarray(scene[..., ::-1])
        for suffix in (".jpg", ".png", ".webp"):
            cv2.imwrite(str(folder / f"note{amount}{suffix}"), bgr)
        for orientation, suffix in ((3, ".jpg"), (6, ".png"), (8, ".webp")):
            data = (folder / f"note{amount}{suffix}").read_bytes()
            (folder / f"turned{amount}{suffix}").write_bytes(with_orientation(suffix, data, orientation))
        half = bgr.copy()
        half[:, 320:] = rng.integers(0, 255, (480, 320, 3))
        cv2.imwrite(str(folder / f"half{amount}.jpg"), half)
    return folder


@pytest.mark.parametrize("bundles", [("xts",), ("inr", "xts")], ids="+".join)
def test_every_picture_gets_the_sentence_of_a_replay(
    bundles: tuple[str, ...], photographs: Path, tmp_path: Path
) -> None:
    config = Config(model=ModelConfig(bundle=bundles if len(bundles) > 1 else bundles[0]))
    replayed: dict[str, list[str]] = {}
    for line in transcribe(config, photographs, lambda bundle: open_engine(config, bundle)):
        name, said = line.split(": ", 1)
        replayed.setdefault(name, []).append(said)
    service = Service(tmp_path, *(word for bundle in bundles for word in ("--bundle", bundle)))
    files = sorted(photographs.iterdir())
    served = {}
    for start in range(0, len(files), 16):
        told = service.classify_all([(path.name, path.read_bytes()) for path in files[start : start + 16]])
        served |= {one["name"]: [one["said"] or SILENCE] for one in told.json["answers"]}
    assert service.stop() == 0
    assert served == replayed
    assert len(served) == len(files)
    if bundles == ("xts",):
        assert len({said[0] for said in served.values()}) >= 5, "silence alone would be equal, too"


def test_an_answer_is_an_amount_with_its_currency_or_none(service: Service, photographs: Path) -> None:
    files = sorted(photographs.iterdir())
    verdicts = set()
    for path in files[::2]:
        found = service.classify(path.read_bytes()).first
        verdicts.add(found["verdict"])
        assert (found["amount"] is not None) == (found["verdict"] == "amount") == (found["currency"] == "XTS")
        assert (found["said"] is None) == (found["verdict"] == "no note")
    assert {"amount", "no note"} <= verdicts
