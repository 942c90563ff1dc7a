from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge import apart


def test_the_other_process_has_our_modules_wherever_it_begins_and_numpy_sparingly(tmp_path: Path) -> None:
    command = apart.command("tests_of_apart", "tell", "a word", "--option")
    (tmp_path / "tests_of_apart.py").write_text(
        "import sys, edge, numpy\ndef tell(*words): print(words, edge.__file__, 'numpy.random.mtrand' in sys.modules)\n"
    )
    ours = {**apart.environment(), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=ours, capture_output=True, text=True, check=True)
    assert done.stdout == f"('a word', '--option') {apart.ROOT / 'edge' / '__init__.py'} False\n"


def test_it_is_not_the_service_and_leaves_nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("MINE", "kept")
    ours = apart.environment()
    assert "NOTIFY_SOCKET" not in ours
    assert (ours["MINE"], ours["PYTHONDONTWRITEBYTECODE"]) == ("kept", "1")
