"""Owns the live view in a terminal: what the camera sees in words, scores, decision, speech, milliseconds.

On a terminal one block is redrawn in place; elsewhere only changes are written, a line each. It shows, and
knows nothing of how to decide.

    inbox: 32 items, the oldest makes room
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Sequence
from typing import TextIO, TypeAlias

from edge.core.captions import describe, sees
from edge.core.messages import Decision, Fault, Guidance, Observation, Recovered, Utterance
from edge.outlets.inbox import Inbox
from edge.outlets.worker import Worker

log = logging.getLogger(__name__)

BAR = 24  # characters of a full bar
REDRAW_S = 0.1

Item: TypeAlias = Observation | Decision | Guidance | Fault | Recovered | Utterance


class View:
    """Writes to `out`; `title` stands on top."""

    def __init__(self, out: TextIO, labels: Sequence[str], title: str, keys: str) -> None:
        self._out, self._labels, self._title, self._keys = out, tuple(labels), title, keys
        self._live = out.isatty()
        self._inbox: Inbox[Item] = Inbox(32, drop="oldest")
        self._thread = Worker("view", self._inbox, self._turn, lambda: REDRAW_S)
        self._observation: Observation | None = None
        self._decision, self._spoken = "", ""
        self._drawn = 0  # lines of the block on the screen
        self._gone = False  # there is nobody to write for

    def start(self) -> None:
        """Begin to show."""
        if not self._live:
            self._write(self._title + "\n")
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Never waits."""
        if not self._live and isinstance(item, Observation):
            return True
        return self._inbox.offer(item)

    def close(self) -> None:
        """Show what was offered, then stop."""
        self._thread.finish(2.0)

    def _turn(self, item: Item | None) -> None:
        try:
            if item is not None and not self._gone:
                self._take(item)
            if self._live and len(self._inbox) == 0 and not self._gone:
                self._draw()
        except Exception:
            self._observation = None  # it would be drawn again and again
            raise

    def _take(self, item: Item) -> None:
        if isinstance(item, Observation):
            self._observation = item
            return
        line = describe(item)
        if isinstance(item, Utterance):
            self._spoken = line
        elif line:
            self._decision = line
        if not self._live and line:
            self._write(f"{'spoken' if isinstance(item, Utterance) else 'decided'}  {line}\n")

    def _draw(self) -> None:
        lines = [
            self._title,
            f"sees      {sees(self._observation, self._labels)}",
            *_bars(self._observation, self._labels),
            f"decision  {self._decision}",
            f"spoken    {self._spoken}",
            f"ms        {_milliseconds(self._observation)}",
            self._keys,
        ]
        width = shutil.get_terminal_size().columns  # a line that wraps would tear the block
        back = f"\x1b[{self._drawn}F" if self._drawn else ""
        self._write(back + "".join(f"\x1b[2K{line[:width]}\n" for line in lines))
        self._drawn = len(lines)

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError) as error:  # whoever looked has gone, or reads fewer letters than we write
            self._gone = True
            self._inbox.close()
            log.warning("nothing is shown any more: %s", error)


def _bars(observation: Observation | None, labels: tuple[str, ...]) -> list[str]:
    rows = []
    for index, label in enumerate(labels):
        scores = observation.scores if observation else None
        share = math.exp(float(scores[index])) if scores is not None else 0.0
        rows.append(f"  {label:>10}  {'█' * round(share * BAR):<{BAR}} {share:5.2f}")
    return rows


def _milliseconds(observation: Observation | None) -> str:
    if observation is None:
        return ""
    stages = "  ".join(f"{stage} {ms:.1f}" for stage, ms in observation.ms.items())
    return f"{stages}  total {sum(observation.ms.values()):.1f}"
