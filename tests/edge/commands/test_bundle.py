"""What a person does with bundles that travel, from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import app
from edge.__main__ import main
from edge.core.bundle import MANIFEST
from edge.core.errors import EXIT_BUNDLE, EXIT_CONFIG, EXIT_OK
from edge.core.seal import Claim
from edge.core.shelf import Shelf
from tests import sealed
from tests.devices import fake_engine

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    config = tmp_path / "edge.toml"
    config.write_text(f'[model]\nbundle = "xts"\nkeys = "{tmp_path / "keys"}"\n')

    def _call(*words: str) -> tuple[int, str]:
        code = main(["bundle", "--config", str(config), *words])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return _call


def put(tmp_path: Path, version: str) -> str:
    shelf = Shelf(tmp_path / "state")
    with shelf.installing(), shelf.staging() as folder:
        made = sealed.bundle(folder / "b", version)
        return shelf.keep(made, Claim.of(sealed.manifest_of(made)))


def test_where_nothing_was_installed_it_says_what_is_in_use(call: Call, tmp_path: Path) -> None:
    assert call("list") == (EXIT_OK, "XTS configured: xts 0.1.0, in use\nno bundle was installed here\n")
    assert not (tmp_path / "state").exists(), "to look changes nothing"


def test_bundles_are_listed_used_and_rolled_back(call: Call, tmp_path: Path) -> None:
    first, second = put(tmp_path, "0.2.0"), put(tmp_path, "0.3.0")
    assert call("use", "0.2.0") == (EXIT_OK, f"{first} is used from now on\n")
    assert call("use", second)[0] == EXIT_OK
    listed = call("list")[1]
    assert f"{second}: in use, on trial\n" in listed
    assert f"{first}: before it\n" in listed
    assert f"{first} switched: asked for" in listed
    assert call("rollback") == (EXIT_OK, f"{first} is used from now on\n")
    assert call("use", "configured") == (EXIT_OK, "configured is used from now on\n")
    code, said = call("rollback")
    assert (code, "there is nothing to go back to" in said) == (EXIT_BUNDLE, True)


def test_other_commands_mean_the_bundle_that_the_daemon_would_use(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.commands.replay.open_engine", lambda _config, bundle: fake_engine(bundle))
    entry, config = put(tmp_path, "0.2.0"), str(tmp_path / "edge.toml")
    shelf, picture = Shelf(tmp_path / "state"), tmp_path / "pictures" / "a.png"
    picture.parent.mkdir()
    cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
    main(["check", "--config", config])
    assert capsys.readouterr().out.endswith("# the bundle 'xts' is used\n")
    call("use", entry)
    sentence = f"the installed bundle {entry} is used in place of 'xts', on trial\n"
    main(["check", "--config", config])
    assert capsys.readouterr().out.endswith(f"# {sentence}")
    before = shelf.read()
    assert main(["replay", str(picture.parent), "--config", config]) == EXIT_OK
    assert f"saynote: {sentence}" in capsys.readouterr().err
    assert main(["replay", str(picture.parent), "--config", config, "--bundle", "xts"]) == EXIT_OK
    assert entry not in capsys.readouterr().err, "who names one by hand means that one"
    assert shelf.read() == before, "to look counts no start"


def test_what_is_not_here_cannot_be_used(call: Call, tmp_path: Path) -> None:
    entry = put(tmp_path, "0.2.0")
    code, said = call("use", "0.9.0")
    assert code == EXIT_BUNDLE
    assert said == f"saynote: '0.9.0' is no bundle of {entry}\n"


def test_keys_are_listed_added_and_removed(call: Call, tmp_path: Path) -> None:
    assert "no key is trusted" in call("keys")[1]
    code, said = call("keys", "--add", sealed.pair().public_key.to_base64().decode())
    id_ = said.split()[4]
    assert code == EXIT_OK
    assert call("keys")[1].startswith(id_)
    assert call("keys", "--remove", "0000000000000000")[0] == EXIT_CONFIG
    assert call("keys", "--remove", id_)[0] == EXIT_OK
    assert call("keys", "--add", "no key")[0] == EXIT_CONFIG


def test_a_file_that_is_not_there_and_an_address_that_is_not_https_are_refused(call: Call, tmp_path: Path) -> None:
    assert call("install", str(tmp_path / "nothing"))[0] == EXIT_BUNDLE
    code, said = call("install", "http://127.0.0.1/x")
    assert (code, said.count("\n")) == (EXIT_BUNDLE, 1)


@pytest.mark.integration
def test_a_sealed_bundle_is_installed_and_waits_in_the_shadow(call: Call, tmp_path: Path) -> None:
    source = sealed.make(tmp_path)
    entry = source.name.removesuffix("-owner.saynote")
    assert "which is not trusted here" in call("install", str(source))[1]
    sealed.trusting(tmp_path / "keys")
    code, said = call("install", str(source))
    assert code == EXIT_OK, said
    assert said == f"installed {entry}; the daemon compares it for 600 s and 5 notes, unheard\n"
    assert f"{entry}: in the shadow: 0 notes alike" in call("list")[1]
    assert (app.BUNDLES / "xts" / MANIFEST).is_file()


def all_may_read(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


AS_ROOT = """
import sys
from pathlib import Path
from edge import folders
from edge.__main__ import main
folders.SERVICE_STATE = Path(sys.argv[1])
sys.exit(main(["bundle", "--config", sys.argv[2], *sys.argv[3:]]))
"""
SERVICE_ID = 64_123  # nobody's


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.skipif(not all_may_read(Path(os.__file__)), reason="this Python is root's own")
def test_root_installs_as_the_service_s_user_who_may_not_even_read_the_file(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        folder = Path(place)
        folder.chmod(0o755)
        state, config = folder / "state", folder / "edge.toml"
        state.mkdir(mode=0o750)
        os.chown(state, SERVICE_ID, SERVICE_ID)
        config.write_text(f'[model]\nbundle = "xts"\nkeys = "{sealed.trusting(folder / "keys")}"\n')
        source = sealed.make(tmp_path)
        source.chmod(0o600)
        environment = {name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"}
        command = [sys.executable, "-c", AS_ROOT, str(state), str(config), "install", str(source)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == EXIT_OK, done.stderr
        found = list(state.rglob("*"))
        assert len(found) > 5
        assert {(path.stat().st_uid, path.stat().st_gid) for path in found} == {(SERVICE_ID, SERVICE_ID)}
        assert {path.stat().st_mode & 0o077 for path in found} == {0}, "for nobody else"
