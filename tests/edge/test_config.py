from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from edge.config import EXTRAS, load, load_to_run, parse, read, read_from
from edge.core.errors import ConfigError
from edge.settings import Config


def problems(raw: dict[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    return caught.value.problems


def test_an_empty_file_is_the_defaults() -> None:
    assert parse({}) == Config()


def test_every_mistake_is_shown_at_once() -> None:
    found = problems({"camera": {"widht_px": 640, "index": -1}, "voise": {}, "button": {"pin": "seventeen"}})
    assert len(found) == 4
    assert any("did you mean camera.width_px?" in line for line in found)
    assert any("did you mean voice?" in line for line in found)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"camera": {"driver": "files"}}, "needs camera.path"),
        ({"voice": {"driver": "wav"}}, "needs voice.path"),
        ({"button": {"long_after_s": 5.0}}, "very_long_after_s"),
        ({"mqtt": {"prefix": "a/#"}}, "mqtt.prefix"),
        ({"pulses": {"driver": "gpio", "pin": 17}}, "pulses.pin and button.pin are both 17"),
        (
            {"pulses": {"driver": "gpio"}, "light": {"driver": "gpio", "pin": 27}},
            "light.pin and pulses.pin are both 27",
        ),
        ({"pulses": {"long_s": 0.2}}, "pulses.long_s must be at least twice"),
        ({"pulses": {"pause_s": 0.3}}, "pulses.pause_s must be at least twice"),
        ({"pulses": {"codes": {"100": "..x"}}}, "pulses.codes"),
        ({"pulses": {"codes": {"100": 0}}}, "pulses.codes"),
        ({"voice": {"lead_in_ms": -1}}, "voice.lead_in_ms"),
        ({"camera": 3}, "[camera]"),
        ({"camera": {"stalled_after_s": 60.0}}, "stalled_after_s"),
        ({"voice": {"volume": True}}, "volume"),
        ({"model": {"bundle": []}}, "names 0 bundles"),
        ({"model": {"bundle": list("abcde")}}, "names 5 bundles: it must name 1 to 4"),
        ({"model": {"bundle": ["inr", "xts", "inr"]}}, "model.bundle names 'inr' twice"),
        ({"model": {"bundle": ["inr", ""]}}, "it must not be empty"),
        ({"model": {"bundle": ["inr", "x\ny"]}}, "it must be one line"),
        ({"model": {"bundle": ["inr", 3]}}, "model.bundle"),
        ({"model": {"bundle": ["inr", "xts"]}, "pulses": {"driver": "gpio"}}, "the same pulses would mean"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(raw: dict[str, object], words: str) -> None:
    assert any(words in line for line in problems(raw))


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")
    (tmp_path / "bad.toml").write_text("[camera\n")
    with pytest.raises(ConfigError, match=r"bad\.toml is not TOML"):
        load(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bad\.toml cannot be read"):
        load(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"camera": {"driver": "Webcam"}}, "camera.driver = 'Webcam': it must be one of picamera, webcam, files"),
        ({"mqtt": {"device_id": "till/3"}}, "mqtt.device_id = 'till/3'"),
        ({"health": {"interval_s": float("inf")}}, "health.interval_s"),
        ({"button": {"debounce_s": float("nan")}}, "button.debounce_s"),
        ({"camera": {"frames_per_s": "15"}}, "camera.frames_per_s"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_can(raw: dict[str, object], words: str) -> None:
    assert any(line.startswith(words) for line in problems(raw))


def test_a_file_written_by_an_editor_that_marks_unicode_is_read(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_bytes(b"\xef\xbb\xbf[voice]\r\nvolume = 80\r\n")
    assert load(tmp_path / "edge.toml").voice.volume == 80


def test_a_whole_number_does_where_seconds_are_asked_for() -> None:
    assert parse({"camera": {"frames_per_s": 10}}).camera.frames_per_s == 10.0


def test_pins_of_what_is_not_used_clash_with_nothing() -> None:
    assert parse({"pulses": {"pin": 17}, "light": {"pin": 17}}).pulses.pin == 17
    parse({"button": {"driver": "keyboard"}, "pulses": {"driver": "gpio", "pin": 17}})


def test_pulse_codes_are_numbers_or_signs() -> None:
    codes = parse({"pulses": {"codes": {"100": 4, "500": ".-.-"}}}).pulses.codes
    assert codes == {"100": 4, "500": ".-.-"}


@pytest.mark.parametrize("content", [b"", b"\n \t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_an_empty_file_runs_with_the_defaults_and_that_is_said(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "edge.toml").write_bytes(content)
    assert load(tmp_path / "edge.toml") == Config()
    assert f"{tmp_path}/edge.toml is empty: every setting has its default" in caplog.text
    assert read(tmp_path / "edge.toml").remarks


@pytest.mark.parametrize("content", ["# nothing is changed here\n", "[voice]\n", "[voice]\nvolume = 100\n"])
def test_a_file_in_which_somebody_wrote_something_is_not_empty(tmp_path: Path, content: str) -> None:
    (tmp_path / "edge.toml").write_text(content)
    assert read(tmp_path / "edge.toml").remarks == ()


def test_a_certificate_without_encryption_is_hardly_meant_so(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text('[mqtt]\nenabled = true\nca_file = "/etc/ssl/ca.pem"\n')
    [remark] = read(tmp_path / "edge.toml").remarks
    assert "nothing is encrypted" in remark


@pytest.mark.parametrize(("there", "missing"), [("cert_file", "key_file"), ("key_file", "cert_file")])
def test_a_certificate_without_its_key_is_a_mistake_of_telemetry_alone(
    tmp_path: Path, there: str, missing: str
) -> None:
    (tmp_path / "edge.toml").write_text(f'[mqtt]\nenabled = true\ntls = true\n{there} = "/etc/ssl/own.pem"\n')
    config, [sentence] = load_to_run(tmp_path / "edge.toml")
    assert f"mqtt.{there} needs mqtt.{missing}" in sentence
    assert not config.mqtt.enabled


def test_a_certificate_of_our_own_without_encryption_is_hardly_meant_so(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text('[mqtt]\nenabled = true\ncert_file = "/a.pem"\nkey_file = "/a.key"\n')
    reading = read(tmp_path / "edge.toml")
    assert reading.problems == []
    assert [remark.partition(" ")[0] for remark in reading.remarks] == ["mqtt.cert_file", "mqtt.key_file"]


def test_what_is_right_in_a_file_with_mistakes_can_still_be_used(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text('[voice]\ndevice = "USB"\nlanguage = "hindi"\n[mqtt]\nport = 0\n')
    reading = read_from(tmp_path / "edge.toml")
    assert reading.config.voice.device == "USB"
    assert (reading.config.voice.language, reading.config.mqtt.port) == ("en", 1883)
    assert len(reading.problems) == 2


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ("mqtt", "port = 0"),
        ("mqtt", 'hots = "broker.local"'),
        ("mqtt", 'prefix = "+"'),
        ("web", 'address = "example..com"'),
        ("web", "port = 8737.5"),
        ("capture", "keep_days = -1"),
    ],
)
def test_a_mistake_in_an_extra_takes_only_that_away(tmp_path: Path, table: str, mistake: str) -> None:
    right = "".join(f"[{name}]\nenabled = true\n" + (f"{mistake}\n" if name == table else "") for name in EXTRAS)
    (tmp_path / "edge.toml").write_text(f'[voice]\nlanguage = "de"\n{right}')
    config, [sentence] = load_to_run(tmp_path / "edge.toml")
    assert sentence
    assert config.voice.language == "de"
    assert [name for name in EXTRAS if not getattr(config, name).enabled] == [table]
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        load(tmp_path / "edge.toml")


def test_what_is_told_to_a_broker_that_cannot_be_waits_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text('[mqtt]\nenabled = true\nhost = "mqtt://broker.local"\n')
    config, [sentence] = load_to_run(tmp_path / "edge.toml")
    assert config.mqtt.enabled
    assert sentence.startswith("mqtt.host = 'mqtt://broker.local': ")


@pytest.mark.parametrize("vital", ["[voice]\nvolume = 999\n", '[camera]\ndriver = "files"\n', "[mqt]\n", "mqtt = 1\n["])
def test_a_mistake_beside_that_of_an_extra_still_ends_the_device(tmp_path: Path, vital: str) -> None:
    (tmp_path / "edge.toml").write_text(f"[web]\nport = -1\n{vital}")
    with pytest.raises(ConfigError):
        load_to_run(tmp_path / "edge.toml")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = " + b"[" * 30_000, "is not TOML"),
        (b"a = " + b"9" * 10_000, "is not TOML"),
        (b"\0" * 4096, "is not TOML"),
        (b"#" * (2 << 20), "it is larger than 64 KB"),
        (b"camera" + b".a" * 30_000 + b" = 1", "is not TOML: it holds tables within tables"),
        (b"[voice]\nvolume = 80\n[voice]\n", "is not TOML"),
        ("ü = 1".encode("latin-1"), "cannot be read"),
    ],
)
def test_a_file_that_is_no_settings_is_refused_in_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "edge.toml").write_bytes(content)
    [problem] = read(tmp_path / "edge.toml").problems
    assert words in problem
    assert len(problem) < 300


def test_what_is_no_file_is_no_settings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("a\0b"), tmp_path / ("x" * 300)):
        [problem] = read(path).problems
        assert "cannot be read" in problem


def test_a_name_that_nobody_looks_up_may_be_anything() -> None:
    assert parse({"mqtt": {"host": "mqtt://x"}, "web": {"address": ""}}).mqtt.host == "mqtt://x"
    for raw in ({"mqtt": {"host": "", "enabled": True}}, {"mqtt": {"host": "broker..local", "enabled": True}}):
        assert problems(raw)[0].startswith("mqtt.host = ")
    for address in ("", "example..com", "http://x"):
        assert problems({"web": {"address": address, "enabled": True}})[0].startswith("web.address = ")


def test_a_bundle_is_named_alone_or_in_a_list_of_several() -> None:
    assert parse({"model": {"bundle": "xts"}}).model.bundles == ("xts",)
    assert parse({"model": {"bundle": ["inr", "/opt/vnd"]}}).model.bundles == ("inr", "/opt/vnd")
