"""Owns the way through folders of pictures: what people put there, what computers did, what is no picture.

Knows no label, and opens nothing but the first bytes of what is no picture by its name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.core import picture
from edge.core.errors import PictureError
from edge.core.litter import is_litter
from training.errors import TrainingError


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a folder from being trained on."""

    path: Path
    sentence: str


@dataclass
class Walk:
    """What was noticed on the way through folders."""

    problems: list[Problem] = field(default_factory=list)
    passed_over: list[Path] = field(default_factory=list)  # what computers put there by themselves

    def report(self, path: Path, sentence: str) -> None:
        """Note a problem of `path` and go on."""
        self.problems.append(Problem(path, sentence))

    def raise_first(self) -> None:
        """Stop at the first problem, for those who cannot go on with one."""
        if self.problems:
            raise TrainingError(self.problems[0].sentence)


def pictures_in(folder: Path) -> list[Path]:
    """Every picture below `folder`, sorted. Raises TrainingError for a file that is no known picture."""
    found = Walk()
    files = pictures_of(folder, found)
    found.raise_first()
    return files


def folders_in(data: Path) -> list[Path]:
    """The folders directly in `data`, sorted, each a class. Raises TrainingError where there is no such folder."""
    found = Walk()
    folders = folders_of(data, found)
    found.raise_first()
    return folders


def passed_over(*folders: Path | None) -> list[Path]:
    """What computers have put into these folders by themselves, at every level: nothing of it is read."""
    found = Walk()
    for folder in folders:
        if folder is not None and folder.is_dir():
            deque(_files_below(folder, found), maxlen=0)
    return found.passed_over


def folders_of(data: Path, found: Walk) -> list[Path]:
    """The same; what is noticed goes into `found`, and only a missing folder raises."""
    if not data.is_dir():
        raise TrainingError(f"there is no folder {data}")
    return sorted(path for path, is_folder in _inside(data, found) if is_folder)


def pictures_of(folder: Path, found: Walk) -> list[Path]:
    """The same as `pictures_in`; what is noticed goes into `found`."""
    files = sorted(_files_below(folder, found))
    for path in files:
        if fault := _strange(path):
            found.report(path, fault)
    return [path for path in files if path.suffix.lower() in picture.SUFFIXES and path.is_file()]


def _strange(path: Path) -> str:
    """What is wrong with a file by its name and kind, "" for nothing."""
    known = path.suffix.lower() in picture.SUFFIXES
    if known and path.is_file():
        return ""
    try:
        picture.look(path)
    except PictureError as error:
        if known or error.other_format:
            return str(error)
    return f"{path} is not a picture saynote reads ({', '.join(picture.SUFFIXES)})"


def _files_below(folder: Path, found: Walk) -> Iterator[Path]:
    """Every file below `folder`, linked folders included."""
    waiting, seen = [folder], set[tuple[int, int]]()
    while waiting:
        here = waiting.pop()
        facts = here.stat()
        if (facts.st_dev, facts.st_ino) in seen:
            continue  # a link leads back to it
        seen.add((facts.st_dev, facts.st_ino))
        for path, is_folder in _inside(here, found):
            if is_folder:
                waiting.append(path)
            else:
                yield path


def _inside(folder: Path, found: Walk) -> list[tuple[Path, bool]]:
    """Whatever people put directly into `folder`, and whether it is a folder; the rest is noted as passed over."""
    try:
        entries = [(path, path.is_dir()) for path in sorted(folder.iterdir())]
    except OSError as error:
        found.report(folder, f"{folder} cannot be read: {error.strerror}")
        return []
    found.passed_over += [path for path, _ in entries if is_litter(path.name)]
    return [(path, is_folder) for path, is_folder in entries if not is_litter(path.name)]
