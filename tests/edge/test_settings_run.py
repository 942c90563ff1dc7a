"""Every key with bad values: refused by name, or the device runs with them. Whatever `check` passes must not end it."""

from __future__ import annotations

import datetime
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from edge import app
from edge.config import parse
from edge.core.errors import ConfigError, EdgeError
from edge.core.tables import as_toml
from edge.devices import open_broker, open_camera, open_speaker, open_synth
from edge.drivers.fake import FakeCamera, FakeClock, FakePulser
from edge.settings import Config
from tests.devices import fake_parts

TABLES = {table.name: table.type for table in msgspec.structs.fields(Config)}
KEYS = [(name, field) for name, table in TABLES.items() for field in msgspec.structs.fields(table)]
TEXTS = [(table, field.name) for table, field in KEYS if isinstance(inspect.type_info(field.type), inspect.StrType)]
NUMBERS = [
    (table, field.name, inspect.type_info(field.type))
    for table, field in KEYS
    if isinstance(inspect.type_info(field.type), inspect.IntType | inspect.FloatType)
]
NEVER = ["\0", "a\0b", "a\nb", "\x1b[2J", "x\r", "\x7f", "a\u2028b", "x" * 10_000, "/" + "y/" * 5_000]
NO_TEXT: list[Any] = [float("nan"), float("inf"), 10**400, True, [], {}, datetime.date(2026, 1, 31)]
NO_NUMBER: list[Any] = [float("nan"), float("inf"), -float("inf"), 10**400, -(10**30), 1e300, "1", [], {}, True]
# Each may be right for one key and wrong for another.
PERHAPS = [
    *(
        "",
        " ",
        ".",
        "..",
        "example..com",
        "broker..local",
        "a" * 64,
        "mqtt://broker",
        "broker:1883",
        "-x",
        "~",
        "/",
        "//",
    ),
    *(
        "müller.invalid",
        "नोट",
        "a%b",
        "a&b",
        "a\\b",
        '"',
        "'; rm -rf /",
        "$(id)",
        "#",
        "+",
        "$SYS",
        "fe80::1%lo",
        "[::1]",
    ),
    *(
        "/dev/null",
        "/dev/zero",
        "/proc/self/mem",
        "/nonexistent/file",
        "\U0001f4b6",
        "\ufffd",
        "a\uffff",
        "xx",
        "en-US",
    ),
]


def named(raw: dict[str, dict[str, Any]]) -> list[str]:
    """What is refused of it."""
    try:
        parse(raw)
    except ConfigError as error:
        return error.problems
    return []


def base(folder: Path) -> dict[str, dict[str, Any]]:
    """Settings with everything switched on that a test can have."""
    return {
        "camera": {"driver": "webcam", "path": str(app.REPLAY)},
        "model": {"bundle": "xts"},
        "voice": {"driver": "none", "path": str(folder / "said.wav")},
        "button": {"driver": "none"},
        "pulses": {"driver": "gpio"},
        "light": {"driver": "gpio"},
        "mqtt": {"enabled": True, "host": "127.0.0.1", "port": 9, "device_id": "t1"},
        "web": {"enabled": True, "port": 0},
        "capture": {"enabled": True},
    }


@pytest.mark.parametrize(("table", "key"), TEXTS)
@pytest.mark.parametrize("value", [*NEVER, *NO_TEXT], ids=lambda value: repr(value)[:12])
def test_no_text_is_taken_that_no_library_takes(table: str, key: str, value: Any) -> None:
    problems = named({table: {key: value}})
    assert [problem.startswith(f"{table}.{key} = ") for problem in problems] == [True]
    assert all(len(problem) < 400 and problem.isprintable() for problem in problems)


