"""Owns the set-up of a machine for one goal: system packages, `.venv`, Python packages; knows nothing of `edge`.

It runs before anything is installed, so it imports the standard library only. `make run` and `make test` call it
first. A stamp in `.venv` says what has been set up, so a second call takes no time. Deciding is apart from doing:
the functions take the facts of the machine and a runner of commands, and the tests bring their own.
"""

from __future__ import annotations

import argparse
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
VENV = ".venv"
# Goal -> extras of pyproject.toml, from few to many.
GOALS = {
    "run": (),
    "serve": ("rest",),
    "train": ("training",),
    "phone": ("training", "phone"),
    "test": ("rest", "training", "phone", "dev"),
    "e2e": ("rest", "training", "phone", "dev"),
    "virtual": ("rest", "training", "phone", "dev"),
}
TESTS, BOXES = ("test", "e2e", "virtual"), ("e2e", "virtual")
SHOW_LIFE_AFTER_S = 4.0
APT_LISTS = Path("/var/lib/apt/lists")
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"  # where servers live, not on everybody's PATH
# Packages whose thing is a program -> its name.
PROGRAMS = {
    "espeak-ng": "espeak-ng",
    "mosquitto": "mosquitto",
    "mosquitto-clients": "mosquitto_sub",
    "minisign": "minisign",
    "rsync": "rsync",
    "shellcheck": "shellcheck",
    "faketime": "faketime",
    "valgrind": "valgrind",
    "openssh-server": "sshd",
    "chromium": "chromium",
    "chromium-driver": "chromedriver",
    "prometheus": "prometheus",
    "prometheus-mqtt-exporter": "prometheus-mqtt-exporter",
    "systemd-container": "systemd-nspawn",
    "mmdebstrap": "mmdebstrap",
    "iproute2": "ip",
    "lintian": "lintian",
    "qemu-user": "qemu-aarch64",
    "e2fsprogs": "mke2fs",
    "procps": "pgrep",
    "openssh-client": "ssh",
    "gcc": "gcc",
}
NO_NETWORK = (
    "Temporary failure in name resolution",
    "Temporary failure resolving",
    "Network is unreachable",
    "Failed to establish a new connection",
    "NewConnectionError",
    "ConnectTimeoutError",
    "NameResolutionError",
    "Could not connect to",
)


