from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge import process

ASKED = (process.age_s, process.cpu_s, process.resident_bytes, process.own_bytes)


def test_a_process_knows_its_age_and_what_it_has_used() -> None:
    began_s = time.process_time()
    assert 0.0 < process.age_s() < 7200.0
    assert process.cpu_s() == pytest.approx(began_s, abs=0.5)
    assert 0 < process.own_bytes() < process.resident_bytes() < 8 << 30


def test_what_it_takes_is_counted() -> None:
    before = process.resident_bytes(), process.own_bytes()
    taken = bytearray(os.urandom(32 << 20))
    after = process.resident_bytes(), process.own_bytes()
    assert all(now - then + (1 << 20) >= 32 << 20 for then, now in zip(before, after, strict=True))
    assert len(taken) == 32 << 20


def test_another_process_is_asked_by_its_number() -> None:
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        assert process.age_s(other.pid) <= process.age_s()
        assert all(ask(other.pid) > 0 for ask in (process.cpu_s, process.resident_bytes, process.own_bytes))
        other.stdin.close()
    assert [ask(other.pid) for ask in ASKED] == [0, 0, 0, 0]


def test_a_name_may_hold_what_it_likes(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    fields = ["S", *map(str, range(4, 53))]  # as proc(5) counts them, from the third on
    (tmp_path / "7" / "stat").write_text("7 (a ) b( c) " + " ".join(fields))
    assert process.cpu_s(7, tmp_path) == (14 + 15) / os.sysconf("SC_CLK_TCK")
    assert process.resident_bytes(7, tmp_path) == 24 * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("told", [None, b"", b"7 (x) S 1", b"7 (x) S " + b"x " * 30, b"\xff\0"])
def test_where_the_system_does_not_tell_it_is_0(tmp_path: Path, told: bytes | None) -> None:
    (tmp_path / "7").mkdir()
    if told is not None:
        (tmp_path / "7" / "stat").write_bytes(told)
        (tmp_path / "7" / "smaps_rollup").write_bytes(told)
    assert [ask(7, tmp_path) for ask in ASKED] == [0, 0, 0, 0]
