import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge import credentials
from edge.core.errors import EXIT_AGAIN, PERMANENT_EXIT_CODES
from edge.folders import SERVICE_STATE
from edge.outlets.health import FEED_EVERY_S, STALE_AFTER_S
from edge.outlets.reload import LEAST_S
from edge.settings import Config

PROJECT = Path(__file__).parents[2]
SERVICE = PROJECT / "systemd" / "saynote.service"
FAULT = PROJECT / "systemd" / "saynote-fault.service"
TRIAL = PROJECT / "systemd" / "saynote-trial.service"
NETWORK = PROJECT / "systemd" / "saynote-network.service"
UNITS = (SERVICE, FAULT, TRIAL, NETWORK)
INSTALLER = (PROJECT / "deploy" / "install.sh").read_text()


def values(unit: Path, key: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith(f"{key}=")]


def value(unit: Path, key: str) -> str:
    (only,) = values(unit, key)
    return only


def help_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edge", *command, "--help"], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    return done.stdout


def test_it_is_not_restarted_after_what_trying_again_cannot_mend() -> None:
    assert tuple(map(int, value(SERVICE, "RestartPreventExitStatus").split())) == PERMANENT_EXIT_CODES
    assert value(SERVICE, "Restart") == "on-failure"


def test_an_end_to_begin_anew_is_no_failure_and_it_is_started_again() -> None:
    assert value(SERVICE, "SuccessExitStatus") == value(SERVICE, "RestartForceExitStatus") == str(EXIT_AGAIN)
    assert EXIT_AGAIN not in PERMANENT_EXIT_CODES


def test_settings_are_not_loaded_anew_while_a_release_is_on_trial_nor_so_often_that_systemd_gives_up() -> None:
    trial_s, look_s = (int(INSTALLER.partition(mark)[2].split()[0]) for mark in (" trial_s=", "LOOK_S="))
    assert trial_s + int(value(SERVICE, "TimeoutStartSec")) // 4 + look_s < LEAST_S
    starts = int(value(SERVICE, "StartLimitIntervalSec")) // LEAST_S + 1
    assert 2 * starts < int(value(SERVICE, "StartLimitBurst")), "what fails besides may be tried again as well"


def test_the_watchdog_is_patient_with_a_camera_that_has_stopped() -> None:
    assert int(value(SERVICE, "WatchdogSec")) > 2 * Config().camera.stalled_after_s


def test_the_installer_waits_longer_for_it_to_come_up_than_systemd_does() -> None:
    assert int(INSTALLER.partition(" wait_s=")[2].split()[0]) > int(value(SERVICE, "TimeoutStartSec"))


def test_systemd_hears_from_the_daemon_itself() -> None:
    assert value(SERVICE, "Type") == "notify"
    assert value(SERVICE, "NotifyAccess") == "main"


def test_it_does_not_wait_for_a_network() -> None:
    waited_for = " ".join(values(SERVICE, "After") + values(SERVICE, "Wants") + values(SERVICE, "Requires")).split()
    assert [unit for unit in waited_for if unit.startswith("network") or "online" in unit] == []


def test_it_runs_what_the_installer_installs_as_the_user_the_installer_makes() -> None:
    program, *_, config = value(SERVICE, "ExecStart").split()
    assert program == "/opt/saynote/current/venv/bin/saynote"
    assert "base=$root/opt/saynote\n" in INSTALLER
    assert config == "/etc/saynote/edge.toml"
    assert f"config=$root{config}\n" in INSTALLER
    assert f"useradd --system --user-group --no-create-home --home-dir /var/lib/{value(SERVICE, 'User')} " in INSTALLER
    for group in value(SERVICE, "SupplementaryGroups").split():
        assert group in INSTALLER.partition("for group in ")[2].partition(";")[0].split()


@pytest.mark.parametrize("name", ["mqtt-password", "web-token"])
def test_a_missing_secret_does_not_keep_it_from_starting(name: str) -> None:
    loaded = dict(line.split(":", 1) for line in values(SERVICE, "LoadCredential"))
    assert f"{name}:\\n" in values(SERVICE, "SetCredential")
    assert loaded[name] in (PROJECT / "deploy" / "edge.example.toml").read_text()


def test_each_secret_the_unit_hands_over_is_one_that_the_daemon_reads() -> None:
    names = {line.partition(":")[0] for line in values(SERVICE, "LoadCredential")}
    assert names == set(credentials.VARIABLES)


def test_by_itself_it_reaches_no_network() -> None:
    assert set(value(SERVICE, "RestrictAddressFamilies").split()) == {"AF_UNIX", "AF_NETLINK"}
    assert value(SERVICE, "IPAddressDeny") == "any"