class SetupError(Exception):
    """The machine cannot be set up; `str()` says why and what to do."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    output: str  # standard output and error together


@dataclass(frozen=True)
class Need:
    """Something that pip cannot bring."""

    package: str  # Debian's name for it
    why: str
    goals: tuple[str, ...]
    pi_only: bool = False
    opens_a_port: bool = False  # installing it starts a server that others can reach


@dataclass(frozen=True)
class Facts:
    """What kind of machine this is, looked up once."""

    python: str  # the interpreter that `.venv` is made from
    version: tuple[int, int]  # its version
    is_pi: bool
    is_root: bool
    has_apt: bool
    has_lists: bool  # apt knows what there is to install
    runs_services: bool  # a service that is installed is also started
    is_ci: bool
    present: frozenset[str]  # packages of NEEDS whose thing is there already


Runner = Callable[[str, Sequence[str]], Result]  # (what to tell the person, the command)
Say = Callable[[str], None]

ALL_GOALS = tuple(GOALS)
SPEAKING = tuple(goal for goal in GOALS if goal != "serve")
NEEDS = (
    Need("espeak-ng", "makes the speech", SPEAKING),
    Need("libportaudio2", "plays it", SPEAKING),
    Need("python3-venv", "makes the Python environment", ALL_GOALS),
    Need("python3-picamera2", "reads the Pi's camera", SPEAKING, pi_only=True),
    Need("mosquitto", "an MQTT broker to try telemetry and the tests with", ("run", *TESTS)),
    Need("mosquitto-clients", "what the tests listen with", TESTS),
    Need("minisign", "the tests compare signatures with its own", TESTS),
    Need("rsync", "the tests deploy with it", TESTS),
    Need("faketime", "the tests install with it in other years", TESTS),
    Need("shellcheck", "the tests check the installer with it", TESTS),
    Need("valgrind", "the tests count instructions with it", TESTS),
    Need("chromium", "the tests look at the live view with it", TESTS),
    Need("chromium-driver", "and steer it with this", TESTS),
    Need("openssh-server", "the tests deploy over it", TESTS, opens_a_port=True),
    Need("prometheus", "the tests prove the alarms for a fleet with it", TESTS, opens_a_port=True),
    Need("prometheus-mqtt-exporter", "which reads the broker for it", TESTS, opens_a_port=True),
    Need("systemd-container", "boots a device in a box", BOXES),
    Need("mmdebstrap", "makes its file system", BOXES),
    Need("iproute2", "lays its cable", BOXES),
    Need("openssh-client", "reaches it", BOXES),
    Need("lintian", "looks at the .deb", BOXES),
    Need("qemu-user", "runs Arm's programs here", ("virtual",)),
    Need("gcc", "and builds what starts and counts them", ("virtual",)),
    Need("libc6-dev", "with this", ("virtual",)),
    Need("e2fsprogs", "makes the disk of a virtual device", ("virtual",)),
    Need("procps", "finds its processes", ("virtual",)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Set this machine up for the goal named on the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="bootstrap", description="Set this machine up: packages and .venv.")
    parser.add_argument("goal", choices=list(GOALS))
    goal = parser.parse_args(arguments).goal
    project = Path(__file__).resolve().parent.parent
    try:
        python, version = choose_python(python_candidates(is_raspberry_pi()), run_quietly)
        if is_done(project, goal, version):
            return 0
        say(f"saynote: setting up what the goal '{goal}' needs; the first time this takes some minutes.")
        set_up(project, goal, look_around(python, version), run_shown, say)
    except SetupError as error:
        sys.stderr.write(f"saynote: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("saynote: stopped; the next call goes on from here.\n")
        return 130
    return 0


def say(text: str) -> None:
    """Show a line now, also where the output is a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# What is there


def is_raspberry_pi(model: Path = Path("/proc/device-tree/model")) -> bool:
    """Whether the device tree says so."""
    try:
        return b"Raspberry Pi" in model.read_bytes()
    except OSError:
        return False


def python_candidates(is_pi: bool) -> list[str]:
    """Interpreters to try, best first. On a Pi the system's own: only it sees apt's picamera2."""
    named = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    return (["/usr/bin/python3"] if is_pi else []) + [sys.executable, *named]


def choose_python(candidates: Sequence[str], run: Callable[[Sequence[str]], Result]) -> tuple[str, tuple[int, int]]:
    """The first candidate that saynote runs on, with its version."""
    seen = []
    for candidate in candidates:
        result = run([candidate, "-c", "import sys; print(*sys.version_info[:2])"])
        words = result.output.split()
        if result.code != 0 or len(words) != 2:
            continue
        version = (int(words[0]), int(words[1]))
        if OLDEST <= version <= NEWEST:
            return candidate, version
        seen.append(f"{version[0]}.{version[1]} ({candidate})")
    supported = f"3.{OLDEST[1]} to 3.{NEWEST[1]}"
    raise SetupError(
        f"saynote needs Python {supported}; found {', '.join(seen) or 'none'}.\n"
        "  Debian 12 and 13 and Raspberry Pi OS bring one: sudo apt-get install -y python3 python3-venv\n"
        "  Where it has another name: make PYTHON=python3.12 run"
    )


