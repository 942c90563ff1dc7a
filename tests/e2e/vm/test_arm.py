"""The daemon on 64-bit Arm, through qemu-user: its wheels, its decisions and its sums; not its speed and no device.

`make e2e-arm`. What runs is Debian's arm64 Python and the wheels that a Pi gets, so every instruction is an Arm one;
how long qemu takes for them says nothing about a Pi, and how many there are does. int8 sums are not the same to the bit
there and here: how far apart they may be is bounded below, and decisions are asked to be the same.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy import deb
from edge import app
from edge.core import bundle as bundles
from edge.drivers.espeak import EspeakSynth
from edge.settings import VoiceConfig
from tests.e2e.pi.rootfs import PROJECT, mirror
from tests.e2e.pi.step import run
from tests.e2e.vm.armroot import GUEST, ArmRoot, arm_root
from tests.e2e.vm.senses import SURE, likeness
from tests.e2e.vm.workshop import LackingError
from training.playmoney.recording import SHOWN

pytestmark = [pytest.mark.e2e_arm, pytest.mark.timeout(7200)]

RECORDING = PROJECT / "edge" / "replays" / "xts"
PYTHON = "/mnt/venv/bin/python"
BOTH = ("ai-edge-litert", "tflite-runtime")
RUNTIMES = {"bookworm": BOTH, "trixie": ("ai-edge-litert",)}  # tflite-runtime ends with Python 3.11
FRAMES = 45
# How far apart logits there and here were seen: 0.086 (rupees), 0.210 (play money). XNNPACK rounds otherwise on Arm.
MOST_APART = {"inr": 0.15, "xts": 0.25}
PIXEL_STEPS = 1
INSTALL_S, RUN_S = 3600.0, 2400.0
COUNTED = (5, 25)  # frames; the difference leaves start and end out
MOST_MILLIONS = 180  # of a whole frame of rupees: 123 (ai-edge-litert) and 145 (tflite-runtime) when this was written


@dataclass(frozen=True)
class Device:
    """An Arm root with saynote installed in it."""

    root: ArmRoot
    shares: Path
    runtimes: tuple[str, ...]
    suite: str
    package: Path  # the .deb that it was installed from

    def run(self, *command: str) -> str:
        """What its Python says to that."""
        return self.root.run([PYTHON, *command], RUN_S, shares=self.shares)

    def looks(self, runtime: str, bundle: str, count: int, file: str) -> list[Any]:
        """What its runtime says of each look, as frames.py has it."""
        return parsed(self.run("/mnt/frames.py", runtime, bundle, str(count), f"/mnt/{file}"))


def parsed(said: str) -> list[Any]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("[[")]


def here(*command: str | Path) -> str:
    """What this computer's Python says to that."""
    words = [sys.executable, *map(str, command)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=RUN_S, env=environment, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=list(RUNTIMES))
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """Saynote installed as on a device: a fresh environment, the wheels that lie in the .deb for it, no network."""
    suite, shares = request.param, tmp_path_factory.mktemp("arm")
    try:
        root = arm_root(suite)
    except LackingError as lacking:
        pytest.fail(str(lacking), pytrace=False)
    package = deb.build(shares, f"{suite}-arm64")
    run(["dpkg-deb", "--extract", package, shares / "deb"], 120)
    (built,) = (shares / "deb" / deb.HOME).glob("saynote-*.whl")
    inside = f"/mnt/{built.parent.relative_to(shares)}"
    shutil.copy2(GUEST / "frames.py", shares)
    # Emulation is slow: Debian's pip serves the environment too, and only what is imported is compiled.
    root.run(
        ["python3", "-m", "venv", "--without-pip", "--system-site-packages", "/mnt/venv"], INSTALL_S, shares=shares
    )
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-compile", "--no-index", "--find-links", f"{inside}/wheels"]
    root.run([*pip, f"{inside}/{built.name}[pi]"], INSTALL_S, shares=shares)
    yield Device(root, shares, RUNTIMES[suite], suite, package)
    shutil.rmtree(shares)


def test_the_wheels_that_a_pi_gets_are_all_there_and_each_runtime_loads(device: Device) -> None:
    code = (
        "import platform, importlib, sys; print(platform.machine(), *[importlib.import_module(name).__name__ "
        "for name in sys.argv[1:]])"
    )
    # sounddevice looks for PortAudio with programs that no device needs; the file is there.
    modules = ["cv2", "numpy", "gpiozero", "paho.mqtt.client", "espeakng"]
    modules += [f"{runtime.replace('-', '_')}.interpreter" for runtime in device.runtimes]
    assert device.run("-c", code, *modules).splitlines()[-1].split() == ["aarch64", *modules]