@pytest.mark.parametrize(("table", "key", "kind"), NUMBERS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_number_has_two_ends_and_takes_nothing_beyond(table: str, key: str, kind: Any) -> None:
    assert kind.ge is not None or kind.gt is not None
    assert kind.le is not None or kind.lt is not None
    for value in NO_NUMBER:
        [problem] = named({table: {key: value}})
        assert problem.startswith(f"{table}.{key} = ")
        assert len(problem) < 300


def test_every_table_within_a_table_is_of_lines_too() -> None:
    for wrong in ({"a\nb": 2}, {"5": ".\n"}, {"x" * 10_000: 1}, {"5": "." * 99}, {"5": 10**400}):
        [problem] = named({"pulses": {"codes": wrong}})
        assert problem.startswith("pulses.codes = ")
        assert problem.isprintable()


def ends(kind: Any) -> Iterator[float]:
    """The least and the most that a number may be."""
    if isinstance(kind, inspect.IntType):
        yield from (kind.ge, kind.le)
    else:
        yield kind.ge if kind.ge is not None else 1e-9
        yield kind.le


def outcome(raw: dict[str, dict[str, Any]], folder: Path) -> int:
    """The exit code with which a device of these settings ends, or 0 for a recording that was played to its end."""
    config, clock = parse(raw), FakeClock()
    assert parse(tomllib.loads(as_toml(config))) == config
    devices = fake_parts(
        clock=clock,
        camera=(lambda: FakeCamera([])) if config.camera.driver != "files" else lambda: open_camera(config, clock),
        synth=lambda: open_synth(msgspec.structs.replace(config.voice, driver="none")),
        speaker=lambda: open_speaker(config.voice),
        broker=lambda topics: open_broker(config, topics),
        pulser=FakePulser,
        light=FakePulser,
    )
    stop = threading.Event()
    if config.camera.driver == "files":
        stop.set()
    try:
        app.run(config, devices, stop, state=folder / "state", stand_in=True)
    except EdgeError as error:
        return error.exit_code
    return 0


@pytest.mark.integration
@pytest.mark.parametrize(("table", "key"), TEXTS)
def test_whatever_text_check_passes_the_device_runs_with(
    tmp_path: Path, table: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    for value in PERHAPS:
        raw = base(tmp_path)
        raw[table] = {**raw.get(table, {}), key: value}
        if (table, key) in (("voice", "path"), ("camera", "path")):
            raw[table]["driver"] = {"voice": "wav", "camera": "files"}[table]
        if problems := named(raw):
            assert all(f"{table}.{key}" in problem for problem in problems), value
            continue
        assert outcome(raw, tmp_path) != EdgeError.exit_code, value
        assert "Traceback" not in caplog.text, value


@pytest.mark.integration
@pytest.mark.parametrize(("table", "key", "kind"), NUMBERS, ids=lambda value: value if isinstance(value, str) else "")
def test_whatever_number_check_passes_the_device_runs_with(tmp_path: Path, table: str, key: str, kind: Any) -> None:
    for value in ends(kind):
        raw = base(tmp_path)
        raw[table] = {**raw.get(table, {}), key: value}
        if (table, key) == ("web", "port"):
            continue  # any port may be another program's
        if not named(raw):  # two ends may not fit together: a pin that another has, a short press that is long
            assert outcome(raw, tmp_path) != EdgeError.exit_code


@pytest.mark.parametrize("file", ["/nonexistent.pem", "/dev/null", "/", "/proc/self/mem", "/etc/hostname"])
def test_a_certificate_that_cannot_be_used_ends_nothing(tmp_path: Path, file: str) -> None:
    raw = base(tmp_path)
    raw["mqtt"] |= {"tls": True, "ca_file": file}
    assert outcome(raw, tmp_path) == 0


@pytest.mark.parametrize("file", ["/nonexistent.pem", "/dev/null", "/", "/proc/self/mem", "/etc/hostname"])
def test_a_certificate_of_our_own_that_cannot_be_used_ends_nothing(tmp_path: Path, file: str) -> None:
    raw = base(tmp_path)
    raw["mqtt"] |= {"tls": True, "cert_file": file, "key_file": file}
    assert outcome(raw, tmp_path) == 0