def run_quietly(command: Sequence[str]) -> Result:
    """Run a short command; 127 when there is no such program."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
    except OSError as error:
        return Result(127, str(error))
    return Result(done.returncode, done.stdout.decode(errors="replace"))


def look_around(python: str, version: tuple[int, int]) -> Facts:
    """The facts of this machine."""
    return Facts(
        python=python,
        version=version,
        is_pi=is_raspberry_pi(),
        is_root=os.geteuid() == 0,
        has_apt=shutil.which("apt-get") is not None,
        has_lists=any(APT_LISTS.glob("*_Packages*")),
        runs_services=Path("/run/systemd/system").is_dir(),
        is_ci=bool(os.environ.get("CI")),
        present=frozenset(need.package for need in NEEDS if _is_present(need.package, python)),
    )


def _is_present(package: str, python: str) -> bool:
    """Whether the thing itself is there, whoever installed it."""
    if package in PROGRAMS:
        program = PROGRAMS[package]
        return shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":" + SYSTEM_FOLDERS) is not None
    if package == "libportaudio2":
        return ctypes.util.find_library("portaudio") is not None
    if package == "libc6-dev":
        return Path("/usr/include/stdio.h").is_file()
    module = {"python3-venv": "ensurepip", "python3-picamera2": "picamera2"}[package]
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return run_quietly([python, "-c", look]).code == 0


# What to do


def set_up(project: Path, goal: str, facts: Facts, run: Runner, tell: Say) -> None:
    """System packages, environment, Python packages, stamp. SetupError says what stands in the way."""
    install_system_packages(missing(goal, facts), facts, run, tell)
    make_environment(project, facts, run, tell)
    install_python_packages(project, goal, facts, run)
    stamp_file(project, goal).write_text(fingerprint(project, goal, facts.version), encoding="utf-8")
    tell("saynote: ready.")


def missing(goal: str, facts: Facts) -> list[Need]:
    """What the goal needs on this machine and is not there."""
    return [
        need
        for need in NEEDS
        if goal in need.goals and need.package not in facts.present and (facts.is_pi or not need.pi_only)
    ]


def install_system_packages(needs: Sequence[Need], facts: Facts, run: Runner, tell: Say) -> None:
    """Install them where that is allowed, else name the line to run; only python3-venv is worth stopping for."""
    unwanted = [need for need in needs if need.opens_a_port and facts.runs_services and not facts.is_ci]
    wanted = [need for need in needs if need not in unwanted]
    left = _apt_install(wanted, facts, run, tell) if wanted else []
    for need in unwanted:
        tell(f"  not installed: {need.package} ({need.why}), since it would open this machine to the network.")
    if left:
        reasons = ", ".join(f"{need.package} ({need.why})" for need in left)
        line = f"sudo apt-get install -y {' '.join(need.package for need in left)}"
        text = f"these are missing: {reasons}.\n  Please run:  {line}"
        if any(need.package == "python3-venv" for need in left):
            raise SetupError(text + "\n  and then the same make command again.")
        tell("  " + text + "\n  Going on without them; saynote says so where it misses one.")


def _apt_install(needs: Sequence[Need], facts: Facts, run: Runner, tell: Say) -> list[Need]:
    """Those that could not be installed."""
    if not facts.has_apt:
        return list(needs)
    become_root: list[str] = []
    if not facts.is_root:
        become_root = ["sudo", "-n"]
        if run("", [*become_root, "true"]).code != 0:
            return list(needs)
    apt = [*become_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"]
    update = ("apt: reading the package lists", [*apt, "update"])

    def install(some: Sequence[Need]) -> bool:
        names = [need.package for need in some]
        return run(f"apt: {' '.join(names)}", [*apt, "install", "-y", "--no-install-recommends", *names]).code == 0

    if not facts.has_lists:
        run(*update)
    if install(needs):
        return []
    if facts.has_lists:  # old lists name files that are gone
        run(*update)
        if install(needs):
            return []
    # One that does not exist here must not keep the others away.
    return [need for need in needs if not install([need])] if len(needs) > 1 else list(needs)


def make_environment(project: Path, facts: Facts, run: Runner, tell: Say) -> None:
    """`.venv`, unless there is one that works."""
    folder = project / VENV
    python = str(folder / "bin" / "python")
    if folder.exists():
        check = f"import sys, pip; sys.exit(sys.version_info[:2] != {facts.version!r})"
        if run("", [python, "-c", check]).code == 0:
            return
        tell(f"  {VENV} is broken or of another Python: making it anew")
    # Seen from inside on a Pi: picamera2 and libcamera come from apt and from nowhere else.
    see_system = ["--system-site-packages"] if facts.is_pi else []
    title = f"python {facts.version[0]}.{facts.version[1]}: making {VENV}"
    result = run(title, [facts.python, "-m", "venv", "--clear", *see_system, str(folder)])
    if result.code != 0:
        raise SetupError(f"{VENV} could not be made:\n{last_lines(result.output)}")


def install_python_packages(project: Path, goal: str, facts: Facts, run: Runner) -> None:
    """The project itself, editable, with the extras of the goal."""
    extras = [*(["pi"] if facts.is_pi else []), *GOALS[goal]]
    target = str(project) + (f"[{','.join(extras)}]" if extras else "")
    pip = [str(project / VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    title = f"pip: saynote and what it uses{' (' + ', '.join(extras) + ')' if extras else ''}"
    result = run(title, [*pip, "--progress-bar", "off", "--editable", target])
    if result.code != 0:
        raise SetupError(f"pip could not install the Python packages. {explain(result.output)}")


def explain(output: str) -> str:
    """Why a download or installation failed, as far as its output tells."""
    tail = last_lines(output)
    if any(sign in output for sign in NO_NETWORK):
        return f"No network: this step needs one, once. Connect and call make again.\n{tail}"
    if "No space left on device" in output:
        return f"The disk is full.\n{tail}"
    return f"It said:\n{tail}"


def last_lines(output: str, count: int = 12) -> str:
    """The end of a command's output, indented."""
    return "\n".join("    " + line for line in output.strip().splitlines()[-count:])


