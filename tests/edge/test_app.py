"""The daemon put together over the shipped fakes."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge import app, fallback, folders
from edge.commands.captures import folders_of_pictures
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import BundleError, ConfigError, HardwareError, Reason
from edge.core.messages import Frame
from edge.core.seal import Claim
from edge.core.shelf import Shelf
from edge.devices import Parts
from edge.drivers.fake import (
    FakeBroker,
    FakeButton,
    FakeCamera,
    FakeClock,
    FakeEngine,
    FakePulser,
    FakeSpeaker,
    FakeSupervisor,
    FakeSynth,
)
from edge.outlets.album import CAPTURES
from edge.outlets.said import TOLD
from edge.settings import (
    CaptureConfig,
    Config,
    LightConfig,
    ModelConfig,
    MqttConfig,
    PulsesConfig,
    VoiceConfig,
    WebConfig,
)
from edge.wiring import device_id
from tests import sealed
from tests.bundles import labelled
from tests.devices import fake_engine, fake_parts
from training.playmoney import notes

CONFIG = Config(model=ModelConfig(bundle="xts"))
PICTURE = notes.draw(50, "front", 1, 320)


def moved(number: int) -> np.ndarray:
    """The picture as a hand that is never still shows it: the device rests at what does not move."""
    return np.roll(PICTURE, 8 * number, axis=1)


LABELS = ("5", "10", "20", "50", "100", "500", "background", "several")


def logits(label: str) -> list[list[float]]:
    return [[9.0 if name == label else 0.0 for name in LABELS], [0.5] * 5]


def devices(shown: list[str], **changes: object) -> Parts:
    frames = [Frame(n, n / 10, moved(n)) for n in range(len(shown))]
    values: dict[str, object] = {
        "camera": lambda: FakeCamera(frames),
        "engine": lambda bundle: fake_engine(bundle, *map(logits, shown)),
    }
    return fake_parts(**(values | changes))


class Pressing(FakeCamera):
    """Presses the button after its last frame and waits for the answer."""

    def __init__(self, frames: Sequence[Frame], button: FakeButton, clock: FakeClock) -> None:
        super().__init__(frames)
        self._button, self._clock = button, clock

    def read(self, timeout_s: float) -> Frame | None:
        frame = super().read(timeout_s)
        if frame is None:
            for change in (self._button.press, self._button.release):
                change()
                self._clock.advance(0.2)
            self._clock.advance(1.0)
        return frame


def spoken(parts: Parts, state: Path, config: Config = CONFIG) -> list[str]:
    """What is said by a device that is not new."""
    with contextlib.suppress(OSError):
        state.mkdir(exist_ok=True)
        (state / TOLD).touch()
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
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()} - {TOLD}
    assert {Path(name).suffix for name in left} <= {".npz"}, "kept sounds, nothing else"


def test_telemetry_reaches_the_broker_when_it_is_wanted(tmp_path: Path) -> None:
    broker = FakeBroker()
    config = Config(model=ModelConfig(bundle="xts"), mqtt=MqttConfig(enabled=True, device_id="t1"))
    spoken(devices(SHOWN, broker=lambda topics: broker), tmp_path, config)
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
    """They are those of the trainer's drawing program: no one's money is in the repository.

    Another processor may round a pixel by one level.
    """
    pytest.importorskip("keras", reason="the drawing program comes with the training extra")
    from training.train import selftest_pictures

    for folder in app.BUNDLES.iterdir():
        bundle = bundles.read(folder)
        drawn = selftest_pictures(bundle.manifest.input)
        assert drawn.shape == bundle.selftest_pictures.shape
        assert np.abs(drawn.astype(int) - bundle.selftest_pictures).max() <= 1


def test_a_synthesiser_that_is_missing_ends_it_and_nothing_is_left_open(tmp_path: Path) -> None:
    def no_synth() -> object:
        raise HardwareError("speech", Reason.NOT_INSTALLED, "install espeak-ng")

    engines: list[FakeEngine] = []

    def keep(bundle: Bundle) -> FakeEngine:
        engines.append(fake_engine(bundle, *map(logits, SHOWN)))
        return engines[0]

    with pytest.raises(HardwareError, match="espeak-ng"):
        spoken(devices(SHOWN, synth=no_synth, engine=keep), tmp_path)
    assert engines[0].closed


def test_an_engine_that_dies_while_running_closes_everything(tmp_path: Path) -> None:
    clock = FakeClock()
    speaker, button, broken = FakeSpeaker(clock), FakeButton(clock), HardwareError("engine", Reason.BROKEN, "heat")
    cameras = [FakeCamera([Frame(n, n / 10, moved(n)) for n in range(20)])]

    def dying(bundle: Bundle) -> FakeEngine:
        return fake_engine(bundle, logits("background"), broken)

    parts = devices(
        SHOWN, engine=dying, camera=lambda: cameras[0], speaker=lambda: speaker, button=lambda: button, clock=clock
    )
    with pytest.raises(HardwareError, match="heat"):
        spoken(parts, tmp_path)
    assert cameras[0].closed
    assert speaker.closed
    assert button._callback is None
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("announcer", "health", "view")]


def test_a_press_repeats_what_was_said(tmp_path: Path) -> None:
    clock = FakeClock()
    button = FakeButton(clock)

    frames = [Frame(n, n / 10, moved(n)) for n in range(len(SHOWN))]
    parts = devices(SHOWN, camera=lambda: Pressing(frames, button, clock), button=lambda: button, clock=clock)
    said = [text for text in spoken(parts, tmp_path) if text != "Ready"]
    assert said[:3] == ["50 play crowns", "500 play crowns", "500 play crowns"]


def test_a_camera_lost_and_found_is_said_once_each(tmp_path: Path) -> None:
    lost = HardwareError("camera", Reason.STOPPED, "unplugged")
    cameras = [FakeCamera([Frame(0, 0.0, PICTURE), lost]), FakeCamera([Frame(n, n / 10, moved(n)) for n in range(40)])]
    said = spoken(devices(["50"] * 41, camera=lambda: cameras.pop(0)), tmp_path)
    assert sorted(set(said)) == sorted(
        ["Ready", "The camera has stopped, I keep trying", "The camera works again", "50 play crowns"]
    )
    assert said.count("50 play crowns") == 1


def test_telemetry_that_cannot_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    config = Config(model=ModelConfig(bundle="xts"), mqtt=MqttConfig(enabled=True, device_id="t1"))
    assert "500 play crowns" in spoken(devices(SHOWN), tmp_path / "file" / "state", config)


def test_a_sound_card_that_is_missing_stops_nothing(tmp_path: Path) -> None:
    def no_card() -> object:
        raise HardwareError("speaker", Reason.MISSING, "there is no sound card")

    utterances = app.run(CONFIG, devices(SHOWN, speaker=no_card), threading.Event(), state=tmp_path)
    assert {utterance.sounded for utterance in utterances} == {False}
    assert "500 play crowns" in [utterance.text for utterance in utterances]


def test_a_damaged_bundle_is_named(tmp_path: Path) -> None:
    shutil.copytree(app.BUNDLES / "xts", tmp_path / "bundle")
    (tmp_path / "bundle" / "labels.txt").write_text("5\n500\n")
    config = Config(model=ModelConfig(bundle=str(tmp_path / "bundle")))
    with pytest.raises(BundleError, match=r"labels\.txt is damaged"):
        spoken(devices(SHOWN), tmp_path, config)


@pytest.mark.parametrize("name", ["gold", "", "no/such/folder", "./gold"])
def test_a_bundle_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(BundleError):
        bundles.read(app.find_bundle(name))


def test_a_device_id_is_stable_and_tells_nothing_of_the_machine() -> None:
    assert device_id(CONFIG) == device_id(CONFIG)
    assert device_id(Config(mqtt=MqttConfig(device_id="till-3"))) == "till-3"
    machine = Path("/etc/machine-id")
    if machine.exists() and machine.read_text().strip():
        assert machine.read_text().strip() not in device_id(CONFIG)


@pytest.mark.parametrize(
    "other",
    [{"variant": "f3"}, {"language": "hi"}, {"words_per_minute": 200}, {"pitch": 60}, {"volume": 90}],
    ids=lambda other: next(iter(other)),
)
def test_phrases_of_another_voice_are_not_taken_from_the_disk(tmp_path: Path, other: dict[str, object]) -> None:
    assert app.phrases_of(Config(), FakeSynth(), tmp_path).prepare(["500"]) == 1
    assert app.phrases_of(Config(), FakeSynth(), tmp_path).prepare(["500"]) == 0
    changed = Config(voice=VoiceConfig(**other))  # type: ignore[arg-type]
    assert app.phrases_of(changed, FakeSynth(), tmp_path).prepare(["500"]) == 1


def test_pictures_of_uncertain_notes_are_kept_where_the_owner_wants_it_and_it_is_said(tmp_path: Path) -> None:
    config = Config(model=ModelConfig(bundle="xts"), capture=CaptureConfig(enabled=True))
    shown = ["background"] * 5 + ["several"] * 15 + ["background"] * 12
    said = spoken(devices(shown), tmp_path, config)
    assert said.count("Pictures of uncertain notes are being kept") == 1
    assert [path.suffix for path in sorted((tmp_path / CAPTURES).iterdir())] == [".jpg", ".json"]


def test_a_captures_folder_that_cannot_be_written_stops_nothing_and_is_not_said_to_be_there(tmp_path: Path) -> None:
    (tmp_path / CAPTURES).write_text("not a folder")
    config = Config(model=ModelConfig(bundle="xts"), capture=CaptureConfig(enabled=True))
    said = spoken(devices(SHOWN), tmp_path, config)
    assert {"500 play crowns", "The disk cannot be written"} <= set(said)
    assert "Pictures of uncertain notes are being kept" not in said


def test_telemetry_never_carries_a_picture(tmp_path: Path) -> None:
    broker = FakeBroker()
    mqtt, capture = MqttConfig(enabled=True, device_id="t1"), CaptureConfig(enabled=True)
    config = Config(model=ModelConfig(bundle="xts"), mqtt=mqtt, capture=capture)
    shown = ["background"] * 5 + ["several"] * 15 + ["background"] * 12
    spoken(devices(shown, broker=lambda topics: broker), tmp_path, config)
    (picture,) = (tmp_path / CAPTURES).glob("*.jpg")
    from edge.outlets.outbox import Outbox

    outbox = Outbox(tmp_path / "outbox.sqlite3", 100)
    payloads = [message.payload for message in broker.messages] + [row.payload for row in outbox.oldest(50)]
    outbox.close()
    assert payloads
    assert max(map(len, payloads)) < picture.stat().st_size / 4
    for payload in payloads:
        assert b"\xff\xd8\xff" not in payload
        assert b"/9j/" not in payload, "nor as base64"
        assert picture.stem.encode() not in payload


def test_the_live_view_is_announced_and_lets_its_port_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="edge")
    config = Config(model=ModelConfig(bundle="xts"), web=WebConfig(enabled=True, port=0))
    assert spoken(devices(SHOWN), tmp_path, config).count("The live view is on") == 1
    (url,) = [record.args[0] for record in caplog.records if record.msg.startswith("live view")]  # type: ignore[index]
    port = int(str(url).rstrip("/").rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("web", "http", "capture")]


def test_a_port_that_is_taken_is_said_and_notes_are_still_read(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = Config(model=ModelConfig(bundle="xts"), web=WebConfig(enabled=True, port=other.getsockname()[1]))
        said = spoken(devices(SHOWN), tmp_path, config)
    assert "The live view does not work" in said
    assert "The live view is on" not in said
    assert "500 play crowns" in said


def test_a_token_that_could_be_guessed_opens_nothing_and_notes_are_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SAYNOTE_WEB_TOKEN", "12345678")
    config = Config(model=ModelConfig(bundle="xts"), web=WebConfig(enabled=True, port=0))
    assert "The live view does not work" in spoken(devices(SHOWN), tmp_path, config)
    assert "16 characters or more" in caplog.text
    assert "12345678" not in caplog.text


def test_a_view_that_others_can_reach_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for address, warned in (("127.0.0.1", False), ("0.0.0.0", True)):
        caplog.clear()
        web = WebConfig(enabled=True, address=address, port=0)
        spoken(devices(SHOWN), tmp_path, Config(model=ModelConfig(bundle="xts"), web=web))
        assert ("can be reached from other machines" in caplog.text) is warned


def test_kept_pictures_are_looked_for_where_the_service_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = (Path(app.__file__).parents[1] / "systemd" / "saynote.service").read_text()
    assert f"StateDirectory={folders.SERVICE_STATE.name}\n" in unit
    assert folders.SERVICE_STATE / CAPTURES in folders_of_pictures()
    monkeypatch.setenv("STATE_DIRECTORY", str(folders.SERVICE_STATE))
    assert folders_of_pictures() == [folders.SERVICE_STATE / CAPTURES], "named once"


def test_without_a_home_things_are_kept_where_the_service_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert folders.state_folder() == folders.SERVICE_STATE
    assert folders_of_pictures() == [folders.SERVICE_STATE / CAPTURES]


def first_words(state: Path, **changes: object) -> list[str]:
    """What a device says to nothing at all."""
    said = app.run(CONFIG, devices(["background"] * 3, **changes), threading.Event(), state=state)
    return [utterance.text for utterance in said]


WARNING = "I do not tell genuine notes from counterfeits"


def test_a_new_device_says_once_that_it_does_not_tell_genuine_notes_from_counterfeits(tmp_path: Path) -> None:
    assert first_words(tmp_path) == ["Ready", WARNING]
    assert first_words(tmp_path) == ["Ready"]


def test_what_nobody_could_hear_is_said_again_at_the_next_start(tmp_path: Path) -> None:
    def no_card() -> object:
        raise HardwareError("speaker", Reason.MISSING, "there is no sound card")

    first_words(tmp_path, speaker=no_card)
    assert first_words(tmp_path) == ["Ready", WARNING]


def test_a_demonstration_is_no_first_start(tmp_path: Path) -> None:
    parts = devices(["background"] * 3)
    said = app.run(CONFIG, parts, threading.Event(), first_words="demonstration", state=tmp_path)
    assert [utterance.text for utterance in said] == ["Demonstration, play money"]
    assert not (tmp_path / TOLD).exists()


def test_a_wanted_end_is_said_and_the_end_of_a_recording_is_not(tmp_path: Path) -> None:
    stop = threading.Event()

    class Stopping(FakeCamera):
        """Somebody switches it off while it looks."""

        def read(self, timeout_s: float) -> Frame | None:
            stop.set()
            return super().read(timeout_s)

    parts = devices(SHOWN, camera=lambda: Stopping([Frame(n, n / 10, moved(n)) for n in range(50)]))
    assert app.run(CONFIG, parts, stop, state=tmp_path)[-1].text == "Goodbye"
    assert "Goodbye" not in spoken(devices(SHOWN), tmp_path)


SILENT = Config(
    model=ModelConfig(bundle="xts"),
    voice=VoiceConfig(driver="none"),
    pulses=PulsesConfig(driver="gpio", short_s=0.02, long_s=0.06, gap_s=0.02, pause_s=0.1),
)


def test_without_a_voice_amounts_and_answers_are_felt(tmp_path: Path) -> None:
    clock = FakeClock()
    button, pulser = FakeButton(clock), FakePulser(clock)

    frames = [Frame(n, n / 10, moved(n)) for n in range(len(SHOWN))]
    parts = devices(
        SHOWN,
        camera=lambda: Pressing(frames, button, clock),
        button=lambda: button,
        clock=clock,
        pulser=lambda: pulser,
        speaker=FakeSpeaker,  # on a clock of its own: it must not stretch a pulse
    )
    spoken(parts, tmp_path, SILENT)
    ends = [from_s + seconds for from_s, seconds in pulser.pulses]
    felt = ""
    for (from_s, seconds), before_s in zip(pulser.pulses, [0.0, *ends], strict=False):
        felt += (" " if from_s - before_s > 0.09 else "") + ("." if seconds < 0.05 else "-")
    assert felt.split()[-1] == "......", "500 is the sixth of the play money's amounts"
    assert pulser.closed
    assert not pulser.on


def test_a_device_that_could_tell_nothing_ends_instead_of_seeming_alive(tmp_path: Path) -> None:
    def no_pin() -> object:
        raise HardwareError("pulses", Reason.MISSING, "no pins")

    with pytest.raises(HardwareError, match="no pins"):
        spoken(devices(SHOWN, pulser=no_pin), tmp_path, SILENT)


def test_with_a_voice_pulses_that_fail_are_said(tmp_path: Path) -> None:
    def no_pin() -> object:
        raise HardwareError("pulses", Reason.MISSING, "no pins")

    assert "The pulses do not work" in spoken(devices(SHOWN, pulser=no_pin), tmp_path)


def test_a_pulse_code_for_an_amount_that_the_bundle_lacks_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    config = Config(model=ModelConfig(bundle="xts"), pulses=PulsesConfig(driver="gpio", codes={"25": 3}))
    with pytest.raises(ConfigError, match="knows no '25'"):
        spoken(devices(SHOWN, pulser=FakePulser), tmp_path, config)


def test_a_light_that_fails_is_said_and_stops_nothing(tmp_path: Path) -> None:
    def no_pin() -> object:
        raise HardwareError("light", Reason.BUSY, "in use")

    config = Config(model=ModelConfig(bundle="xts"), light=LightConfig(driver="gpio"))
    said = spoken(devices(SHOWN, light=no_pin), tmp_path, config)
    assert "The light does not work" in said
    assert "500 play crowns" in said


def without_the_smallest(folder: Path) -> Path:
    """Play money in which a hand would learn other codes: the same bundle without its first amount."""
    shutil.copytree(app.BUNDLES / "xts", folder)
    whole = bundles.read(folder)
    thresholds = {k: v for k, v in whole.manifest.decision.thresholds.items() if k != whole.denominations[0]}
    bundles.write(
        folder,
        name="short", version="1", currency="XTS", model=whole.model,
        labels=tuple(label for label in whole.labels if label != whole.denominations[0]),
        input_=whole.manifest.input, decision=msgspec.structs.replace(whole.manifest.decision, thresholds=thresholds),
        selftest_pictures=whole.selftest_pictures, selftest_logits=whole.selftest_logits[:, 1:], selftest_tolerance=0.1,
        has_box=True, card="",
    )  # fmt: skip
    return folder


def stood_in_for(
    folder: Path, state: Path, voice: VoiceConfig, **changes: object
) -> tuple[list[str], list[FakePulser]]:
    """What is said, and the pins that were opened, where the bundle in `folder` is refused."""
    pins: list[FakePulser] = []

    def pulser() -> FakePulser:
        pins.append(FakePulser())
        return pins[-1]

    config = Config(model=ModelConfig(bundle=str(folder)), voice=voice, pulses=PulsesConfig(driver="gpio", **changes))  # type: ignore[arg-type]
    said = app.run(config, devices([], pulser=pulser), threading.Event(), state=state, stand_in=True)
    return [utterance.text for utterance in said], pins


@pytest.mark.parametrize("known", ["by what passed here", "by its labels"])
def test_amounts_that_a_hand_would_take_for_others_are_not_felt(tmp_path: Path, known: str) -> None:
    mine, state = without_the_smallest(tmp_path / "mine"), tmp_path / "state"
    if known == "by what passed here":
        fallback.remember(state, str(mine), bundles.read(mine))
        (mine / bundles.LABELS).unlink()
    else:
        (mine / bundles.MODEL).unlink()
    said, pins = stood_in_for(mine, state, VoiceConfig(), codes={"5": 4, "10": ".-.-."})
    assert "The pulses do not work" in said
    assert pins == []
    with pytest.raises(BundleError, match="felt as wrong ones"):
        stood_in_for(mine, state, VoiceConfig(driver="none"))


def test_a_stand_in_of_the_same_amounts_is_felt_as_before(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(app.BUNDLES / "xts", mine)
    (mine / bundles.MODEL).unlink()
    said, pins = stood_in_for(mine, tmp_path / "state", VoiceConfig())
    assert "The pulses do not work" not in said
    assert len(pins) == 1


def two_currencies(shown: Sequence[tuple[str, str]], **changes: object) -> Parts:
    """Devices whose play money bundle takes each look for the first of a pair, and the rupee bundle for the second."""

    def engine(bundle: Bundle) -> FakeEngine:
        place = 1 if bundle.manifest.currency == "INR" else 0
        where = [0.5, 0.5, 0.5, 0.5, 0.9]
        looks = [[[9.0 if n == takes[place] else 0.0 for n in bundle.labels], where] for takes in shown]
        return fake_engine(bundle, *looks)

    return devices(["background"] * 20, engine=engine, **changes)


BOTH = Config(model=ModelConfig(bundle=("xts", "inr")))


def test_of_two_currencies_each_note_is_said_with_its_own(tmp_path: Path) -> None:
    for takes, words in ((("50", "background"), "50 play crowns"), (("background", "50"), "50 rupees")):
        assert set(spoken(two_currencies([takes] * 20), tmp_path, BOTH)) == {"Ready", words}


def test_a_note_that_both_currencies_claim_is_no_amount(tmp_path: Path) -> None:
    assert spoken(two_currencies([("50", "50")] * 20), tmp_path, BOTH) == ["Ready"]


def test_two_bundles_of_one_currency_are_refused_in_words(tmp_path: Path) -> None:
    copy = shutil.copytree(app.BUNDLES / "xts", tmp_path / "other")
    config = Config(model=ModelConfig(bundle=("xts", str(copy))))
    with pytest.raises(ConfigError, match="two bundles of XTS"):
        app.run(config, two_currencies([]), threading.Event(), state=tmp_path)


def test_without_one_of_several_bundles_nothing_is_read(tmp_path: Path) -> None:
    copy = shutil.copytree(app.BUNDLES / "inr", tmp_path / "mine")
    config = Config(model=ModelConfig(bundle=("xts", str(copy))))
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"INR"', '"EUR"'))
    with pytest.raises(BundleError, match="mine"):
        app.run(config, two_currencies([]), threading.Event(), state=tmp_path, stand_in=True)


def test_each_of_several_bundles_has_a_stand_in_of_its_own_currency(tmp_path: Path) -> None:
    copy = shutil.copytree(app.BUNDLES / "inr", tmp_path / "mine")
    config = Config(model=ModelConfig(bundle=("xts", str(copy))))
    (copy / "model.tflite").write_bytes(b"torn")
    loaded, faults = app.load_or_stand_in(config, fake_engine, tmp_path)
    assert [bundle.path for bundle, _ in loaded] == [app.BUNDLES / "xts", app.BUNDLES / "inr"]
    assert [fault.reason for fault in faults] == [Reason.REFUSED.value]


# --- bundles that were installed


def installed(state: Path, version: str = "0.2.0", make: Callable[[Path, str], Path] = sealed.bundle) -> str:
    shelf = Shelf(state)
    with shelf.installing(), shelf.staging() as folder:
        made = make(folder / "b", version)
        entry = shelf.keep(made, Claim.of(bundles.about(made)))
    shelf.promote("XTS", entry, sealed.CONFIGURED["XTS"])
    return entry


def used(state: Path, config: Config = CONFIG, engine: Callable[[Bundle], object] = fake_engine) -> str:
    (found, *_), faults = app.load_or_stand_in(config, engine, state)  # type: ignore[arg-type]
    assert faults == []
    return found[0].path.name


def test_an_installed_bundle_takes_the_place_of_the_configured_one(tmp_path: Path) -> None:
    entry = installed(tmp_path)
    assert used(tmp_path) == entry
    assert app.load(CONFIG, fake_engine)[0][0].path.name == "xts", "for whoever names one by hand"


def test_one_that_is_refused_at_the_start_gives_way_to_the_one_before(tmp_path: Path) -> None:
    first, second = installed(tmp_path, "0.2.0"), installed(tmp_path, "0.3.0")
    (tmp_path / "bundles" / second / "model.tflite").write_bytes(b"")
    assert used(tmp_path) == first
    (tmp_path / "bundles" / first / "labels.txt").unlink()
    assert used(tmp_path) == "xts"
    assert [one.what for one in Shelf(tmp_path).read().outcomes][-2:] == ["rolled back", "rolled back"]


def test_one_that_takes_the_process_down_at_its_start_is_left_after_two(tmp_path: Path) -> None:
    entry, tried = installed(tmp_path), []

    def dying(bundle: Bundle) -> FakeEngine:
        tried.append(bundle.path.name)
        if bundle.path.name == entry:
            raise SystemExit("as a kill would")
        return fake_engine(bundle)

    for _ in range(2):
        with pytest.raises(SystemExit):
            used(tmp_path, engine=dying)
    assert used(tmp_path, engine=dying) == "xts"
    assert tried == [entry, entry, "xts"]


def test_amounts_that_a_hand_has_not_learnt_are_not_installed_under_it(tmp_path: Path) -> None:
    def fewer(folder: Path, version: str) -> Path:
        sealed.bundle(folder, version)
        labelled("7")(folder)
        return folder

    entry = installed(tmp_path, make=fewer)
    felt = Config(model=ModelConfig(bundle="xts"), pulses=PulsesConfig(driver="gpio"))
    assert used(tmp_path, felt) == "xts"
    assert "other amounts" in Shelf(tmp_path).read().outcomes[-1].why
    assert entry not in Shelf(tmp_path).line("XTS").active
