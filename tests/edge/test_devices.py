from __future__ import annotations

from pathlib import Path

import pytest

from edge.core.errors import HardwareError, Reason
from edge.devices import once, open_speaker, open_synth, page, parts, say
from edge.drivers.fake import FakeSpeaker, FakeSynth, SilentSpeaker
from edge.drivers.files import FilesCamera
from edge.drivers.wav import WavSpeaker
from edge.settings import ButtonConfig, CameraConfig, Config, LightConfig, PulsesConfig, VoiceConfig

FILES = CameraConfig(driver="files", path="edge/replays/xts")


def test_what_is_not_wanted_cannot_be_opened() -> None:
    bare = parts(Config(camera=FILES, button=ButtonConfig(driver="none")))
    assert (bare.button, bare.pulser, bare.light, bare.sensor) == (None, None, None, False)
    full = parts(Config(pulses=PulsesConfig(driver="gpio"), light=LightConfig(driver="gpio")))
    assert full.button is not None
    assert full.pulser is not None
    assert full.light is not None
    assert full.sensor


def test_each_driver_is_the_one_that_was_named(tmp_path: Path) -> None:
    camera = parts(Config(camera=FILES)).camera()
    assert isinstance(camera, FilesCamera)
    camera.close()
    wav = open_speaker(VoiceConfig(driver="wav", path=str(tmp_path / "said.wav")))
    assert isinstance(wav, WavSpeaker)
    wav.close()
    silent = VoiceConfig(driver="none")
    assert isinstance(open_speaker(silent), SilentSpeaker)
    assert isinstance(open_synth(silent), FakeSynth)


def test_what_was_opened_to_see_whether_it_is_there_is_used_before_it_is_opened_anew() -> None:
    again = iter([2, 3])
    give = once(1, lambda: next(again))
    assert [give(), give(), give()] == [1, 2, 3]


def test_a_text_is_spoken_to_its_end_and_the_card_let_go() -> None:
    speaker = FakeSpeaker()
    say(FakeSynth(), lambda: speaker, "Can you hear me?", "en")
    assert [heard.whole for heard in speaker.heard] == [True]
    assert speaker.closed


def test_a_card_that_refuses_the_text_is_let_go_too() -> None:
    speaker = FakeSpeaker()
    speaker.fail = HardwareError("speaker", Reason.BUSY, "in use")
    with pytest.raises(HardwareError, match="in use"):
        say(FakeSynth(), lambda: speaker, "Can you hear me?", "en")
    assert speaker.closed


def test_the_page_is_there_with_all_that_it_asks_for() -> None:
    files = page()
    kind, content = files["/"]
    assert kind.startswith("text/html")
    for path in files:
        assert path in ("/", "/index.html") or path.removeprefix("/").encode() in content or path.endswith(".svg")
