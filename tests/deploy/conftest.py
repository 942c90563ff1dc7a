import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from deploy import release, wheel
from edge.core import bundle
from edge.core.bundle import DecisionSpec, InputSpec
from tests.deploy.pi import Pi
from tests.deploy.sshd import Server, serve


@pytest.fixture(scope="session")
def built_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a bundle around the given weights; nothing here ever runs them."""

    def make(weights: str) -> Path:
        folder = tmp_path / f"bundle-{weights}"
        labels = ("5", "10", "background")
        bundle.write(
            folder,
            name="crowns",
            version="1.0.0",
            currency="XTS",
            model=weights.encode(),
            labels=labels,
            input_=InputSpec(height=32, width=32, fit="squash"),
            decision=DecisionSpec(
                temperature=1.0,
                thresholds={"5": 0.9, "10": 0.9},
                window_s=1.0,
                min_frames=2,
                agree=0.6,
                unsure_after_s=2.0,
                rearm_s=1.0,
            ),
            selftest_pictures=np.zeros((1, 32, 32, 3), np.uint8),
            selftest_logits=np.zeros((1, len(labels)), np.float32),
            selftest_tolerance=0.1,
            has_box=False,
            card="# crowns\n",
        )
        return folder

    return make


@pytest.fixture
def make_release(tmp_path: Path, built_wheel: Path) -> Callable[..., tuple[Path, str]]:
    """Lays out a release; another `name` makes it one that the device does not have yet."""

    def make(name: str | None = None, bundle: Path | None = None) -> tuple[Path, str]:
        folder = tmp_path / f"release-{len(list(tmp_path.glob('release-*')))}"
        folder.mkdir()
        found = release.lay_out(folder, built_wheel, bundle=bundle)
        if name is not None:
            (folder / release.NAME).write_text(name + "\n")
            release.seal(folder)
        return folder, name or found

    return make


# An interpreter that copies an empty environment instead of making one anew, which takes seconds.
QUICK = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then exec cp -R "{template}" "$4"; fi
exec "{python}" "$@"
"""


@pytest.fixture(scope="session")
def quick_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", folder / "template"], check=True)
    program = folder / "python"
    program.write_text(QUICK.format(template=folder / "template", python=sys.executable))
    program.chmod(0o755)
    return program


@pytest.fixture
def install_options(quick_python: Path) -> list[str]:
    """Nothing outside the folder of the test is touched, and nothing is downloaded."""
    return ["--no-apt", "--no-deps", "--python", str(quick_python)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serve(tmp_path) as running:
        yield running


@pytest.fixture
def pi(tmp_path: Path, install_options: list[str]) -> Pi:
    return Pi(tmp_path / "pi", install_options)
