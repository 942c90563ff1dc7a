"""install.sh, run for real in a folder of its own, with a stand-in for systemctl that can be told to fail."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.pi import Pi

pytestmark = pytest.mark.integration

PROJECT = Path(__file__).parents[2]
MakeRelease = Callable[..., tuple[Path, str]]


def test_a_first_installation_is_complete_and_running(pi: Pi, make_release: MakeRelease) -> None:
    folder, name = make_release()
    done = pi.install(folder, "--python", sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pi.points_to("current") == name
    program = pi.home / "current" / "venv" / "bin" / "saynote"
    assert os.access(program, os.X_OK)
    version = subprocess.run(
        [program.parent / "python", "-c", "import edge; print(edge.__version__)"],
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert version.stdout.strip() == name.partition("-")[0]
    assert pi.config.read_text() == (folder / "edge.example.toml").read_text()
    units = pi.root / "etc" / "systemd" / "system"
    assert {unit.name for unit in units.iterdir()} == {
        "saynote.service",
        "saynote-fault.service",
        "saynote-network.service",
        "saynote-trial.service",
    }
    assert "enable --quiet saynote.service" in pi.calls
    assert "restart saynote.service" in pi.calls


def test_the_same_release_again_changes_nothing_and_interrupts_nothing(pi: Pi, make_release: MakeRelease) -> None:
    folder, name = make_release()
    pi.install(folder)
    pi.config.write_text("# the owner's own\n")
    venv = pi.home / "releases" / name / "venv"
    made_ns = venv.stat().st_mtime_ns
    restarts = pi.calls.count("restart saynote.service")
    done = pi.install(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pi.config.read_text() == "# the owner's own\n"
    assert venv.stat().st_mtime_ns == made_ns
    assert pi.calls.count("restart saynote.service") == restarts
    assert not (pi.home / "previous").exists()


def test_the_release_before_is_kept_and_older_ones_go(pi: Pi, make_release: MakeRelease) -> None:
    for name in ("1.0.0-aaa", "1.0.1-bbb", "1.0.2-ccc"):
        done = pi.install(make_release(name)[0])
        assert done.returncode == 0, done.stdout + done.stderr
        pi.proves()
    assert (pi.points_to("current"), pi.points_to("previous")) == ("1.0.2-ccc", "1.0.1-bbb")
    assert {folder.name for folder in (pi.home / "releases").iterdir()} == {"1.0.2-ccc", "1.0.1-bbb"}


def test_a_release_that_does_not_come_up_is_rolled_back(pi: Pi, make_release: MakeRelease) -> None:
    pi.install(make_release("1.0.0-good")[0])
    pi.breaks_with("1.0.1-bad")
    done = pi.install(make_release("1.0.1-bad")[0])
    assert done.returncode != 0
    assert "rolled back to 1.0.0-good, which is running" in done.stderr
    assert pi.points_to("current") == "1.0.0-good"
    assert not (pi.home / "previous").exists()
    assert (pi.folder / "up").exists()


def test_a_first_release_that_does_not_come_up_says_where_to_look(pi: Pi, make_release: MakeRelease) -> None:
    pi.breaks_with("1.0.0-bad")
    done = pi.install(make_release("1.0.0-bad")[0])
    assert done.returncode != 0
    assert "journalctl -u saynote" in done.stderr


def test_going_back_by_hand(pi: Pi, make_release: MakeRelease) -> None:
    for name in ("1.0.0-aaa", "1.0.1-bbb"):
        pi.install(make_release(name)[0])
    done = pi.install(pi.home / "current", "--rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (pi.points_to("current"), pi.points_to("previous")) == ("1.0.0-aaa", "1.0.1-bbb")


def test_an_installation_that_broke_off_is_made_anew(pi: Pi, make_release: MakeRelease) -> None:
    folder, name = make_release()
    (pi.home / "releases" / name / "venv").mkdir(parents=True)
    done = pi.install(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (pi.home / "current" / "venv" / "bin" / "saynote").exists()


def test_without_systemd_no_service_is_touched(pi: Pi, make_release: MakeRelease) -> None:
    done = pi.install(make_release()[0], "--no-systemd")
    assert done.returncode == 0, done.stdout + done.stderr
    assert pi.calls == []
    assert (pi.root / "etc" / "systemd" / "system" / "saynote.service").exists()


def test_a_bundle_that_is_sent_at_first_is_the_one_in_use(
    pi: Pi, make_release: MakeRelease, make_bundle: Callable[[str], Path]
) -> None:
    done = pi.install(make_release(bundle=make_bundle("first"))[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'bundle = "/opt/saynote/bundles/crowns"' in pi.config.read_text()
    assert (pi.home / "bundles" / "crowns" / "model.tflite").read_text() == "first"


def test_a_new_bundle_restarts_and_the_old_one_stays(
    pi: Pi, make_release: MakeRelease, make_bundle: Callable[[str], Path]
) -> None:
    pi.install(make_release(bundle=make_bundle("first"))[0])
    restarts = pi.calls.count("restart saynote.service")
    pi.install(make_release(bundle=make_bundle("second"))[0])
    assert (pi.home / "bundles" / "crowns" / "model.tflite").read_text() == "second"
    assert len(list((pi.home / "bundles").glob("crowns-*"))) == 2
    assert pi.calls.count("restart saynote.service") == restarts + 1


def test_a_bundle_that_nothing_leads_to_any_more_goes_and_one_that_the_settings_name_stays(
    pi: Pi, make_release: MakeRelease, make_bundle: Callable[[str], Path]
) -> None:
    sent = []
    for number, weights in enumerate(("first", "second", "third", "fourth")):
        folder, _ = make_release(f"1.0.{number}-aaa", make_bundle(weights))
        sent += [found.name for found in (folder / "bundles").iterdir()]
        assert pi.install(folder).returncode == 0
        pi.proves()
        if weights == "first":
            pi.config.write_text(f'[model]\nbundle = "/opt/saynote/bundles/{sent[0]}"\n')
        (pi.home / "bundles" / "mine").mkdir(exist_ok=True)  # whoever put it there
    assert len(set(sent)) == 4
    left = {path.name for path in (pi.home / "bundles").iterdir() if not path.is_symlink()}
    assert left == {sent[0], sent[2], sent[3], "mine"}
    assert pi.install(pi.home / "current", "--rollback").returncode == 0
    assert (pi.home / "bundles" / "crowns" / "model.tflite").read_text() == "third"


def test_a_bundle_goes_back_together_with_its_release(
    pi: Pi, make_release: MakeRelease, make_bundle: Callable[[str], Path]
) -> None:
    pi.install(make_release("1.0.0-good", make_bundle("first"))[0])
    pi.breaks_with("1.0.1-bad")
    assert pi.install(make_release("1.0.1-bad", make_bundle("second"))[0]).returncode != 0
    assert (pi.home / "bundles" / "crowns" / "model.tflite").read_text() == "first"


def test_an_unknown_option_is_refused(pi: Pi, make_release: MakeRelease) -> None:
    done = pi.install(make_release()[0], "--fast")
    assert done.returncode != 0
    assert "unknown option --fast" in done.stderr


def test_without_a_release_beside_it_it_says_how_to_send_one(pi: Pi, make_release: MakeRelease) -> None:
    folder, _ = make_release()
    (folder / "RELEASE").unlink()
    assert "make deploy" in pi.install(folder).stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_shell_is_clean(make_release: MakeRelease) -> None:
    folder, _ = make_release()
    done = subprocess.run(["shellcheck", str(folder / "install.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def network_of(pi: Pi, settings: str) -> str:
    pi.config.parent.mkdir(parents=True, exist_ok=True)
    pi.config.write_text(settings, encoding="utf-8")
    done = pi.install(PROJECT / "deploy", "--network")
    assert done.returncode == 0, done.stderr
    file = pi.root / "run" / "systemd" / "system" / "saynote.service.d" / "network.conf"
    return file.read_text().strip() if file.exists() else ""


@pytest.mark.parametrize(
    ("settings", "ways"),
    [
        ("", ""),
        ("[mqtt]\nenabled = false\nhost = 'enabled = true'\n", ""),
        ("[mqtt]\nenabled = true\n", "IPAddressDeny="),
        ("\ufeff[mqtt]\r\nenabled = true\r\n", "IPAddressDeny="),
        ("mqtt.enabled = true", "IPAddressDeny="),
        ("[web]\nenabled = true\n", "IPAddressAllow=localhost"),
        ("[web]\nenabled = true\naddress = '0.0.0.0'\n", "IPAddressDeny="),
        ("[web]\nenabled = true\n[mqtt]\nenabled = true\n", "IPAddressDeny="),
        ("[web]\nenabled = 'yes'\n", ""),
        ("web = 3\n", ""),
        ("this is no TOML", ""),
    ],
)
def test_the_service_reaches_what_its_settings_want_and_nothing_else(pi: Pi, settings: str, ways: str) -> None:
    opened = network_of(pi, settings)
    families = "[Service]\nRestrictAddressFamilies=AF_INET AF_INET6\n"
    assert opened == (families + ways if ways else "")


def test_systemd_is_told_of_the_network_when_it_changes_and_only_then(pi: Pi) -> None:
    reloads = []
    for settings in ("", "[mqtt]\nenabled = true", "[mqtt]\nenabled = true", ""):
        network_of(pi, settings)
        reloads.append(pi.calls.count("daemon-reload"))
    assert reloads == [0, 1, 1, 2]
    assert network_of(pi, "") == ""


def test_units_change_in_the_same_moment_as_the_release(pi: Pi, make_release: Callable[..., tuple[Path, str]]) -> None:
    pi.install(make_release("1.0.0-old")[0])
    unit = pi.root / "etc" / "systemd" / "system" / "saynote.service"
    assert unit.resolve() == pi.home / "releases" / "1.0.0-old" / "systemd" / "saynote.service"
    generation = pi.home / "generation"
    other = pi.home / "generations" / "99"
    other.mkdir()
    (other / "release").symlink_to("../../releases/1.0.1-new")
    shutil.copytree(pi.home / "releases" / "1.0.0-old", pi.home / "releases" / "1.0.1-new", symlinks=True)
    generation.unlink()
    generation.symlink_to("generations/99")
    assert unit.resolve() == pi.home / "releases" / "1.0.1-new" / "systemd" / "saynote.service"


def test_units_that_an_older_installer_had_copied_become_those_of_the_release(
    pi: Pi, make_release: MakeRelease
) -> None:
    units = pi.root / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    (units / "saynote.service").write_text("[Unit]\n# copied\n")
    pi.install(make_release("1.0.0-old")[0])
    assert (units / "saynote.service").is_symlink()
    (units / "saynote-gone.service").symlink_to("../../../opt/saynote/generation/release/systemd/saynote-gone.service")
    pi.install(make_release("1.0.1-new")[0])
    assert not (units / "saynote-gone.service").is_symlink()
