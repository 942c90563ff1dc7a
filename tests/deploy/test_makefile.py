import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.bootstrap import GOALS

PROJECT = Path(__file__).parents[2]
MAKEFILE = (PROJECT / "Makefile").read_text()

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # This test may itself run under make, whose variables must not reach the inner one.
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    command = ["make", "--no-print-directory", "-C", str(PROJECT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.integration
def test_make_alone_explains_every_target_for_people() -> None:
    shown = set(re.findall(r"^  make ([a-z0-9-]+)", make().stdout, re.M))
    assert shown == {
        *("help", "setup", "run", "test", "check", "format", "check-data", "train", "evaluate", "report", "compare"),
        *(
            "phone",
            "xts",
            "replay",
            "bench",
            "bench-peers",
            "translations",
            "wheel",
            "soak",
            "endurance",
            "cloud-nats",
            "clean",
        ),
        *("e2e", "e2e-arm", "e2e-camera", "e2e-device", "deb", "deploy", "deploy-check", "rollback", "undeploy"),
        *("doctor", "dashboard", "dashboard-load", "dashboard-vendor", "serve", "rest-load", "rest-ray", "sweep-ray"),
        *("cloud-check", "sign", "bundle-kills"),
    }


@pytest.mark.integration
@pytest.mark.parametrize(
    ("call", "lacks"),
    [
        (["train"], "DATA"),
        (["evaluate", "DATA=x"], "BUNDLE"),
        (["replay"], "FOLDER"),
        (["deploy"], "PI"),
        (["rollback"], "PI"),
    ],
)
def test_a_missing_value_is_named_before_anything_else_is_done(call: list[str], lacks: str) -> None:
    done = make(*call)
    assert done.returncode != 0
    assert f"{lacks} is missing" in done.stderr
    assert done.stdout == ""


@pytest.mark.integration
def test_a_purge_that_is_asked_for_in_other_words_is_not_taken_for_none() -> None:
    done = make("undeploy", "PI=pi", "PURGE=true")
    assert done.returncode != 0
    assert "PURGE is yes, or left out" in done.stderr


@pytest.mark.integration
def test_values_reach_the_program_and_those_not_given_do_not() -> None:
    def trained(*given: str) -> str:
        return " ".join(make("-n", "train", *given).stdout.splitlines()[-3:])

    words = trained("DATA=my notes", "OUT=o", "CURRENCY=EUR")
    assert '-m training train "my notes" --out "o" --currency "EUR"' in words
    assert not re.search("--weights|--start-from|--strangers|--steps", words)
    assert re.search('--start-from "inr" +--steps "1000"', trained("DATA=x", "START=inr", "STEPS=1000"))
    assert "--camera webcam" in make("-n", "run", "CAMERA=webcam").stdout


def test_every_goal_that_is_set_up_is_one_that_exists() -> None:
    assert set(re.findall(r"bootstrap\.py ([a-z0-9]+)", MAKEFILE)) <= set(GOALS)


def test_ci_runs_what_the_readme_says() -> None:
    script = PROJECT / ".ci" / "run"
    assert "\nmake test\n" in script.read_text()
    assert os.access(script, os.X_OK)
    assert "make test " in (PROJECT / "README.md").read_text()
