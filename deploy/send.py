"""Owns the command line of the way to devices: which, what, with which options.

`python -m deploy.send user@host[,user@host...] [--wheels auto|FOLDER] [...] [-- OPTIONS OF install.sh]`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy import fleet
from deploy.reach import ReachError, check_host


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; what follows "--" is `install`, the options of install.sh."""
    own, install = list(arguments), []
    if "--" in own:
        at = own.index("--")
        own, install = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(
        prog="deploy",
        usage="%(prog)s [option]... user@host[,user@host...] [-- OPTION OF install.sh...]",
        description="Install saynote on devices over ssh.",
    )
    parser.add_argument("host", nargs="?", default="", help="user@host as ssh takes it, or several with commas")
    parser.add_argument("--inventory", type=Path, help="file with one host a line; # begins a comment")
    parser.add_argument("--action", choices=fleet.ACTIONS, default="deploy", help="what to do there [deploy]")
    parser.add_argument("--bundle", type=Path, help="model bundle to send along")
    parser.add_argument("--wheels", help="folder of wheels for a device without a network, or auto: fetch them here")
    parser.add_argument("--target", choices=["pi", "debian"], help="debian leaves out board, camera and picamera2 [pi]")
    parser.add_argument("--purge", action="store_true", help="with undeploy: settings and captures go, too")
    parser.add_argument("--ssh-config", type=Path, help="configuration file for ssh, instead of your own")
    return parser.parse_args(own, argparse.Namespace(install=install))


def hosts_of(given: argparse.Namespace) -> list[str]:
    """The hosts that are named, each once. ReachError where one is none, or there are none."""
    named = [check_host(host.strip()) for host in given.host.split(",")] if given.host else []
    if given.inventory is not None:
        named += read_inventory(given.inventory)
    if not named:
        raise ReachError("no device is named: PI=user@host[,user@host...] or INVENTORY=file")
    return list(dict.fromkeys(named))


def read_inventory(file: Path) -> list[str]:
    """The hosts that stand in it, one a line. ReachError where it cannot be read, or a line is no host."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()  # as Windows' editors begin a file, too
    except OSError as error:
        raise ReachError(f"the inventory {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ReachError(f"the inventory {file} is no text in UTF-8") from error
    found = []
    for number, line in enumerate(lines, start=1):
        host = line.partition("#")[0].strip()
        try:
            found += [check_host(host)] if host else []
        except ReachError as error:
            raise ReachError(f"line {number} of the inventory {file}: {error}") from error
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked for on every device; the exit code: 0 where all went well."""
    given = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        order = fleet.Order(
            action=given.action,
            install=tuple(given.install),
            bundle=given.bundle,
            wheels=given.wheels,
            target=given.target,
            purge=given.purge,
            ssh_config=given.ssh_config,
        )
        return fleet.run(hosts_of(given), order)
    except ReachError as error:
        sys.stderr.write(f"deploy: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"deploy: on this computer: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("deploy: stopped here. What a device has begun it brings to its end\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