# The stamp


def fingerprint(project: Path, goal: str, version: tuple[int, int]) -> str:
    """Differs whenever a set-up made before does not serve any more."""
    total = hashlib.sha256((project / "pyproject.toml").read_bytes())
    total.update(repr((goal, version, os.uname().machine)).encode())
    return total.hexdigest()


def stamp_file(project: Path, goal: str) -> Path:
    """Where it is noted that the goal is set up; inside `.venv`, so that both go together."""
    return project / VENV / f"saynote-{goal}.stamp"


def holds(other: str, goal: str) -> bool:
    """Whether whoever has set up `other` has all that `goal` needs."""
    return set(GOALS[goal]) <= set(GOALS[other]) and all(other in need.goals for need in NEEDS if goal in need.goals)


def is_done(project: Path, goal: str, version: tuple[int, int]) -> bool:
    """Whether this goal, or one that holds it, is set up already."""
    if not (project / VENV / "bin" / "python").exists():
        return False
    for other in (other for other in GOALS if holds(other, goal)):
        stamp = stamp_file(project, other)
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == fingerprint(project, other, version):
            return True
    return False


# Doing


def run_shown(title: str, command: Sequence[str], tell: Say = say, every_s: float = SHOW_LIFE_AFTER_S) -> Result:
    """Run a command under a line that says what it does, with a sign of life every few seconds. No title: quietly."""
    if not title:
        return run_quietly(command)
    tell("  " + title)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return Result(127, str(error))
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
    started_s = time.monotonic()
    reader.start()
    while True:
        reader.join(every_s)
        if not reader.is_alive():
            return Result(process.wait(), "".join(lines))
        last = lines[-1].strip() if lines else "..."
        tell(f"    {time.monotonic() - started_s:4.0f} s  {last[:100]}")


if __name__ == "__main__":
    sys.exit(main())
