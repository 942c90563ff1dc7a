"""Owns which topics this device has announced itself on, across restarts, so that it can take back what stands there.

What a broker retains stays until somebody empties it: without a memory, an entity that is not announced any more, or
the whole device under its former name, would be shown for ever. It must not know what is announced.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from edge.core import intake, whole

log = logging.getLogger(__name__)

FILE = "announced.json"
MOST_BYTES = 256 << 10
MOST = 1000  # topics: those of dozens of former names
NOTHING = b""  # empties a topic


def announce(said: Mapping[str, bytes], folder: Path, keep: Callable[[str, bytes], object]) -> None:
    """Keep `said`, by topic, and empty every topic of former times; `folder` holds the memory of them.

    They are emptied at every start: nobody says whether a broker that was away has heard it.
    """
    former = _read(folder / FILE)
    for topic in former:
        if topic not in said:
            keep(topic, NOTHING)
    for topic, payload in said.items():
        keep(topic, payload)
    topics = list(dict.fromkeys([*said, *former]))[:MOST]
    if topics != former:
        try:
            whole.write(folder / FILE, msgspec.json.encode(topics))
        except OSError as error:
            log.warning("what was announced is not remembered: %s", error)


def _read(file: Path) -> list[str]:
    try:
        return msgspec.json.decode(intake.read(file, MOST_BYTES), type=list[str])
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:  # msgspec's own, too
        log.warning("%s cannot be read, and what was announced before stays: %s", file, error)
        return []
