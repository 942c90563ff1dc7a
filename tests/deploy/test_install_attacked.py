"""install.sh, killed, starved and given what it must not take: one complete release stays in use, and it says why."""

import fcntl
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from deploy import release
from tests.deploy.pi import Pi

pytestmark = pytest.mark.integration

MakeRelease = Callable[..., tuple[Path, str]]

# Read by bash before the script: kills it before its command number KILL_AT.
ASSASSIN = 'set -T; trap "_n=\\$((_n + 1)); [ \\$_n -ne $KILL_AT ] || kill -9 \\$\\$" DEBUG\n'
# An interpreter that fills the card before it makes the environment.
FILLER = """#!/bin/sh
[ "$1 $2" != "-m venv" ] || head -c 200M /dev/zero > "{root}/filling" 2>/dev/null
exec "{python}" "$@"
"""


# Makes files where it is told to until no more can be made; one that takes all bytes at first, if that is wanted.
FILL = """
import itertools, sys
if sys.argv[2:]:
    try:
        with open(sys.argv[1] + "/filling", "wb", buffering=0) as file:
            while file.write(bytes(1 << 20)):
                pass
    except OSError:
        pass
for number in itertools.count():
    open(f"{sys.argv[1]}/file-{number}", "w").close()
"""


def in_use(pi: Pi) -> str:
    """The release in use, once it has been seen to be one that starts."""
    done = subprocess.run(
        [pi.home / "current" / "venv" / "bin" / "python", "-c", "import edge, sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert (pi.home / "current" / "complete").stat().st_size > 0
    for unit in ("saynote.service", "saynote-fault.service"):
        assert "[Service]" in (pi.root / "etc/systemd/system" / unit).read_text()
    assert done.stdout.strip()
    return pi.points_to("current")


def kill_when(pi: Pi, folder: Path, delay_s: float) -> int:
    """Start an installation and kill it, and all that it started, after `delay_s`; its exit status."""
    with subprocess.Popen(
        pi.command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=pi.environment, process_group=0
    ) as process:
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def test_killed_at_any_time_one_complete_release_is_in_use(pi: Pi, make_release: MakeRelease) -> None:
    pi.install(make_release("1.0.0-aaa")[0])
    folder, _ = make_release("1.0.1-bbb")
    began_s = time.monotonic()
    assert pi.install(folder).returncode == 0
    takes_s = time.monotonic() - began_s
    random = Random(7)
    for number in range(int(os.environ.get("KILLS", "5"))):
        folder, name = make_release(f"1.1.{number}-ccc")
        kill_when(pi, folder, random.uniform(0, takes_s))
        assert in_use(pi) in ("1.0.1-bbb", name, f"1.1.{number - 1}-ccc", *(f"1.1.{n}-ccc" for n in range(number)))
        shutil.rmtree(folder)
    done = pi.install(make_release("1.2.0-ddd")[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_use(pi) == "1.2.0-ddd"
    assert len(list((pi.home / "releases").iterdir())) == 2
    assert len(list((pi.home / "generations").iterdir())) == 2


def test_killed_before_any_command_of_the_switch_nothing_in_use_is_lost(
    pi: Pi, make_release: MakeRelease, tmp_path: Path
) -> None:
    for name in ("1.0.0-aaa", "1.0.1-bbb"):
        folder, _ = make_release(name)
        assert pi.install(folder).returncode == 0
    assassin = tmp_path / "assassin"
    assassin.write_text(ASSASSIN)
    at, step, killed = 1, int(os.environ.get("KILL_STEP", "23")), 0
    while True:
        done = pi.install(pi.home / "current", "--rollback", BASH_ENV=str(assassin), KILL_AT=str(at))
        assert in_use(pi) in ("1.0.0-aaa", "1.0.1-bbb")
        assert {pi.points_to("current"), pi.points_to("previous")} == {"1.0.0-aaa", "1.0.1-bbb"}
        if done.returncode != -signal.SIGKILL:
            break
        at, killed = at + step, killed + 1
    assert done.returncode == 0, done.stdout + done.stderr
    assert killed > 3
    # What the kills left behind goes with the next run.
    assert pi.install(folder).returncode == 0
    assert len(list((pi.home / "generations").iterdir())) == 2


def test_killed_before_any_command_of_going_back_the_next_watch_goes_back(
    pi: Pi, make_release: MakeRelease, tmp_path: Path
) -> None:
    pi.install(make_release("1.0.0-old")[0])
    folder, _ = make_release("1.0.1-new")
    assassin, fails = tmp_path / "assassin", pi.folder / "restarts"
    assassin.write_text(ASSASSIN)
    at, step, killed = 1, int(os.environ.get("KILL_STEP", "47")), 0
    while True:
        fails.unlink(missing_ok=True)
        assert pi.install(folder).returncode == 0
        assert pi.points_to("current") == "1.0.1-new"
        watcher = pi.home / "generation" / "trial"
        fails.write_text("1")
        done = pi.install(watcher, "--watch", BASH_ENV=str(assassin), KILL_AT=str(at))
        assert in_use(pi) in ("1.0.0-old", "1.0.1-new")
        if done.returncode != -signal.SIGKILL:
            break
        # As systemd does: where a release is still on trial, its watch begins again, and else it is done.
        if (pi.home / "generation" / "trial" / "install.sh").exists():
            assert pi.install(watcher, "--watch").returncode == 1
        assert in_use(pi) == "1.0.0-old"
        at, killed = at + step, killed + 1
    assert "rolled back to 1.0.0-old, which is running" in done.stderr
    assert killed > 2


def test_a_release_that_was_switched_to_and_never_started_is_not_taken_for_one_that_runs(
    pi: Pi, make_release: MakeRelease, tmp_path: Path
) -> None:
    pi.install(make_release("1.0.0-old")[0])
    folder, _ = make_release("1.0.1-new")
    assassin = tmp_path / "assassin"
    assassin.write_text('set -T; trap \'[ "$BASH_COMMAND" != "systemctl daemon-reload" ] || kill -9 $$\' DEBUG\n')
    assert pi.install(folder, BASH_ENV=str(assassin)).returncode == -signal.SIGKILL
    assert pi.points_to("current") == "1.0.1-new"
    started = pi.calls.count("restart saynote.service")
    done = pi.install(folder)
    assert "it is running already" not in done.stdout
    assert pi.calls.count("restart saynote.service") == started + 1
    assert "it is running already" in pi.install(folder).stdout
    assert pi.calls.count("restart saynote.service") == started + 1


def test_what_an_older_installer_left_is_taken_over(
    pi: Pi, make_release: MakeRelease, make_bundle: Callable[[str], Path]
) -> None:
    pi.install(make_release("1.0.0-aaa", make_bundle("first"))[0])
    pi.install(make_release("1.0.1-bbb")[0])
    target = (pi.home / "bundles" / "crowns").resolve().name
    shutil.rmtree(pi.home / "generations")
    (pi.home / "generation").unlink()
    for link, leads_to in (
        ("current", "releases/1.0.1-bbb"),
        ("previous", "releases/1.0.0-aaa"),
        ("bundles/crowns", target),
    ):
        (pi.home / link).unlink()
        (pi.home / link).symlink_to(leads_to)
    done = pi.install(pi.home / "current", "--rollback")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (pi.points_to("current"), pi.points_to("previous")) == ("1.0.0-aaa", "1.0.1-bbb")
    assert (pi.home / "bundles" / "crowns" / "model.tflite").read_text() == "first"


def test_a_release_with_a_file_that_was_cut_off_is_made_anew(pi: Pi, make_release: MakeRelease) -> None:
    folder, _ = make_release()
    pi.install(folder)
    (module,) = (pi.home / "current" / "venv" / "lib").glob("*/site-packages/edge/core/decide.py")
    damaged = module.resolve()
    damaged.write_bytes(b"")
    assert pi.install(folder).returncode == 0
    assert module.stat().st_size > 0
    # The one that was in use was not touched meanwhile, and the same again is a matter of moments.
    assert damaged.exists()
    assert "is here already" in pi.install(folder).stdout


def test_a_release_that_did_not_arrive_whole_is_refused(pi: Pi, make_release: MakeRelease) -> None:
    pi.install(make_release("1.0.0-aaa")[0])
    for spoil in ("cut off", "missing", "without sums"):
        folder, _ = make_release("1.0.1-bbb")
        (wheel,) = folder.glob("*.whl")
        if spoil == "cut off":
            os.truncate(wheel, 1000)
        else:
            (wheel if spoil == "missing" else folder / release.SUMS).unlink()
        done = pi.install(folder)
        assert done.returncode != 0
        assert "did not arrive whole" in done.stderr, spoil
        assert in_use(pi) == "1.0.0-aaa"


def test_a_second_installation_waits_and_says_so(pi: Pi, make_release: MakeRelease) -> None:
    folder, _ = make_release()
    pi.home.mkdir(parents=True)
    with (pi.home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = pi.install(folder, "--wait", "1")
    assert done.returncode != 0
    assert "another installation is running" in done.stderr
    assert not list((pi.home / "releases").iterdir())


def test_a_release_that_runs_is_never_taken_away(pi: Pi, make_release: MakeRelease) -> None:
    pi.install(make_release("1.0.0-aaa")[0])
    python = pi.home / "releases" / "1.0.0-aaa" / "venv" / "bin" / "python"
    library = pi.home / "releases" / "1.0.0-aaa" / "mapped"
    library.write_bytes(b"x" * 4096)
    code = (
        f"import mmap; f = open({str(library)!r}, 'r+b'); m = mmap.mmap(f.fileno(), 0); print(1, flush=True); input()"
    )
    with subprocess.Popen(
        [python, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", text=True
    ) as runs:
        assert runs.stdout is not None
        assert runs.stdout.readline() == "1\n"
        for name in ("1.0.1-bbb", "1.0.2-ccc"):
            pi.install(make_release(name)[0])
            pi.proves()
        assert python.exists()
        runs.communicate("\n")
    pi.install(pi.home / "current", "--rollback")
    assert not python.exists()


def test_whoever_reads_its_words_may_go(pi: Pi, make_release: MakeRelease) -> None:
    folder, name = make_release()
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as deaf:
        done = subprocess.run(pi.command(folder), stdout=deaf, stderr=deaf, env=pi.environment, check=False)
    assert done.returncode == 0
    assert in_use(pi) == name


def test_what_is_installed_can_be_read_by_the_service_whatever_the_umask(
    pi: Pi, make_release: MakeRelease, make_bundle: Callable[[str], Path]
) -> None:
    folder, _ = make_release(bundle=make_bundle("first"))
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    before = os.umask(0o077)
    try:
        assert pi.install(folder).returncode == 0
    finally:
        os.umask(before)
    for path in (pi.root, *pi.root.rglob("*")):
        mode = path.stat(follow_symlinks=False).st_mode
        wanted = 0 if path.name == ".lock" else 0o555 if stat.S_ISDIR(mode) else 0o444
        assert mode & wanted == wanted, path


def test_a_folder_with_a_space_in_its_name_will_do(
    tmp_path: Path, make_release: MakeRelease, install_options: list[str]
) -> None:
    pi = Pi(tmp_path / "a pi & more", install_options)
    folder, name = make_release()
    done = pi.install(Path(shutil.move(folder, tmp_path / "a release")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_use(pi) == name


@pytest.mark.parametrize("name", ["..", "a&b", 'a"b', "a b", "$(id)", "a\nb"])
def test_a_bundle_with_a_name_that_is_none_is_refused(pi: Pi, make_release: MakeRelease, name: str) -> None:
    folder, _ = make_release()
    (folder / "bundles" / f"{name}-0123456789ab").mkdir(parents=True)
    done = pi.install(folder)
    assert done.returncode != 0
    assert "a bundle must not be called" in done.stderr
    assert not (pi.home / "current").exists()


@pytest.mark.parametrize("name", ["-n", ".hidden", "a-b.c_d"])
def test_a_bundle_may_have_an_odd_name(pi: Pi, make_release: MakeRelease, name: str) -> None:
    folder, _ = make_release()
    inside = folder / "bundles" / f"{name}-0123456789ab"
    inside.mkdir(parents=True)
    (inside / "manifest.json").write_text("{}")
    release.seal(folder)
    done = pi.install(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'bundle = "/opt/saynote/bundles/{name}"\n' in pi.config.read_text()
    assert (pi.home / "bundles" / name / "manifest.json").exists()


def on_a_card(pi: Pi, folder: Path, options: str, act: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Install onto a file system of its own, or `act` there, and list afterwards what is left of releases."""
    pi.root.mkdir(parents=True)
    alone = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    script = (
        'mount -t tmpfs -o "$1" card "$2" || exit 99; card=$2; shift 2; "$@"; code=$?; '
        'ls "$card/opt/saynote/releases"; exit $code'
    )
    command = [*alone, "sh", "-c", script, "sh", options, str(pi.root), *(act or pi.command(folder))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=pi.environment)
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    return done


@pytest.mark.parametrize("options", ["size=20m", "size=200m,nr_inodes=300"])
def test_a_card_without_room_is_refused_before_anything_is_done(
    pi: Pi, make_release: MakeRelease, options: str
) -> None:
    done = on_a_card(pi, make_release()[0], options)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("install: the card is full: ")
    assert "making its environment" not in done.stdout


def test_a_card_that_fills_up_meanwhile_is_named_in_the_last_line_and_tidied(pi: Pi, make_release: MakeRelease) -> None:
    folder, name = make_release()
    python = pi.folder / "bin" / "python"
    python.write_text(FILLER.format(root=pi.root, python=sys.executable))
    python.chmod(0o755)
    pi.options = [*pi.options, "--python", str(python)]
    done = on_a_card(pi, folder, "size=100m")
    assert done.returncode != 0
    assert "the card is full" in done.stderr.splitlines()[-1]
    assert name not in done.stdout.partition("making its environment")[2]


def test_a_card_too_small_for_a_bundle_is_named_too(pi: Pi, make_release: MakeRelease) -> None:
    folder, _ = make_release()
    large = folder / "bundles" / "large-0123456789ab"
    large.mkdir(parents=True)
    (large / "manifest.json").write_bytes(b"x" * 80_000_000)
    release.seal(folder)
    done = on_a_card(pi, folder, "size=85m")
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("install: the card is full")


@pytest.mark.parametrize("spares", ["no file and no byte", "no file"])
def test_a_release_that_fails_on_a_card_that_is_full_by_then_is_left_all_the_same(
    pi: Pi, make_release: MakeRelease, spares: str
) -> None:
    old, new = make_release("1.0.0-old")[0], make_release("1.0.1-new")[0]
    fill = f'{shlex.quote(sys.executable)} -c {shlex.quote(FILL)} "$1" {"bytes" * ("byte" in spares)} 2>/dev/null'
    script = pi.folder / "update-and-fill"
    script.write_text(
        f"{shlex.join(pi.command(old))} && {shlex.join(pi.command(new))} || exit\n"
        f'set -- {shlex.quote(str(pi.root))}\n{fill}\n! mkdir "$1/one-more" 2>/dev/null || exit 98\n'
        f"echo 1 >{shlex.quote(str(pi.folder / 'restarts'))}\n"
        f"{shlex.join(pi.command(pi.home / 'generation' / 'trial', '--watch'))}\n"
        'code=$?; basename "$(realpath "$1/opt/saynote/current")"; exit $code\n'
    )
    done = on_a_card(pi, old, "size=300m,nr_inodes=6000", ["sh", str(script)])
    assert done.returncode == 1, done.stdout + done.stderr
    assert "rolled back to 1.0.0-old, which is running" in done.stderr
    assert "\n1.0.0-old\n" in done.stdout


def test_two_installers_of_which_the_first_takes_saynote_away_do_not_work_at_the_same_time(
    pi: Pi, make_release: MakeRelease
) -> None:
    folder, name = make_release()
    pi.install(folder)
    with (pi.home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(pi.command(folder), stdout=subprocess.PIPE, env=pi.environment, text=True) as waiting:
            assert waiting.stdout is not None
            assert "another installation is running; waiting" in waiting.stdout.readline()
            shutil.rmtree(pi.home)
            pi.home.mkdir()
            with (pi.home / ".lock").open("w") as another:
                fcntl.flock(another, fcntl.LOCK_EX)
                fcntl.flock(lock, fcntl.LOCK_UN)
                assert "another installation is running; waiting" in waiting.stdout.readline()
                assert not (pi.home / "current").exists()
            assert waiting.wait(120) == 0
    assert in_use(pi) == name


@pytest.mark.parametrize("now", ["1970-01-01 00:00:10", "2040-06-01 12:00:00"])
def test_whatever_year_it_is_a_release_that_was_sent_with_all_it_needs_is_installed_and_given_up_again(
    pi: Pi, make_release: MakeRelease, now: str
) -> None:
    # It goes on from there ("@"), and what waits for a while does so by a clock that is left alone. The program itself:
    # it keeps what its processes share until the last has ended, which a library that each of them loads does not.
    clock = ["faketime", "--exclude-monotonic", "-f", f"@{now}"]

    def then(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*clock, *command], env=pi.environment, capture_output=True, text=True, check=False)

    for name in ("1.0.0-old", "1.0.1-new"):
        done = then(*pi.command(make_release(name)[0]))
        assert done.returncode == 0, done.stdout + done.stderr
    assert then("date", "+%Y").stdout.strip() == now[:4], "the clock was right"
    assert in_use(pi) == "1.0.1-new"
    (pi.folder / "restarts").write_text("1")
    done = then(*pi.command(pi.home / "generation" / "trial", "--watch"))
    assert "rolled back to 1.0.0-old, which is running" in done.stderr
    assert in_use(pi) == "1.0.0-old"


def test_a_card_that_is_read_only_is_named(pi: Pi, make_release: MakeRelease) -> None:
    done = on_a_card(pi, make_release()[0], "ro")
    assert done.returncode != 0
    assert "mounted read-only" in done.stderr
