from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.drivers import access
from edge.drivers.access import Account

NOBODY = 54_321


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    (tmp_path / "snd").mkdir()
    for name in ("video0", "video1", "snd/pcmC0D0p"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o660)
    return tmp_path


def account(*groups: int, uid: int = NOBODY) -> Account:
    return Account("saynote", uid, frozenset(groups), is_me=False)


def test_a_member_of_the_group_may_open_the_device_files(dev: Path) -> None:
    gid = (dev / "video0").stat().st_gid
    assert account(gid).barred("video*", dev) == []
    assert account(gid + 1).barred("video*", dev) == [dev / "video0", dev / "video1"]


def test_reading_alone_is_not_enough(dev: Path) -> None:
    gid = (dev / "video0").stat().st_gid
    (dev / "video0").chmod(0o640)
    assert account(gid).barred("video*", dev) == [dev / "video0"]


def test_the_owner_root_and_everybody_where_everybody_may(dev: Path) -> None:
    assert account(uid=os.getuid()).barred("snd/pcm*p", dev) == []
    assert account(uid=0).barred("video*", dev) == []
    (dev / "video1").chmod(0o666)
    assert account(NOBODY).barred("video1", dev) == []


def test_where_no_device_is_nothing_is_barred(dev: Path) -> None:
    assert account(NOBODY).barred("gpiochip*", dev) == []


def test_whoever_runs_this_is_known_and_a_device_names_its_group(dev: Path) -> None:
    assert access.own_account().is_me
    assert access.own_account().barred("video*", dev) == []
    assert access.group_of(dev / "video0")
