"""Owns what a person sees of the work on devices: a live table on a terminal, plain lines elsewhere or for one device.

Several threads write into it. Whatever a device says is one line here, without control characters.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO


@dataclass
class Row:
    """Where one device is."""

    step: str = "waiting"
    word: str = ""  # the last thing that was heard of it
    state: str = ""  # "", "done" or "failed"


def clean(text: str) -> str:
    """One line that cannot move the cursor."""
    return "".join(sign if sign.isprintable() else " " for sign in " ".join(text.split()))


class Table:
    """A row for each host."""

    def __init__(self, hosts: Sequence[str], out: TextIO) -> None:
        self._out, self._rows = out, {host: Row() for host in hosts}
        self._alone = len(hosts) == 1
        # A table that is higher than the terminal cannot be drawn again from its first line.
        self._live = out.isatty() and not self._alone and len(hosts) < shutil.get_terminal_size().lines
        self._lock = threading.Lock()
        self._drawn = 0

    def step(self, host: str, step: str) -> None:
        """The device has come to its next step."""
        self._change(host, f"{host}: {step}", step=step)

    def line(self, host: str, text: str) -> None:
        """The device, or a program that deals with it, has said a line."""
        said = clean(text)
        if said:
            self._change(host, said if self._alone else f"{host}: {said}", word=said.removeprefix("install: "))

    def done(self, host: str, word: str = "") -> None:
        """All went well there."""
        changed = {"word": clean(word)} if word else {}
        self._change(host, f"{host}: done {clean(word)}".rstrip(), state="done", **changed)

    def failed(self, host: str, why: str) -> None:
        """It did not; `why` is one sentence, with the host before it or not."""
        word = clean(why).removeprefix(f"{host}: ")
        self._change(host, f"{host}: failed: {word}", state="failed", word=word)

    def close(self, action: str) -> None:
        """The table, whole, and what became of all."""
        failed = [host for host, row in self._rows.items() if row.state == "failed"]
        with self._lock:
            if not self._alone:
                if self._live:
                    self._draw()
                else:
                    self._out.writelines(f"{line}\n" for line in self._lines(None))
            well = len(self._rows) - len(failed)
            summary = f"{action}: {well} of {len(self._rows)} devices are well"
            self._out.write(f"{summary}{'; failed: ' + ', '.join(failed) if failed else ''}\n")
            self._out.flush()

    def _change(self, host: str, plain: str, **values: str) -> None:
        with self._lock:
            for name, value in values.items():
                setattr(self._rows[host], name, value)
            if self._live:
                self._draw()
            else:
                self._out.write(f"{plain}\n")
                self._out.flush()

    def _lines(self, width: int | None) -> list[str]:
        widest = max(len(host) for host in self._rows)
        lines = [
            f"{host:{widest}}  {row.state or row.step:10}  {row.word}".rstrip() for host, row in self._rows.items()
        ]
        return [line[:width] for line in lines]

    def _draw(self) -> None:
        lines = self._lines(shutil.get_terminal_size().columns - 1)
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._out.write(up + "".join(f"\r\x1b[2K{line}\n" for line in lines))
        self._out.flush()
        self._drawn = len(lines)
