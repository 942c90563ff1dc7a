"""The examination, over the shipped fakes."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from edge import app, credentials
from edge.commands import doctor
from edge.commands.examination import Finding, Patient, State, examine
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import (
    EXIT_BUNDLE,
    EXIT_CONFIG,
    EXIT_HARDWARE,
    EXIT_TRANSIENT,
    HardwareError,
    Reason,
    TransientError,
)
from edge.core.messages import Frame, Pixels
from edge.core.seal import Claim
from edge.core.shelf import Shelf
from edge.drivers import mqtt
from edge.drivers.access import Account, own_account
from edge.drivers.fake import (
    FakeBoard,
    FakeButton,
    FakeCamera,
    FakeClock,
    FakeEngine,
    FakeSpeaker,
    FakeSynth,
)
from edge.settings import ButtonConfig, CameraConfig, Config, ModelConfig, MqttConfig, VoiceConfig
from tests import sealed
from tests.devices import fake_engine, fake_parts

CONFIG = Config(model=ModelConfig(bundle="xts"))
NOW_S = 1_780_000_000.0


def scene(seed: int, level: float = 1.0) -> Pixels:
    return (np.random.default_rng(seed).integers(0, 255, (72, 96, 3)) * level).astype(np.uint8)


def film(pictures: Iterable[Pixels], per_s: float = 15.0) -> FakeCamera:
    return FakeCamera([Frame(n, n / per_s, pixels) for n, pixels in enumerate(pictures)])


def living(count: int = 60, per_s: float = 15.0, level: float = 1.0) -> FakeCamera:
    return film([scene(n, level) for n in range(count)], per_s)


def patient(folder: Path, config: Config = CONFIG, **changes: object) -> Patient:
    clock = FakeClock(wall_s=NOW_S)
    of_patient = {field.name: changes.pop(field.name) for field in fields(Patient) if field.name in changes}
    devices: dict[str, object] = {"camera": living, "button": lambda: FakeButton(clock), "clock": clock, "sensor": True}
    values: dict[str, object] = {
        "config": config,
        "source": "edge.toml",
        "mistakes": (),
        "state": folder / "state",
        "account": own_account(),
        "service_runs": False,
        "synchronised": lambda: True,
        "probe_broker": lambda: None,
    }
    return Patient(devices=fake_parts(**(devices | changes)), **(values | of_patient))  # type: ignore[arg-type]


def findings(examined: Patient) -> dict[str, Finding]:
    return {finding.part: finding for finding in examine(examined)}


def one(examined: Patient, part: str) -> Finding:
    return findings(examined)[part]


def said(examined: Patient) -> str:
    return doctor.summary(examined, list(findings(examined).values()))


def raising(error: Exception) -> object:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_of_a_device_that_works_it_says_so(tmp_path: Path) -> None:
    examined = patient(tmp_path)
    found = list(examine(examined))
    assert {finding.part: finding.state for finding in found if finding.state is not State.OK} == {
        "broker": State.SKIPPED,
        "runtime": State.SKIPPED,  # nobody has measured it on this board
    }
    assert doctor.exit_code(found) == 0
    assert doctor.summary(examined, found) == "Everything works"
    assert not (tmp_path / "state").exists(), "it changes nothing"


def test_several_problems_are_counted_and_the_first_fault_is_said_and_gives_the_code(tmp_path: Path) -> None:
    shutil.copytree(app.BUNDLES / "xts", tmp_path / "bundle")
    (tmp_path / "bundle" / bundles.LABELS).write_text("5\n")
    board = FakeBoard()
    board.is_weak = True
    examined = patient(
        tmp_path,
        Config(model=ModelConfig(bundle=str(tmp_path / "bundle"))),
        camera=raising(HardwareError("camera", Reason.MISSING, "none found")),
        board=board,
    )
    found = list(examine(examined))
    assert doctor.exit_code(found) == EXIT_BUNDLE
    assert doctor.summary(examined, found) == "3 problems found. The model is damaged, I cannot read notes"
    assert "labels.txt is damaged" in next(finding.found for finding in found if finding.part == "bundle")
    assert all(finding.to_do for finding in found if finding.state in doctor.PROBLEMS)


def test_the_bundle_that_is_examined_is_the_one_that_the_daemon_would_use(tmp_path: Path) -> None:
    examined = patient(tmp_path)
    shelf = Shelf(examined.state)
    with shelf.installing(), shelf.staging() as folder:
        made = sealed.bundle(folder / "b", "0.2.0")
        entry = shelf.keep(made, Claim.of(bundles.about(made)))
    shelf.promote("XTS", entry, sealed.CONFIGURED["XTS"])
    before = shelf.read()
    found = next(finding for finding in examine(examined) if finding.part == "bundle")
    assert (found.state, f"the installed bundle {entry} is used" in found.found) == (State.OK, True)
    (shelf.path(entry) / bundles.LABELS).write_text("5\n")
    found = next(finding for finding in examine(examined) if finding.part == "bundle")
    assert found.state is State.WARNING
    assert f"{entry} is left at the next start: " in found.found
    assert "xts 0.1.0" in found.found
    assert shelf.read() == before, "it changes nothing"


def test_a_fault_comes_before_a_warning_that_was_found_earlier(tmp_path: Path) -> None:
    config = Config(model=ModelConfig(bundle="xts"), voice=VoiceConfig(driver="wav", path=str(tmp_path / "said.wav")))
    no_pins = raising(HardwareError("button", Reason.MISSING, "no pins"))
    assert said(patient(tmp_path, config, button=no_pins)) == "2 problems found. The button does not work"


def test_warnings_alone_are_problems_and_no_failure(tmp_path: Path) -> None:
    board = FakeBoard()
    board.is_hot = True
    examined = patient(tmp_path, board=board)
    found = list(examine(examined))
    assert doctor.exit_code(found) == 0
    assert doctor.summary(examined, found) == "1 problem found. The computer is too hot and slows down"


def test_a_settings_file_with_mistakes_is_named_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    examined = patient(tmp_path, mistakes=("unknown key camera.drivr", "voice.volume = 900"))
    found = findings(examined)
    assert "camera.drivr" in found["configuration"].found
    assert "voice.volume" in found["configuration"].found
    assert found["camera"].state is State.OK
    assert doctor.exit_code(list(found.values())) == EXIT_CONFIG
    assert said(examined) == "1 problem found. The settings file has a mistake"


def test_what_is_hardly_meant_so_in_settings_and_secrets_is_a_warning(tmp_path: Path) -> None:
    examined = patient(tmp_path, remarks=("edge.toml is empty: every setting has its default",))
    found = findings(examined)["configuration"]
    assert (found.state, found.exit_code) == (State.WARNING, 0)
    assert "edge.toml is empty" in found.found
    assert said(examined) == "1 problem found"


def test_a_certificate_that_cannot_be_read_is_named_with_its_key(tmp_path: Path) -> None:
    settings = MqttConfig(enabled=True, tls=True, ca_file=str(tmp_path / "gone.pem"))
    config = Config(model=ModelConfig(bundle="xts"), mqtt=settings)
    examined = patient(tmp_path, config, probe_broker=lambda: mqtt.probe(settings, None))
    found = one(examined, "broker")
    assert (found.state, found.exit_code) == (State.FAULT, EXIT_CONFIG)
    assert f"mqtt.ca_file = '{tmp_path}/gone.pem'" in found.found


def with_key(file: Path) -> Config:
    settings = MqttConfig(enabled=True, tls=True, cert_file=str(file), key_file=str(file))
    return Config(model=ModelConfig(bundle="xts"), mqtt=settings)


def test_a_key_that_the_service_may_not_read_is_a_fault_even_where_root_may(tmp_path: Path) -> None:
    key = tmp_path / "device key.pem"
    key.write_text("")
    key.chmod(0o600)
    service = Account("saynote", os.getuid() + 1, frozenset([os.getgid() + 1]), is_me=False)
    found = one(patient(tmp_path, with_key(key), account=service), "broker")
    assert (found.state, found.exit_code) == (State.FAULT, EXIT_CONFIG)
    assert found.found == f"user saynote may not read mqtt.key_file = '{key}'"
    assert f"sudo chgrp saynote '{key}'" in found.to_do
    key.chmod(0o644)
    assert one(patient(tmp_path, with_key(key), account=service), "broker").state is State.OK


def test_a_key_that_is_not_there_is_named_by_who_would_use_it(tmp_path: Path) -> None:
    config = with_key(tmp_path / "gone.pem")
    found = one(patient(tmp_path, config, probe_broker=lambda: mqtt.probe(config.mqtt, None)), "broker")
    assert (found.state, found.exit_code) == (State.FAULT, EXIT_CONFIG)
    assert f"mqtt.cert_file = '{tmp_path}/gone.pem' cannot be used: there is no such file" in found.found


@pytest.mark.parametrize(
    ("username", "password", "words"),
    [("maker", "", "there is mqtt.username for the broker, and no password"),
     ("", "secret", "there is a password for the broker, and no mqtt.username"),
     ("maker", "secret", ""), ("", "", "")],
)  # fmt: skip
def test_half_an_account_at_the_broker_is_a_warning_that_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    username: str, password: str, words: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("SAYNOTE_MQTT_PASSWORD", password)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr(credentials, "OWNERS", tmp_path)
    file = tmp_path / "edge.toml"
    file.write_text(f'[mqtt]\nenabled = true\nport = 1\nusername = "{username}"\n[voice]\ndriver = "none"\n')
    doctor.run(argparse.Namespace(config=file, quiet=True, json=True, verbose=True))
    shown = capsys.readouterr()
    [found] = [one for one in json.loads(shown.out)["findings"] if one["part"] == "configuration"]
    assert found["state"] == ("warning" if words else "ok")
    assert words in found["found"]
    assert "secret" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("camera", "state", "words"),
    [
        (living(), State.OK, "96 x 72, 15.0 pictures a second"),
        (film([np.zeros((72, 96, 3), np.uint8)] * 60), State.WARNING, "covered"),
        (living(level=0.05), State.WARNING, "dark"),
        (living(per_s=5.0), State.WARNING, "5.0 pictures a second"),
        (film([scene(1)] * 60), State.FAULT, "same picture again and again"),
        (FakeCamera([]), State.FAULT, "no picture"),
        (FakeCamera([HardwareError("camera", Reason.STOPPED, "no frame for 5.0 s")]), State.FAULT, "no frame"),
    ],
    ids=["well", "covered", "dark", "slow", "frozen", "empty", "mute"],
)
def test_what_the_camera_gives_is_judged(tmp_path: Path, camera: FakeCamera, state: State, words: str) -> None:
    found = one(patient(tmp_path, camera=lambda: camera), "camera")
    assert found.state is state
    assert words in found.found
    assert camera.closed


def test_while_the_service_runs_its_devices_are_left_to_it(tmp_path: Path) -> None:
    held = HardwareError("speaker", Reason.BUSY, "held")
    found = findings(
        patient(
            tmp_path,
            service_runs=True,
            camera=raising(AssertionError()),
            button=raising(AssertionError()),
            speaker=raising(held),
        )
    )
    for part in ("camera", "sound", "button"):
        assert (found[part].state, found[part].found) == (State.SKIPPED, "used by the running service")


def test_a_recording_in_place_of_a_camera_is_worth_a_word(tmp_path: Path) -> None:
    config = Config(model=ModelConfig(bundle="xts"), camera=CameraConfig(driver="files", path="/films/one"))
    found = one(patient(tmp_path, config, sensor=False, camera=lambda: film([scene(1)] * 60)), "camera")
    assert found.state is State.WARNING
    assert "/films/one" in found.found


def test_a_sound_card_that_takes_nothing_is_found_out(tmp_path: Path) -> None:
    class Stuck(FakeSpeaker):
        """A card whose sound never ends."""

        def wait(self, timeout_s: float) -> bool:
            return False

    found = one(patient(tmp_path, speaker=Stuck), "sound")
    assert (found.state, found.exit_code) == (State.FAULT, EXIT_HARDWARE)


@pytest.mark.parametrize(("quiet", "loudest"), [(False, 1000), (True, 0)])
def test_the_sound_is_heard_unless_it_is_to_be_quiet(tmp_path: Path, quiet: bool, loudest: int) -> None:
    speaker = FakeSpeaker()
    assert one(patient(tmp_path, speaker=lambda: speaker, quiet=quiet), "sound").state is State.OK
    assert max(int(np.abs(heard.pcm.samples).max()) for heard in speaker.heard) >= loudest
    if quiet:
        assert not any(heard.pcm.samples.any() for heard in speaker.heard)


def test_the_summary_is_spoken_to_its_end(tmp_path: Path) -> None:
    speaker, synth = FakeSpeaker(), FakeSynth()
    examined = patient(tmp_path)
    text = said(examined)
    doctor.speak(patient(tmp_path, speaker=lambda: speaker, synth=lambda: synth), text)
    assert synth.texts[-1] == ("Everything works", "en")
    assert speaker.heard[-1].whole


def test_a_voice_that_is_missing_is_named_with_what_to_install(tmp_path: Path) -> None:
    error = HardwareError("speech", Reason.NOT_INSTALLED, "install it with: sudo apt install espeak-ng")
    found = one(patient(tmp_path, synth=raising(error)), "speech")
    assert found.state is State.FAULT
    assert "sudo apt install espeak-ng" in found.to_do


def test_a_language_without_a_catalogue_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    config = Config(model=ModelConfig(bundle="xts"), voice=VoiceConfig(language="tlh"))
    examined = patient(tmp_path, config)
    found = one(examined, "speech")
    assert found.exit_code == EXIT_CONFIG
    assert "tlh" in found.found
    assert said(examined).startswith("1 problem found"), "and it is said in English"


def test_what_is_switched_off_is_skipped(tmp_path: Path) -> None:
    config = Config(
        model=ModelConfig(bundle="xts"), voice=VoiceConfig(driver="none"), button=ButtonConfig(driver="none")
    )
    found = findings(patient(tmp_path, config, button=None))
    assert [part for part, finding in found.items() if finding.state is State.SKIPPED] == [
        *("runtime", "speech", "sound", "button", "broker")
    ]


def test_a_full_disk_and_one_that_cannot_be_written_are_two_things(tmp_path: Path) -> None:
    board = FakeBoard()
    board.free = 100_000
    full = one(patient(tmp_path, board=board), "disk")
    assert (full.state, "full" in full.found) == (State.FAULT, True)
    (tmp_path / "file").write_text("in the way")
    barred = one(patient(tmp_path, state=tmp_path / "file" / "state"), "disk")
    assert (barred.state, "cannot be written" in barred.found) == (State.FAULT, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"], "its trial leaves nothing behind"


@pytest.mark.parametrize(("mqtt", "state"), [(False, State.OK), (True, State.WARNING)])
def test_a_clock_that_is_not_set_matters_to_telemetry_only(tmp_path: Path, mqtt: bool, state: State) -> None:
    config = Config(model=ModelConfig(bundle="xts"), mqtt=MqttConfig(enabled=mqtt))
    unset = one(patient(tmp_path, config, synchronised=lambda: False), "clock")
    assert (unset.state, "no time server" in unset.found) == (state, True)
    unknown = one(patient(tmp_path, config, synchronised=lambda: None), "clock")
    assert (unknown.state, "nobody can tell" in unknown.found) == (state, True)
    assert one(patient(tmp_path, config), "clock").state is State.OK


def test_a_broker_is_asked_only_where_it_is_wanted_and_its_reason_is_named(tmp_path: Path) -> None:
    refuses = raising(TransientError("broker x:1883 refuses us: Not authorized"))
    assert one(patient(tmp_path, probe_broker=refuses), "broker").state is State.SKIPPED
    config = Config(model=ModelConfig(bundle="xts"), mqtt=MqttConfig(enabled=True))
    found = one(patient(tmp_path, config, probe_broker=refuses), "broker")
    assert (found.state, found.exit_code) == (State.FAULT, EXIT_TRANSIENT)
    assert "Not authorized" in found.found
    secret = raising(HardwareError("broker", Reason.DENIED, "only root may read the broker's password"))
    assert one(patient(tmp_path, config, probe_broker=secret), "broker").state is State.SKIPPED


def test_a_model_slower_than_the_camera_is_worth_a_word(tmp_path: Path) -> None:
    class Slow(FakeEngine):
        """Takes longer than a picture lasts."""

        def invoke(self, tensor: np.ndarray) -> list:  # type: ignore[type-arg]
            until_s = time.perf_counter() + 0.02
            while time.perf_counter() < until_s:
                pass
            return super().invoke(tensor)

    def slow(bundle: Bundle) -> FakeEngine:
        quick = fake_engine(bundle)
        return Slow(quick._script, quick.input_shape())

    config = Config(model=ModelConfig(bundle="xts"), camera=CameraConfig(frames_per_s=60.0))
    found = one(patient(tmp_path, config, engine=slow), "bundle")
    assert found.state is State.WARNING
    assert "model.threads" in found.to_do


def test_the_table_reads_well_aloud_and_the_data_hold_the_same(tmp_path: Path) -> None:
    no_card = raising(HardwareError("speaker", Reason.MISSING, "there is no sound card"))
    examined = patient(tmp_path, speaker=no_card)
    found = list(examine(examined))
    rows = [doctor.row(finding) for finding in found]
    assert all(row.isascii() and "|" not in row and "--" not in row.split("To do")[0] for row in rows)
    assert len({row.index(finding.found) for row, finding in zip(rows, found, strict=True)}) == 1, "it is aligned"
    data = json.loads(json.dumps(doctor.as_data(found, doctor.summary(examined, found))))
    assert data["exit_code"] == EXIT_HARDWARE
    assert data["summary"] == "1 problem found. The sound card does not work"
    [fault] = [entry for entry in data["findings"] if entry["state"] == "fault"]
    assert fault["part"] == "sound"
    assert fault["to_do"]


def test_nothing_is_left_open(tmp_path: Path) -> None:
    engines: list[FakeEngine] = []
    speakers: list[FakeSpeaker] = []

    def keep(bundle: Bundle) -> FakeEngine:
        engines.append(fake_engine(bundle))
        return engines[-1]

    def card() -> FakeSpeaker:
        speakers.append(FakeSpeaker())
        return speakers[-1]

    findings(patient(tmp_path, engine=keep, speaker=card))
    assert all(device.closed for device in [*engines, *speakers])


def test_a_board_that_knows_nothing_is_skipped(tmp_path: Path) -> None:
    board = FakeBoard(None, None)
    board.is_hot = board.is_weak = None
    assert one(patient(tmp_path, board=board), "board").state is State.SKIPPED


def test_missing_permissions_are_named_with_the_group(tmp_path: Path) -> None:
    examined = patient(tmp_path)

    class Barred:
        """An account that may open nothing."""

        name, is_me = "saynote", False

        def barred(self, pattern: str) -> list[Path]:
            return [tmp_path] if pattern.startswith("video") else []

    found = one(replace(examined, account=Barred()), "permissions")  # type: ignore[arg-type]
    assert found.exit_code == EXIT_HARDWARE
    assert f"saynote may not open {tmp_path}" in found.found
    assert "usermod -aG" in found.to_do


def test_a_release_whose_service_cannot_be_loaded_is_no_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installer asks the doctor of a new release before it switches to it."""
    monkeypatch.delitem(sys.modules, "edge.commands.run", raising=False)
    monkeypatch.delattr("edge.app")
    monkeypatch.setitem(sys.modules, "edge.app", None)
    with pytest.raises(ImportError, match="app"):
        doctor.run(argparse.Namespace(verbose=False, config=None, json=False, quiet=True))
