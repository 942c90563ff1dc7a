"""What holds for every synthesiser."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from edge.core.errors import ConfigError, HardwareError, Reason
from edge.drivers.espeak import EspeakSynth
from edge.drivers.fake import FakeSynth
from edge.ports import Synth
from edge.settings import VoiceConfig

ESPEAK = pytest.param("espeak", marks=pytest.mark.integration)
AWKWARD = ["पाँच सौ रुपये", "-h", "--voices", "<b>five</b> & more", "\"five\" 'hundred' $(ls)", "[[h@l@U]]", "a\0b\nc"]


def espeak(**settings: Any) -> EspeakSynth:
    try:
        return EspeakSynth(VoiceConfig(**settings))
    except HardwareError as error:
        if error.reason is Reason.NOT_INSTALLED:
            pytest.skip(str(error))
        raise


@pytest.fixture(params=["fake", ESPEAK])
def synth(request: pytest.FixtureRequest) -> Synth:
    return FakeSynth() if request.param == "fake" else espeak()


def test_speech_is_mono_and_not_silent(synth: Synth) -> None:
    pcm = synth.render("five hundred rupees", "en")
    assert pcm.samples.dtype == np.int16
    assert pcm.samples.ndim == 1
    assert pcm.rate_hz >= 16_000
    assert 0.5 < pcm.seconds < 5
    assert np.abs(pcm.samples).max() > 1000


def test_the_same_text_sounds_the_same_and_another_does_not(synth: Synth) -> None:
    first, again, other = (synth.render(text, "en").samples for text in ("fifty", "fifty", "sixty"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("text", AWKWARD)
def test_no_text_is_taken_for_anything_but_text(synth: Synth, text: str) -> None:
    assert np.abs(synth.render(text, "hi").samples).max() > 1000


def test_nothing_to_say_is_no_error(synth: Synth) -> None:
    assert synth.render("", "en").seconds < 0.5


def test_a_language_without_a_voice_is_never_spoken_in_another(synth: Synth) -> None:
    with pytest.raises(HardwareError) as caught:
        synth.render("fifty", "zz")
    assert (caught.value.device, caught.value.reason) == ("speech", Reason.MISSING)
    assert "zz" in caught.value.detail


def test_several_threads_may_render_at_once(synth: Synth) -> None:
    texts = [f"{number} rupees" for number in range(12)]
    alone = [synth.render(text, "en").samples for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: synth.render(text, "en").samples, texts))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_the_version_names_the_program(synth: Synth) -> None:
    name, version = synth.version().split()
    assert name in {"fake", "espeak-ng"}
    assert version[0].isdigit()


@pytest.mark.integration
@pytest.mark.parametrize("language", ["en", "hi", "en-IN", "pt_BR", "zh", "fr"])
def test_languages_are_found_under_the_names_that_people_use(language: str) -> None:
    assert espeak(language=language).render("500", language).seconds > 0.3


@pytest.mark.integration
def test_an_unknown_language_in_the_configuration_is_found_at_once() -> None:
    with pytest.raises(HardwareError, match="no voice for 'klingonese'"):
        espeak(language="klingonese")


@pytest.mark.integration
@pytest.mark.parametrize("variant", ["f3", "whisperf", "Mr serious"])
def test_a_variant_is_another_speaker(variant: str) -> None:
    usual, other = (espeak(language="hi", variant=name).render("500", "hi").samples for name in ("", variant))
    assert not np.array_equal(usual, other)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("variant", "hint"),
    [
        ("f33", "did you mean f3"),
        ("F3", "did you mean f3"),
        ("female3", "lists them"),
        ("f3 ", "did you mean f3"),
        ("f3+m2", "lists them"),
        ("../en", "lists them"),
    ],
)
def test_a_variant_that_espeak_would_silently_leave_out_is_refused(variant: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=r"voice\.variant: .* has no variant") as caught:
        espeak(variant=variant)
    assert hint in str(caught.value)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("language", "written", "meant"),
    [
        (
            "ar",
            "\u0645\u064e\u0631\u064e\u0651\u0629",
            "\u0645\u064e\u0631\u0651\u064e\u0647",
        ),  # marra: r doubled, h last
        ("ar", "\u0643\u064f\u0644\u0650\u0651", "\u0643\u064f\u0644\u0651\u0650"),  # kulli
        ("bn", "\u0998\u09a1\u09bc\u09bf", "\u0998\u09dc\u09bf"),  # ghari
        ("bn", "\u09b9\u09af\u09bc\u09c7", "\u09b9\u09df\u09c7"),  # haye
    ],
)
def test_marks_are_read_in_whatever_order_unicode_has_them(language: str, written: str, meant: str) -> None:
    synth = espeak(language=language)
    first, second = (synth.render(text, language).samples for text in (written, meant))
    np.testing.assert_array_equal(first, second)


@pytest.mark.integration
def test_the_voice_follows_its_settings() -> None:
    def loudness(pcm: Any) -> float:
        return float(np.abs(pcm.samples.astype(int)).mean())

    plain = espeak().render("five hundred", "en")
    assert espeak(words_per_minute=300).render("five hundred", "en").seconds < 0.8 * plain.seconds
    assert loudness(espeak(volume=30).render("five hundred", "en")) < 0.6 * loudness(plain)
    assert not np.array_equal(espeak(pitch=90).render("five hundred", "en").samples, plain.samples)


def test_a_machine_without_espeak_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HardwareError, match="sudo apt install espeak-ng") as caught:
        EspeakSynth(VoiceConfig())
    assert caught.value.reason is Reason.NOT_INSTALLED


@pytest.mark.integration
def test_a_text_that_no_process_takes_is_an_error_not_a_traceback() -> None:
    with pytest.raises(HardwareError) as caught:
        espeak().render("five " * 100_000, "en")
    assert caught.value.reason is Reason.BROKEN


def test_the_fake_remembers_and_fails_when_told() -> None:
    synth = FakeSynth()
    synth.render("fifty", "en")
    assert synth.texts == [("fifty", "en")]
    synth.fail = HardwareError("speech", Reason.BROKEN, "told to")
    with pytest.raises(HardwareError, match="told to"):
        synth.render("sixty", "en")
