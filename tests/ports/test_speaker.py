"""What holds for every speaker."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Pcm
from edge.drivers.audio import LATENCY_S, PATIENT_S, SETTLES_S, STALLED_AFTER_S, STUTTERS, AudioSpeaker
from edge.drivers.fake import FakeClock, FakeSpeaker, SilentSpeaker
from edge.drivers.resample import resample
from edge.drivers.wav import GAP_S, WavSpeaker
from edge.ports import Speaker
from edge.settings import VoiceConfig
from tests.ports.standins import FakeSoundDevice

RATE_HZ = 22_050


def tone(seconds: float, level: int = 5000, rate_hz: int = RATE_HZ) -> Pcm:
    return Pcm(np.full(round(seconds * rate_hz), level, np.int16), rate_hz)


def read_wav(file: Path) -> tuple[np.ndarray, int]:
    with wave.open(str(file)) as opened:
        assert (opened.getnchannels(), opened.getsampwidth()) == (1, 2)
        return np.frombuffer(opened.readframes(opened.getnframes()), "<i2"), opened.getframerate()


@pytest.fixture(params=["fake", "silent", "wav", "audio"])
def speaker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Speaker]:
    make: dict[str, Callable[[], Speaker]] = {
        "fake": FakeSpeaker,
        "silent": SilentSpeaker,
        "wav": lambda: WavSpeaker(tmp_path / "out.wav"),
        "audio": lambda: AudioSpeaker(VoiceConfig(), backend=FakeSoundDevice()),
    }
    speaker = make[request.param]()
    yield speaker
    speaker.close()


@pytest.fixture
def card() -> FakeSoundDevice:
    return FakeSoundDevice()


@pytest.fixture
def audio(card: FakeSoundDevice) -> Iterator[AudioSpeaker]:
    speaker = AudioSpeaker(VoiceConfig(), backend=card)
    yield speaker
    speaker.close()


def test_nothing_plays_at_first(speaker: Speaker) -> None:
    assert speaker.wait(0.0)


def test_a_phrase_comes_to_its_end(speaker: Speaker) -> None:
    speaker.play(tone(0.2))
    assert speaker.wait(10.0)


def test_the_next_phrase_may_come_before_the_last_has_ended(speaker: Speaker) -> None:
    speaker.play(tone(60))
    speaker.play(tone(0.1))
    assert speaker.wait(10.0)


def test_after_stop_nothing_plays(speaker: Speaker) -> None:
    speaker.play(tone(60))
    speaker.stop()
    assert speaker.wait(0.0)


def test_another_rate_and_no_samples_at_all_are_welcome(speaker: Speaker) -> None:
    for pcm in (tone(0.1, rate_hz=16_000), tone(0.1, rate_hz=48_000), Pcm(np.zeros(0, np.int16), RATE_HZ)):
        speaker.play(pcm)
        assert speaker.wait(10.0)


def test_it_may_be_closed_twice(speaker: Speaker) -> None:
    speaker.close()
    speaker.close()


@pytest.mark.parametrize("speaker", ["fake", "wav", "audio"], indirect=True)
def test_a_closed_speaker_says_so(speaker: Speaker) -> None:
    speaker.close()
    with pytest.raises(HardwareError) as caught:
        speaker.play(tone(0.1))
    assert (caught.value.device, caught.value.reason) == ("speaker", Reason.STOPPED)


@pytest.mark.parametrize("speaker", ["fake", "wav", "audio"], indirect=True)
def test_a_look_at_it_tells_whether_it_is_still_there(speaker: Speaker) -> None:
    speaker.check()
    speaker.close()
    with pytest.raises(HardwareError) as caught:
        speaker.check()
    assert (caught.value.device, caught.value.reason) == ("speaker", Reason.STOPPED)


@pytest.mark.parametrize("speaker", ["fake", "audio"], indirect=True)
def test_waiting_gives_up_when_told(speaker: Speaker) -> None:
    speaker.play(tone(60))
    assert not speaker.wait(0.01)


# The sound card


def test_the_card_hears_every_sample_once(audio: AudioSpeaker, card: FakeSoundDevice) -> None:
    ramp = Pcm(np.arange(1, 8001, dtype=np.int16), RATE_HZ)
    audio.play(ramp)
    assert audio.wait(10.0)
    assert np.array_equal(card.streams[0].sound(), ramp.samples)


def test_both_channels_hear_the_same(audio: AudioSpeaker, card: FakeSoundDevice) -> None:
    audio.play(tone(0.1))
    audio.wait(10.0)
    assert all(block.shape[1] == 2 and np.array_equal(block[:, 0], block[:, 1]) for block in card.streams[0].heard)


def test_a_cut_off_phrase_is_not_heard_again(audio: AudioSpeaker, card: FakeSoundDevice) -> None:
    card.streams[0].pause()
    audio.play(tone(60, level=1))
    audio.play(tone(0.1, level=2))
    card.streams[0].go_on()
    assert audio.wait(10.0)
    assert set(np.unique(card.streams[0].sound())) <= {1, 2}
    assert np.count_nonzero(card.streams[0].sound() == 2) == len(tone(0.1).samples)
    assert np.count_nonzero(card.streams[0].sound() == 1) < RATE_HZ


def test_the_stream_stays_open_and_silent_between_phrases(audio: AudioSpeaker, card: FakeSoundDevice) -> None:
    for _ in range(2):
        audio.play(tone(0.05))
        audio.wait(10.0)
    assert len(card.streams) == 1


def test_a_card_that_cannot_speak_at_22050_gets_its_own_rate() -> None:
    card = FakeSoundDevice(rates=(48_000,))
    speaker = AudioSpeaker(VoiceConfig(), backend=card)
    speaker.play(tone(0.5))
    assert speaker.wait(10.0)
    speaker.close()
    assert card.streams[0].settings["samplerate"] == 48_000
    assert len(card.streams[0].sound()) == 24_000


def test_the_card_is_chosen_by_a_part_of_its_name(card: FakeSoundDevice) -> None:
    AudioSpeaker(VoiceConfig(device="usb"), backend=card).close()
    assert card.streams[0].settings["device"] == 2


def test_a_card_plugged_in_later_is_found(card: FakeSoundDevice) -> None:
    card.plug((1, "bcm2835 Headphones"), (3, "Fancy DAC"))
    AudioSpeaker(VoiceConfig(device="fancy"), backend=card).close()
    assert card.opened == ["Fancy DAC"]


def reopened(card: FakeSoundDevice, device: str, *cards: tuple[int, str]) -> str:
    """The card that is opened after the one in use was pulled out and `cards` are what is there."""
    first = AudioSpeaker(VoiceConfig(device=device), backend=card)
    card.streams[-1].die()
    card.plug(*cards)
    first.close()
    AudioSpeaker(VoiceConfig(device=device), backend=card).close()
    return card.opened[-1]


def test_a_card_that_comes_back_under_another_number_is_found(card: FakeSoundDevice) -> None:
    assert reopened(card, "usb", (1, "bcm2835 Headphones"), (5, "USB Audio Device")) == "USB Audio Device"


def test_another_card_under_the_old_number_is_not_taken_for_it(card: FakeSoundDevice) -> None:
    assert reopened(card, "usb", (2, "HDMI"), (3, "USB Audio Device")) == "USB Audio Device"


def test_the_default_card_comes_back_under_another_number_too(card: FakeSoundDevice) -> None:
    assert reopened(card, "", (7, "bcm2835 Headphones")) == "bcm2835 Headphones"


def test_a_portaudio_that_does_not_start_is_tried_again(card: FakeSoundDevice) -> None:
    card.no_start = card.PortAudioError("Error initializing PortAudio")
    for _ in range(2):
        with pytest.raises(HardwareError, match="PortAudio does not start") as caught:
            AudioSpeaker(VoiceConfig(), backend=card)
        assert caught.value.reason is Reason.BROKEN
    card.no_start = None
    AudioSpeaker(VoiceConfig(), backend=card).close()


ALSA_CARD = (
    'pcm.{0} {{ type file slave.pcm "null" file "/dev/null" format raw hint {{ show on description "USB" }} }}\n'
)


def test_real_portaudio_finds_a_card_that_comes_back_under_another_number(tmp_path: Path) -> None:
    """In a process of its own: PortAudio reads the configuration of ALSA from where it is first told."""
    if not Path("/usr/share/alsa/alsa.conf").exists():
        pytest.skip("install libasound2-data to run this test")
    settings = tmp_path / "alsa.conf"
    settings.write_text("</usr/share/alsa/alsa.conf>\n" + ALSA_CARD.format("usb_hw1"))
    program = f"""
