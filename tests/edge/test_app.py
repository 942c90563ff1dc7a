"""The daemon put together over the shipped fakes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from edge import app
from edge.config import Config, ModelConfig, MqttConfig
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import BundleError, HardwareError, Reason
from edge.core.messages import Frame
from edge.drivers.fake import (
    FakeBoard,
    FakeBroker,
    FakeCamera,
    FakeClock,
    FakeEngine,
    FakeSpeaker,
    FakeSupervisor,
    FakeSynth,
)
from training.playmoney import notes

CONFIG = Config(model=ModelConfig(bundle="xts"))
PICTURE = notes.draw(50, "front", 1, 320)
LABELS = ("5", "10", "20", "50", "100", "500", "background", "several")


def logits(label: str) -> list[list[float]]:
    return [[9.0 if name == label else 0.0 for name in LABELS], [0.5] * 5]


def engine(bundle: Bundle, shown: Iterable[str]) -> FakeEngine:
    """Answers the self-test as the trainer did, then what `shown` says, frame by frame."""
    script = [[list(row), [0.5] * 5] for row in bundle.selftest_logits]
    size = bundle.manifest.input
    return FakeEngine([*script, *(logits(label) for label in shown)], (1, size.height, size.width, 3))


def devices(shown: list[str], **changes: object) -> app.Parts:
    clock = FakeClock()
    frames = [Frame(n, n / 10, PICTURE) for n in range(len(shown))]
    values: dict[str, object] = {
        "camera": lambda: FakeCamera(frames),
        "engine": lambda bundle: engine(bundle, shown),
        "synth": FakeSynth,
        "speaker": lambda: FakeSpeaker(clock),
        "button": None,
        "broker": lambda topics, connected: FakeBroker(),
        "clock": clock,
        "supervisor": FakeSupervisor(),
        "board": FakeBoard(),
    }
    return app.Parts(**(values | changes))  # type: ignore[arg-type]


def spoken(parts: app.Parts, state: Path, config: Config = CONFIG) -> list[str]:
    return [utterance.text for utterance in app.run(config, parts, threading.Event(), state=state)]


SHOWN = ["background"] * 5 + ["50"] * 15 + ["background"] * 12 + ["500"] * 15 + ["background"] * 12


def test_what_is_shown_is_said_in_order(tmp_path: Path) -> None:
    said = spoken(devices(SHOWN), tmp_path)
    assert [text for text in said if text != "Ready"] == ["50 play crowns", "500 play crowns"]


def test_it_tells_its_supervisor_when_it_is_ready_and_when_it_ends(tmp_path: Path) -> None:
    parts = devices(SHOWN)
    spoken(parts, tmp_path)
    supervisor = parts.supervisor
    assert isinstance(supervisor, FakeSupervisor)
    assert (supervisor.readies, supervisor.stoppings) == (1, 1)
    assert supervisor.alives >= 1


def test_without_its_button_it_says_so_and_still_reads_notes(tmp_path: Path) -> None:
    def no_button() -> object:
        raise HardwareError("button", Reason.MISSING, "no pins")

    said = spoken(devices(SHOWN, button=no_button), tmp_path)
    assert "The button does not work" in said
    assert "500 play crowns" in said


def test_a_model_that_computes_something_else_never_speaks(tmp_path: Path) -> None:
    parts = devices(SHOWN, engine=lambda bundle: FakeEngine([logits("500")], (1, 96, 96, 3)))
    with pytest.raises(BundleError, match="self-test failed"):
        spoken(parts, tmp_path)


def test_a_model_of_another_size_than_the_manifest_says_is_refused(tmp_path: Path) -> None:
    parts = devices(SHOWN, engine=lambda bundle: FakeEngine([logits("500")], (1, 224, 224, 3)))
    with pytest.raises(BundleError, match="the manifest says"):
        spoken(parts, tmp_path)


def test_no_picture_and_no_text_is_left_behind(tmp_path: Path) -> None:
    spoken(devices(SHOWN), tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".npz"}, "kept sounds, nothing else"


def test_telemetry_reaches_the_broker_when_it_is_wanted(tmp_path: Path) -> None:
    broker = FakeBroker()
    config = Config(model=ModelConfig(bundle="xts"), mqtt=MqttConfig(enabled=True, device_id="t1"))
    spoken(devices(SHOWN, broker=lambda topics, connected: broker), tmp_path, config)
    from edge.core import wire
    from edge.outlets.outbox import Outbox

    outbox = Outbox(tmp_path / "outbox.sqlite3", 100)
    kept = [row.payload for row in outbox.oldest(50)]
    outbox.close()
    sent = [message.payload for message in broker.messages if message.topic.endswith("detection")]
    amounts = {wire.decode(data).amount for data in [*sent, *kept] if b"detection" in data}  # type: ignore[union-attr]
    assert amounts == {"50", "500"}, "published, or on the disk for the next start"


def test_a_state_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert "50 play crowns" in spoken(devices(SHOWN), tmp_path / "file" / "state")


def test_edge_needs_neither_tensorflow_nor_training() -> None:
    blocked = ("tensorflow", "keras", "training", "jax", "torch", "deploy")
    program = (
        "import sys, pkgutil, importlib\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "import edge\n"
        "for m in pkgutil.walk_packages(edge.__path__, 'edge.'):\n"
        "    importlib.import_module(m.name)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=Path(app.__file__).parents[1])


def test_the_selftest_pictures_of_shipped_bundles_are_drawn_not_photographed() -> None:
    """They are those of the trainer's drawing program, to the pixel: no one's money is in the repository."""
    pytest.importorskip("keras", reason="the drawing program comes with the training extra")
    from training.train import selftest_pictures

    for folder in app.BUNDLES.iterdir():
        bundle = bundles.read(folder)
        assert np.array_equal(bundle.selftest_pictures, selftest_pictures(bundle.manifest.input))
