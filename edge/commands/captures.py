"""Owns what a person can know of the pictures kept for training, and that they can be deleted in one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge import folders
from edge.commands.shell import put, tell
from edge.core.errors import EXIT_OK, EXIT_USAGE
from edge.outlets import album
from edge.settings import BYTES_PER_MB


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("--delete", action="store_true", help="delete them all, now")


def run(options: argparse.Namespace) -> int:
    """A line for each folder that holds pictures; a folder that cannot be read is told, the others are done."""
    code, lines = EXIT_OK, []
    for folder in folders_of_pictures():
        try:
            lines += _line(folder, delete=options.delete)
        except OSError as error:
            tell(f"{folder} cannot be read or emptied: {error.strerror}; try it with sudo")
            code = EXIT_USAGE
    for line in lines or ([] if code else ["no pictures are kept"]):
        put(line)
    return code


def folders_of_pictures() -> list[Path]:
    """Where kept pictures may lie: of whoever asks, and of the service."""
    return list(dict.fromkeys(state / album.CAPTURES for state in (folders.state_folder(), folders.SERVICE_STATE)))


def _line(folder: Path, *, delete: bool) -> list[str]:
    kept = album.contents(folder)
    if kept.pictures == 0:
        return []
    days = kept.first_day if kept.first_day == kept.last_day else f"{kept.first_day} to {kept.last_day}"
    about = f"{kept.pictures} pictures, {kept.size / BYTES_PER_MB:.1f} MB, {days}, in {folder}"
    if not delete:
        return [about]
    album.delete(folder)
    return [f"deleted: {about}"]
