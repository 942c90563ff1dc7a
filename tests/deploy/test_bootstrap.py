import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import bootstrap
from deploy.bootstrap import NEEDS, Facts, Result, SetupError
from tests.e2e.pi import ability
from tests.e2e.vm import armroot, image

EVERYTHING = frozenset(need.package for need in NEEDS)
DEBIAN = Facts(
    python="/usr/bin/python3",
    version=(3, 11),
    is_pi=False,
    is_root=True,
    has_apt=True,
    has_lists=True,
    runs_services=False,
    is_ci=False,
    present=EVERYTHING,
)


class Machine:
    """Answers commands as a machine would, and remembers what was said and done."""

    def __init__(self, fails: Callable[[str], bool] = lambda command: False) -> None:
        self.fails = fails
        self.commands: list[str] = []
        self.said: list[str] = []

    def run(self, title: str, command: Sequence[str]) -> Result:
        self.commands.append(" ".join(command))
        return Result(1, "it did not work") if self.fails(self.commands[-1]) else Result(0, "")

    def tell(self, text: str) -> None:
        self.said.append(text)

    @property
    def apt(self) -> list[str]:
        return [command.partition("apt-get ")[2] for command in self.commands if "apt-get" in command]


def without(*packages: str, facts: Facts = DEBIAN) -> Facts:
    return replace(facts, present=EVERYTHING - set(packages))


def install(machine: Machine, facts: Facts, goal: str = "run") -> None:
    bootstrap.install_system_packages(bootstrap.missing(goal, facts), facts, machine.run, machine.tell)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    return tmp_path


def test_a_machine_that_has_everything_gets_no_package() -> None:
    machine = Machine()
    install(machine, DEBIAN, "test")
    assert machine.commands == []
    assert machine.said == []


def test_a_run_needs_no_ssh_server_and_no_pi_package_off_a_pi() -> None:
    assert {need.package for need in bootstrap.missing("run", replace(DEBIAN, present=frozenset()))} == {
        "espeak-ng",
        "libportaudio2",
        "python3-venv",
        "mosquitto",
    }


def test_a_pi_also_needs_picamera2() -> None:
    pi = replace(DEBIAN, is_pi=True, present=frozenset())
    assert "python3-picamera2" in {need.package for need in bootstrap.missing("run", pi)}


def test_missing_packages_are_installed_in_one_call_that_asks_nothing() -> None:
    machine = Machine()
    install(machine, without("espeak-ng", "libportaudio2"))
    (command,) = machine.commands
    assert "DEBIAN_FRONTEND=noninteractive" in command
    assert command.endswith("install -y --no-install-recommends espeak-ng libportaudio2")


def test_package_lists_are_read_first_where_there_are_none() -> None:
    machine = Machine()
    install(machine, replace(without("espeak-ng"), has_lists=False))
    assert [line.split()[-1] for line in machine.apt] == ["update", "espeak-ng"]


def test_package_lists_that_are_out_of_date_are_read_again() -> None:
    tries: list[str] = []

    def first_install_fails(command: str) -> bool:
        tries.append(command)
        return "install" in command and len(tries) == 1

    machine = Machine(first_install_fails)
    install(machine, without("espeak-ng"))
    assert [line.split()[-1] for line in machine.apt] == ["espeak-ng", "update", "espeak-ng"]
    assert machine.said == []


def test_a_package_that_does_not_exist_keeps_no_other_away() -> None:
    machine = Machine(lambda command: "libportaudio2" in command)
    install(machine, without("espeak-ng", "libportaudio2"))
    assert machine.apt[-2].endswith("--no-install-recommends espeak-ng")
    assert "sudo apt-get install -y libportaudio2" in machine.said[-1]


def test_without_root_and_sudo_the_one_line_to_run_is_shown_and_it_goes_on() -> None:
    machine = Machine(lambda command: command.startswith("sudo"))
    install(machine, replace(without("espeak-ng", "libportaudio2"), is_root=False))
    assert machine.apt == []
    assert "sudo apt-get install -y espeak-ng libportaudio2" in "\n".join(machine.said)


def test_sudo_is_never_let_ask_for_a_password() -> None:
    machine = Machine()
    install(machine, replace(without("espeak-ng"), is_root=False))
    assert all(command.startswith("sudo -n ") for command in machine.commands)


def test_without_apt_it_goes_on() -> None:
    machine = Machine()
    install(machine, replace(without("espeak-ng"), has_apt=False))
    assert machine.commands == []
    assert "espeak-ng" in machine.said[-1]


