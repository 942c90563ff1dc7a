"""A device that has just been made, one that saynote was deployed to, and checkouts to deploy from."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy import wheels
from deploy.reach import look, ssh_command
from tests.e2e.pi import ability, rootfs
from tests.e2e.pi.checkout import Checkout
from tests.e2e.pi.device import QUIET, Broker, Device, broker
from tests.e2e.pi.machine import machines
from tests.e2e.pi.step import run

HERE = Path(__file__).parent
LIMIT_S = 7200  # for one test with all that it sets up; its steps have deadlines of their own
Report = Callable[[str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=10, help="how often the installer is killed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.machine)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Prints a line that is seen although the test passes."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def tell(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n    {text}", flush=True)  # noqa: T201

    return tell


@pytest.fixture(scope="session")
def clean() -> Path:
    """The file system of a device that knows nothing of saynote."""
    if lacking := "root" * (not ability.is_root()) or ", ".join(ability.packages_missing()) or ability.lacks():
        pytest.fail(f"no device can be booted here: {lacking} is missing. Call: make e2e")
    return rootfs.prepared()


@pytest.fixture(scope="session")
def box() -> Iterator[Path]:
    """Where the devices of this run lie."""
    folder = rootfs.CACHE / f"boxes-{os.getpid()}"
    folder.mkdir(parents=True)
    yield folder
    run(["rm", "-rf", str(folder)], 120)


@pytest.fixture(scope="session")
def first_time(clean: Path, box: Path) -> tuple[Path, Path, str, float]:
    """The file system after the first `make deploy`, the wheels it took, what was said, the seconds it took."""
    with machines(box / "first", clean, ["pi-one"]) as (machine,):
        device = Device(machine, Path())
        device.settle(QUIET)
        kind = wheels.kind_of(look(machine.name, ssh_command(device.ssh_config), at_terminal=False))
        began_s = time.monotonic()
        outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")  # this may itself run under make
        environment = {name: value for name, value in os.environ.items() if name not in outer}
        command = ["make", "--no-print-directory", "deploy", f"PI={machine.name}", "TARGET=debian", "WHEELS=auto"]
        command += [f"SSH_CONFIG={device.ssh_config}"]
        said = run(command, 3600, cwd=rootfs.PROJECT, environment=environment).stdout
        took_s = time.monotonic() - began_s
        assert device.is_ready(), machine.story()
        machine.sh("sync")
        machine.switch_off()
        installed = box / "installed"
        rootfs.copy(machine.root, installed)
    return installed, rootfs.PROJECT / "build" / "wheels" / kind.name, said, took_s


@pytest.fixture
def device(first_time: tuple[Path, Path, str, float], box: Path, request: pytest.FixtureRequest) -> Iterator[Device]:
    """A device of its own for each test, to which saynote was deployed once; it has just been switched on."""
    with machines(box / request.node.name[:60].replace("/", "_"), first_time[0], ["pi-one"]) as (machine,):
        found = Device(machine, first_time[1])
        found.wait_until_ready()
        yield found


@pytest.fixture
def mosquitto(device: Device, tmp_path: Path) -> Iterator[Broker]:
    """A broker at the other end of the device's cable."""
    with broker(device.machine, tmp_path) as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Callable[[], Checkout]]:
    """Makes copies of this project; each of them a release of its own once it is changed."""
    made: list[Checkout] = []

    def make() -> Checkout:
        made.append(Checkout(tmp_path / f"checkout-{len(made)}"))
        return made[-1]

    return make


@pytest.fixture
def newer(checkout: Callable[[], Checkout]) -> Checkout:
    """A release that does as well as the one that runs, and is another."""
    return another(checkout())


def another(made: Checkout) -> Checkout:
    """Make of it a release that differs and does the same."""
    (made.folder / "edge" / "another.py").write_text('"""Makes this release another one."""\n', encoding="utf-8")
    return made
