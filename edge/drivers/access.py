"""Owns who the service runs as, and which device files that user may open; reads the user database, opens nothing."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

SERVICE_USER = "saynote"  # made by the installer


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this computer."""

    name: str
    uid: int
    groups: frozenset[int]
    is_me: bool

    def barred(self, pattern: str, dev: Path = Path("/dev")) -> list[Path]:
        """The device files of that pattern that this user may not both read and write."""
        return [node for node in sorted(dev.glob(pattern)) if not self._may(node, os.R_OK | os.W_OK)]

    def reads(self, file: Path) -> bool:
        """Whether this user may read a file, by the file's own mode. Raises OSError where that is hidden."""
        return self._may(file, os.R_OK)

    def _may(self, node: Path, how: int) -> bool:
        if self.is_me:
            return os.access(node, how)  # also knows of what a desktop grants whoever sits at it
        facts = node.stat()
        mine = (facts.st_uid == self.uid, how << 6), (facts.st_gid in self.groups, how << 3), (True, how)
        return self.uid == 0 or any(holds and facts.st_mode & bits == bits for holds, bits in mine)


def service_account() -> Account | None:
    """The user that the installer made, None where it has not run."""
    try:
        entry = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return None
    groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_name, entry.pw_uid, groups, is_me=entry.pw_uid == os.geteuid())


def own_account() -> Account:
    """Whoever runs this program."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Account(name, uid, frozenset(os.getgroups()), is_me=True)


def group_of(node: Path) -> str:
    """The name of the group that owns a device file."""
    gid = node.stat().st_gid
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
