"""Reckons how long a frame takes on a Raspberry Pi: an estimate, since nothing was measured on one.

    python -m tests.instructions.boards            the table of docs/benchmarks.md
    python -m tests.instructions.boards --write    puts it there

The inference: the published time of MobileNetV2 1.0 at 224 x 224 in int8 with XNNPACK on all four cores, times the
multiply-adds of the network in use over those of the published one. Our own share: the instructions that callgrind
counted (recorded.json), at half the pace that the published time means for a core, because they wait for memory and for
Python; half is an assumption. What a published time means for a core follows from the Arm instructions of a frame that
`make e2e-arm` counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from edge import app
from edge.core import bundle as bundles
from tests.instructions.callgrind import PROJECT, RECORDED
from training.measure.cost import multiply_adds

PAGE = PROJECT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- estimated: boards -->", "<!-- end of what was estimated -->"
PUBLISHED_MULTIPLY_ADDS = 300.8e6  # MobileNetV2 1.0 at 224 x 224
FRAME_INSTRUCTIONS = 123e6  # of rupees on Arm, docs/decisions/0012-virtual-devices.md
FRAME_MULTIPLY_ADDS = 221.2e6  # of the network that was counted then
CORES = 4
OWN = ("scene", "shrink", "classify", "decide", "guide", "hub")
OWN_PACE = 0.5  # of a core's, for what is ours
DEFAULT_THREADS = 2
FRAMES_PER_S = 15.0


@dataclass(frozen=True)
class Board:
    """A computer, and how long the published network takes on it."""

    name: str
    published_ms: float
    why: str


BOARDS = (
    Board("Zero 2 W", 30 * 1.4, "the 3+'s cores at 1.0 instead of 1.4 GHz"),
    Board("3+", 30.0, "published, 32 bit"),
    Board("4", 17.0, "published, 64 bit"),
    Board("5", 17 / 2.5, "its maker's 2 to 3 times a 4"),
)


@dataclass(frozen=True)
class Estimate:
    """Milliseconds of a frame."""

    inference_ms: float  # on four threads
    own_ms: float

    @property
    def slowest_ms(self) -> float:
        """With the default's two threads, if half the cores take twice as long."""
        return self.inference_ms * CORES / DEFAULT_THREADS + self.own_ms

    @property
    def whole_ms(self) -> float:
        """On four threads."""
        return self.inference_ms + self.own_ms


def estimate(board: Board, network: float, own: float) -> Estimate:
    """For a network of so many multiply-adds, and so many instructions of ours."""
    instructions = FRAME_INSTRUCTIONS * PUBLISHED_MULTIPLY_ADDS / FRAME_MULTIPLY_ADDS
    a_core_ms = instructions / CORES / board.published_ms
    return Estimate(board.published_ms * network / PUBLISHED_MULTIPLY_ADDS, own / (a_core_ms * OWN_PACE))


def own_instructions(recorded: Path = RECORDED) -> int:
    """Of a frame that is classified, without its inference."""
    counted = json.loads(recorded.read_text(encoding="utf-8"))["counted"]
    return sum(counted[stage] for stage in OWN)


def table() -> list[str]:
    """The page's lines."""
    network = multiply_adds(bundles.read(app.find_bundle("inr")).model)
    own = own_instructions()
    out = [
        f"{network / 1e6:.0f} million multiply-adds, {own / 1e6:.1f} million instructions of ours",
        "",
        "| Raspberry Pi | inference, 4 threads, ms | our own, ms | frame, 4 threads to 2, ms "
        "| frames a second, 2 threads | from |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for board in BOARDS:
        found = estimate(board, network, own)
        out.append(
            f"| {board.name} | {found.inference_ms:.0f} | {found.own_ms:.1f} | {found.whole_ms:.0f} to "
            f"{found.slowest_ms:.0f} | {min(FRAMES_PER_S, 1e3 / found.slowest_ms):.0f} | {board.why} |"
        )
    return out


def written(page: str, lines: list[str]) -> str:
    """The page with these lines between its marks."""
    before, rest = page.split(BEGIN)
    return "\n".join([before + BEGIN, *lines, END + rest.split(END)[1]])


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description="how long a frame would take on a Raspberry Pi")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    write, lines = parser.parse_args().write, table()
    if write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
