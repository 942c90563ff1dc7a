from __future__ import annotations

import tomllib

from edge.config import parse
from edge.core import tables
from edge.settings import Config, PulsesConfig, VoiceConfig


def test_what_is_right_is_kept_beside_what_is_wrong() -> None:
    raw = {"voice": {"driver": "wav", "path": "/tmp/said.wav", "pitch": 500}, "mqtt": {"hots": "x"}, "voise": {}}
    config, problems = tables.convert(raw, Config)
    assert config.voice == VoiceConfig(driver="wav", path="/tmp/said.wav")
    assert [mistake.table for mistake in problems] == ["voice", "mqtt", ""]


def test_a_name_with_anything_in_it_is_told_in_one_line() -> None:
    raw = {"a\nlevel=error": {}, "voice": {"\x1b[2J": 1, "x" * 100_000: 2}}
    problems = [str(mistake) for mistake in tables.convert(raw, Config)[1]]
    assert [problem.split(", ")[0].split(";")[0][:34] for problem in problems] == [
        r"unknown table a\nlevel=error",
        r"unknown key voice.\x1b[2J",
        "unknown key voice.xxxxxxxxxxxxxxxx",
    ]
    assert all(len(problem) < 400 for problem in problems)


def test_of_very_many_mistakes_the_first_are_told_soon() -> None:
    _, mistakes = tables.convert({"camera": {f"k{number}": 1 for number in range(10_000)}}, Config)
    problems = [str(mistake) for mistake in mistakes]
    assert len(problems) == tables.MOST_TOLD + 1
    assert problems[0].startswith("unknown key camera.k0, did you mean camera.")
    assert problems[-1] == f"and {10_000 - tables.MOST_TOLD} more: is this the right file?"


def test_a_path_may_have_many_dots() -> None:
    assert tables.parse('[voice]\npath = "' + "../" * 60 + 'said.wav"\n')["voice"]["path"].count(".") == 121


def test_what_is_effective_could_stand_in_the_file() -> None:
    voice = VoiceConfig(device='a "good" card \\ 2', path="/tmp/ü.wav")
    config = Config(voice=voice, pulses=PulsesConfig(codes={"10": 2, "500": ".-.-"}))
    assert parse(tomllib.loads(tables.as_toml(config))) == config
    assert parse(tomllib.loads(tables.as_toml(Config()))) == Config()