def test_python_without_venv_that_cannot_be_had_stops_it_with_the_line_to_run() -> None:
    machine = Machine(lambda command: "apt-get" in command)
    with pytest.raises(SetupError, match="sudo apt-get install -y python3-venv"):
        install(machine, without("python3-venv"))


@pytest.mark.parametrize("server", ["openssh-server", "prometheus", "prometheus-mqtt-exporter"])
def test_a_server_that_others_can_reach_is_installed_only_where_nothing_starts_it(server: str) -> None:
    laptop = replace(without(server), runs_services=True)
    machine = Machine()
    install(machine, laptop, "test")
    assert machine.commands == []
    assert server in machine.said[-1]
    for harmless in (replace(laptop, is_ci=True), replace(laptop, runs_services=False)):
        machine = Machine()
        install(machine, harmless, "test")
        assert machine.apt[-1].endswith(server)


def test_an_environment_that_works_is_kept(project: Path) -> None:
    (project / ".venv").mkdir()
    machine = Machine()
    bootstrap.make_environment(project, DEBIAN, machine.run, machine.tell)
    assert not any("-m venv" in command for command in machine.commands)


def test_an_environment_that_is_broken_is_made_anew(project: Path) -> None:
    (project / ".venv").mkdir()
    machine = Machine(lambda command: "import sys, pip" in command)
    bootstrap.make_environment(project, DEBIAN, machine.run, machine.tell)
    assert machine.commands[-1] == f"/usr/bin/python3 -m venv --clear {project / '.venv'}"


@pytest.mark.parametrize(("is_pi", "seen"), [(True, True), (False, False)])
def test_the_system_s_packages_are_seen_on_a_pi_only(project: Path, is_pi: bool, seen: bool) -> None:
    machine = Machine()
    bootstrap.make_environment(project, replace(DEBIAN, is_pi=is_pi), machine.run, machine.tell)
    assert ("--system-site-packages" in machine.commands[-1]) is seen


@pytest.mark.parametrize(
    ("goal", "is_pi", "extras"),
    [
        ("run", False, ""),
        ("run", True, "[pi]"),
        ("train", False, "[training]"),
        ("serve", False, "[rest]"),
        ("phone", False, "[training,phone]"),
        ("test", False, "[rest,training,phone,dev]"),
        ("test", True, "[pi,rest,training,phone,dev]"),
    ],
)
def test_each_goal_has_its_extras(project: Path, goal: str, is_pi: bool, extras: str) -> None:
    machine = Machine()
    bootstrap.install_python_packages(project, goal, replace(DEBIAN, is_pi=is_pi), machine.run)
    assert machine.commands[-1].endswith(f"--editable {project}{extras}")


def test_the_extras_exist() -> None:
    import tomllib

    with (bootstrap.Path(bootstrap.__file__).parent.parent / "pyproject.toml").open("rb") as file:
        known = tomllib.load(file)["project"]["optional-dependencies"]
    assert {extra for extras in bootstrap.GOALS.values() for extra in extras} | {"pi"} <= set(known)


def test_a_set_up_for_tests_holds_all_that_each_smaller_one_needs() -> None:
    goals = list(bootstrap.GOALS)
    for need in NEEDS:
        first = max(goals.index("test"), goals.index(need.goals[0]))
        assert set(goals[first:]) <= set(need.goals), need.package


@pytest.mark.parametrize(
    ("goal", "tools"), [("e2e", ability.TOOLS), ("virtual", armroot.TOOLS), ("virtual", image.TOOLS)]
)
def test_what_the_suites_of_devices_ask_for_is_installed_by_their_goal(goal: str, tools: dict[str, str]) -> None:
    everywhere = {"util-linux", "libc-bin"}  # essential in Debian
    assert set(tools.values()) - everywhere <= {need.package for need in NEEDS if goal in need.goals}