import os, pathlib
from edge.settings import VoiceConfig
from edge.drivers.audio import AudioSpeaker
first = AudioSpeaker(VoiceConfig(device="usb"))
settings = pathlib.Path({str(settings)!r})
settings.write_text(settings.read_text().replace("usb_hw1", "usb_hw22"))
os.utime(settings, (1, 1))  # ALSA looks at the file's time
first.close()
AudioSpeaker(VoiceConfig(device="usb")).close()
"""
    environment = {**os.environ, "ALSA_CONFIG_PATH": str(settings), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if "PortAudio is missing" in done.stderr:
        pytest.skip("install libportaudio2 to run this test")
    assert done.returncode == 0, done.stderr


def test_a_card_that_vanishes_while_it_sounds_is_noticed_without_another_sound(
    audio: AudioSpeaker, card: FakeSoundDevice
) -> None:
    audio.play(tone(60))
    audio.check()
    card.streams[0].die()
    with pytest.raises(HardwareError, match="the sound card is gone"):
        audio.check()


def test_an_unknown_card_is_missing_and_the_known_ones_are_named(card: FakeSoundDevice) -> None:
    with pytest.raises(HardwareError, match=r"no sound card is called 'gold'.*USB Audio Device") as caught:
        AudioSpeaker(VoiceConfig(device="gold"), backend=card)
    assert caught.value.reason is Reason.MISSING


def test_a_card_that_was_pulled_out_is_noticed(audio: AudioSpeaker, card: FakeSoundDevice) -> None:
    audio.play(tone(60))
    card.streams[0].die()
    assert audio.wait(10.0)
    with pytest.raises(HardwareError) as caught:
        audio.play(tone(0.1))
    assert caught.value.reason is Reason.STOPPED


def test_a_card_that_stands_still_is_noticed(card: FakeSoundDevice) -> None:
    clock = FakeClock()
    speaker = AudioSpeaker(VoiceConfig(), backend=card, clock=clock)
    card.streams[0].die()
    speaker._dead = False  # the driver below us said nothing
    clock.advance(STALLED_AFTER_S + 0.1)
    with pytest.raises(HardwareError, match="takes no more samples"):
        speaker.play(tone(0.1))


def stuttering(card: FakeSoundDevice) -> AudioSpeaker:
    """A speaker that has been open for a while."""
    clock = FakeClock()
    speaker = AudioSpeaker(VoiceConfig(), backend=card, clock=clock)
    card.streams[0].starve(STUTTERS)  # at its start that is no news
    clock.advance(SETTLES_S + 0.1)
    return speaker


def test_the_buffer_of_a_card_is_short(card: FakeSoundDevice) -> None:
    AudioSpeaker(VoiceConfig(), backend=card).close()
    assert card.streams[0].settings["latency"] <= 0.03


def test_a_card_that_stutters_gets_a_longer_buffer_between_two_phrases_and_that_is_logged_once(
    card: FakeSoundDevice, caplog: pytest.LogCaptureFixture
) -> None:
    speaker = stuttering(card)
    speaker.play(tone(60))
    card.streams[0].starve(STUTTERS)
    speaker.check()
    assert len(card.streams) == 1, "what sounds is not cut off"
    speaker.stop()
    speaker.check()
    assert [stream.settings["latency"] for stream in card.streams] == [LATENCY_S, PATIENT_S]
    assert card.opened[0] == card.opened[1]
    speaker.play(tone(0.1))
    assert speaker.wait(10.0)
    assert len(card.streams[1].sound()) == len(tone(0.1).samples)
    card.streams[1].starve(10 * STUTTERS)
    speaker.check()
    speaker.close()
    assert len(card.streams) == 2
    assert caplog.text.count("the sound card stutters") == 1


def test_a_card_that_stutters_less_often_keeps_its_buffer(card: FakeSoundDevice) -> None:
    speaker = stuttering(card)
    card.streams[0].starve(STUTTERS - 1)
    speaker.check()
    speaker.close()
    assert len(card.streams) == 1


def test_a_card_that_cannot_be_opened_again_is_gone(card: FakeSoundDevice) -> None:
    speaker = stuttering(card)
    card.streams[0].starve(STUTTERS)
    card.refuse = card.PortAudioError("Error opening OutputStream", -9985)
    with pytest.raises(HardwareError) as caught:
        speaker.check()
    assert caught.value.reason is Reason.BUSY
    with pytest.raises(HardwareError, match="gone"):
        speaker.check()
    speaker.close()


WHISPER_MS = 300
WHISPER = WHISPER_MS * RATE_HZ // 1000


def led_in(card: FakeSoundDevice) -> AudioSpeaker:
    return AudioSpeaker(VoiceConfig(lead_in_ms=WHISPER_MS), backend=card)


def test_a_card_that_sleeps_is_woken_by_noise_that_nobody_hears(card: FakeSoundDevice) -> None:
    speaker = led_in(card)
    for _ in range(2):
        speaker.play(tone(0.1))
        assert speaker.wait(10.0)
    speaker.close()
    samples = np.concatenate([block[:, 0] for block in card.streams[0].heard])
    words = np.flatnonzero(samples == 5000)
    assert len(words) == 2 * len(tone(0.1).samples)
    before = samples[words[0] - WHISPER : words[0]]
    assert np.count_nonzero(before) > WHISPER / 2, "zeros wake nobody"
    assert np.abs(before.astype(int)).max() <= 3
    second = words[len(words) // 2]
    assert np.count_nonzero(samples[second - WHISPER : second]) > WHISPER / 2, "it has slept again"


def test_a_phrase_that_cuts_off_another_waits_for_no_lead_in(card: FakeSoundDevice) -> None:
    speaker = led_in(card)
    speaker.play(tone(60, level=1000))
    card.streams[0].until_heard(1000)
    speaker.play(tone(0.1))
    assert speaker.wait(10.0)
    speaker.close()
    samples = card.streams[0].sound()
    last_of_first, first_of_second = np.flatnonzero(samples == 1000)[-1], np.flatnonzero(samples == 5000)[0]
    assert first_of_second == last_of_first + 1


def test_a_phrase_cut_off_before_its_first_word_hands_on_what_is_left_of_the_lead_in(card: FakeSoundDevice) -> None:
    speaker = led_in(card)
    card.streams[0].pause()
    speaker.play(tone(0.5, level=1000))
    speaker.play(tone(0.1))
    card.streams[0].go_on()
    assert speaker.wait(10.0)
    speaker.close()
    samples = np.concatenate([block[:, 0] for block in card.streams[0].heard])
    first = np.flatnonzero(samples == 5000)[0]
    assert 1000 not in samples
    assert np.count_nonzero(samples[max(0, first - WHISPER) : first]) > WHISPER / 2


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [(-9985, Reason.BUSY, "another program holds bcm2835 Headphones"), (-9999, Reason.BROKEN, "cannot be opened")],
)
def test_a_card_held_by_another_program_is_told_from_a_broken_one(
    card: FakeSoundDevice, code: int, reason: Reason, words: str
) -> None:
    card.refuse = card.PortAudioError("Error opening OutputStream", code)
    with pytest.raises(HardwareError, match=words) as caught:
        AudioSpeaker(VoiceConfig(), backend=card)
    assert caught.value.reason is reason


def test_a_machine_without_a_card_says_so() -> None:
    try:
        AudioSpeaker(VoiceConfig()).close()
    except HardwareError as error:
        assert error.device == "speaker"  # noqa: PT017 -- with a card there is no error
        assert error.reason in {Reason.MISSING, Reason.NOT_INSTALLED}  # noqa: PT017
    else:
        pytest.skip("there is a sound card: run this where there is none")


@pytest.mark.hardware
def test_a_real_card_plays_to_the_end() -> None:
    try:
        speaker = AudioSpeaker(VoiceConfig())
    except HardwareError as error:
        pytest.skip(f"connect a sound card and try again: {error}")
    speaker.play(tone(0.5, level=2000))
    assert speaker.wait(5.0)
    speaker.close()


# The file


def test_the_file_is_whole_before_during_and_after(tmp_path: Path) -> None:
    file = tmp_path / "out.wav"
    speaker = WavSpeaker(file)
    assert len(read_wav(file)[0]) == 0
    speaker.play(tone(0.1, level=1))
    assert len(read_wav(file)[0]) == len(tone(0.1).samples)
    speaker.play(tone(0.2, level=2))
    samples, rate_hz = read_wav(file)
    gap = int(GAP_S * RATE_HZ)
    assert rate_hz == RATE_HZ
    assert samples.tolist() == [1] * 2205 + [0] * gap + [2] * 4410
    speaker.close()


def test_the_first_phrase_sets_the_rate_of_the_file(tmp_path: Path) -> None:
    speaker = WavSpeaker(tmp_path / "out.wav")
    speaker.play(tone(0.1, rate_hz=16_000))
    speaker.play(tone(0.1, rate_hz=48_000))
    samples, rate_hz = read_wav(tmp_path / "out.wav")
    assert rate_hz == 16_000
    assert len(samples) == 1600 + int(GAP_S * 16_000) + 1600
    speaker.close()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"nowhere/out\.wav") as caught:
        WavSpeaker(tmp_path / "nowhere" / "out.wav")
    assert caught.value.device == "speaker"


# The fake and the change of rate


def test_the_fake_knows_what_was_heard_and_when() -> None:
    speaker = FakeSpeaker(FakeClock(10.0))
    speaker.play(tone(2.0))
    speaker.clock.advance(0.5)
    speaker.play(tone(1.0))
    assert speaker.wait(5.0)
    assert [(heard.from_s, heard.until_s, heard.whole) for heard in speaker.heard] == [
        (10.0, 10.5, False),
        (10.5, 11.5, True),
    ]
    assert speaker.clock.now_s() == 11.5


def test_the_fake_fails_when_told() -> None:
    speaker = FakeSpeaker()
    speaker.fail = HardwareError("speaker", Reason.STOPPED, "told to")
    with pytest.raises(HardwareError, match="told to"):
        speaker.play(tone(0.1))
    assert speaker.heard == []


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_a_new_rate_keeps_length_pitch_and_loudness(rate_hz: int) -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    sine = Pcm((10_000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16), RATE_HZ)
    samples = resample(sine, rate_hz)
    wanted = 10_000 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    assert len(samples) == rate_hz
    assert np.abs(samples[: rate_hz // 2] - wanted[: rate_hz // 2]).max() < 50


def test_the_same_rate_costs_nothing() -> Any:
    pcm = tone(0.1)
    assert resample(pcm, RATE_HZ) is pcm.samples
