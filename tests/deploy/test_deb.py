"""The .deb: a whole release inside, and maintainer scripts that leave every step to its install.sh."""

import shutil
import subprocess
from pathlib import Path

import pytest

from deploy import deb
from edge import __version__

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not here: this is no Debian"),
]
HOME = "usr/lib/saynote/release"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deb")
    package = deb.build(folder / "dist", revision="7")
    assert package.name == f"saynote_{__version__}-7_all.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(folder / "root")], check=True)
    return folder / "root"


def fields(unpacked: Path) -> dict[str, str]:
    lines = (unpacked / "DEBIAN" / "control").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith(" "))


def test_the_release_in_it_is_whole_and_can_be_read_by_the_service(unpacked: Path) -> None:
    release = unpacked / HOME
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=release, check=True)
    assert {"install.sh", "RELEASE", "edge.example.toml"} <= {path.name for path in release.iterdir()}
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in release.rglob("*"))


def test_it_depends_on_what_the_installer_wants_of_apt(unpacked: Path) -> None:
    script = (unpacked / HOME / "install.sh").read_text()
    wanted = script.partition("packages=(")[2].partition(")")[0].split()
    assert wanted
    assert set(wanted) <= set(fields(unpacked)["Depends"].replace(",", " ").split())
    only_on_a_pi = script.partition("packages+=(")[2].partition(")")[0].split()
    assert set(only_on_a_pi) == set(fields(unpacked)["Recommends"].split(", "))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("postinst", ["abort-upgrade", "0.1.0"]),
        ("prerm", ["upgrade", "0.2.0"]),
        ("prerm", ["failed-upgrade", "0.1.0"]),
        ("postrm", ["upgrade", "0.2.0"]),
        ("postrm", ["remove"]),
        ("postrm", ["disappear", "other", "1"]),
    ],
)
def test_what_apt_asks_between_two_versions_touches_nothing(unpacked: Path, script: str, words: list[str]) -> None:
    done = subprocess.run([unpacked / "DEBIAN" / script, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("board", "target"),
    [("Raspberry Pi Zero 2 W Rev 1.0\0", "pi"), ("Radxa ROCK 5B\0", "debian"), (None, "debian")],
)
def test_the_installer_is_told_what_board_it_is_on_and_its_failure_is_the_package_s(
    unpacked: Path, tmp_path: Path, board: str | None, target: str
) -> None:
    if board is not None:
        (tmp_path / "model").write_text(board)
    (tmp_path / "install.sh").write_text('echo "$@"; exit "${CODE:-0}"\n')
    script = (unpacked / "DEBIAN" / "postinst").read_text()
    for there, here in (("/proc/device-tree/model", "model"), (f"/{HOME}/install.sh", "install.sh")):
        assert script.count(there) == 1
        script = script.replace(there, str(tmp_path / here))
    (tmp_path / "postinst").write_text(script)
    command = ["sh", str(tmp_path / "postinst"), "configure", ""]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(f"--no-apt --anyway --target {target}")
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():  # or ours could be running
        assert subprocess.run(command, capture_output=True, check=False, env={"CODE": "1"}).returncode == 1


def test_purging_is_done_by_the_installer_s_own_script(unpacked: Path) -> None:
    lines = (unpacked / "DEBIAN" / "postrm").read_text()
    installer = (unpacked / HOME / "install.sh").read_text()
    assert lines.endswith(installer.partition("\n")[2])
    assert "set -- --undeploy --purge\n" in lines
    for script in ("postinst", "prerm", "postrm"):
        subprocess.run(["bash", "-n", unpacked / "DEBIAN" / script], check=True)


@pytest.mark.parametrize(
    ("kind", "python", "depends"),
    [("bookworm-arm64", "3.11", "python3 (>= 3.11), python3 (<< 3.12)"), ("trixie-amd64", "3.13", "python3 (>= 3.13)")],
)
def test_a_package_with_wheels_is_for_the_python_that_they_are_for(kind: str, python: str, depends: str) -> None:
    assert deb.kind_of(kind).python == python
    assert deb._python(kind).startswith(depends)