def test_the_supported_pythons_are_those_of_the_project() -> None:
    text = (Path(bootstrap.__file__).parent.parent / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.11,<3.14"' in text
    assert (bootstrap.OLDEST, bootstrap.NEWEST) == ((3, 11), (3, 13))


def test_a_missing_network_is_named_as_such() -> None:
    said = "Retrying (Retry(total=0)) after NewConnectionError: Failed to establish a new connection"
    assert bootstrap.explain(said).startswith("No network")
    assert not bootstrap.explain("error: no such option").startswith("No network")


def test_a_failed_pip_shows_the_end_of_what_it_said(project: Path) -> None:
    machine = Machine(lambda command: "pip" in command)
    with pytest.raises(SetupError, match="it did not work"):
        bootstrap.install_python_packages(project, "run", DEBIAN, machine.run)


def set_up(project: Path, goal: str) -> None:
    (project / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
    (project / ".venv" / "bin" / "python").touch()
    machine = Machine()
    bootstrap.set_up(project, goal, DEBIAN, machine.run, machine.tell)


def test_what_is_set_up_is_not_set_up_again(project: Path) -> None:
    assert not bootstrap.is_done(project, "run", (3, 11))
    set_up(project, "run")
    assert bootstrap.is_done(project, "run", (3, 11))


def test_a_set_up_for_the_tests_serves_a_run_and_not_the_other_way(project: Path) -> None:
    set_up(project, "test")
    assert bootstrap.is_done(project, "run", (3, 11))
    (project / ".venv" / "saynote-test.stamp").unlink()
    set_up(project, "run")
    assert not bootstrap.is_done(project, "test", (3, 11))


def test_a_set_up_to_serve_is_none_to_run_or_train_and_the_tests_one_is(project: Path) -> None:
    set_up(project, "serve")
    assert not bootstrap.is_done(project, "run", (3, 11)), "it brings no voice"
    set_up(project, "train")
    (project / ".venv" / "saynote-serve.stamp").unlink()
    assert not bootstrap.is_done(project, "serve", (3, 11))
    set_up(project, "test")
    assert all(bootstrap.is_done(project, goal, (3, 11)) for goal in ("run", "serve", "train"))


def test_new_dependencies_or_another_python_are_set_up_anew(project: Path) -> None:
    set_up(project, "run")
    assert not bootstrap.is_done(project, "run", (3, 12))
    (project / "pyproject.toml").write_text("[project]\nname = 'y'\n")
    assert not bootstrap.is_done(project, "run", (3, 11))


def test_a_set_up_for_training_is_none_for_trying_the_device_out(project: Path) -> None:
    """It brings no broker."""
    set_up(project, "train")
    assert bootstrap.is_done(project, "train", (3, 11))
    assert not bootstrap.is_done(project, "run", (3, 11))


def test_a_set_up_that_failed_leaves_no_stamp(project: Path) -> None:
    machine = Machine(lambda command: "--editable" in command)
    with pytest.raises(SetupError):
        bootstrap.set_up(project, "run", DEBIAN, machine.run, machine.tell)
    assert not bootstrap.stamp_file(project, "run").exists()


def pythons(**versions: str) -> Callable[[Sequence[str]], Result]:
    def run(command: Sequence[str]) -> Result:
        return Result(0, versions[command[0]]) if command[0] in versions else Result(127, "not found")

    return run


def test_the_first_python_that_fits_is_taken() -> None:
    run = pythons(old="3 9\n", new="3 14\n", good="3 12\n", also="3 11\n")
    assert bootstrap.choose_python(["missing", "old", "new", "good", "also"], run) == ("good", (3, 12))


def test_pythons_that_do_not_fit_are_named_in_the_error() -> None:
    with pytest.raises(SetupError, match=r"3\.11 to 3\.13; found 3\.9 \(old\), 3\.14 \(new\)"):
        bootstrap.choose_python(["old", "new"], pythons(old="3 9", new="3 14"))


def test_on_a_pi_the_system_s_python_comes_first() -> None:
    assert bootstrap.python_candidates(is_pi=True)[0] == "/usr/bin/python3"
    assert bootstrap.python_candidates(is_pi=False)[0] == sys.executable


def test_a_pi_is_known_by_its_device_tree(tmp_path: Path) -> None:
    model = tmp_path / "model"
    assert not bootstrap.is_raspberry_pi(model)
    model.write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    assert bootstrap.is_raspberry_pi(model)


def test_it_imports_nothing_that_must_first_be_installed() -> None:
    import ast

    tree = ast.parse(Path(bootstrap.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.integration
def test_a_slow_step_shows_that_it_is_alive() -> None:
    said: list[str] = []
    slow = "import time; print('thinking', flush=True); time.sleep(1)"
    result = bootstrap.run_shown("a slow step", [sys.executable, "-c", slow], said.append, every_s=0.3)
    assert result == Result(0, "thinking\n")
    assert said[0] == "  a slow step"
    assert any("thinking" in line for line in said[1:])


@pytest.mark.integration
def test_a_program_that_is_not_there_fails_with_127() -> None:
    assert bootstrap.run_shown("a step", ["/nonexistent/program"], lambda text: None).code == 127