def test_its_way_to_the_network_is_opened_before_each_start_by_the_installer_s_script() -> None:
    assert NETWORK.name in values(SERVICE, "Wants")
    assert NETWORK.name in values(SERVICE, "After")
    assert value(NETWORK, "Type") == "oneshot"
    assert value(NETWORK, "ExecStart") == "/bin/bash /opt/saynote/current/install.sh --network"
    assert "--network" in INSTALLER.partition("usage() {")[2].partition("TEXT\n}")[0]
    assert value(NETWORK, "ReadWritePaths") == "/run/systemd"


def test_the_watchdog_waits_for_many_beats() -> None:
    assert int(value(SERVICE, "WatchdogSec")) >= STALE_AFTER_S + 5 * FEED_EVERY_S


def test_it_may_open_the_devices_that_its_drivers_use_and_not_the_firmware() -> None:
    allowed = {line.split()[0] for line in values(SERVICE, "DeviceAllow")}
    assert {"char-video4linux", "char-media", "char-dma_heap", "char-alsa", "char-gpiochip"} <= allowed
    assert not allowed & {"/dev/vcio", "/dev/vchiq"}
    assert value(SERVICE, "DevicePolicy") == "closed"


def test_every_exception_from_the_sandbox_has_its_reason_beside_it() -> None:
    comments = " ".join(line[2:] for line in SERVICE.read_text().splitlines() if line.startswith("# "))
    for left_open in ("PrivateDevices", "PrivateNetwork", "PrivateUsers", "RootDirectory", "ProcSubset"):
        assert values(SERVICE, left_open) == []
        assert left_open in comments
    for open_one in ("MemoryDenyWriteExecute", "Netlink", "Unix sockets", "groups"):
        assert open_one in comments


def test_it_may_write_where_it_keeps_things_and_nowhere_else() -> None:
    assert f"/var/lib/{value(SERVICE, 'StateDirectory')}" == str(SERVICE_STATE)
    assert value(SERVICE, "ProtectSystem") == "strict"
    assert values(SERVICE, "ReadWritePaths") == []


def test_the_installer_takes_away_every_unit_that_it_brings() -> None:
    undeploy = INSTALLER.partition("undeploy() {")[2].partition("\n}")[0]
    for unit in UNITS:
        assert unit.stem.partition("-")[2] in undeploy


def test_a_fault_is_spoken_by_a_unit_that_exists() -> None:
    assert value(SERVICE, "OnFailure") == FAULT.name
    assert "saynote say --fault" in value(FAULT, "ExecStart")


def test_a_new_release_is_watched_by_the_script_that_the_installer_lays_into_its_generation() -> None:
    assert TRIAL.name in " ".join(values(SERVICE, "Wants"))
    script = "/opt/saynote/generation/trial/install.sh"
    assert value(TRIAL, "ConditionPathExists") == script
    assert value(TRIAL, "ExecStart") == f"/bin/bash {script} --watch"
    assert 'cp "$here/install.sh" "$base/$next/trial/"' in INSTALLER
    assert 'point "$base/generation" ' in INSTALLER


def test_whoever_watches_a_release_looks_again_whatever_ended_it_and_writes_where_links_and_units_are() -> None:
    assert value(TRIAL, "Restart") == "on-failure"
    assert value(TRIAL, "StartLimitIntervalSec") == "0"
    assert value(TRIAL, "ProtectSystem") == "strict"
    assert value(TRIAL, "ReadWritePaths").split() == ["/opt/saynote", "/etc/systemd/system"]
    comments = " ".join(line[2:] for line in TRIAL.read_text().splitlines() if line.startswith("# "))
    for left_open in ("PrivateUsers", "ProtectProc", "ProcSubset"):
        assert values(TRIAL, left_open) == []
        assert left_open in comments
    assert values(TRIAL, "User") == []
    assert "As root" in comments


@pytest.mark.integration
def test_the_commands_in_the_units_exist() -> None:
    assert "--config" in help_of("run")
    assert "--fault" in help_of("say")


@pytest.fixture
def analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: sudo apt-get install systemd")
    return program


@pytest.mark.integration
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_line(unit: Path, analyze: str, tmp_path: Path) -> None:
    for each in UNITS:  # where saynote is not installed, its absence is all that systemd would see
        (tmp_path / each.name).write_text(
            each.read_text().replace("/opt/saynote/current/venv/bin/saynote", "/bin/true")
        )
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / unit.name)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "saynote" in line]
    assert complaints == []


@pytest.mark.integration
@pytest.mark.parametrize(
    ("unit", "most"),
    [(SERVICE, 12), (FAULT, 12), (NETWORK, 15), (TRIAL, 13)],
    ids=["daemon", "fault", "network", "trial"],
)
def test_the_sandbox_stays_closed(unit: Path, most: int, analyze: str) -> None:
    done = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={most}", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
