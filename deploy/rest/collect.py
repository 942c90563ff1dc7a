"""Owns what is kept of pictures and answers for training, where whoever runs the service asked for it.

    DIR/said/<amount>/2026-11-27-0001.jpg    what was said to be an amount: `make train DATA=DIR/said` reads it
    DIR/said/background/...                  what nothing was said to
    DIR/doubtful/unsure|several/...          what has no label: to be looked at
    DIR/results/2026-11-27-0001.json         one line about the picture of the same name

With several bundles the amounts lie in DIR/said-INR and so on. A picture is made anew from its pixels: what else was in
the file (place, owner, camera) is not kept, nor is who sent it, nor at what time. Names come from the album alone,
folders from the bundle's labels. One service a folder. A disk that is full stops nothing but this.
"""

from __future__ import annotations

import datetime
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from deploy.rest.reader import NO_NOTE, Reading
from edge.core import picture
from edge.core.bundle import BACKGROUND, Bundle
from edge.core.errors import HardwareError, Reason
from edge.core.messages import Verdict
from edge.outlets.album import Album
from edge.outlets.inbox import Inbox
from edge.outlets.worker import Mishaps, serve
from edge.settings import BYTES_PER_MB

log = logging.getLogger(__name__)

INBOX_SIZE = 4  # pictures in full; more are turned away, since the answers go first
QUALITY = 92
RESULTS, DOUBTFUL = "results", "doubtful"
LOCK = ".lock"


class Line(msgspec.Struct, frozen=True):
    """What is written down with a picture: no time, no client, no name of a file."""

    verdict: str
    amount: str
    currency: str
    confidence: float
    scores: dict[str, float]
    box: tuple[float, float, float, float] | None
    bundles: dict[str, str]  # name and version: digest


class Collection:
    """Keeps; `offer` never waits. Raises HardwareError where nothing can be kept."""

    def __init__(
        self,
        folder: Path,
        bundles: Sequence[Bundle],
        *,
        max_mb: int,
        keep_days: int,
        today: Callable[[], datetime.date] = datetime.date.today,
        told: Callable[[bool], None] = lambda kept: None,
    ) -> None:
        """`told`: of each picture whether it was kept."""
        self._several = len(bundles) > 1
        self._bundles = {
            f"{bundle.manifest.name} {bundle.manifest.version}": bundle.manifest.digest for bundle in bundles
        }
        shelves = [
            self._amount_shelf(label, bundle.manifest.currency) for bundle in bundles for label in bundle.denominations
        ]
        shelves += [self._amount_shelf(BACKGROUND, bundle.manifest.currency) for bundle in bundles[:1]]
        self._background = shelves[-1]
        shelves += [f"{DOUBTFUL}/{verdict.value}" for verdict in (Verdict.UNSURE, Verdict.SEVERAL)]
        self._shelves = {*shelves, RESULTS}
        max_bytes = max_mb * BYTES_PER_MB
        self._album = Album(folder, max_bytes=max_bytes, keep_days=keep_days, shelves=sorted(self._shelves))
        self._today, self._told = today, told
        self._inbox: Inbox[Reading] = Inbox(INBOX_SIZE, drop="newest")
        try:
            self._album.tidy(today())
            self._lock = _locked(folder / LOCK)
        except OSError as error:
            raise HardwareError("disk", Reason.BROKEN, f"pictures cannot be kept in {folder}: {error}") from error
        self._failing = False  # said so in the log
        self._thread = threading.Thread(target=self._run, name="collect", daemon=True)
        self._thread.start()

    def offer(self, reading: Reading) -> None:
        """Keep it, where there is room in the inbox."""
        if not self._inbox.offer(reading):
            self._told(False)

    def close(self) -> None:
        """Keep what was offered, then stop."""
        self._inbox.close()
        self._thread.join()
        os.close(self._lock)

    def _run(self) -> None:
        serve(self._inbox, self._keep, mishaps=Mishaps("collected pictures"))

    def _keep(self, reading: Reading | None) -> None:
        if reading is None:
            return
        line = Line(reading.verdict, reading.amount, reading.currency, round(reading.confidence, 4), reading.scores,
                    reading.box, self._bundles)  # fmt: skip
        try:
            jpeg = picture.jpeg(reading.pixels, quality=QUALITY)
            name = self._album.add(
                jpeg, msgspec.json.encode(line) + b"\n", self._today(), self._shelf(reading), RESULTS
            )
        except OSError as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING, "pictures cannot be kept just now: %s", error)
            self._failing = True
            self._told(False)
            return
        self._failing = False
        self._told(bool(name))

    def _shelf(self, reading: Reading) -> str:
        if reading.verdict == Verdict.AMOUNT.value:
            return self._amount_shelf(reading.amount, reading.currency)
        return self._background if reading.verdict == NO_NOTE else f"{DOUBTFUL}/{reading.verdict}"

    def _amount_shelf(self, label: str, currency: str) -> str:
        return f"said-{currency}/{label}" if self._several else f"said/{label}"


def _locked(path: Path) -> int:
    """A lock that goes with the process. Raises OSError where another service has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise OSError("another service keeps its pictures there") from None
    return handle
