"""A new release on trial, the look before it, and the way off a device, with a stand-in for systemctl."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.pi import Pi

pytestmark = pytest.mark.integration

MakeRelease = Callable[..., tuple[Path, str]]


def watch(pi: Pi, seconds: str) -> subprocess.CompletedProcess[str]:
    """What saynote-trial.service does: the copy that lies in the generation watches it."""
    return pi.install(pi.home / "generation" / "trial", "--watch", "--trial", seconds)


def on_trial(pi: Pi) -> bool:
    return (pi.home / "generation" / "trial" / "install.sh").exists()


@pytest.fixture
def updated(pi: Pi, make_release: MakeRelease) -> Pi:
    """A device whose release 1.0.1-new is on trial after 1.0.0-old."""
    for name in ("1.0.0-old", "1.0.1-new"):
        done = pi.install(make_release(name)[0])
        assert done.returncode == 0, done.stdout + done.stderr
    return pi


def test_a_first_release_has_nothing_to_go_back_to_and_is_not_on_trial(pi: Pi, make_release: MakeRelease) -> None:
    pi.install(make_release()[0])
    assert not on_trial(pi)


def test_a_release_that_does_well_for_long_enough_stays(updated: Pi) -> None:
    assert on_trial(updated)
    done = watch(updated, "0")
    assert done.returncode == 0, done.stderr
    assert "stays" in done.stdout
    assert not on_trial(updated)
    assert updated.points_to("current") == "1.0.1-new"


@pytest.mark.parametrize(("file", "says"), [("restarts", "1"), ("state", "failed")], ids=["died once", "given up"])
def test_a_release_that_stops_being_well_is_left_with_nobody_there(updated: Pi, file: str, says: str) -> None:
    (updated.folder / file).write_text(says)
    restarts = updated.calls.count("restart saynote.service")
    done = watch(updated, "300")
    assert "stopped being well: going back to 1.0.0-old" in done.stdout
    assert "rolled back to 1.0.0-old, which is running" in done.stderr
    assert updated.points_to("current") == "1.0.0-old"
    assert updated.calls.count("restart saynote.service") == restarts + 1
    assert not on_trial(updated)


def test_a_release_that_sees_nothing_where_the_one_before_saw_is_left(pi: Pi, make_release: MakeRelease) -> None:
    pi.install(make_release("1.0.0-old")[0])
    (pi.folder / "status").write_text("14.9 pictures/s\n")
    pi.install(make_release("1.0.1-new")[0])
    (pi.folder / "status").write_text("0.0 pictures/s; camera: no picture for 3 s\n")
    blind_at_once(pi)
    done = watch(pi, "300")
    assert "the service sees nothing: going back to 1.0.0-old" in done.stdout
    assert done.returncode == 1
    assert pi.points_to("current") == "1.0.0-old"


def test_a_release_is_not_to_blame_where_the_one_before_saw_nothing_either(pi: Pi, make_release: MakeRelease) -> None:
    pi.install(make_release("1.0.0-old")[0])
    (pi.folder / "status").write_text("0.0 pictures/s; camera: there is none\n")
    pi.install(make_release("1.0.1-new")[0])
    blind_at_once(pi)
    done = watch(pi, "4")
    assert done.returncode == 0, done.stderr
    assert pi.points_to("current") == "1.0.1-new"


def blind_at_once(pi: Pi) -> None:
    """The copy that watches takes two seconds without a picture for too many."""
    script = pi.home / "generation" / "trial" / "install.sh"
    script.write_text(script.read_text().replace("BLIND_S=40", "BLIND_S=2"))


def test_a_systemd_that_does_not_answer_for_a_while_is_no_reason_to_go_back(updated: Pi) -> None:
    (updated.folder / "deaf").touch()
    with subprocess.Popen(
        updated.command(updated.home / "generation" / "trial", "--watch", "--trial", "3"), env=updated.environment
    ) as watching:
        try:
            asked = len(updated.calls)
            until(lambda: updated.calls[asked:].count("show --property=NRestarts --value saynote.service") > 2)
            assert updated.points_to("current") == "1.0.1-new"
            (updated.folder / "deaf").unlink()
            assert watching.wait(120) == 0
        finally:
            watching.kill()
    assert updated.points_to("current") == "1.0.1-new"
    assert not on_trial(updated)


def until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_it_dies_while_it_is_watched(updated: Pi) -> None:
    with subprocess.Popen(
        updated.command(updated.home / "generation" / "trial", "--watch"), env=updated.environment, text=True
    ) as watching:
        (updated.folder / "restarts").write_text("1")
        watching.wait(60)
    assert updated.points_to("current") == "1.0.0-old"


def test_a_release_on_trial_is_not_what_the_next_one_goes_back_to(updated: Pi, make_release: MakeRelease) -> None:
    updated.breaks_with("1.0.2-bad")
    done = updated.install(make_release("1.0.2-bad")[0])
    assert "rolled back to 1.0.0-old" in done.stderr
    assert updated.points_to("current") == "1.0.0-old"


def test_a_newer_release_ends_the_watching_of_the_one_before(updated: Pi, make_release: MakeRelease) -> None:
    with subprocess.Popen(
        updated.command(updated.home / "generation" / "trial", "--watch"), env=updated.environment, text=True
    ) as watching:
        updated.install(make_release("1.0.2-newer")[0])
        assert watching.wait(60) == 0
    assert updated.points_to("current") == "1.0.2-newer"
    assert updated.points_to("previous") == "1.0.0-old"
    assert on_trial(updated)


def test_going_back_by_hand_during_the_trial(updated: Pi) -> None:
    assert updated.install(updated.home / "current", "--rollback").returncode == 0
    assert updated.points_to("current") == "1.0.0-old"
    assert not on_trial(updated)


def snapshot(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(p), p.lstat().st_mtime_ns, p.lstat().st_size) for p in folder.rglob("*"))


def test_a_check_says_what_would_change_and_changes_nothing(pi: Pi, make_release: MakeRelease) -> None:
    pi.root.mkdir()
    folder, name = make_release("1.0.0-old")
    done = pi.install(folder, "--check")
    assert done.returncode == 0, done.stderr
    assert f"would install {name}" in done.stdout
    assert list(pi.root.iterdir()) == []
    pi.install(folder)
    before = snapshot(pi.root)
    assert "release 1.0.0-old is in use already" in pi.install(folder, "--check").stdout
    assert "would go from 1.0.0-old to 1.0.1-new" in pi.install(make_release("1.0.1-new")[0], "--check").stdout
    assert snapshot(pi.root) == before


def test_new_settings_are_announced_and_the_owner_s_file_is_kept(pi: Pi, make_release: MakeRelease) -> None:
    pi.install(make_release("1.0.0-old")[0])
    example = pi.home / "current" / "edge.example.toml"
    example.write_text(example.read_text().replace("lead_in_ms = 0\n", "").replace("earcons = true\n", ""))
    pi.config.write_text("# mine\n")
    done = pi.install(make_release("1.0.1-new")[0])
    assert "new settings" in done.stdout
    assert done.stdout.partition("new settings")[2].splitlines()[0].endswith(": voice.earcons, voice.lead_in_ms")
    assert pi.config.read_text() == "# mine\n"


@pytest.mark.parametrize("purge", [False, True])
def test_it_goes_without_a_trace_and_leaves_the_owner_s_things_unless_told(
    pi: Pi, make_release: MakeRelease, purge: bool
) -> None:
    pi.install(make_release()[0])
    state = pi.root / "var" / "lib" / "saynote" / "captures"
    state.mkdir(parents=True)
    (state / "a.jpg").touch()
    travelled = [state.parent / "bundles" / "shelf.json", pi.config.parent / "keys" / "owner.pub"]
    for path in travelled:
        path.parent.mkdir(parents=True)
        path.write_text("the owner's")
    assert pi.install(make_release("1.0.1-new")[0]).returncode == 0
    assert [path.read_text() for path in travelled] == ["the owner's"] * 2, "an update leaves them alone"
    script = Path(shutil.copy(pi.home / "current" / "install.sh", pi.folder))
    done = pi.install(script.parent, "--undeploy", *(["--purge"] if purge else []))
    assert done.returncode == 0, done.stderr
    assert not pi.home.exists()
    assert list((pi.root / "etc" / "systemd" / "system").iterdir()) == []
    assert "disable --now --quiet saynote.service saynote-trial.service" in pi.calls
    assert pi.config.exists() is not purge
    assert state.exists() is not purge
    assert [path.exists() for path in travelled] == [not purge] * 2
    assert pi.install(script.parent, "--undeploy").returncode == 0


def test_watching_ends_where_nothing_is_on_trial(pi: Pi, make_release: MakeRelease) -> None:
    pi.install(make_release()[0])
    began_s = time.monotonic()
    assert pi.install(pi.home / "current", "--watch").returncode == 0
    assert time.monotonic() - began_s < 60