def test_apt_finds_all_that_the_package_wants_and_lintian_nothing_to_forbid(device: Device, tmp_path: Path) -> None:
    """By apt itself, for a device with nothing on it: what it would install and set up, in which order."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc/preferences.d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "state" / "status").touch()
    (tmp_path / "etc" / "sources.list").write_text(f"deb [trusted=yes] {mirror()} {device.suite} main\n")
    places = {"State": "state", "State::status": "state/status", "Cache": "cache", "Etc": "etc"}
    apt = ["apt-get", "-o", "APT::Architecture=arm64", "-o", "APT::Architectures=arm64"]
    apt += [word for place, name in places.items() for word in ("-o", f"Dir::{place}={tmp_path / name}")]
    run([*apt, "update"], 300)
    planned = run([*apt, "install", "--simulate", "--no-install-recommends", device.package], 120).stdout
    configured = re.findall(r"^Conf (\S+)", planned, re.M)
    assert configured[-1] == "saynote", planned
    assert {"espeak-ng", "libportaudio2", "python3-venv"} <= set(configured)
    assert f"python{device.root.python}" in configured
    lintian = run(["lintian", "--fail-on", "error", "--allow-root", device.package], 300, check=False)
    assert lintian.returncode == 0, lintian.stdout


def test_its_doctor_finds_nothing_wrong_with_voice_and_bundles(device: Device) -> None:
    (device.shares / "doctor.toml").write_text(
        '[camera]\ndriver = "files"\npath = "/mnt/recording"\n[voice]\ndriver = "wav"\npath = "/mnt/doctor.wav"\n'
        '[button]\ndriver = "none"\n'
    )
    shutil.copytree(RECORDING, device.shares / "recording", dirs_exist_ok=True)
    command = [PYTHON, "-m", "edge", "doctor", "--quiet", "--json", "--config", "/mnt/doctor.toml"]
    said = device.root.run(command, RUN_S, shares=device.shares)
    findings = json.loads(next(line for line in said.splitlines() if line.startswith("{")))["findings"]
    assert {each["part"] for each in findings} >= {"camera", "bundle", "sound"}
    assert [each for each in findings if each["state"] == "fault"] == []


def test_the_play_money_has_the_same_transcript_as_on_this_computer(device: Device) -> None:
    shutil.copytree(RECORDING, device.shares / "recording", dirs_exist_ok=True)
    settings = device.shares / "edge.toml"
    settings.write_text(f'[model]\nbundle = "xts"\nruntime = "{device.runtimes[-1]}"\n')
    there = device.run("-m", "edge", "replay", "/mnt/recording", "--config", "/mnt/edge.toml").splitlines()
    expected = here("-m", "edge", "replay", RECORDING, "--config", settings).splitlines()
    assert len(expected) == len(SHOWN)
    assert [line for line in there if ".jpg: " in line] == expected


def test_an_amount_sounds_as_on_this_computer(device: Device) -> None:
    (device.shares / "wav.toml").write_text('[voice]\ndriver = "wav"\npath = "/mnt/said.wav"\n')
    device.run("-m", "edge", "say", "20 play crowns", "--config", "/mnt/wav.toml")
    with wave.open(str(device.shares / "said.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float64)
    synth = EspeakSynth(VoiceConfig())
    same, other = (synth.render(f"{amount} play crowns", "en").samples.astype(np.float64) for amount in (20, 50))
    assert likeness(sound, same) >= SURE > likeness(sound, other)


@pytest.mark.parametrize("bundle", ["inr", "xts"])
def test_a_bundle_passes_its_self_test_and_its_sums_are_near_those_of_this_computer_though_not_the_same(
    device: Device, bundle: str
) -> None:
    for runtime in device.runtimes:
        # What the model sees: OpenCV rounds a pixel otherwise now and then.
        expected = parsed(here(GUEST / "frames.py", runtime, bundle, str(FRAMES), device.shares / "here.npy"))
        device.looks(runtime, bundle, FRAMES, "there.npy")
        saw_here, saw_there = (np.load(device.shares / name).astype(int) for name in ("here.npy", "there.npy"))
        pixel = int(np.abs(saw_here - saw_there).max())
        assert pixel <= PIXEL_STEPS
        # What it makes of the same.
        found = device.looks(runtime, bundle, 0, "here.npy")
        equal = sum(one == other for one, other in zip(found, expected, strict=True))
        logits = np.array([look[0] for look in found]), np.array([look[0] for look in expected])
        apart = float(np.abs(logits[0] - logits[1]).max())
        print(  # noqa: T201 -- how far they are apart is what is asked
            f"{device.root.python} {bundle} {runtime}: {equal} of {len(found)} looks bit-equal, "
            f"logits at most {apart:.3f} apart, pixels {pixel}"
        )
        assert apart <= MOST_APART[bundle] <= bundles.read(app.find_bundle(bundle)).manifest.selftest_tolerance
        assert (logits[0].argmax(axis=1) == logits[1].argmax(axis=1)).all()


def test_a_frame_takes_no_more_instructions_than_it_did_and_gives_the_same_twice(device: Device) -> None:
    for runtime in device.runtimes:
        (few, first), (many, second) = (
            device.root.counted([PYTHON, "/mnt/frames.py", runtime, "inr", str(count)], RUN_S, shares=device.shares)
            for count in COUNTED
        )
        millions = (many - few) / (COUNTED[1] - COUNTED[0]) / 1e6
        print(f"{device.root.python} {runtime}: {millions:.1f} million instructions a frame")  # noqa: T201
        assert 10 < millions < MOST_MILLIONS
        assert parsed(first) == parsed(second)[: COUNTED[0]]
        assert len(parsed(first)) == COUNTED[0]
